//! anser-api
