//! The navigation role: which access node a client connects to, and what it may use there.
//!
//! Both published forms are answered: the script `GET /navi.js` and `POST /v2/navi.json`. Navigation is a convenience, not
//! a door: it reads the token only to send all terminals of a user to one node, and leaves judging it to the access node,
//! because several generations of clients cannot report a refusal by navigation. It knows nothing of connections.

mod access_points;
mod answer;
mod config;
mod negotiate;
mod router;

pub use access_points::{AccessPoint, AccessPoints, Address, Endpoint, OneNode, Transport};
pub use config::NaviConfig;
pub use router::{Clock, Navi, router};
