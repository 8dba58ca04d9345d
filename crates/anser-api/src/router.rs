//! The HTTP form of the server API: from a request to an endpoint and back.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anser_cluster::{AccessService, AppRegistry, DirectoryService, MessageService};
use anser_types::Timestamp;
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::response::Response;

use crate::answer::{Answer, response};
use crate::call::Call;
use crate::endpoint::Endpoint;
use crate::in_flight::InFlight;
use crate::rate::RateLimiter;
use crate::room::Room;
use crate::signature::{Freshness, authenticate};
use crate::{ApiConfig, ApiError, Params, blacklist, group, message, mute, sign_in, user};

#[cfg(test)]
mod tests;

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What the server API needs of the rest of the server.
pub struct Api {
    /// The apps and their secrets.
    pub apps: Arc<dyn AppRegistry>,
    /// Where changes and messages go.
    pub messages: Arc<dyn MessageService>,
    /// Who is online; who has to be signed out.
    pub access: Arc<dyn AccessService>,
    /// Reads of users and groups.
    pub directory: Arc<dyn DirectoryService>,
    /// The time.
    pub clock: Clock,
    /// The settings.
    pub config: ApiConfig,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("config", &self.config).finish_non_exhaustive()
    }
}

/// The API together with what it remembers between requests.
struct Service {
    api: Api,
    freshness: Freshness,
    rate: RateLimiter,
    in_flight: InFlight,
    room: Room,
}

/// The routes of the server API. It answers every path that no other router on the same listener takes.
pub fn router(api: Api) -> Router {
    let service = Service {
        freshness: Freshness::new(api.config.timestamp_window_ms, api.config.nonces_max),
        rate: RateLimiter::new(api.config.requests_per_second),
        in_flight: InFlight::new(api.config.requests_in_flight_max),
        room: Room::new(),
        api,
    };
    Router::new().fallback(handle).with_state(Arc::new(service))
}

async fn handle(State(service): State<Arc<Service>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let outcome = service.answer(request).await;
    if let Err(error) = &outcome {
        log(&path, error);
    }
    response(outcome)
}

fn log(path: &str, error: &ApiError) {
    match error {
        ApiError::Internal => tracing::error!(path, %error, "api request failed"),
        // As many as the app cares to send, so it must cost little.
        ApiError::TooFast => tracing::debug!(path, %error, "api request refused for now"),
        error if error.is_retryable() => {
            tracing::warn!(path, %error, "api request refused for now")
        }
        error => tracing::debug!(path, %error, "api request refused"),
    }
}

impl Service {
    /// Checks who asks before anything of the body is read: strangers cost a hash, not a buffer.
    async fn answer(&self, request: Request) -> Result<Answer, ApiError> {
        let endpoint = Endpoint::at(request.uri().path()).ok_or(ApiError::NoEndpoint)?;
        if request.method() != Method::POST {
            return Err(ApiError::NotPost);
        }
        let (app, signed) = authenticate(&*self.api.apps, request.headers())?;
        let now = (self.api.clock)();
        self.freshness.check(&app.key, &signed, now)?;
        if !self.rate.allows(&app.key, now) {
            return Err(ApiError::TooFast);
        }
        let _place = self.in_flight.enter(&app.key, endpoint).ok_or(ApiError::Busy)?;
        let (parts, body) = request.into_parts();
        let body = self.read(&parts.headers, body).await?;
        let params = Params::parse(content_type(&parts.headers), &body)?;
        self.freshness.use_up(&app.key, &signed)?;
        self.dispatch(endpoint, Call { app: &app, params: &params, now }).await
    }

    async fn read(&self, headers: &HeaderMap, body: Body) -> Result<Bytes, ApiError> {
        let max = self.api.config.body_bytes_max;
        let announced =
            headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if announced.is_some_and(|length| length > max) {
            return Err(ApiError::BodyTooLarge(max));
        }
        let patience = Duration::from_millis(self.api.config.body_timeout_ms);
        match tokio::time::timeout(patience, to_bytes(body, max)).await {
            Ok(Ok(body)) => Ok(body),
            // The only other reason is a connection that broke, and then nobody reads the answer.
            Ok(Err(_)) => Err(ApiError::BodyTooLarge(max)),
            Err(_) => Err(ApiError::BodyMissing),
        }
    }

    async fn dispatch(&self, endpoint: Endpoint, call: Call<'_>) -> Result<Answer, ApiError> {
        let (api, room) = (&self.api, &self.room);
        match endpoint {
            Endpoint::GetToken => user::get_token(api, &call).await,
            Endpoint::RefreshUser => user::refresh(api, &call).await,
            Endpoint::UserInfo => user::info(api, &call).await,
            Endpoint::CheckOnline => user::check_online(api, &call).await,
            Endpoint::ExpireTokens => sign_in::expire_tokens(api, &call).await,
            Endpoint::Block => sign_in::block(api, &call).await,
            Endpoint::Unblock => sign_in::unblock(api, &call).await,
            Endpoint::QueryBlocked => sign_in::query_blocked(api, &call).await,
            Endpoint::AddToBlacklist => blacklist::add(api, &call).await,
            Endpoint::RemoveFromBlacklist => blacklist::remove(api, &call).await,
            Endpoint::QueryBlacklist => blacklist::query(api, &call).await,
            Endpoint::CreateGroup => group::create(api, &call).await,
            Endpoint::JoinGroup => group::join(api, &call).await,
            Endpoint::QuitGroup => group::quit(api, &call).await,
            Endpoint::DismissGroup => group::dismiss(api, &call).await,
            Endpoint::RefreshGroup => group::refresh(api, &call).await,
            Endpoint::SyncGroups => group::sync(api, &call).await,
            Endpoint::QueryGroupUsers => group::query_users(api, &call).await,
            Endpoint::QueryUserGroups => group::query_of_user(api, &call).await,
            Endpoint::MuteMembers => mute::add(api, &call).await,
            Endpoint::UnmuteMembers => mute::remove(api, &call).await,
            Endpoint::QueryMuted => mute::query(api, &call).await,
            Endpoint::PublishPrivate => message::publish_private(api, room, &call).await,
            Endpoint::PublishGroup => message::publish_group(api, room, &call).await,
            Endpoint::PublishSystem => message::publish_system(api, room, &call).await,
            Endpoint::Recall => message::recall(api, &call).await,
        }
    }
}

fn content_type(headers: &HeaderMap) -> &str {
    headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
