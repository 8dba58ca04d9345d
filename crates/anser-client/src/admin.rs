//! The server API, as an app's backend calls it: tokens, groups, messages sent by the server.

use anser_types::MessageUid;
use serde_json::Value;

use crate::clock::LocalClock;
use crate::http::{HttpClient, HttpError, HttpUrl, UrlError, put_form};

/// Why a call of the server API failed.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The address is none.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// No answer. Whether the call was carried out is not known.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The server refused. Codes 1000 and 1008, and HTTP status 500 and above, may pass with time; the others do not.
    #[error("server api refused with code {code} (http {status}): {message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The code.
        code: u64,
        /// What the server says about it.
        message: String,
    },
    /// An answer that cannot be read.
    #[error("answer of the server api cannot be read")]
    Malformed,
}

impl AdminError {
    /// Whether the server has refused something that may pass with time.
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Refused { status, code, .. } if *status >= 500 || matches!(*code, 1000 | 1008))
    }
}

/// Where a message of the server goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublishTo<'a> {
    /// To these users, each in a chat of its own.
    Users(&'a [&'a str]),
    /// To this group.
    Group(&'a str),
    /// To these users, as a system message.
    System(&'a [&'a str]),
}

/// A caller of the server API for one app. Asks one thing at a time; use several for more.
#[derive(Debug)]
pub struct Admin {
    http: HttpClient,
    app_key: String,
    app_secret: Secret,
    clock: LocalClock,
    calls: u64,
}

struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Admin {
    /// A caller of the server at `url`, such as `http://127.0.0.1:8080`. Nothing is asked yet.
    pub fn new(url: &str, app_key: &str, app_secret: &str) -> Result<Self, AdminError> {
        let url: HttpUrl = url.parse()?;
        Ok(Self {
            http: HttpClient::new(url),
            app_key: app_key.to_owned(),
            app_secret: Secret(app_secret.to_owned()),
            clock: LocalClock::start(),
            calls: 0,
        })
    }

    /// A token for a user, who is made if need be.
    pub async fn token(&mut self, user: &str) -> Result<String, AdminError> {
        let answer = self.call("/user/getToken", &[("userId", user), ("name", user)]).await?;
        answer.get("token").and_then(Value::as_str).map(str::to_owned).ok_or(AdminError::Malformed)
    }

    /// Makes a group with these members.
    pub async fn create_group(&mut self, group: &str, name: &str, members: &[&str]) -> Result<(), AdminError> {
        self.group_call("/group/create", group, name, members).await
    }

    /// Adds members to a group.
    pub async fn join_group(&mut self, group: &str, name: &str, members: &[&str]) -> Result<(), AdminError> {
        self.group_call("/group/join", group, name, members).await
    }

    /// Takes a group away.
    pub async fn dismiss_group(&mut self, group: &str, by: &str) -> Result<(), AdminError> {
        self.call("/group/dismiss", &[("userId", by), ("groupId", group)]).await.map(drop)
    }

    /// Whether a user has a terminal online.
    pub async fn is_online(&mut self, user: &str) -> Result<bool, AdminError> {
        let answer = self.call("/user/checkOnline", &[("userId", user)]).await?;
        let status = answer.get("status").ok_or(AdminError::Malformed)?;
        Ok(status.as_str() == Some("1") || status.as_u64() == Some(1))
    }

    /// Sends a message in the name of a user. The UIDs in the order of the receivers; one for a group.
    pub async fn publish(
        &mut self,
        from: &str,
        to: PublishTo<'_>,
        object_name: &str,
        content: &str,
    ) -> Result<Vec<MessageUid>, AdminError> {
        let (path, field, targets) = match &to {
            PublishTo::Users(users) => ("/message/private/publish", "toUserId", *users),
            PublishTo::System(users) => ("/message/system/publish", "toUserId", *users),
            PublishTo::Group(group) => ("/message/group/publish", "toGroupId", std::slice::from_ref(group)),
        };
        let mut fields = vec![("fromUserId", from), ("objectName", object_name), ("content", content)];
        fields.extend(targets.iter().map(|target| (field, *target)));
        let answer = self.call(path, &fields).await?;
        let uids = answer.get("messageUIDs").and_then(Value::as_array).into_iter().flatten();
        let uid = |entry: &Value| entry.get("messageUID").and_then(Value::as_str).and_then(|uid| uid.parse().ok());
        Ok(uids.filter_map(uid).collect())
    }

    /// Any other call: the path without `.json`, the form's fields in order. The answer's object, if its code is 200.
    pub async fn call(&mut self, path: &str, fields: &[(&str, &str)]) -> Result<Value, AdminError> {
        let mut form = String::new();
        for (name, value) in fields {
            put_form(&mut form, name, value);
        }
        self.calls += 1;
        let nonce = format!("{}{}", self.calls, std::process::id());
        let timestamp = self.clock.now().to_string();
        let signature = anser_rmtp::signature::sign(&self.app_secret.0, &nonce, &timestamp);
        let signature = std::str::from_utf8(&signature).unwrap_or_default();
        let headers = [
            ("App-Key", self.app_key.as_str()),
            ("Nonce", nonce.as_str()),
            ("Timestamp", timestamp.as_str()),
            ("Signature", signature),
        ];
        let path = format!("{path}.json");
        let content_type = "application/x-www-form-urlencoded";
        let response = self.http.post(&path, &headers, content_type, form.as_bytes()).await?;
        read_answer(response.status, &response.body)
    }

    async fn group_call(&mut self, path: &str, group: &str, name: &str, members: &[&str]) -> Result<(), AdminError> {
        // A call names at most a thousand users.
        for some in members.chunks(1000) {
            let mut fields: Vec<(&str, &str)> = some.iter().map(|member| ("userId", *member)).collect();
            fields.extend([("groupId", group), ("groupName", name)]);
            self.call(path, &fields).await?;
        }
        Ok(())
    }
}

fn read_answer(status: u16, body: &[u8]) -> Result<Value, AdminError> {
    let answer: Option<Value> = serde_json::from_slice(body).ok();
    let code = answer.as_ref().and_then(|answer| answer.get("code")).and_then(Value::as_u64);
    match (answer, code) {
        (Some(answer), Some(200)) if status == 200 => Ok(answer),
        (None, _) if status == 200 => Err(AdminError::Malformed),
        (answer, code) => {
            let message = answer.as_ref().and_then(|answer| answer.get("errorMessage")).and_then(Value::as_str);
            let message = message.unwrap_or_default().to_owned();
            Err(AdminError::Refused { status, code: code.unwrap_or_default(), message })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn told_why_a_refusal_carries_its_code() {
        assert!(read_answer(200, br#"{"code":200,"token":"t"}"#).is_ok());
        match read_answer(401, br#"{"code":1004,"errorMessage":"bad signature"}"#) {
            Err(AdminError::Refused { status: 401, code: 1004, message }) => assert_eq!(message, "bad signature"),
            other => panic!("{other:?}"),
        }
        assert!(matches!(read_answer(502, b"<html>"), Err(AdminError::Refused { status: 502, code: 0, .. })));
        assert!(matches!(read_answer(200, b"<html>"), Err(AdminError::Malformed)));
    }

    #[test]
    fn debug_text_holds_no_secret() {
        let admin = Admin::new("http://h", "key", "hunter2").unwrap();
        assert!(!format!("{admin:?}").contains("hunter2"));
    }
}
