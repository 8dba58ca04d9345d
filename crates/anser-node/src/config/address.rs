//! Where a listener listens, as it is written in the configuration. Opens nothing.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A place to listen at, or the wish not to: `127.0.0.1:8080`, `[::]:8080`, `localhost:0`, `:8080` (all addresses) or `off`.
/// Port 0 lets the system choose a free port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Listen(Option<(String, u16)>);

/// Why a text is no place to listen at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no address to listen at; write HOST:PORT, for example 127.0.0.1:8080, or off")]
pub struct ListenError(String);

impl Listen {
    /// No listener.
    pub const OFF: Self = Self(None);

    /// This port of the machine's own loop, reachable from nowhere else.
    pub fn local(port: u16) -> Self {
        Self(Some(("127.0.0.1".to_owned(), port)))
    }

    /// Host and port, in the form that the system's resolver takes; `None` when it is off.
    pub fn target(&self) -> Option<(&str, u16)> {
        self.0.as_ref().map(|(host, port)| (host.as_str(), *port))
    }

    /// Whether it listens at all addresses of the machine, so that the setting does not say by which one others reach it.
    pub(crate) fn is_everywhere(&self) -> bool {
        let host = self.0.as_ref().and_then(|(host, _)| host.parse::<IpAddr>().ok());
        host.is_some_and(|host| host.is_unspecified())
    }

    /// Whether others can be told to connect to what is written here.
    pub(crate) fn is_reachable(&self) -> bool {
        self.target().is_some_and(|(_, port)| port > 0) && !self.is_everywhere()
    }

    /// Whether there is a listener at all.
    pub const fn is_on(&self) -> bool {
        self.0.is_some()
    }
}

impl FromStr for Listen {
    type Err = ListenError;

    fn from_str(text: &str) -> Result<Self, ListenError> {
        if text == "off" {
            return Ok(Self::OFF);
        }
        let wrong = || ListenError(text.to_owned());
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let port = port.parse().map_err(|_| wrong())?;
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if bare.is_none() && host.contains(':') || host.contains(char::is_whitespace) || host.contains('/') {
            return Err(wrong());
        }
        let host = match bare.unwrap_or(host) {
            "" => "0.0.0.0",
            host => host,
        };
        Ok(Self(Some((host.to_owned(), port))))
    }
}

impl TryFrom<String> for Listen {
    type Error = ListenError;

    fn try_from(text: String) -> Result<Self, ListenError> {
        text.parse()
    }
}

impl From<Listen> for String {
    fn from(listen: Listen) -> Self {
        listen.to_string()
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.target() {
            None => f.write_str("off"),
            Some((host, port)) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Some((host, port)) => write!(f, "{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written_back() {
        for (text, written) in [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("localhost:0", "localhost:0"),
            ("[::1]:9", "[::1]:9"),
            (":8080", "0.0.0.0:8080"),
            ("off", "off"),
        ] {
            assert_eq!(text.parse::<Listen>().map(|listen| listen.to_string()), Ok(written.to_owned()));
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_an_example() {
        for text in ["", "8080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:99999", "http://127.0.0.1:80", "::1:80", "a b:1"]
        {
            let refused = text.parse::<Listen>().unwrap_err();
            assert!(refused.to_string().contains("HOST:PORT"), "{refused}");
        }
    }
}
