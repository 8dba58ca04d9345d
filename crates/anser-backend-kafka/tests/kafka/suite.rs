//! The port's suite.

use std::sync::Arc;

use anser_backend::conformance::log::LogFixture;
use anser_backend::{BoxFuture, MessageLog};
use anser_backend_kafka::KafkaConfig;
use anser_runtime::Clock;
use anser_types::{Offset, PartitionCount, PartitionId};

use crate::world::{World, port};

struct Fixture(World);

impl Fixture {
    fn of_environment() -> Option<Self> {
        let mut world = World::of_environment()?;
        world.config = KafkaConfig { partitions: PartitionCount::EMBEDDED.get(), ..world.config.clone() };
        Some(Self(world))
    }
}

impl LogFixture for Fixture {
    fn create(&self, partitions: PartitionCount) -> BoxFuture<'_, Arc<dyn MessageLog>> {
        assert_eq!(partitions.get(), self.0.config.partitions);
        Box::pin(async { port(self.0.make().await) })
    }

    fn reopen(&self, log: Arc<dyn MessageLog>) -> BoxFuture<'_, Arc<dyn MessageLog>> {
        drop(log);
        Box::pin(async { port(self.0.open().await) })
    }

    fn trim(&self, partition: PartitionId, keep_from: Offset) -> BoxFuture<'_, ()> {
        Box::pin(self.0.trim(partition, keep_from))
    }

    fn tick(&self) -> BoxFuture<'_, ()> {
        // The broker's clock is this machine's clock.
        Box::pin(async {
            let began = Clock::system().now();
            while Clock::system().now().since(began) < 2 {
                tokio::task::yield_now().await;
            }
        })
    }

    fn reads_ahead(&self) -> bool {
        true
    }
}

anser_backend::message_log_suite!(try Fixture::of_environment());
