//! What users do, and what goes wrong.

use std::collections::BTreeSet;

use anser_cluster::{Command, MessageService, Outcome, ServerPublish};
use anser_message::MessageHandle;
use anser_testkit::trace::{CallId, Conversation as Seen, Event as Fact, Keep, Kind, Name, RosterStep};
use anser_types::record::RosterChange;
use anser_types::{
    ConnectionId, Conversation, ConversationType, MessageClass, MessageFlags, Origin, Subject, TargetId, UserId,
    UserKey,
};
use bytes::Bytes;

use crate::client::{Event, Letter};
use crate::network::Link;
use crate::oracle::conversation;
use crate::rng::Rng;
use crate::service::For;
use crate::world::{Happening, RoleAnswer, World};

/// What is published for the server has come on no client's connection.
const SERVER: ConnectionId = ConnectionId(u64::MAX);

/// The state of the work.
#[derive(Debug)]
pub(crate) struct Workload {
    rng: Rng,
    groups: Vec<(TargetId, BTreeSet<UserId>)>,
    /// Changes of which it is not known what became of them: with several nodes they may be done at any time, and the order of two
    /// that are under way at once is nobody's.
    undecided: BTreeSet<(TargetId, UserId)>,
    next_body: u64,
    next_client_id: i64,
    has_groups: bool,
    pub(crate) is_over: bool,
}

/// A fault that is mended later.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    LogFull,
    HistoryAway,
}

impl Workload {
    pub(crate) fn new(rng: Rng, groups: usize) -> Self {
        let group = |place| (TargetId::new(&format!("g{place}")).expect("it is an id"), BTreeSet::new());
        Self {
            rng,
            groups: (0..groups).map(group).collect(),
            next_body: 0,
            next_client_id: 1 << 60,
            undecided: BTreeSet::new(),
            has_groups: false,
            is_over: false,
        }
    }

    /// Where somebody answers who was shown something, if they do.
    pub(crate) fn answer_to(&mut self, sender: &Name, seen: &Seen) -> Option<Conversation> {
        if self.is_over || !self.rng.chance(150) {
            return None;
        }
        let kind = match seen.kind {
            Kind::Private => ConversationType::Private,
            Kind::Group => ConversationType::Group,
            Kind::System => return None,
        };
        let in_place = self.rng.chance(700);
        let target = if in_place { seen.target.as_str() } else { sender.as_str() };
        let kind = if in_place { kind } else { ConversationType::Private };
        TargetId::new(target).ok().map(|target| Conversation::new(kind, target))
    }

    fn letter(&mut self, conversation: Conversation, has_ids: bool) -> Letter {
        self.next_body += 1;
        self.next_client_id += 1;
        let class = if self.rng.chance(40) { MessageClass::Status } else { MessageClass::Persisted };
        Letter {
            conversation,
            class,
            persist: class == MessageClass::Persisted && self.rng.chance(880),
            body: self.next_body,
            client_id: has_ids.then_some(self.next_client_id),
            attempts: 0,
        }
    }
}

impl World {
    /// What is going on besides the clients' own doing begins.
    pub(crate) fn begin_work(&mut self) {
        if self.fleet.is_some() {
            self.begin_fleet();
        } else {
            self.plan_in(0, Happening::Start);
        }
        self.plan_in(300, Happening::Flush);
        self.plan_in(500, Happening::Work);
        self.plan_in(self.plan.fault_every_ms, Happening::Fault);
        for seat in 0..self.seats.len() {
            self.tell_client(seat, Event::GoOnline);
        }
    }

    /// Work and trouble are over: everything is mended, and who stays comes online.
    pub(crate) fn end_work(&mut self) {
        self.work.is_over = true;
        self.sky.clear_up(self.fleet.is_some());
        self.mend_fleet();
        self.fakes.log.set_full(false);
        self.fakes.history.set_away(self.plan.archives_late);
        self.links.values_mut().for_each(Link::hurry);
        for seat in 0..self.seats.len() {
            let event = if self.seats[seat].stays { Event::GoOnline } else { Event::GoOffline };
            self.tell_client(seat, event);
        }
    }

