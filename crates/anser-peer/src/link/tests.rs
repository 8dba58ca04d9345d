//! What a link sends, and what becomes of it at a break.

use std::sync::Arc;

use anser_cluster::{Deliver, ServerPublish};
use anser_types::{
    AppKey, ConversationType, Message, MessageClass, MessageFlags, MessageUid, Origin, TargetId, Timestamp, UserId,
};

use super::*;
use crate::wire;

const NODE: NodeId = NodeId(1 << 32);

fn link(hint_bytes_max: usize) -> Link {
    Link::new(NODE, &PeerConfig { hint_bytes_max, ..PeerConfig::default() })
}

pub(crate) fn key(name: &str) -> UserKey {
    UserKey::new(AppKey::new("app").unwrap(), UserId::new(name).unwrap())
}

pub(crate) fn arrival(user: &str, position: u64, content: usize) -> Arrival {
    let message = Message {
        app: AppKey::new("app").unwrap(),
        kind: ConversationType::Private,
        sender: UserId::new("x").unwrap(),
        target: TargetId::new(user).unwrap(),
        sent: Timestamp(position),
        uid: MessageUid::from_bytes([0; 10]),
        class: MessageClass::Persisted,
        flags: MessageFlags(3),
        object_name: Bytes::new(),
        content: vec![b'x'; content].into(),
        origin: Origin::NONE,
        sender_copy: true,
        extras: None,
    };
    let to = Deliver {
        user: UserId::new(user).unwrap(),
        position: Some(Position(position)),
        previous: Position(0),
        sent_on: None,
        online: None,
    };
    Arrival { app: message.app.clone(), message: Arc::new(message), to: vec![to] }
}

fn forward(id: u64, oldest: u64) -> Forward {
    let publish = ServerPublish {
        app: AppKey::new("app").unwrap(),
        sender: UserId::new("x").unwrap(),
        kind: ConversationType::Private,
        target: TargetId::new("y").unwrap(),
        class: MessageClass::Persisted,
        flags: MessageFlags(3),
        object_name: Bytes::new(),
        content: Bytes::new(),
        sender_copy: true,
        check_permission: true,
        extras: None,
    };
    Forward { id, after: None, oldest, publish, origin: Origin::NONE, floor: Timestamp::ZERO }
}

impl Link {
    /// Everything that waits to be sent.
    pub(crate) fn take_frames(&self) -> Vec<Frame> {
        let stream = self.state.lock().stream;
        let mut frames = Vec::new();
        while let Poll::Ready(Some(batch)) = self.poll_batch(stream, &Context::from_waker(Waker::noop())) {
            frames.extend(wire::read(&batch).unwrap());
        }
        frames
    }
}

fn sent(link: &Link) -> Vec<Frame> {
    link.take_frames()
}

fn moved(user: &str, head: u64) -> Frame {
    Frame::Moved { user: key(user), head: Position(head) }
}

#[test]
fn slow_is_alone_arrivals_without_room_become_positions() {
    let link = link(4_000);
    link.open();
    for position in 1..=10 {
        link.arrive(arrival("bob", position, 1_000));
    }
    link.arrive(arrival("eve", 3, 1_000));
    let frames = sent(&link);
    let arrived = frames.iter().filter(|frame| matches!(frame, Frame::Arrive(_))).count();
    assert!((3..=4).contains(&arrived), "{arrived}");
    assert_eq!(frames[arrived..], [moved("bob", 10), moved("eve", 3)], "and are told once there is room");
}

#[test]
fn nothing_lost_what_was_not_taken_when_the_stream_broke_is_told_as_moved() {
    let link = link(1 << 20);
    link.open();
    link.arrive(arrival("bob", 1, 10));
    link.arrive(arrival("eve", 2, 10));
    let out = Frame::SignOut { user: key("bob"), why: anser_cluster::SignOut::Blocked };
    link.tell(out.clone());
    assert_eq!(sent(&link).len(), 3);
    link.taken(1);
    assert!(!link.closed(), "nothing was forwarded");
    link.arrive(arrival("bob", 5, 10));
    link.open();
    assert_eq!(sent(&link), [out, moved("bob", 5), moved("eve", 2)]);
    link.taken(3);
    link.closed();
    link.open();
    assert!(sent(&link).is_empty(), "all of it was taken");
}

