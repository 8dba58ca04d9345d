//! The members of the cluster, by leases in Redis. The clock of Redis decides when a lease ends, not those of the nodes.

use std::sync::Arc;

use anser_backend::{BoxFuture, Member, Membership, Missing, StoreError};
use anser_runtime::Seldom;
use anser_types::NodeId;
use bytes::Bytes;
use parking_lot::Mutex;

use crate::format::{member, place};
use crate::link::Link;
use crate::script::Scripts;
use crate::store::{RedisStore, parse};

/// For how long whoever is missing is missed: somebody looks within a day.
const MISSED_MS: &[u8] = b"86400000";
/// How many names are kept beside those of the living.
const NAMES_MAX: &[u8] = b"1024";

/// Members of which nothing is known but their bytes, read several times a second.
static UNREADABLE: Seldom = Seldom::new();

/// A [`Membership`] in Redis.
#[derive(Debug)]
pub struct RedisMembership {
    /// The members, and the last word of each name.
    keys: [Vec<u8>; 2],
    scripts: Arc<Scripts>,
    lease_ms: String,
    link: Link,
    /// Who was there when the list was read last that had all.
    last: Mutex<Vec<Member>>,
}

impl RedisMembership {
    pub(crate) fn new(store: &RedisStore) -> Self {
        Self {
            keys: [store.keys.members(), store.keys.names()],
            scripts: Arc::clone(&store.scripts),
            lease_ms: store.config.lease_ms.to_string(),
            link: store.new_link(),
            last: Mutex::new(Vec::new()),
        }
    }

    async fn renew(&self, member: Member) -> Result<(), StoreError> {
        let (id, bytes) = (place::node(member.id), member::write(&member));
        let args = [self.lease_ms.as_bytes(), id.as_bytes(), &bytes, member.name.as_bytes(), NAMES_MAX];
        Ok(self.link.eval(&self.scripts.announce, &self.keys, &args).await.map(drop)?)
    }

    async fn remove(&self, id: NodeId) -> Result<(), StoreError> {
        Ok(self.link.eval(&self.scripts.leave, &self.keys, &[place::node(id).as_bytes()]).await.map(drop)?)
    }

    async fn read_missing(&self) -> Result<Vec<Missing>, StoreError> {
        let answer = self.link.eval(&self.scripts.missing, &self.keys[1..], &[MISSED_MS]).await?;
        let mut missing = Vec::new();
        for (ago, bytes) in parse::<Vec<(u64, Vec<u8>)>>("missing", answer)? {
            match member::read(Bytes::from(bytes)) {
                Ok(member) => missing.push(Missing { member, since_ms: ago }),
                Err(error) => tracing::warn!(%error, "a member that is missing cannot be read"),
            }
        }
        missing.sort_by(|one, other| one.member.name.cmp(&other.member.name));
        Ok(missing)
    }

    async fn give_up(&self, name: &str) -> Result<bool, StoreError> {
        let answer = self.link.eval(&self.scripts.forget, &self.keys[1..], &[name.as_bytes()]).await?;
        Ok(parse::<u32>("forget", answer)? > 0)
    }

    async fn read(&self) -> Result<Vec<Member>, StoreError> {
        let answer = self.link.eval(&self.scripts.members, &self.keys[..1], &[self.lease_ms.as_bytes()]).await?;
        let mut found = parse::<Vec<Vec<u8>>>("members", answer)?.into_iter();
        let is_complete = found.next().is_some_and(|flag| flag == b"1");
        let mut members = Vec::with_capacity(found.len());
        for bytes in found {
            match member::read(Bytes::from(bytes)) {
                Ok(member) => members.push(member),
                // Most likely of a newer program, with which this one could not talk anyway.
                Err(error) => {
                    if let Some(unsaid) = UNREADABLE.due() {
                        tracing::warn!(%error, unsaid, "a member cannot be read");
                    }
                }
            }
        }
        if is_complete {
            members.sort_unstable_by_key(|member| member.id);
            self.last.lock().clone_from(&members);
        } else {
            self.add_known(&mut members);
        }
        Ok(members)
    }

    /// A list that was begun anew, because Redis was wiped or restarted, lacks those who have not announced themselves since. For
    /// as long as a lease runs they are there: otherwise their partitions would go to others, and come back.
    fn add_known(&self, members: &mut Vec<Member>) {
        let last = self.last.lock();
        let is_new = |known: &&Member| !members.iter().any(|member| member.id == known.id);
        let known: Vec<Member> = last.iter().filter(is_new).cloned().collect();
        members.extend(known);
        members.sort_unstable_by_key(|member| member.id);
    }
}

impl Membership for RedisMembership {
    fn announce(&self, member: Member) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.renew(member))
    }

    fn leave(&self, id: NodeId) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.remove(id))
    }

    fn members(&self) -> BoxFuture<'_, Result<Vec<Member>, StoreError>> {
        Box::pin(self.read())
    }

    fn missing(&self) -> BoxFuture<'_, Result<Vec<Missing>, StoreError>> {
        Box::pin(self.read_missing())
    }

    fn forget<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(self.give_up(name))
    }
}
