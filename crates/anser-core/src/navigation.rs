//! Which access node a user is sent to.