    /// Everybody who is there says something in all their conversations.
    pub(crate) fn send_last_words(&mut self) {
        for seat in 0..self.seats.len() {
            let me = self.seats[seat].client.user().clone();
            let peers = self.users.iter().filter(|user| **user != me);
            let private = peers.map(|peer| Conversation::new(ConversationType::Private, peer.clone().into()));
            let groups =
                self.work.groups.iter().map(|(group, _)| Conversation::new(ConversationType::Group, group.clone()));
            let conversations: Vec<Conversation> = private.chain(groups).collect();
            conversations.into_iter().for_each(|conversation| self.send(seat, conversation));
        }
    }

    pub(crate) fn do_work(&mut self) {
        if self.work.is_over {
            return;
        }
        self.make_groups();
        let rosters = self.plan.roster_changes;
        match self.work.rng.below(100) {
            chance if chance < rosters => self.change_roster(),
            90..98 => self.toggle(),
            86..90 => self.publish_for_server(),
            _ => self.send_some(),
        }
        let millis = self.work.rng.between(1, self.plan.work_every_ms * 2);
        self.plan_in(millis, Happening::Work);
    }

    /// A terminal sends some messages at once, to one conversation or to several.
    fn send_some(&mut self) {
        let seat = self.work.rng.below(self.seats.len());
        let mut count = 1 + self.work.rng.below(5);
        let mut same = self.work.rng.chance(500);
        let mut conversation = self.pick_conversation(seat);
        if self.plan.burst > 0 && conversation.kind == ConversationType::Group && self.work.rng.chance(250) {
            (count, same) = (self.plan.burst, true);
        }
        for _ in 0..count {
            self.send(seat, conversation.clone());
            if !same {
                conversation = self.pick_conversation(seat);
            }
        }
    }

    fn pick_conversation(&mut self, seat: usize) -> Conversation {
        let rng = &mut self.work.rng;
        if !self.work.groups.is_empty() && rng.chance(450) {
            let group = rng.below(self.work.groups.len());
            return Conversation::new(ConversationType::Group, self.work.groups[group].0.clone());
        }
        let me = self.seats[seat].client.user();
        let others: Vec<&UserId> = self.users.iter().filter(|user| *user != me).collect();
        let peer = others[rng.below(others.len())].clone();
        Conversation::new(ConversationType::Private, peer.into())
    }

    pub(crate) fn answer(&mut self, seat: usize, conversation: Conversation) {
        if !self.work.is_over {
            self.send(seat, conversation);
        }
    }

    fn send(&mut self, seat: usize, conversation: Conversation) {
        if self.seats[seat].is_signed_in {
            let has_ids = self.seats[seat].kind.has_ids();
            let letter = self.work.letter(conversation, has_ids);
            self.tell_client(seat, Event::Send(letter));
        }
    }

    fn toggle(&mut self) {
        let seat = self.work.rng.below(self.seats.len());
        let event = if self.work.rng.chance(600) { Event::GoOnline } else { Event::GoOffline };
        self.tell_client(seat, event);
    }

    /// Makes the groups, once there is somebody to ask; everybody is in them at first.
    fn make_groups(&mut self) {
        if self.work.has_groups || !self.is_serving() {
            return;
        }
        self.work.has_groups = true;
        for place in 0..self.work.groups.len() {
            let mut users = self.users.clone();
            if place == 0 {
                users.extend((0..self.plan.crowd).filter_map(|place| UserId::new(&format!("crowd-{place}")).ok()));
            }
            self.ask_roster(self.work.groups[place].0.clone(), users, true);
        }
    }

