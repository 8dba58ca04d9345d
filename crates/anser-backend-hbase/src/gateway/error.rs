//! What goes wrong with a call, told apart by what is to be done: an exception that the gateway declared leaves the connection
//! as it is, everything else ends it.

use hbase_thrift::hbase::{AlreadyExists, IOError, IllegalArgument};
use thrift::TransportErrorKind;

use super::connection::Settings;

/// How much of a gateway's message is kept: its first line names the exception, the rest is a stack trace of many KiB.
const MESSAGE_BYTES_MAX: usize = 240;

/// Why a call did not succeed. All of it may pass.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GatewayError {
    /// Too many calls wait.
    #[error("too many calls wait for a gateway")]
    Full,
    /// Nothing came back in all the time that a call may take.
    #[error("no answer in time")]
    Late,
    /// The adapter was closed.
    #[error("the adapter is closed")]
    Closed,
    /// No gateway can be reached, and none is to be tried yet.
    #[error("no gateway is to be tried for {wait_ms} ms, the last failure was: {last_failure}")]
    Away {
        /// How long.
        wait_ms: u128,
        /// What happened when one was last tried.
        last_failure: String,
    },
    /// A gateway cannot be reached.
    #[error("cannot connect to the gateway {address}: {reason}")]
    Connect {
        /// Which.
        address: String,
        /// Why.
        reason: String,
    },
    /// A connection broke, or the gateway did not answer on it.
    #[error("the gateway {address} {what}{hint}")]
    Broken {
        /// Which gateway.
        address: String,
        /// What it did.
        what: Break,
        /// What else it may be.
        hint: String,
    },
    /// HBase refused: it says why.
    #[error("hbase says {class}: {message}")]
    Declared {
        /// The name of the Java exception, without its package.
        class: String,
        /// What it says, cut.
        message: String,
    },
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Break {
    /// The other side closed it.
    Closed,
    /// Nothing came in time. A write may still be applied later.
    Silent,
    /// Anything else.
    Other(String),
}

impl std::fmt::Display for Break {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Closed => f.write_str("closed the connection"),
            Self::Silent => f.write_str("did not answer in time"),
            Self::Other(what) => write!(f, "failed: {what}"),
        }
    }
}

impl GatewayError {
    /// Whether the connection is as good as before.
    pub(super) const fn is_declared(&self) -> bool {
        matches!(self, Self::Declared { .. })
    }

    /// Whether the other side had closed the connection.
    pub(super) const fn is_closed(&self) -> bool {
        matches!(self, Self::Broken { what: Break::Closed, .. })
    }

    /// Whether nothing came in time.
    pub(super) const fn is_silent(&self) -> bool {
        matches!(self, Self::Broken { what: Break::Silent, .. })
    }

    /// Whether HBase refused with this exception.
    pub(crate) fn is_exception(&self, name: &str) -> bool {
        matches!(self, Self::Declared { class, .. } if class == name)
    }

    /// Reads an error of the client below. A connection that has never answered may be one to a gateway of another kind.
    pub(super) fn read(error: thrift::Error, settings: &Settings, address: &str, has_answered: bool) -> Self {
        let what = match error {
            thrift::Error::User(error) => return Self::declared(&*error),
            thrift::Error::Transport(error) => match error.kind {
                TransportErrorKind::EndOfFile | TransportErrorKind::NotOpen => Break::Closed,
                TransportErrorKind::TimedOut => Break::Silent,
                _ => read_io(&error.message),
            },
            thrift::Error::Protocol(error) => Break::Other(cut(&error.message)),
            thrift::Error::Application(error) => Break::Other(cut(&error.message)),
        };
        let hint = if has_answered {
            String::new()
        } else {
            let (transport, protocol) = settings.kind();
            format!(
                " before its first answer. It may be of another kind: this node speaks hbase.transport {transport} and hbase.protocol \
                 {protocol}, see how the gateway was started"
            )
        };
        Self::Broken { address: address.to_owned(), what, hint }
    }

    fn declared(error: &(dyn std::error::Error + Send + Sync + 'static)) -> Self {
        let message = if let Some(error) = error.downcast_ref::<IOError>() {
            error.message.as_deref()
        } else if let Some(error) = error.downcast_ref::<IllegalArgument>() {
            return Self::Declared {
                class: "IllegalArgument".into(),
                message: cut(error.message.as_deref().unwrap_or("")),
            };
        } else if let Some(error) = error.downcast_ref::<AlreadyExists>() {
            return Self::Declared {
                class: "AlreadyExists".into(),
                message: cut(error.message.as_deref().unwrap_or("")),
            };
        } else {
            None
        };
        let message = message.unwrap_or("nothing");
        let (class, rest) = message.split_once([':', '\n']).unwrap_or((message, ""));
        let class = class.trim().rsplit('.').next().unwrap_or(class);
        Self::Declared { class: cut(class), message: cut(rest.trim_start()) }
    }
}

/// The client below keeps only the text of an error of the socket.
fn read_io(message: &str) -> Break {
    let is = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if is(&["Resource temporarily unavailable", "timed out", "os error 11)"]) {
        Break::Silent
    } else if is(&["Broken pipe", "Connection reset", "failed to fill whole buffer", "Connection aborted"]) {
        Break::Closed
    } else {
        Break::Other(cut(message))
    }
}

/// The first line, and not too much of it.
fn cut(text: &str) -> String {
    let line = text.lines().next().unwrap_or("");
    let end = line.char_indices().map(|(at, char)| at + char.len_utf8()).take_while(|end| *end <= MESSAGE_BYTES_MAX);
    line[..end.last().unwrap_or(0)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HbaseConfig;

    fn read(error: thrift::Error, has_answered: bool) -> GatewayError {
        GatewayError::read(error, &Settings::new(&HbaseConfig::default()), "gw:9090", has_answered)
    }

    #[test]
    fn a_declared_exception_is_known_by_its_class_and_cut() {
        let trace = "\tat org.apache.Something\n".repeat(300);
        let message = format!("org.apache.hadoop.hbase.TableNotFoundException: anser_views\n{trace}");
        let error = read(thrift::Error::User(Box::new(IOError::new(message, false))), true);
        assert!(error.is_declared() && error.is_exception("TableNotFoundException"));
        assert_eq!(error.to_string(), "hbase says TableNotFoundException: anser_views");
        let long = read(thrift::Error::User(Box::new(IOError::new("é".repeat(9000), None))), true);
        assert!(long.to_string().len() < 600);
    }

    #[test]
    fn a_connection_that_never_answered_may_be_of_another_kind() {
        let closed = || thrift::Error::Transport(thrift::TransportError::new(TransportErrorKind::EndOfFile, "eof"));
        let (first, later) = (read(closed(), false), read(closed(), true));
        assert!(first.is_closed() && later.is_closed());
        assert!(first.to_string().contains("hbase.transport buffered and hbase.protocol binary"), "{first}");
        assert_eq!(later.to_string(), "the gateway gw:9090 closed the connection");
        let silent =
            thrift::TransportError::new(TransportErrorKind::Unknown, "Resource temporarily unavailable (os error 11)");
        let silent = read(thrift::Error::Transport(silent), true);
        assert_eq!(silent.to_string(), "the gateway gw:9090 did not answer in time");
    }
}
