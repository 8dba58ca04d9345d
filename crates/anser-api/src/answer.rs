//! How answers look.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Map, Value, json};

use crate::ApiError;

/// What an endpoint answers beside the code.
pub(crate) type Answer = Map<String, Value>;

/// An answer with nothing but the code.
pub(crate) fn done() -> Answer {
    Map::new()
}

/// An answer with these fields.
pub(crate) fn fields<const N: usize>(fields: [(&str, Value); N]) -> Answer {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The HTTP response for an outcome.
pub(crate) fn response(outcome: Result<Answer, ApiError>) -> Response {
    match outcome {
        Ok(mut fields) => {
            fields.insert("code".to_owned(), json!(200));
            with(StatusCode::OK, &Value::Object(fields))
        }
        Err(error) => {
            let (status, code) = error.codes();
            let is_no_post = error == ApiError::NotPost;
            let mut said = fields([("code", json!(code)), ("errorMessage", json!(error.to_string()))]);
            if let ApiError::ReachedSome { reached, .. } = error {
                said.extend(reached);
            }
            let mut response = with(status, &Value::Object(said));
            if is_no_post {
                response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
            }
            response
        }
    }
}

fn with(status: StatusCode, body: &Value) -> Response {
    let mut response = (status, Body::from(body.to_string())).into_response();
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}
