//! The log on a real Kafka.
//!
//! `ANSER_TEST_KAFKA=host:port` names a broker; each test uses topics of its own and deletes them. Without it the tests say
//! so and do nothing, or fail if `ANSER_TEST_BACKENDS=required`. Tests that stop and kill a broker start one for
//! themselves from the jars of a Kafka distribution in the folder `ANSER_TEST_KAFKA_LIB`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod accidents;
mod broker;
mod setup;
mod suite;
mod world;
