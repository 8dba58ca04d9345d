//! Addresses of HTTP servers, and the encoding of forms.

use std::fmt;
use std::str::FromStr;

/// Where an HTTP server is: `http://host[:port][/prefix]`. The scheme may be left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpUrl {
    authority: String,
    prefix: String,
}

/// Why a text names no HTTP server that this client can ask.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// TLS is not spoken for HTTP requests.
    #[error(
        "{0} asks for https, but this client speaks plain http to the server api and to navigation: name an http address"
    )]
    Https(String),
    /// Another scheme, or no host.
    #[error("{0} is no http address")]
    Form(String),
}

impl HttpUrl {
    /// `host:port`.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// What goes before every path.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The host alone.
    pub fn host(&self) -> &str {
        self.authority.rsplit_once(':').map_or(&self.authority, |(host, _)| host)
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.authority.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(80)
    }
}

impl FromStr for HttpUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let form = || UrlError::Form(text.to_owned());
        let rest = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("https") => {
                return Err(UrlError::Https(text.to_owned()));
            }
            Some(_) => return Err(form()),
            None => text,
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
        if host.is_empty() || authority.contains(|c: char| c.is_whitespace() || c.is_control() || c == '@') {
            return Err(form());
        }
        if authority.contains(':') && !has_port && !authority.ends_with(']') {
            return Err(form());
        }
        let path = path.trim_end_matches('/');
        let prefix = if path.is_empty() { String::new() } else { format!("/{path}") };
        let authority = if has_port { authority.to_owned() } else { format!("{authority}:80") };
        Ok(Self { authority, prefix })
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority, self.prefix)
    }
}

/// Appends a field to a form (`application/x-www-form-urlencoded`).
pub(crate) fn put_form(form: &mut String, name: &str, value: &str) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    if !form.is_empty() {
        form.push('&');
    }
    form.push_str(name);
    form.push('=');
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            form.push(char::from(byte));
        } else {
            form.push('%');
            form.push(char::from(DIGITS[usize::from(byte >> 4)]));
            form.push(char::from(DIGITS[usize::from(byte & 0x0f)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_with_and_without_scheme_port_and_path() {
        for (text, authority, prefix) in [
            ("http://127.0.0.1:7080", "127.0.0.1:7080", ""),
            ("127.0.0.1:7080", "127.0.0.1:7080", ""),
            ("HTTP://example.org/im/", "example.org:80", "/im"),
            ("http://[::1]:80/", "[::1]:80", ""),
            ("http://[::1]", "[::1]:80", ""),
        ] {
            let url: HttpUrl = text.parse().unwrap();
            assert_eq!((url.authority(), url.prefix()), (authority, prefix), "{text}");
        }
        assert_eq!("h:81".parse::<HttpUrl>().map(|url| (url.host().to_owned(), url.port())), Ok(("h".into(), 81)));
    }

    #[test]
    fn what_is_no_plain_http_address_is_refused() {
        assert!(matches!("https://h".parse::<HttpUrl>(), Err(UrlError::Https(_))));
        for text in ["", "ftp://h", "http://", ":80", "http://h:port", "a b:1", "user@h:1", "h:99999"] {
            assert!(matches!(text.parse::<HttpUrl>(), Err(UrlError::Form(_))), "{text}");
        }
    }

    #[test]
    fn forms_are_percent_encoded() {
        let mut form = String::new();
        put_form(&mut form, "a", "x y&=é");
        put_form(&mut form, "b", "z");
        assert_eq!(form, "a=x%20y%26%3D%C3%A9&b=z");
    }
}
