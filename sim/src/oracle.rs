//! What the log says, read by code of its own: which records count, and whom each message is for.

use std::collections::{BTreeMap, BTreeSet};

use anser_testkit::trace::{Conversation, Event, Keep, Kind, Name};
use anser_types::record::{Body, Record, RosterChange};
use anser_types::{ConversationType, Message, PartitionCount, Subject, UserId};

use crate::backends::NastyLog;

/// The facts about every message that counts.
pub(crate) fn logged(log: &NastyLog, count: PartitionCount) -> Vec<Event> {
    let mut events = Vec::new();
    for partition in count.all() {
        let mut newest: Option<(u64, u64)> = None;
        let mut rosters: BTreeMap<Subject, BTreeSet<UserId>> = BTreeMap::new();
        for (entry, taken_ms) in log.durable(partition).into_iter().zip(log.taken(partition)) {
            let Ok(record) = Record::decode(entry.bytes) else {
                continue;
            };
            let header = record.header;
            if matches!(record.body, Body::Claim { .. }) {
                newest = Some((entry.offset.0, 0));
                continue;
            }
            if newest != Some((header.claim.0.0, header.sequence.wrapping_sub(1))) {
                continue;
            }
            newest = Some((header.claim.0.0, header.sequence));
            match record.body {
                Body::Roster(roster) => {
                    change(rosters.entry(roster.subject).or_default(), roster.change);
                }
                Body::Message(message) => {
                    let members = rosters.get(&message.subject());
                    events.push(fact(&message, members, taken_ms));
                }
                Body::Claim { .. } | Body::User(_) => {}
            }
        }
    }
    events
}

fn change(members: &mut BTreeSet<UserId>, change: RosterChange) {
    match change {
        RosterChange::Join { users, .. } => members.extend(users),
        RosterChange::Quit { users } => members.retain(|m| !users.contains(m)),
        RosterChange::Dismiss => members.clear(),
        _ => {}
    }
}

fn fact(message: &Message, members: Option<&BTreeSet<UserId>>, taken_ms: u64) -> Event {
    let recipients: Vec<Name> = match message.kind {
        ConversationType::Group => members.into_iter().flatten().filter(|m| **m != message.sender).map(name).collect(),
        _ => vec![message.target.as_str().into()],
    };
    Event::Logged {
        uid: message.uid,
        sent: message.sent.0,
        sender: name(&message.sender),
        conversation: conversation(message.kind, message.target.as_str()),
        recipients,
        keep: if message.is_kept_in_history() { Keep::History } else { Keep::Timeline },
        body: body_key(&message.content),
        taken: Some(taken_ms * 1_000),
    }
}

fn name(user: &UserId) -> Name {
    user.as_str().into()
}

/// A conversation in the words of the trace.
pub(crate) fn conversation(kind: ConversationType, target: &str) -> Conversation {
    let kind = match kind {
        ConversationType::Group => Kind::Group,
        ConversationType::System => Kind::System,
        _ => Kind::Private,
    };
    Conversation { kind, target: target.into() }
}

/// The key that a body was made from.
pub(crate) fn body_key(content: &[u8]) -> u64 {
    std::str::from_utf8(content).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}
