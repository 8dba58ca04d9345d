//! In-memory references of the ports, for tests and simulations.
