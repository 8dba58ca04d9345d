//! The suites, and what only this store can show.

mod suites;
