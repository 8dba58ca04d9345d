//! A client's session with a server.
