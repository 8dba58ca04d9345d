//! A chat in the terminal: lines in, lines out.
