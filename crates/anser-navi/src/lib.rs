//! anser-navi
