//! Why a request was refused, and how that is said over HTTP. The one place that maps errors to codes.

use anser_cluster::Refusal;
use anser_types::Status;
use axum::http::StatusCode;
use serde_json::{Map, Value};

use crate::form::FormError;

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// There is no such endpoint.
    #[error("this server has no such endpoint")]
    NoEndpoint,
    /// The endpoint wants POST.
    #[error("this endpoint is called with POST")]
    NotPost,
    /// The request is not signed as it has to be, or the app is not known.
    #[error("{0}")]
    Signature(&'static str),
    /// The app makes requests too fast.
    #[error("too many requests per second, wait and retry")]
    TooFast,
    /// The server has too much to do.
    #[error("the server is busy, retry later")]
    Busy,
    /// The body is larger than the limit.
    #[error("the request body is larger than {0} bytes")]
    BodyTooLarge(usize),
    /// The body did not arrive in time, or not to its end.
    #[error("the request body did not arrive")]
    BodyMissing,
    /// The body is neither a form nor a JSON object.
    #[error("the request body cannot be read: {0}")]
    Body(#[from] FormError),
    /// A parameter is missing, or has a value that it may not have.
    #[error("parameter {name}: {problem}")]
    Parameter {
        /// Which parameter.
        name: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The request was refused further inside.
    #[error("{}", refusal_text(.0.status))]
    Refused(Refusal),
    /// A publish reached some of its receivers and was refused for now to others.
    #[error("{}; messageUIDs names whom it reached", refusal_text(.refusal.status))]
    ReachedSome {
        /// Why the others were not reached.
        refusal: Refusal,
        /// Whom it reached, and whom it never will, as in the answer of a publish that succeeds.
        reached: Map<String, Value>,
    },
    /// The server failed in a way that is nobody's fault but its own.
    #[error("the server failed, retry later")]
    Internal,
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl ApiError {
    /// A wrong parameter.
    pub(crate) fn parameter(name: &'static str, problem: impl Into<String>) -> Self {
        Self::Parameter { name, problem: problem.into() }
    }

    /// The HTTP status and the code of the answer.
    pub fn codes(&self) -> (StatusCode, u16) {
        match self {
            Self::NoEndpoint => (StatusCode::NOT_FOUND, 1001),
            Self::NotPost => (StatusCode::METHOD_NOT_ALLOWED, 1001),
            Self::Signature(_) => (StatusCode::UNAUTHORIZED, 1004),
            Self::TooFast => (StatusCode::TOO_MANY_REQUESTS, 1008),
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, 1000),
            Self::BodyTooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, 1002),
            Self::BodyMissing => (StatusCode::REQUEST_TIMEOUT, 1002),
            Self::Body(_) | Self::Parameter { .. } => (StatusCode::BAD_REQUEST, 1002),
            Self::Refused(refusal) | Self::ReachedSome { refusal, .. } => refusal_codes(refusal.status),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, 1000),
        }
    }

    /// Whether the same request may succeed later without any change to it.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::TooFast | Self::Busy | Self::BodyMissing | Self::Internal => true,
            Self::Refused(refusal) | Self::ReachedSome { refusal, .. } => refusal.status.is_retryable(),
            _ => false,
        }
    }
}

fn refusal_codes(status: Status) -> (StatusCode, u16) {
    match status {
        Status::TOO_FAST => (StatusCode::TOO_MANY_REQUESTS, 1008),
        status if status.is_retryable() => (StatusCode::SERVICE_UNAVAILABLE, 1000),
        _ => (StatusCode::BAD_REQUEST, 1002),
    }
}

fn refusal_text(status: Status) -> String {
    let text = match status {
        Status::BLACKLISTED => "the receiver blocks the sender",
        Status::TOO_LARGE => "the message is too large",
        Status::TOO_FAST => "too many messages, wait and retry",
        Status::NOT_IN_GROUP => "there is no such group, or the sender is not in it",
        Status::GROUP_FULL => "the group is full",
        Status::MUTED_IN_GROUP => "the sender is muted in the group",
        Status::RECALL_PARAMETER => "there is no such message to recall",
        Status::NOT_YOUR_MESSAGE => "the message is of another sender; isAdmin=1 recalls it all the same",
        Status::UNSUPPORTED => "the server does not offer this",
        status if status.is_retryable() => "the server cannot do this now, retry later",
        _ => "the request was refused",
    };
    format!("{text} (status {})", status.0)
}

