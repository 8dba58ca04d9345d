//! The HTTP form of navigation.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anser_cluster::{App, AppRegistry};
use anser_rmtp::token;
use anser_types::{AppKey, Timestamp, UserId, UserKey};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use serde_json::json;

use crate::answer::{Answer, Asked};
use crate::negotiate::transports;
use crate::{AccessPoints, NaviConfig};

#[cfg(test)]
mod tests;

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The name that a script calls back, if the client wants no other.
const DEFAULT_CALLBACK: &str = "getServerEndpoint";
const CALLBACK_BYTES_MAX: usize = 64;
/// Who is asked for when nobody can be read from the token: such clients may go anywhere, the access node refuses them.
const NOBODY: &str = "-";

/// What navigation needs of the rest of the server.
pub struct Navi {
    /// The apps.
    pub apps: Arc<dyn AppRegistry>,
    /// The access nodes.
    pub points: Arc<dyn AccessPoints>,
    /// The time, for reading tokens.
    pub clock: Clock,
    /// The settings.
    pub config: NaviConfig,
}

impl fmt::Debug for Navi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Navi").field("points", &self.points).field("config", &self.config).finish_non_exhaustive()
    }
}

/// The routes of navigation. Has no fallback of its own, so that it can share a listener with the server API.
pub fn router(navi: Navi) -> Router {
    Router::new()
        .route("/navi.js", get(script).options(preflight).fallback(wrong_method))
        .route("/v2/navi.json", post(json_answer).options(preflight).fallback(wrong_method))
        .route("/cometnavi.js", get(no_comet).options(preflight))
        .with_state(Arc::new(navi))
}

/// `GET /navi.js`: lenient about everything, because the clients that use it cannot tell their app what was wrong.
async fn script(State(navi): State<Arc<Navi>>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let query = Fields(query.unwrap_or_default().into_bytes());
    let app = navi.apps.find(&query.get("appId"));
    let answer = navi.answer(app.as_deref(), &query.get("token"), &asked(&headers)).await;
    let (status, text) = match &answer {
        Some(answer) => (StatusCode::OK, serde_json::to_string(answer).unwrap_or_default()),
        None => (StatusCode::SERVICE_UNAVAILABLE, json!({ "code": 503 }).to_string()),
    };
    let callback = query.get("callBack");
    let callback = if is_callback(&callback) { callback.as_str() } else { DEFAULT_CALLBACK };
    respond(status, "application/javascript; charset=utf-8", format!("{callback}({});", script_safe(&text)))
}

/// `POST /v2/navi.json`.
async fn json_answer(State(navi): State<Arc<Navi>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let patience = Duration::from_millis(navi.config.body_timeout_ms);
    let body = match tokio::time::timeout(patience, to_bytes(body, navi.config.body_bytes_max)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return refuse(StatusCode::PAYLOAD_TOO_LARGE, 413, "the request body is too large"),
        Err(_) => return refuse(StatusCode::REQUEST_TIMEOUT, 408, "the request body did not arrive"),
    };
    let form = Fields(body.to_vec());
    let query = Fields(parts.uri.query().unwrap_or_default().as_bytes().to_vec());
    let named = parts.headers.get("rc-appkey").and_then(|key| key.to_str().ok()).map(str::to_owned);
    let key = named.unwrap_or_else(|| form.get("appId"));
    let Some(app) = navi.apps.find(&key) else {
        return refuse(StatusCode::FORBIDDEN, 403, "unknown app key");
    };
    let token = [&form, &query].map(|fields| fields.get("token")).into_iter().find(|token| !token.is_empty());
    match navi.answer(Some(&app), &token.unwrap_or_default(), &asked(&parts.headers)).await {
        Some(answer) => respond(
            StatusCode::OK,
            "application/json; charset=utf-8",
            serde_json::to_string(&answer).unwrap_or_default(),
        ),
        None => refuse(StatusCode::SERVICE_UNAVAILABLE, 503, "no access node takes connections now, try again"),
    }
}

/// The long-polling fallback of very old browsers is not offered.
async fn no_comet() -> Response {
    respond(
        StatusCode::NOT_FOUND,
        "text/plain; charset=utf-8",
        "long polling is not offered, connect by WebSocket\n".into(),
    )
}

