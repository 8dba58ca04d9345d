//! The suites, and what only this store can show.

mod crashes;
mod damage;
mod memory;
mod suites;