    fn change_roster(&mut self) {
        let (groups, users) = (self.work.groups.len(), self.users.len());
        if groups == 0 {
            return;
        }
        let place = self.work.rng.below(groups);
        let user = self.users[self.work.rng.below(users)].clone();
        let (group, members) = &self.work.groups[place];
        let group = group.clone();
        let joins = !members.contains(&user);
        if self.work.undecided.contains(&(group.clone(), user.clone())) {
            return;
        }
        self.ask_roster(group, vec![user], joins);
    }

    fn ask_roster(&mut self, group: TargetId, users: Vec<UserId>, joins: bool) {
        let Some(service) = self.service().filter(|_| self.fleet.is_some() || self.is_serving()) else {
            return;
        };
        let (begun, ended) =
            if joins { (RosterStep::Joining, RosterStep::Joined) } else { (RosterStep::Leaving, RosterStep::Left) };
        self.note_roster(&group, &users, begun);
        if self.fleet.is_some() {
            self.work.undecided.extend(users.iter().map(|user| (group.clone(), user.clone())));
        }
        let change = if joins {
            RosterChange::Join { name: "group".to_owned(), users: users.clone() }
        } else {
            RosterChange::Quit { users: users.clone() }
        };
        let subject = Subject::group(self.app.clone(), group.clone());
        self.answers.push(Box::pin(async move {
            let command = Command::Roster { subject: subject.clone(), change };
            let done = service.ask(&For::Owner(subject), async |node| node.command(command.clone()).await).await;
            let done = done.is_some_and(|done| done.is_ok());
            RoleAnswer::Roster { group, users, step: ended, done }
        }));
    }

    fn note_roster(&self, group: &TargetId, users: &[UserId], step: RosterStep) {
        let users = users.iter().map(|user| Name::from(user.as_str())).collect();
        self.recorder.record(Fact::Roster { group: group.as_str().into(), users, step });
    }

    pub(crate) fn on_roster_changed(&mut self, group: &TargetId, users: &[UserId], step: RosterStep, done: bool) {
        if !done {
            return;
        }
        self.note_roster(group, users, step);
        for user in users {
            self.work.undecided.remove(&(group.clone(), user.clone()));
        }
        if let Some((_, members)) = self.work.groups.iter_mut().find(|(name, _)| name == group) {
            match step {
                RosterStep::Joined => members.extend(users.iter().cloned()),
                _ => members.retain(|m| !users.contains(m)),
            }
        }
    }

    fn publish_for_server(&mut self) {
        let Some(service) = self.service().filter(|_| self.fleet.is_some() || self.is_serving()) else {
            return;
        };
        let sender = self.users[self.work.rng.below(self.users.len())].clone();
        let target = self.users[self.work.rng.below(self.users.len())].clone();
        let is_system = self.work.rng.chance(300);
        let sender_copy = !is_system && self.work.rng.chance(500);
        if sender == target {
            return;
        }
        let kind = if is_system { ConversationType::System } else { ConversationType::Private };
        self.work.next_body += 1;
        let body = self.work.next_body;
        self.next_call += 1;
        let call = CallId(self.next_call);
        self.recorder.record(Fact::Invoked {
            call,
            user: sender.as_str().into(),
            connection: None,
            conversation: conversation(kind, target.as_str()),
            client_id: None,
            body,
            keep: Keep::History,
            to: Vec::new(),
        });
        let publish = ServerPublish {
            app: self.app.clone(),
            sender,
            kind,
            target: target.into(),
            class: MessageClass::Persisted,
            flags: MessageFlags::PERSIST.with(MessageFlags::COUNT),
            object_name: Bytes::from_static(b"RC:TxtMsg"),
            content: body.to_string().into(),
            sender_copy,
            check_permission: false,
            extras: None,
        };
        // Named, so that the owner knows it again that is asked a second time.
        let origin = match &self.fleet {
            Some(_) => Origin { connection: SERVER, publish: call.0, client_id: None },
            None => Origin::NONE,
        };
        // What its sender is to see passes the sender's queue.
        let whom = if sender_copy {
            For::User(UserKey::new(publish.app.clone(), publish.sender.clone()))
        } else {
            For::Owner(Subject::of_message(&publish.app, publish.kind, &publish.sender, &publish.target))
        };
        self.answers.push(Box::pin(async move {
            let asked = async |node: &MessageHandle| node.publish_for_server(publish.clone(), origin).await;
            match service.ask(&whom, asked).await {
                Some(outcome) => RoleAnswer::Published(call, outcome),
                None => RoleAnswer::Unknown,
            }
        }));
    }

