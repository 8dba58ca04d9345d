//! The server API role: what an app's backend asks for with signed HTTP requests.
//!
//! Users and their tokens, who is online, who is blocked; groups; messages sent and taken back by the server. Paths,
//! parameters, answers and codes follow the published API, so that published server SDKs work unchanged; `docs/api.md`
//! lists them. The role checks signature, form and limits, and hands everything else to the message role. It keeps nothing
//! and knows nothing of connections or backends.

mod all;
mod answer;
mod blacklist;
mod calendar;
mod call;
mod config;
mod endpoint;
mod error;
mod form;
mod group;
mod in_flight;
mod message;
mod mute;
mod publish;
mod rate;
mod room;
mod router;
mod sign_in;
mod signature;
mod user;

pub use config::ApiConfig;
pub use error::ApiError;
pub use form::{FormError, Params};
pub use router::{Api, Clock, router};
