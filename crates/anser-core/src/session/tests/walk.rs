//! Random walks: whatever the connection does, each message is settled once, and messages are accepted in order.

use std::collections::{BTreeMap, BTreeSet};

use anser_types::Status;
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};

use super::super::{Effect, Event, Notice};
use super::Rig;

#[derive(Debug, Clone)]
enum Step {
    Send {
        to: u8,
    },
    /// Answers the oldest unanswered publish.
    Ack,
    Refuse,
    RefuseForGood,
    Break,
    Pass {
        millis: u64,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0u8..3).prop_map(|to| Step::Send { to }),
        4 => Just(Step::Ack),
        1 => Just(Step::Refuse),
        1 => Just(Step::RefuseForGood),
        1 => Just(Step::Break),
        2 => (0u64..40_000).prop_map(|millis| Step::Pass { millis }),
    ];
    proptest::collection::vec(step, 0..120)
}

/// What a server would see and the caller is told.
#[derive(Default)]
struct Watch {
    to: BTreeMap<u64, u8>,
    settled: BTreeSet<u64>,
    open: Vec<(u16, u64)>,
    client_ids: BTreeMap<u64, i64>,
    newest_accepted: BTreeMap<u8, u64>,
}

impl Watch {
    fn look(&mut self, rig: &mut Rig) {
        for (text, message_id, client_id) in rig.published() {
            let number: u64 = text.parse().unwrap();
            assert_eq!(*self.client_ids.entry(number).or_insert(client_id), client_id, "one id for all resends");
            assert!(!self.settled.contains(&number), "written after it was settled");
            self.open.retain(|&(_, other)| other != number);
            self.open.push((message_id, number));
        }
        for notice in rig.notices() {
            if let Notice::Acked { ticket, .. } | Notice::Failed { ticket, .. } = notice {
                assert!(self.settled.insert(*ticket), "settled twice");
            }
        }
        rig.effects.retain(|effect| matches!(effect, Effect::Open { .. }));
    }

    /// The server takes the oldest publish of this connection.
    fn accept(&mut self, rig: &mut Rig) {
        if self.open.is_empty() {
            return;
        }
        let (message_id, number) = self.open.remove(0);
        let to = self.to[&number];
        let newest = self.newest_accepted.entry(to).or_insert(number);
        assert!(*newest <= number || self.settled.contains(&number), "{number} came after {newest}");
        *newest = number.max(*newest);
        rig.ack(message_id, Status::OK);
    }
}

proptest! {
    #[test]
    fn in_order_and_settled_once_whatever_the_connection_does(steps in steps(), seed in any::<u64>(), window in 1u16..5) {
        let mut rig = Rig::synced(|config| (config.seed, config.window) = (seed, window));
        let mut watch = Watch::default();
        let mut sent = 0;
        for step in steps {
            match step {
                Step::Send { to } => {
                    sent += 1;
                    watch.to.insert(sent, to);
                    rig.send(&format!("peer{to}"), sent);
                }
                Step::Ack => watch.accept(&mut rig),
                Step::Refuse if !watch.open.is_empty() => rig.ack(watch.open.remove(0).0, Status::UNAVAILABLE),
                Step::RefuseForGood if !watch.open.is_empty() => rig.ack(watch.open.remove(0).0, Status::BLACKLISTED),
                Step::Refuse | Step::RefuseForGood => {}
                Step::Break => {
                    rig.event(Event::Lost { link: rig.link });
                    watch.open.clear();
                    watch.look(&mut rig);
                    rig.run_until(|rig| rig.effects.iter().any(|e| matches!(e, Effect::Open { .. })));
                    rig.sign_in();
                    rig.effects.retain(|effect| !matches!(effect, Effect::Open { .. }));
                }
                Step::Pass { millis } => {
                    // Above a window of 1 order is promised only with a server that answers while the connection lasts.
                    while window > 1 && !watch.open.is_empty() {
                        watch.accept(&mut rig);
                        watch.look(&mut rig);
                    }
                    rig.pass_alive(millis);
                }
            }
            watch.look(&mut rig);
        }
        rig.event(Event::Stop);
        watch.look(&mut rig);
        assert_eq!(watch.settled.len(), watch.to.len());
        assert_eq!(rig.session.unsettled(), 0);
        assert!(rig.session.wake_at().is_none());
    }
}
