//! A membership in memory: for one process, and the reference for the leases.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use anser_types::{NodeId, Timestamp};

use crate::{BoxFuture, Member, Membership, StoreError};

/// Where a membership gets the time from.
type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A [`Membership`] in memory. Clones share the same members.
#[derive(Clone)]
pub struct MemoryMembership {
    members: Arc<Mutex<BTreeMap<NodeId, (Timestamp, Member)>>>,
    lease_ms: u64,
    now: Now,
}

impl std::fmt::Debug for MemoryMembership {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryMembership").field("lease_ms", &self.lease_ms).finish_non_exhaustive()
    }
}

impl MemoryMembership {
    /// No members yet. A lease runs for `lease_ms` by the clock `now`.
    pub fn new(lease_ms: u64, now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self { members: Arc::default(), lease_ms, now: Arc::new(now) }
    }
}

impl Membership for MemoryMembership {
    fn announce(&self, member: Member) -> BoxFuture<'_, Result<(), StoreError>> {
        let until = (self.now)().plus(self.lease_ms);
        self.members.lock().insert(member.id, (until, member));
        Box::pin(std::future::ready(Ok(())))
    }

    fn leave(&self, id: NodeId) -> BoxFuture<'_, Result<(), StoreError>> {
        self.members.lock().remove(&id);
        Box::pin(std::future::ready(Ok(())))
    }

    fn members(&self) -> BoxFuture<'_, Result<Vec<Member>, StoreError>> {
        let now = (self.now)();
        let mut members = self.members.lock();
        members.retain(|_, (until, _)| *until > now);
        let members = members.values().map(|(_, member)| member.clone()).collect();
        Box::pin(std::future::ready(Ok(members)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::conformance::membership::MembershipFixture;

    struct Fixture(Arc<AtomicU64>);

    impl Default for Fixture {
        fn default() -> Self {
            Self(Arc::new(AtomicU64::new(1_000)))
        }
    }

    impl MembershipFixture for Fixture {
        fn create(&self) -> BoxFuture<'_, Arc<dyn Membership>> {
            let clock = Arc::clone(&self.0);
            let membership = MemoryMembership::new(2_000, move || Timestamp(clock.load(Ordering::Relaxed)));
            Box::pin(std::future::ready(Arc::new(membership) as Arc<dyn Membership>))
        }

        fn outlast_leases(&self) -> BoxFuture<'_, ()> {
            self.0.fetch_add(2_000, Ordering::Relaxed);
            Box::pin(std::future::ready(()))
        }
    }

    crate::membership_suite!(Fixture::default());
}
