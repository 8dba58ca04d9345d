//! The server API as an app's backend sees it, over services that only remember what they were asked.

mod blocks;
mod conventions;
mod fakes;
mod groups;
mod messages;
mod mutes;
mod users;

use std::sync::Arc;

use anser_rmtp::signature::sign;
use axum::http::{HeaderValue, StatusCode};
use serde_json::Value;
use tower::ServiceExt as _;

use super::*;
use fakes::{Fakes, OneApp};

const NOW: Timestamp = Timestamp(1_795_311_881_922);
const FORM: &str = "application/x-www-form-urlencoded";

/// An API over fakes.
struct Backend {
    fakes: Arc<Fakes>,
    config: ApiConfig,
}

struct Reply {
    status: StatusCode,
    body: Value,
    allow: Option<String>,
}

impl Reply {
    fn codes(&self) -> (u16, u64) {
        (self.status.as_u16(), self.body["code"].as_u64().unwrap_or_default())
    }

    fn says(&self) -> &str {
        self.body["errorMessage"].as_str().unwrap_or_default()
    }
}

impl Backend {
    fn new() -> Self {
        Self::with(ApiConfig::default())
    }

    fn with(config: ApiConfig) -> Self {
        Self { fakes: Arc::new(Fakes::default()), config }
    }

    /// The routes; those of one call share what is remembered between requests.
    fn router(&self) -> Router {
        router(Api {
            apps: Arc::new(OneApp::new()),
            messages: self.fakes.clone(),
            access: self.fakes.clone(),
            directory: self.fakes.clone(),
            clock: Arc::new(|| NOW),
            config: self.config.clone(),
        })
    }

    /// A signed form.
    async fn post(&self, path: &str, body: &str) -> Reply {
        self.send(path, &signed(), FORM, body.as_bytes()).await
    }

    /// A signed form that has to succeed.
    async fn ok(&self, path: &str, body: &str) -> Value {
        let reply = self.post(path, body).await;
        assert_eq!(reply.codes(), (200, 200), "{path}: {}", reply.body);
        reply.body
    }

    /// A signed form that has to be refused as a bad parameter of this name.
    async fn refused(&self, path: &str, body: &str, name: &str) {
        let reply = self.post(path, body).await;
        assert_eq!(reply.codes(), (400, 1002), "{path} {body}: {}", reply.body);
        assert!(reply.says().contains(name), "{path} {body}: {}", reply.body);
        assert!(self.fakes.commands().is_empty() && self.fakes.published().is_empty(), "{path}: nothing happened");
    }

    async fn send(&self, path: &str, headers: &[(&str, String)], content_type: &str, body: &[u8]) -> Reply {
        reply(self.router(), request(path, headers, content_type, Body::from(body.to_vec()))).await
    }
}

fn request(path: &str, headers: &[(&str, String)], content_type: &str, body: Body) -> Request {
    let mut request = Request::builder().method(Method::POST).uri(path).header("Content-Type", content_type);
    for (name, value) in headers {
        request = request.header(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    request.body(body).unwrap()
}

async fn reply(router: Router, request: Request) -> Reply {
    let response = router.oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let text = to_bytes(body, usize::MAX).await.unwrap();
    let allow = parts.headers.get(header::ALLOW).map(|value| value.to_str().unwrap().to_owned());
    Reply { status: parts.status, body: serde_json::from_slice(&text).unwrap(), allow }
}

fn signed() -> Vec<(&'static str, String)> {
    headers("14314", &NOW.0.to_string())
}

fn headers(nonce: &str, timestamp: &str) -> Vec<(&'static str, String)> {
    let signature = String::from_utf8(sign("secret", nonce, timestamp).to_vec()).unwrap();
    vec![
        ("App-Key", "app1".to_owned()),
        ("Nonce", nonce.to_owned()),
        ("Timestamp", timestamp.to_owned()),
        ("Signature", signature),
    ]
}
