//! How a cluster is, put together from the list of members and from what each of them says; and what is wrong with it, in words.
//!
//! Pure: it asks nobody.

use std::collections::BTreeMap;

use anser_backend::{Member, Missing, Role};
use anser_types::Timestamp;
use serde::Serialize;

use crate::NodeStatus;

/// How far a clock may be from that of Redis before it is worth a word.
const CLOCK_OFF_MS: u64 = 2_000;
/// How many records may wait for timelines, and for history, before it is worth a word.
const TO_APPLY: u64 = 10_000;
const TO_ARCHIVE: u64 = 100_000;

/// A cluster at a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClusterView {
    /// The identity of its log, if it is known.
    pub log: Option<String>,
    /// How many partitions it has, if that is known.
    pub partitions_total: Option<u16>,
    /// Its nodes, by name.
    pub nodes: Vec<NodeView>,
    /// Nodes that were there within the last day, and went without a word; by name.
    pub missing: Vec<MissingView>,
    /// Its partitions, as far as nodes say that they serve them.
    pub partitions: Vec<PartitionView>,
    /// What is wrong. Empty: nothing is.
    pub problems: Vec<String>,
    /// What may be as it is meant.
    pub remarks: Vec<String>,
}

/// A node of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeView {
    /// Its name.
    pub name: String,
    /// What it does.
    pub roles: Vec<&'static str>,
    /// The version of its program.
    pub version: String,
    /// Where other nodes reach it.
    pub address: String,
    /// Where operators ask it; empty: nowhere.
    pub admin: String,
    /// Whether it is about to leave.
    pub draining: bool,
    /// Terminals that it holds.
    pub connections: u64,
    /// How long ago it said that it is there, by the clock of Redis and its own; negative where its clock is ahead.
    pub said_ms_ago: i64,
    /// What it says of itself; `None`: it was not asked, or did not answer.
    pub status: Option<NodeStatus>,
}

/// A node that went without a word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MissingView {
    /// Its name.
    pub name: String,
    /// What it did.
    pub roles: Vec<&'static str>,
    /// Where other nodes reached it.
    pub address: String,
    /// How long ago others gave it up.
    pub since_ms: u64,
}

/// A partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartitionView {
    /// Which.
    pub partition: u8,
    /// Who says that it serves it.
    pub owners: Vec<String>,
    /// Records that are accepted and not in timelines yet.
    pub to_apply: u64,
    /// Records that are accepted and not in history yet.
    pub to_archive: u64,
    /// Whether it takes nothing in because history is too far behind.
    pub stopped: bool,
    /// Whether it takes nothing in because timelines are too far behind.
    pub held_back: bool,
}

/// What a member said when it was asked.
pub(crate) type Answer = Result<NodeStatus, String>;

/// A node that is asked at an address that leads to another one, such as a loopback address on another machine, says nothing of itself.
fn of_itself(name: &str, status: NodeStatus) -> Result<NodeStatus, String> {
    if status.name.is_empty() || status.name == name {
        return Ok(status);
    }
    Err(format!("{} answers there; say in admin.advertise by which HOST:PORT others ask it", status.name))
}

impl ClusterView {
    /// Puts it together. Each member comes with its answer; `None`: it has no port to be asked at.
    pub(crate) fn new(
        log: Option<(anser_types::LogId, anser_types::PartitionCount)>,
        members: Vec<(Member, Option<Answer>)>,
        missing: Vec<Missing>,
        now: Timestamp,
    ) -> Self {
        let mut view = Self {
            log: log.map(|(id, _)| format!("{:016x}", id.0)),
            partitions_total: log.map(|(_, count)| count.get()),
            nodes: Vec::with_capacity(members.len()),
            missing: Vec::new(),
            partitions: Vec::new(),
            problems: Vec::new(),
            remarks: Vec::new(),
        };
        if log.is_none() {
            // Message nodes note it every few seconds.
            view.problems.push("of which log the cluster is, is not noted in redis: no message node runs".into());
        }
        let mut are_all_known = true;
        for (member, answer) in members {
            let answer = answer.map(|answer| answer.and_then(|status| of_itself(&member.name, status)));
            are_all_known &= !member.roles.has(Role::Message) || matches!(answer, Some(Ok(_)));
            view.take(member, answer, now);
        }
        view.nodes.sort_by(|one, other| one.name.cmp(&other.name));
        view.miss(missing);
        view.look_at_roles();
        view.look_at_partitions(are_all_known);
        view
    }