#[test]
fn in_order_what_was_forwarded_before_a_loss_was_heard_of_is_dropped() {
    let link = link(1 << 20);
    link.open();
    link.forward(vec![forward(1, 1), forward(2, 1)]);
    assert_eq!(sent(&link), [Frame::Forwards(vec![forward(1, 1), forward(2, 1)])]);
    assert!(link.closed(), "the owner is told");
    link.forward(vec![forward(3, 1)]);
    link.open();
    assert!(link.take_lost(), "and told again of what came while there was no stream");
    // This one left before the owner heard of the loss: it comes again with the others.
    link.forward(vec![forward(4, 1)]);
    link.forward(vec![forward(5, 5), forward(6, 5)]);
    assert_eq!(sent(&link), [Frame::Forwards(vec![forward(5, 5), forward(6, 5)])]);
    assert!(!link.take_lost());
}

#[test]
fn large_messages_go_to_the_owner_in_several_frames() {
    let link = link(1 << 20);
    link.open();
    let with_bytes = |id, bytes: usize| {
        let mut forward = forward(id, 1);
        forward.publish.content = vec![b'x'; bytes].into();
        forward
    };
    let large = |id| with_bytes(id, TOGETHER_BYTES_MAX / 2 + 1);
    let larger = with_bytes(3, TOGETHER_BYTES_MAX + 1);
    link.forward(vec![large(1), large(2), larger, forward(4, 1), forward(5, 1)]);
    let ids = |frame: &Frame| match frame {
        Frame::Forwards(forwards) => forwards.iter().map(|forward| forward.id).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    let frames: Vec<_> = sent(&link).iter().map(ids).collect();
    assert_eq!(frames, [vec![1], vec![2], vec![3], vec![4, 5]]);
}

#[tokio::test(start_paused = true)]
async fn told_why_a_question_is_answered_or_fails_in_time() {
    let link = Arc::new(link(1 << 20));
    let ask = |wait| {
        let link = Arc::clone(&link);
        async move { link.call(Request::Online(key("bob")), Duration::from_secs(wait)).await }
    };
    assert_eq!(ask(1).await, Err(CallError::Late), "nobody is there");
    let (first, ()) = tokio::join!(ask(9), async {
        link.open();
        let [Frame::Call { id, wait, .. }] = sent(&link)[..] else { panic!("one question waited") };
        assert!(wait <= Duration::from_secs(9));
        link.answered(id, Ok(Answer::Flag(true)));
        link.answered(id, Ok(Answer::Flag(false)));
    });
    assert_eq!(first, Ok(Ok(Answer::Flag(true))));
    let (broken, ()) = tokio::join!(ask(9), async {
        assert_eq!(sent(&link).len(), 1);
        link.closed();
    });
    assert_eq!(broken, Err(CallError::Broken));
    assert_eq!(link.state.lock().calls.len(), 0);
}

#[test]
fn a_new_stream_begins_with_the_greeting_alone() {
    let link = link(1 << 20);
    let hello = Frame::Taken { frames: 1 };
    let earlier = link.greet(&Frame::Taken { frames: 9 });
    link.greet(&hello);
    let over = link.poll_batch(earlier, &Context::from_waker(Waker::noop()));
    assert_eq!(over, Poll::Ready(None), "an earlier stream takes nothing from a later one");
    link.arrive(arrival("bob", 1, 10));
    link.moved(key("eve"), Position(4));
    assert!(!link.publish(0, Vec::new()));
    assert_eq!(sent(&link), [hello]);
    link.open();
    assert_eq!(sent(&link), [moved("bob", 1), moved("eve", 4)]);
}

#[test]
fn large_amounts_go_in_several_batches() {
    let link = link(1 << 30);
    link.open();
    for position in 0..100 {
        link.arrive(arrival("bob", position, 5_000));
    }
    let mut batches = 0;
    while let Poll::Ready(Some(batch)) = link.poll_batch(0, &Context::from_waker(Waker::noop())) {
        assert!(batch.len() < 80_000);
        batches += 1;
    }
    assert!(batches >= 7);
}

#[test]
fn in_order_a_way_that_is_broken_off_carries_nothing_more_until_it_is_open_again() {
    let link = link(1 << 20);
    let stream = link.greet(&moved("bob", 1));
    link.open();
    link.break_off();
    assert!(!link.is_up() && !link.publish(0, Vec::new()));
    assert!(link.poll_batch(stream, &Context::from_waker(Waker::noop())) == Poll::Ready(None));
    link.closed();
    link.greet(&moved("bob", 1));
    link.open();
    assert!(link.publish(0, Vec::new()));
    link.break_off();
    link.break_off();
    assert!(link.is_over());
    link.closed();
    link.break_off();
    link.greet(&moved("bob", 1));
    link.open();
    assert!(link.is_up() && !link.is_over(), "where there is no stream, none is broken");
}
