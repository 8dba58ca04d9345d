//! Model clients of each generation against the terminal, under random orders of everything that can happen.
//!
//! nothing-lost, nothing-twice, in-order: whatever the order, once it is quiet the client was shown every entry exactly once,
//! each conversation in order.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

/// What may happen next.
#[derive(Debug, Clone, Copy)]
enum Happens {
    /// An entry is written and its arrival is on its way. Its position is moved behind its time, or not.
    Entry {
        own_here: bool,
        moved: bool,
    },
    /// The oldest arrival on its way gets there.
    Arrival,
    /// An arrival overtakes the others.
    LateArrival,
    /// The message role reads the timeline for the oldest question.
    Read,
    /// It cannot.
    Fail,
    /// The result of the oldest read gets there.
    Reply,
    /// The client reads a frame.
    Client,
    /// The terminal reads a frame of the client.
    Server,
    Wait(u64),
    /// The client pulls of its own accord.
    IdlePull,
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        4 => (any::<bool>(), prop::bool::weighted(0.2)).prop_map(|(own_here, moved)| Happens::Entry { own_here, moved }),
        4 => Just(Happens::Arrival),
        1 => Just(Happens::LateArrival),
        4 => Just(Happens::Read),
        1 => Just(Happens::Fail),
        4 => Just(Happens::Reply),
        6 => Just(Happens::Client),
        6 => Just(Happens::Server),
        1 => (0..20_000u64).prop_map(Happens::Wait),
        1 => Just(Happens::IdlePull),
    ]
}

#[derive(Debug, Clone)]
struct Stored {
    position: u64,
    sent: u64,
    previous: u64,
    own_here: bool,
}

/// A client as its generation behaves.
struct Model {
    bench: Bench,
    generation: &'static Generation,
    timeline: Vec<Stored>,
    arrivals: VecDeque<Stored>,
    questions: VecDeque<(Ticket, Position)>,
    reads: VecDeque<(Ticket, PullReply)>,
    to_client: VecDeque<ServerFrame>,
    to_server: VecDeque<ClientFrame>,
    clock: u64,
    // The client itself.
    cursor: u64,
    pulling: Option<u16>,
    again: bool,
    shown: Vec<u64>,
}

impl Model {
    fn new(generation: &'static Generation) -> Self {
        let mut model = Self {
            bench: Bench::new(generation),
            generation,
            timeline: Vec::new(),
            arrivals: VecDeque::new(),
            questions: VecDeque::new(),
            reads: VecDeque::new(),
            to_client: VecDeque::new(),
            to_server: VecDeque::new(),
            clock: 100,
            cursor: 0,
            pulling: None,
            again: false,
            shown: Vec::new(),
        };
        model.pull();
        model
    }

    fn shows_pushes(&self) -> bool {
        self.generation.direct == anser_rmtp::DirectPush::MovesCursor
    }

    fn is_native(&self) -> bool {
        self.generation.cursor == anser_rmtp::CursorRule::ItemTime
    }

    fn collect(&mut self) {
        for effect in std::mem::take(&mut self.bench.out) {
            match effect {
                Effect::Send(frame) => self.to_client.push_back(frame),
                Effect::Ask(ticket, Request::Pull(request)) => self.questions.push_back((ticket, request.after)),
                other => panic!("unexpected {other:?}"),
            }
        }
    }

    fn event(&mut self, event: Event) {
        self.bench.event(event);
        self.collect();
    }

    fn step(&mut self, happens: Happens) {
        match happens {
            Happens::Entry { own_here, moved } => self.write(own_here, moved),
            Happens::Arrival => {
                if let Some(stored) = self.arrivals.pop_front() {
                    self.arrive(&stored);
                }
            }
            Happens::LateArrival => {
                if let Some(stored) = self.arrivals.pop_back() {
                    self.arrive(&stored);
                }
            }
            Happens::Read => self.read(),
            Happens::Fail => {
                if let Some((ticket, _)) = self.questions.pop_front() {
                    self.event(Event::Answered { ticket, result: Box::new(Err(Refusal::UNAVAILABLE)) });
                }
            }
            Happens::Reply => {
                if let Some((ticket, reply)) = self.reads.pop_front() {
                    self.event(Event::Answered { ticket, result: Box::new(Ok(Reply::Pull(reply))) });
                }
            }
            Happens::Client => {
                if let Some(frame) = self.to_client.pop_front() {
                    self.client_reads(frame);
                }
            }
            Happens::Server => {
                if let Some(frame) = self.to_server.pop_front() {
                    self.event(Event::Frame(frame));
                }
            }
            Happens::Wait(millis) => {
                self.bench.now = self.bench.now.plus(millis);
                self.event(Event::Tick);
            }
            Happens::IdlePull => self.pull(),
        }
    }

    fn write(&mut self, own_here: bool, moved: bool) {
        self.clock += 10;
        let previous = self.timeline.last().map_or(0, |stored| stored.position);
        let position = self.clock.max(previous + 1);
        let sent = if moved { position - 5 } else { position };
        let stored = Stored { position, sent, previous, own_here };
        self.timeline.push(stored.clone());
        self.arrivals.push_back(stored);
    }

    fn message_of(stored: &Stored) -> Message {
        if stored.own_here { own_message(stored.sent) } else { message(stored.sent) }
    }