    fn take(&mut self, member: Member, answer: Option<Answer>, now: Timestamp) {
        let said_ms_ago = difference(now, member.clock);
        let name = &member.name;
        let off = said_ms_ago.unsigned_abs();
        if off > CLOCK_OFF_MS {
            let way = if said_ms_ago > 0 { "behind" } else { "ahead of" };
            self.problems.push(format!("the clock of {name} is {} s {way} that of redis", off / 1_000));
        }
        let status = match answer {
            Some(Ok(status)) => {
                self.problems.extend(status.missing.iter().map(|line| format!("{name} is not ready: {line}")));
                self.problems.extend(status.notes.iter().map(|line| format!("{name}: {line}")));
                Some(status)
            }
            Some(Err(why)) => {
                self.problems.push(format!("{name} does not answer at {}: {why}", member.admin));
                None
            }
            None => {
                self.remarks.push(format!("{name} cannot be asked how it is: it was started without admin.listen"));
                None
            }
        };
        self.nodes.push(NodeView {
            roles: member.roles.iter().map(Role::name).collect(),
            name: member.name,
            version: member.version,
            address: member.address,
            admin: member.admin,
            draining: member.draining,
            connections: member.connections,
            said_ms_ago,
            status,
        });
    }

    fn miss(&mut self, missing: Vec<Missing>) {
        for Missing { member, since_ms } in missing {
            // It is there again since it was read who is not.
            if self.nodes.iter().any(|node| node.name == member.name) {
                continue;
            }
            let name = member.name;
            self.problems.push(format!(
                "{name} went without a word {} ago: start it again, or say `anser cluster forget {name} [FILE]`",
                ago(since_ms)
            ));
            let roles = member.roles.iter().map(Role::name).collect();
            self.missing.push(MissingView { name, roles, address: member.address, since_ms });
        }
    }

    fn look_at_roles(&mut self) {
        for role in Role::ALL {
            let has = self.nodes.iter().any(|node| node.roles.contains(&role.name()) && !node.draining);
            if !has {
                self.problems.push(format!("no node with the role {} takes anything", role.name()));
            }
        }
        let mut versions: Vec<&str> = self.nodes.iter().map(|node| node.version.as_str()).collect();
        versions.sort_unstable();
        versions.dedup();
        if versions.len() > 1 {
            self.remarks.push(format!("nodes run different versions: {}", versions.join(", ")));
        }
    }

    fn look_at_partitions(&mut self, are_all_known: bool) {
        let mut known: BTreeMap<u8, PartitionView> = BTreeMap::new();
        for node in &self.nodes {
            for state in node.status.iter().flat_map(|status| &status.partitions) {
                let view = known.entry(state.partition).or_insert_with(|| PartitionView {
                    partition: state.partition,
                    owners: Vec::new(),
                    to_apply: 0,
                    to_archive: 0,
                    stopped: false,
                    held_back: false,
                });
                view.owners.push(node.name.clone());
                view.to_apply = view.to_apply.max(state.to_apply);
                view.to_archive = view.to_archive.max(state.to_archive);
                view.stopped |= state.stopped;
                view.held_back |= state.held_back;
            }
        }
        self.partitions = known.into_values().collect();
        let total = usize::from(self.partitions_total.unwrap_or(0));
        let unserved = total.saturating_sub(self.partitions.len());
        if unserved > 0 && are_all_known {
            self.problems
                .push(format!("{unserved} of {total} partitions are served by nobody: what is sent there waits"));
        }
        let twice = self.partitions.iter().filter(|one| one.owners.len() > 1).count();
        if twice > 0 {
            self.remarks
                .push(format!("{twice} partitions move from one node to another: two say that they serve them"));
        }
        let stopped = self.partitions.iter().filter(|one| one.stopped).count();
        if stopped > 0 {
            self.problems
                .push(format!("{stopped} partitions take nothing in until history has caught up: look at hbase"));
        }
        let held_back = self.partitions.iter().filter(|one| one.held_back).count();
        if held_back > 0 {
            self.problems
                .push(format!("{held_back} partitions take nothing in until timelines have caught up: look at redis"));
        }
        let (to_apply, to_archive) = self.lag();
        if to_apply > TO_APPLY {
            self.problems.push(format!("{to_apply} records are accepted and not delivered: look at redis"));
        }
        if to_archive > TO_ARCHIVE {
            self.problems.push(format!("{to_archive} records are accepted and not in history: look at hbase"));
        }
    }

    /// How many records wait for timelines, and for history.
    pub fn lag(&self) -> (u64, u64) {
        let sum = |of: fn(&PartitionView) -> u64| self.partitions.iter().map(of).sum();
        (sum(|one| one.to_apply), sum(|one| one.to_archive))
    }

    /// Whether nothing is wrong.
    pub const fn is_well(&self) -> bool {
        self.problems.is_empty()
    }
}

/// A time as people say it.
fn ago(millis: u64) -> String {
    match millis / 1_000 {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3_600),
    }
}

/// By how many milliseconds the first is later.
fn difference(one: Timestamp, other: Timestamp) -> i64 {
    let size = |millis: u64| i64::try_from(millis).unwrap_or(i64::MAX);
    size(one.since(other)) - size(other.since(one))
}

#[cfg(test)]
mod tests;
