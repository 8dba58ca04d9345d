//! The owner of one log partition.
