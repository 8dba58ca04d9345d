//! The suites of the two ports against a real HBase, and what only this adapter can get wrong, against gateways that fail on demand.

mod real;
mod suites;
