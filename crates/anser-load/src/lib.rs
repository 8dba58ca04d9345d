//! The load tool: open and closed loops against a server, with the checker on every run.
