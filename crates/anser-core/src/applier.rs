//! From committed records to the rows of derived tables.
