//! Asking navigation where to connect.

use anser_core::session::NavigationFailure;
use serde_json::Value;

use crate::http::{HttpClient, HttpUrl, put_form};

/// What a terminal connects over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Transport {
    /// WebSocket.
    #[default]
    Ws,
    /// TCP with the protocol's own framing.
    Tcp,
    /// The same as [`Self::Tcp`] within TLS.
    Tls,
}

impl Transport {
    /// The number that navigation gives to such addresses.
    const fn protocol(self) -> u64 {
        match self {
            Self::Ws => 5,
            Self::Tcp => 1,
            Self::Tls => 2,
        }
    }
}

/// How a terminal finds out where to connect.
#[derive(Debug, Clone)]
pub enum Navigation {
    /// By asking.
    Http(HttpUrl),
    /// It is told: the addresses to try, each `host:port`.
    Fixed(Vec<String>),
}

impl Navigation {
    /// The addresses for this token, best first.
    pub async fn addresses(
        &self,
        app_key: &str,
        token: &str,
        transport: Transport,
    ) -> Result<Vec<String>, NavigationFailure> {
        let url = match self {
            Self::Fixed(addresses) => return Ok(addresses.clone()),
            Self::Http(url) => url,
        };
        let mut form = String::new();
        put_form(&mut form, "token", token);
        put_form(&mut form, "v", anser_rmtp::capability::ANSER_SDK_VERSION);
        let negotiate = format!("conn={};iptype=v4,v6", transport.protocol());
        let headers = [("RC-Appkey", app_key), ("RC-Negotiate", negotiate.as_str())];
        let mut http = HttpClient::new(url.clone());
        let posted = http.post("/v2/navi.json?cloud=0", &headers, FORM, form.as_bytes()).await;
        let response = posted.map_err(|_| NavigationFailure::Unavailable)?;
        read_answer(response.status, &response.body, transport)
    }
}

const FORM: &str = "application/x-www-form-urlencoded";

fn read_answer(status: u16, body: &[u8], transport: Transport) -> Result<Vec<String>, NavigationFailure> {
    if matches!(status, 400..=499) && status != 429 {
        return Err(NavigationFailure::Refused(status));
    }
    if status != 200 {
        return Err(NavigationFailure::Unavailable);
    }
    let answer: Value = serde_json::from_slice(body).map_err(|_| NavigationFailure::Unavailable)?;
    match answer.get("code").and_then(Value::as_u64) {
        None | Some(200) => {}
        Some(code @ (401 | 403 | 416)) => {
            return Err(NavigationFailure::Refused(u16::try_from(code).unwrap_or(u16::MAX)));
        }
        Some(_) => return Err(NavigationFailure::Unavailable),
    }
    let mut entries: Vec<(u64, String)> = Vec::new();
    for entry in answer.get("serverAddr").and_then(Value::as_array).into_iter().flatten() {
        let protocol = entry.get("protocol").and_then(Value::as_u64);
        if let Some(address) =
            entry.get("addr").and_then(Value::as_str).filter(|_| protocol == Some(transport.protocol()))
        {
            entries.push((entry.get("weight").and_then(Value::as_u64).unwrap_or(0), address.to_owned()));
        }
    }
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.0));
    let mut addresses: Vec<String> = entries.into_iter().map(|(_, address)| address).collect();
    if addresses.is_empty() && transport == Transport::Ws {
        let text = |name| answer.get(name).and_then(Value::as_str).unwrap_or_default();
        let listed = [text("server"), text("backupServer")].into_iter().flat_map(|list| list.split(','));
        addresses.extend(listed.map(str::trim).filter(|address| !address.is_empty()).map(str::to_owned));
    }
    if addresses.is_empty() { Err(NavigationFailure::Unavailable) } else { Ok(addresses) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_addresses_of_a_transport_are_taken_heaviest_first() {
        let body = br#"{"code":200,"server":"w:1","backupServer":"x:2,y:3","serverAddr":[
            {"addr":"a:1","protocol":1,"weight":1},{"addr":"b:1","protocol":1,"weight":9},{"addr":"t:1","protocol":2}]}"#;
        let read = |transport| read_answer(200, body, transport).unwrap();
        assert_eq!(read(Transport::Tcp), ["b:1", "a:1"]);
        assert_eq!(read(Transport::Tls), ["t:1"]);
        assert_eq!(read(Transport::Ws), ["w:1", "x:2", "y:3"]);
    }

    #[test]
    fn told_why_a_refusal_differs_from_a_server_that_is_away() {
        for (status, body, expected) in [
            (401, "", NavigationFailure::Refused(401)),
            (200, r#"{"code":403}"#, NavigationFailure::Refused(403)),
            (200, r#"{"code":500}"#, NavigationFailure::Unavailable),
            (429, "", NavigationFailure::Unavailable),
            (503, "", NavigationFailure::Unavailable),
            (200, "no json", NavigationFailure::Unavailable),
            (200, r#"{"code":200,"serverAddr":[]}"#, NavigationFailure::Unavailable),
        ] {
            assert_eq!(read_answer(status, body.as_bytes(), Transport::Tcp), Err(expected), "{status} {body}");
        }
    }
}