    pub(crate) fn on_published(&self, call: CallId, outcome: Outcome) {
        self.recorder.record(match outcome {
            Ok(accepted) => Fact::Acked { call, uid: accepted.uid, sent: accepted.sent.0 },
            Err(refusal) => Fact::Refused { call, status: refusal.status.0 },
        });
    }

    pub(crate) fn do_fault(&mut self) {
        if self.work.is_over {
            return;
        }
        let fault = if self.fleet.is_some() { usize::MAX } else { self.work.rng.below(100) };
        match fault {
            usize::MAX => self.do_fleet_fault(),
            0..40 => self.cut_some(),
            40..60 => {
                let down = self.work.rng.delay(500, 5_000, 200);
                self.crash(down);
            }
            60..70 => {
                self.fakes.log.set_full(true);
                let millis = self.work.rng.between(100, 4_000);
                self.plan_in(millis, Happening::Fixed(Fault::LogFull));
            }
            70..80 => self.set_clock(),
            80..88 => {
                self.fakes.history.set_away(true);
                let millis = self.work.rng.delay(500, 15_000, 300);
                self.plan_in(millis, Happening::Fixed(Fault::HistoryAway));
            }
            _ => {}
        }
        let every = self.plan.fault_every_ms;
        let millis = self.work.rng.between(1, every * 2);
        self.plan_in(millis, Happening::Fault);
    }

    pub(crate) fn fix(&self, fault: Fault) {
        match fault {
            Fault::LogFull => self.fakes.log.set_full(false),
            // At the end it comes back when everybody has asked for it.
            Fault::HistoryAway => self.fakes.history.set_away(self.work.is_over && self.plan.archives_late),
        }
    }

    /// The clock is set: wrong, somehow or as far as it can be, or right again. Clients may lose acks at the same time, and the
    /// server may go down, so that things are sent again under another time.
    fn set_clock(&mut self) {
        let off = i64::try_from(self.plan.clock_off_ms).unwrap_or(0);
        if off == 0 {
            return;
        }
        let off_by = match self.work.rng.below(6) {
            0 => off,
            1 => -off,
            2 => 0,
            _ => i64::try_from(self.work.rng.between(0, self.plan.clock_off_ms * 2)).unwrap_or(0) - off,
        };
        self.clock.set_off_by(off_by);
        if self.work.rng.chance(400) {
            for _ in 0..3 {
                self.cut_some();
            }
        }
        if self.work.rng.chance(200) {
            let millis = self.work.rng.between(1, 2_000);
            self.plan_in(millis, Happening::Kill(self.starts));
        }
    }

    /// A connection breaks. Each side hears of it soon, or much later.
    pub(crate) fn cut_some(&mut self) {
        let ids: Vec<ConnectionId> = self.seats.iter().filter_map(|seat| seat.connection).collect();
        if ids.is_empty() {
            return;
        }
        let id = ids[self.work.rng.below(ids.len())];
        self.cut(id);
    }

    pub(crate) fn cut(&mut self, id: ConnectionId) {
        let now = self.now();
        if self.links.get_mut(&id).is_some_and(|link| link.cut(now, &mut self.work.rng)) {
            let server = self.work.rng.delay(200, 20_000, 300);
            let client = self.work.rng.delay(200, 20_000, 300);
            self.plan_in(server, Happening::ServerLearns(id));
            self.plan_in(client, Happening::ClientLearns(id));
        }
    }
}