/// Allows whatever headers the browser asks about: later SDKs may send more, and none of them opens anything here.
async fn preflight(headers: HeaderMap) -> Response {
    let mut response = respond(StatusCode::NO_CONTENT, "text/plain; charset=utf-8", String::new());
    // The question itself follows at once.
    response.headers_mut().remove(header::CONNECTION);
    if let Some(asked) = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
    }
    response
}

async fn wrong_method() -> Response {
    refuse(StatusCode::METHOD_NOT_ALLOWED, 405, "navigation is asked by GET /navi.js or POST /v2/navi.json")
}

impl Navi {
    async fn answer(&self, app: Option<&App>, token: &str, asked: &Asked) -> Option<Answer> {
        let user = app.and_then(|app| {
            let claims = app.tokens.verify(&app.key, token, (self.clock)()).ok()?;
            Some(UserKey::new(claims.app, claims.user))
        });
        let live = self.points.live();
        let answer = match &user {
            Some(user) => {
                // With a single node there is nothing to choose.
                let home = if live.len() > 1 { self.points.home(user).await } else { None };
                Answer::new(&live, home.as_deref(), user, Some(user.user.as_str()), asked, self.config)
            }
            None => Answer::new(&live, None, &nobody(token), None, asked, self.config),
        };
        if answer.is_none() {
            // At the pace of whoever asks: metrics and `anser cluster status` tell operators.
            tracing::debug!("no access node takes users");
        }
        answer
    }
}

/// Stands in for a user whom no token names. The token decides where it goes, so that many of them spread.
fn nobody(token: &str) -> UserKey {
    let user = UserId::new(token::cut(token)).or_else(|_| UserId::new(NOBODY)).expect("a dash is an id");
    UserKey::new(AppKey::new(NOBODY).expect("a dash is an id"), user)
}

/// The fields of a query or a form, read as leniently as can be.
struct Fields(Vec<u8>);

impl Fields {
    /// The first value of this name, or an empty text.
    fn get(&self, name: &str) -> String {
        let mut pairs = form_urlencoded::parse(&self.0);
        pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
    }
}

fn asked(headers: &HeaderMap) -> Asked {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let transports = transports(text("rc-negotiate"));
    let secure = text("x-forwarded-proto").starts_with("https") || text("origin").starts_with("https://");
    Asked { transports, secure, host: host(text("host")) }
}

/// The host of a `Host` header without its port. What is no host is not repeated to anybody.
fn host(header: &str) -> String {
    let end = header.rfind(':').filter(|&colon| !header.get(colon..).unwrap_or_default().contains(']'));
    let host = header.get(..end.unwrap_or(header.len())).unwrap_or_default();
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
    if host.is_empty() || host.len() > 255 || !host.chars().all(allowed) {
        return "127.0.0.1".to_owned();
    }
    host.to_owned()
}

fn is_callback(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '$');
    !name.is_empty() && name.len() <= CALLBACK_BYTES_MAX && name.chars().all(allowed)
}

/// JSON that means the same within a script, wherever that is put: no character that could end a script or a line.
fn script_safe(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' => safe.push_str("\\u003c"),
            '>' => safe.push_str("\\u003e"),
            '&' => safe.push_str("\\u0026"),
            '\u{2028}' => safe.push_str("\\u2028"),
            '\u{2029}' => safe.push_str("\\u2029"),
            other => safe.push(other),
        }
    }
    safe
}

fn refuse(status: StatusCode, code: u16, message: &str) -> Response {
    let text = json!({ "code": code, "errorMessage": message }).to_string();
    respond(status, "application/json; charset=utf-8", text)
}

/// An answer that any page may read: navigation tells nothing that its asker does not already hold the token for. Who has
/// asked goes elsewhere, so the connection is not kept: after a restart as many would be kept as there are clients.
fn respond(status: StatusCode, content_type: &'static str, text: String) -> Response {
    let mut response = (status, Body::from(text)).into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_ALLOW_METHODS, "POST, GET, OPTIONS"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "RC-Appkey, RC-Negotiate, Content-Type, X-Request-Id"),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
        (header::CONNECTION, "close"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
