//! How a message looks to one viewer.
