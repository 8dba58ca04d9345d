//! anser-node
