//! A membership in memory: for one process, and the reference for the leases.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use anser_types::{NodeId, Timestamp};

use crate::{BoxFuture, Member, Membership, Missing, StoreError};

/// Where a membership gets the time from.
type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A [`Membership`] in memory. Clones share the same members.
#[derive(Clone)]
pub struct MemoryMembership {
    /// With the ends of their leases; also of those that have ended.
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
        let now = (self.now)();
        let mut members = self.members.lock();
        members.retain(|_, (until, known)| *until > now || known.name != member.name);
        members.insert(member.id, (now.plus(self.lease_ms), member));
        Box::pin(std::future::ready(Ok(())))
    }

    fn leave(&self, id: NodeId) -> BoxFuture<'_, Result<(), StoreError>> {
        self.members.lock().remove(&id);
        Box::pin(std::future::ready(Ok(())))
    }

    fn members(&self) -> BoxFuture<'_, Result<Vec<Member>, StoreError>> {
        let now = (self.now)();
        let members = self.members.lock();
        let living = members.values().filter(|(until, _)| *until > now).map(|(_, member)| member.clone()).collect();
        Box::pin(std::future::ready(Ok(living)))
    }

    fn missing(&self) -> BoxFuture<'_, Result<Vec<Missing>, StoreError>> {
        let now = (self.now)();
        let members = self.members.lock();
        let gone = members.values().filter(|(until, _)| *until <= now);
        let mut missing: Vec<_> =
            gone.map(|(until, member)| Missing { member: member.clone(), since_ms: now.since(*until) }).collect();
        missing.sort_by(|one, other| one.member.name.cmp(&other.member.name));
        Box::pin(std::future::ready(Ok(missing)))
    }

    fn forget<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<bool, StoreError>> {
        let now = (self.now)();
        let mut members = self.members.lock();
        let before = members.len();
        members.retain(|_, (until, member)| *until > now || member.name != name);
        Box::pin(std::future::ready(Ok(members.len() < before)))
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