    fn arrive(&mut self, stored: &Stored) {
        let sent_on = stored.own_here.then_some(HERE);
        self.bench.arrives_at(Self::message_of(stored), stored.position, stored.previous, sent_on);
        self.collect();
    }

    fn read(&mut self) {
        let Some((ticket, after)) = self.questions.pop_front() else { return };
        let rest: Vec<_> = self.timeline.iter().filter(|stored| at(stored.position) > after).collect();
        let items: Vec<_> = rest
            .iter()
            .take(3)
            .map(|stored| PullItem {
                position: at(stored.position),
                sent_on: stored.own_here.then_some(HERE),
                message: Self::message_of(stored),
            })
            .collect();
        let head = self.timeline.last().map_or(Position::START, |stored| at(stored.position));
        self.reads.push_back((ticket, PullReply { finished: rest.len() <= 3, items, after, head }));
    }

    fn pull(&mut self) {
        if self.pulling.is_some() {
            self.again = true;
            return;
        }
        self.again = false;
        let id = self.bench.next_id();
        self.pulling = Some(id);
        let qos = if self.is_native() { Qos::AtLeastOnce } else { Qos::AtMostOnce };
        let body = SyncRequestMsg { sync_time: i64::try_from(self.cursor).unwrap(), ..SyncRequestMsg::default() };
        self.to_server.push_back(query(QueryTopic::Pull, Target::Myself, id, qos, &body));
    }

    fn client_reads(&mut self, frame: ServerFrame) {
        match frame {
            ServerFrame::Publish(push) => {
                if push.qos.is_confirmed() {
                    self.to_server.push_back(ClientFrame::PubAck { message_id: push.message_id });
                }
                let time = match pushed(ServerFrame::Publish(push)) {
                    Some(Pushed::Message(offset, ..)) => return self.client_gets(offset),
                    Some(Pushed::Notice(offset)) => START + offset,
                    other => panic!("unexpected {other:?}"),
                };
                if time > self.cursor {
                    self.pull();
                }
            }
            ServerFrame::QueryAck(answer) => self.client_is_answered(answer),
            other => panic!("unexpected {other:?}"),
        }
    }

    fn client_gets(&mut self, offset: u64) {
        assert!(self.shows_pushes(), "pushed to a client that does not use it");
        // Old clients confirm, and then drop what comes while they pull.
        if self.pulling.is_none() {
            assert!(START + offset > self.cursor, "a push behind the cursor");
            self.shown.push(offset);
            self.cursor = START + offset;
        }
    }

    fn client_is_answered(&mut self, answer: QueryAck) {
        if answer.qos.is_confirmed() {
            self.to_server.push_back(ClientFrame::QueryCon { message_id: answer.message_id });
        }
        if self.pulling != Some(answer.message_id) {
            return;
        }
        self.pulling = None;
        if !answer.status.is_ok() {
            // Nobody asks again by itself, and a notice that came meanwhile is forgotten.
            self.again = false;
            return;
        }
        let body = DownStreamMessages::decode(answer.body).unwrap();
        let mut newest = self.cursor;
        for item in &body.list {
            let time = u64::try_from(item.data_time).unwrap();
            self.shown.push(time - START);
            newest = newest.max(time);
        }
        let sync = u64::try_from(body.sync_time).unwrap();
        assert!(sync >= self.cursor || self.is_native(), "the cursor went back");
        self.cursor = if self.is_native() { newest } else { sync };
        if !body.finished || self.again {
            self.pull();
        }
    }

    /// Lets everything happen until nothing does any more.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            let quiet = self.arrivals.is_empty()
                && self.questions.is_empty()
                && self.reads.is_empty()
                && self.to_client.is_empty()
                && self.to_server.is_empty();
            if quiet {
                let Some(deadline) = self.bench.terminal.deadline() else { return };
                self.bench.now = self.bench.now.max(deadline);
                self.event(Event::Tick);
            }
            for happens in [Happens::Arrival, Happens::Read, Happens::Reply, Happens::Client, Happens::Server] {
                self.step(happens);
            }
        }
        panic!("it never becomes quiet");
    }
}

fn run(generation: &'static Generation, steps: &[Happens]) -> Result<(), TestCaseError> {
    let mut model = Model::new(generation);
    for &happens in steps {
        model.step(happens);
    }
    model.settle();
    let mut expected: Vec<u64> = model.timeline.iter().filter(|s| !s.own_here).map(|s| s.sent).collect();
    expected.sort_unstable();
    let shown = model.shown.clone();
    let mut sorted = shown.clone();
    sorted.sort_unstable();
    prop_assert_eq!(&sorted, &expected, "shown in this order: {:?}", &shown);
    prop_assert_eq!(&shown, &sorted, "in order");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn nothing_lost_nothing_twice_old_web(steps in prop::collection::vec(happens(), 0..120)) {
        run(old_web(), &steps)?;
    }

    #[test]
    fn nothing_lost_nothing_twice_new_web(steps in prop::collection::vec(happens(), 0..120)) {
        run(new_web(), &steps)?;
    }

    #[test]
    fn nothing_lost_nothing_twice_native(steps in prop::collection::vec(happens(), 0..120)) {
        run(native(), &steps)?;
    }
}
