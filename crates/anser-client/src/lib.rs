//! anser-client
