//! What a client says about itself in the URL of its WebSocket connection.

use std::borrow::Cow;
use std::fmt;

/// The parameters of the URL. A parameter that is not there is empty. `Debug` leaves the token out.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct ConnectQuery {
    /// `appId`: the app.
    pub app_key: String,
    /// `token`, as it came.
    pub token: String,
    /// `sdkVer`: the version of the SDK.
    pub sdk_version: String,
    /// `pid`: the package or bundle id.
    pub package_id: String,
    /// `apiVer`: the kind of page, or the browser and its version.
    pub api_version: String,
    /// `platform`: what kind of terminal.
    pub platform: String,
    /// `protocolVer`: 3 or 4 where the client knows about versions.
    pub protocol_version: Option<u8>,
    /// `deviceId`: the installation.
    pub device_id: String,
}

impl ConnectQuery {
    /// Reads the part of a URL behind the `?`. Unknown parameters are ignored, the first of several counts, and what is no
    /// valid escape or no UTF-8 is taken as leniently as can be.
    pub fn parse(query: &str) -> Self {
        let mut parsed = Self::default();
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = percent_decode(value);
            let field = match name {
                "appId" => &mut parsed.app_key,
                "token" => &mut parsed.token,
                "sdkVer" => &mut parsed.sdk_version,
                "pid" => &mut parsed.package_id,
                "apiVer" => &mut parsed.api_version,
                "platform" => &mut parsed.platform,
                "deviceId" => &mut parsed.device_id,
                "protocolVer" => {
                    parsed.protocol_version = parsed.protocol_version.or_else(|| value.parse().ok());
                    continue;
                }
                _ => continue,
            };
            if field.is_empty() {
                *field = value.into_owned();
            }
        }
        parsed
    }

    /// The same as the part of a URL behind the `?`.
    pub fn to_query(&self) -> String {
        let mut query = String::new();
        let version = self.protocol_version.map(|version| version.to_string()).unwrap_or_default();
        for (name, value) in [
            ("appId", &self.app_key),
            ("token", &self.token),
            ("sdkVer", &self.sdk_version),
            ("pid", &self.package_id),
            ("deviceId", &self.device_id),
            ("apiVer", &self.api_version),
            ("platform", &self.platform),
            ("protocolVer", &version),
        ] {
            if value.is_empty() {
                continue;
            }
            if !query.is_empty() {
                query.push('&');
            }
            query.push_str(name);
            query.push('=');
            percent_encode(value, &mut query);
        }
        query
    }
}

impl fmt::Debug for ConnectQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectQuery")
            .field("app_key", &self.app_key)
            .field("sdk_version", &self.sdk_version)
            .field("api_version", &self.api_version)
            .field("platform", &self.platform)
            .field("protocol_version", &self.protocol_version)
            .field("device_id", &self.device_id)
            .finish_non_exhaustive()
    }
}

fn percent_decode(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = (byte == b'%')
            .then(|| after.split_first_chunk::<2>().and_then(|(&[h, l], after)| Some((hex(h)? << 4 | hex(l)?, after))));
        rest = match escaped.flatten() {
            Some((value, after)) => {
                bytes.push(value);
                after
            }
            None => {
                bytes.push(if byte == b'+' { b' ' } else { byte });
                after
            }
        };
    }
    Cow::Owned(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

fn percent_encode(text: &str, out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for nibble in [byte >> 4, byte & 0x0f] {
                out.push(char::from(DIGITS[usize::from(nibble)]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parameters_of_each_generation_are_read() {
        let q = ConnectQuery::parse("appId=k&token=abc%40&sdkVer=2.9.2&pid=undefined&apiVer=normal");
        assert_eq!((q.app_key.as_str(), q.token.as_str(), q.sdk_version.as_str()), ("k", "abc@", "2.9.2"));
        assert_eq!(q.protocol_version, None);
        let q = ConnectQuery::parse(
            "appId=k&token=a&sdkVer=5.38.0&pid=&deviceId=x%2By&apiVer=browser%7CChrome%7C120&protocolVer=4&baggage=1",
        );
        assert_eq!(
            (q.api_version.as_str(), q.device_id.as_str(), q.protocol_version),
            ("browser|Chrome|120", "x+y", Some(4))
        );
    }

    #[test]
    fn odd_escapes_are_taken_leniently() {
        for (text, value) in
            [("%", "%"), ("%4", "%4"), ("%zz", "%zz"), ("a+b", "a b"), ("%41%", "A%"), ("%ff", "\u{fffd}")]
        {
            assert_eq!(percent_decode(text), value, "{text}");
        }
        assert_eq!(ConnectQuery::parse("appId=a&appId=b&protocolVer=999").app_key, "a");
        assert_eq!(ConnectQuery::parse("&&=&appId"), ConnectQuery::default());
    }

    #[test]
    fn what_is_written_is_read_back() {
        let query = ConnectQuery {
            app_key: "k y&=é".into(),
            token: "t@http://h:1;x".into(),
            sdk_version: "anser-1".into(),
            package_id: "+".into(),
            api_version: "normal".into(),
            platform: "😀".into(),
            protocol_version: Some(4),
            device_id: "%41".into(),
        };
        assert_eq!(ConnectQuery::parse(&query.to_query()), query);
    }

    #[test]
    fn debug_text_holds_no_token() {
        let query = ConnectQuery { token: "secret".into(), ..ConnectQuery::default() };
        assert!(!format!("{query:?}").contains("secret"));
    }
}
