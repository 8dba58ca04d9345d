//! The suites of the two ports against a real HBase, and what only this adapter can get wrong, against gateways that fail on demand.

mod faults;
mod gateway;
mod hbase;
mod random_directory;
mod random_history;
mod real;
mod schema;
mod suites;
