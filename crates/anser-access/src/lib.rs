//! anser-access
