//! anser-runtime
