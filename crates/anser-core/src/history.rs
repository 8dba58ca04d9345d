//! Folding raw history rows into what a user may see.