#[cfg(test)]
mod tests {
    use anser_rmtp::{ConnAckStatus, DisconnectStatus};

    use super::*;

    const CODES: &str = include_str!("../../../docs/error-codes.md");

    #[test]
    fn told_why_every_status_is_documented() {
        let section = |title: &str| {
            let rest = CODES.split_once(&format!("## {title}\n")).unwrap().1;
            rest.split("\n## ").next().unwrap()
        };
        let has = |section: &str, code: u16| {
            section.contains(&format!("\n| {code} |")) || section.contains(&format!("\n| **{code}** |"))
        };
        for status in [
            Status::OK,
            Status::BLACKLISTED,
            Status::UNAVAILABLE,
            Status::BAD_PARAMETER,
            Status::UNSUPPORTED,
            Status::SYSTEM_CONVERSATION,
            Status::TOO_LARGE,
            Status::TOO_FAST,
            Status::NOT_IN_GROUP,
            Status::GROUP_FULL,
            Status::MUTED_IN_GROUP,
            Status::NOT_IN_CHATROOM,
            Status::RECALL_PARAMETER,
            Status::STORAGE_UNAVAILABLE,
            Status::NOT_YOUR_MESSAGE,
        ] {
            assert!(has(section("Requests of a client"), status.0), "{status:?}");
        }
        for status in ConnAckStatus::ALL {
            assert!(has(section("Signing in"), u16::from(status.code())), "{status:?}");
        }
        for status in DisconnectStatus::ALL {
            assert!(has(section("Being disconnected"), u16::from(status.code())), "{status:?}");
        }
    }

    #[test]
    fn told_why_every_refusal_has_a_code_that_tells_retry_from_never() {
        let refused = |status| ApiError::Refused(Refusal::new(status));
        let cases = [
            (ApiError::NoEndpoint, 404, 1001),
            (ApiError::NotPost, 405, 1001),
            (ApiError::Signature("x"), 401, 1004),
            (ApiError::TooFast, 429, 1008),
            (ApiError::Busy, 503, 1000),
            (ApiError::BodyTooLarge(1), 413, 1002),
            (ApiError::BodyMissing, 408, 1002),
            (ApiError::parameter("userId", "is missing"), 400, 1002),
            (ApiError::Internal, 500, 1000),
            (refused(Status::UNAVAILABLE), 503, 1000),
            (refused(Status::STORAGE_UNAVAILABLE), 503, 1000),
            (refused(Status::TOO_FAST), 429, 1008),
            (ApiError::ReachedSome { refusal: Refusal::UNAVAILABLE, reached: Map::new() }, 503, 1000),
            (refused(Status::NOT_IN_GROUP), 400, 1002),
            (refused(Status(23_999)), 400, 1002),
        ];
        for (error, http, code) in cases {
            assert_eq!(error.codes(), (StatusCode::from_u16(http).unwrap(), code), "{error:?}");
            assert_eq!(error.is_retryable(), matches!(http, 408 | 429 | 500 | 503), "{error:?}");
            let row = format!("| {code} | {http} |");
            let row_of_two = [format!("| {code} | {http}, "), format!(", {http} |")];
            let documented = CODES.lines().any(|line| {
                line.starts_with(&row)
                    || (line.starts_with(&format!("| {code} |")) && row_of_two.iter().any(|part| line.contains(part)))
            });
            assert!(documented, "docs/error-codes.md says nothing about {code} with {http}");
            let says_retry = error.to_string().contains("retry");
            assert_eq!(says_retry, matches!(http, 429 | 500 | 503), "{error}");
        }
    }
}
