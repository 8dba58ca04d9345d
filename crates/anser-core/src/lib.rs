//! anser-core
