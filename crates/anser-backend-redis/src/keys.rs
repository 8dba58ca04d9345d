//! The keys. Each begins with the prefix of the cluster. What belongs to a bucket has its hash tag, so that it lies in one slot.
//!
//! Of a user there are: the state `s` (a hash: newest position, presence, rows of the conversation list), the timeline `t` (a
//! sorted set of entries by position), the list `l` (a sorted set of the conversations shown, by the time of their last
//! message), and the cursors `c` (a sorted set of devices). App first, then user, each ended by a zero byte, which no id has.
//! Scripts note which places of a partition are to be taken away in `old:N` of the bucket, while the partition is written again.

use anser_types::{BucketId, UserKey};

/// The keys of one cluster.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    prefix: String,
}

impl Keys {
    pub(crate) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whose log the keys belong to.
    pub(crate) fn cluster(&self) -> Vec<u8> {
        format!("{}cluster", self.prefix).into_bytes()
    }

    /// Which log that is, and how many partitions it has.
    pub(crate) fn log(&self) -> Vec<u8> {
        format!("{}log", self.prefix).into_bytes()
    }

    /// From where partitions are replayed, and when the newest rebuild was asked for.
    pub(crate) fn commits(&self) -> Vec<u8> {
        format!("{}commits", self.prefix).into_bytes()
    }

    /// Where a server notes that it is the primary that was chosen.
    pub(crate) fn choice(&self) -> Vec<u8> {
        format!("{}choice", self.prefix).into_bytes()
    }

    /// What one handle writes to see whether its writes stay.
    pub(crate) fn beat(&self, handle: u64) -> Vec<u8> {
        format!("{}beat:{handle:016x}", self.prefix).into_bytes()
    }

    /// The members.
    pub(crate) fn members(&self) -> Vec<u8> {
        format!("{}members", self.prefix).into_bytes()
    }

    /// The last word of each member, by its name. The braces keep it where the members are.
    pub(crate) fn names(&self) -> Vec<u8> {
        format!("{0}names{{{0}members}}", self.prefix).into_bytes()
    }

    /// Marks, floor and life of a bucket, and for which rebuild it was begun anew.
    pub(crate) fn bucket(&self, bucket: BucketId) -> Vec<u8> {
        format!("{}{{b:{:03}}}", self.prefix, bucket.0).into_bytes()
    }

    pub(crate) fn state(&self, user: &UserKey) -> Vec<u8> {
        self.user(user, b's')
    }

    pub(crate) fn timeline(&self, user: &UserKey) -> Vec<u8> {
        self.user(user, b't')
    }

    pub(crate) fn list(&self, user: &UserKey) -> Vec<u8> {
        self.user(user, b'l')
    }

    pub(crate) fn cursors(&self, user: &UserKey) -> Vec<u8> {
        self.user(user, b'c')
    }

    fn user(&self, user: &UserKey, kind: u8) -> Vec<u8> {
        let mut key = self.bucket(user.bucket());
        key.push(b':');
        for id in [user.app.as_str(), user.user.as_str()] {
            key.extend_from_slice(id.as_bytes());
            key.push(0);
        }
        key.push(kind);
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::tests::bob;

    #[test]
    fn golden_keys() {
        let keys = Keys::new("anser:");
        assert_eq!(keys.bucket(BucketId(7)), b"anser:{b:007}");
        assert_eq!(keys.state(&bob()), b"anser:{b:150}:app\0bob\0s");
        assert_eq!(keys.timeline(&bob()), b"anser:{b:150}:app\0bob\0t");
        assert_eq!(keys.list(&bob()), b"anser:{b:150}:app\0bob\0l");
        assert_eq!(keys.cursors(&bob()), b"anser:{b:150}:app\0bob\0c");
        assert_eq!(keys.cluster(), b"anser:cluster");
        assert_eq!(keys.commits(), b"anser:commits");
        assert_eq!(keys.members(), b"anser:members");
        assert_eq!(keys.names(), b"anser:names{anser:members}");
        assert_eq!(keys.choice(), b"anser:choice");
        assert_eq!(keys.beat(10), b"anser:beat:000000000000000a");
    }
}
