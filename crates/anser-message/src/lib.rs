//! anser-message
