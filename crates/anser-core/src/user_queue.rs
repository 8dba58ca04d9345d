//! The one queue that a user's publishes pass.
