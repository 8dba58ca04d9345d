//! Messages that their senders take back.

use anser_cluster::{MessageService, Recall, RecallTarget, ServerPublish};
use anser_types::{ConversationType, Extras, MessageFlags, MessageUid, Origin, Position, Status, Timestamp};

use crate::world::{World, from_server};
use crate::{GROUP, PRIVATE, key, numbers, text};

/// What takes a message back as its sender may do it.
fn recall_by(by: &str, kind: ConversationType, to: &str, uid: MessageUid) -> Recall {
    let command = ServerPublish {
        flags: MessageFlags::default(),
        object_name: "RC:RcCmd".into(),
        sender_copy: true,
        check_permission: true,
        ..from_server(by, kind, to, "recall")
    };
    Recall { command, origin: Origin::NONE, target: RecallTarget { uid, sent: uid.sent_time(), by_sender_only: true } }
}

#[tokio::test(start_paused = true)]
async fn what_was_recalled_can_be_read_nowhere_and_only_its_sender_may_recall_it() {
    let world = World::started().await;
    let first = world.say("alice", PRIVATE, "bob", "a first slip").await.unwrap();
    world.say("alice", PRIVATE, "bob", "stays").await.unwrap();
    let last = world.say("alice", PRIVATE, "bob", "a last slip").await.unwrap();
    let refused = world.handle().recall(recall_by("bob", PRIVATE, "alice", last.uid)).await.unwrap_err();
    assert_eq!(refused.status, Status::NOT_YOUR_MESSAGE);
    assert_eq!(world.list("bob", Timestamp::ZERO, 10).await[0].unread, 3);
    for (slip, shown, unread) in [(first, "a last slip", 2), (last, "recall", 1)] {
        world.handle().recall(recall_by("alice", PRIVATE, "bob", slip.uid)).await.unwrap();
        world.applied().await;
        for (me, unread) in [("bob", unread), ("alice", 0)] {
            let list = world.list(me, Timestamp::ZERO, 10).await;
            assert_eq!((list.len(), &*text(&list[0].last), list[0].unread), (1, shown, unread), "{me}");
        }
    }
    for (me, peer) in [("bob", "alice"), ("alice", "bob")] {
        assert_eq!(world.timeline(me).await, ["stays", "recall", "recall"]);
        assert_eq!(world.history(me, PRIVATE, peer).await, ["stays"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_recall_that_is_asked_for_again_is_answered_as_before() {
    let world = World::started().await;
    let slip = world.say("alice", PRIVATE, "bob", "a slip").await.unwrap();
    let recall = || recall_by("alice", PRIVATE, "bob", slip.uid);
    let first = world.handle().recall(recall()).await.unwrap();
    assert_eq!(world.history("bob", PRIVATE, "alice").await, [""; 0]);
    assert_eq!(world.handle().recall(recall()).await, Ok(first));
    world.applied().await;
    assert_eq!(world.timeline("bob").await, ["recall"]);
}

#[tokio::test(start_paused = true)]
async fn a_page_of_which_everything_was_recalled_leads_on() {
    let world = World::started().await;
    let mut uids = Vec::new();
    for number in 0..450 {
        uids.push(world.say("alice", PRIVATE, "bob", &number.to_string()).await.unwrap().uid);
    }
    world.arrived(450).await;
    for uid in &uids[..420] {
        world.handle().recall(recall_by("alice", PRIVATE, "bob", *uid)).await.unwrap();
    }
    world.applied().await;
    let (mut after, mut seen) = (Position::START, Vec::new());
    loop {
        let reply = world.pull("bob", after).await;
        assert!(reply.finished || reply.items.last().is_some_and(|item| item.position > after));
        after = reply.items.last().map_or(after, |item| item.position);
        seen.extend(reply.items.iter().map(|item| text(&item.message)));
        if reply.finished {
            break;
        }
    }
    let (said, recalls) = seen.split_at(30);
    assert_eq!(said, numbers(420..450));
    assert!(recalls.len() == 420 && recalls.iter().all(|text| text == "recall"));
}

#[tokio::test(start_paused = true)]
async fn one_way_in_a_recall_goes_to_those_alone_who_were_sent_the_message() {
    let world = World::started().await;
    world.join(&["alice", "bob", "carol"]).await;
    let mut publish = world.publish("alice", GROUP, "g", "for bob");
    publish.extras = Some(Box::new(Extras { to_users: vec![key("bob").user], ..Extras::default() }));
    let whisper = world.outcome(world.send(publish)).await.unwrap();
    world.handle().recall(recall_by("alice", GROUP, "g", whisper.uid)).await.unwrap();
    world.arrived(2).await;
    assert_eq!(world.timeline("bob").await, ["recall"]);
    assert!(world.timeline("carol").await.is_empty());
}
