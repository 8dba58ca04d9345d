//! Our own client: the real session machine.

use anser_core::session::{
    Effect, Event as SessionEvent, LinkId, Notice, Outgoing, Received, Session, SessionConfig, Via,
};
use anser_rmtp::TransportKind;
use anser_testkit::trace::{self, Direction, Seen};
use anser_types::{ClientMessageId, MessageClass, MessageFlags, Timestamp, UserId};
use bytes::Bytes;

use super::{Event, Letter, NO_LINK, Said, Timer};
use crate::oracle::{body_key, conversation};
use crate::rng::Rng;

/// The session with what a shell around it does.
#[derive(Debug)]
pub(crate) struct OwnClient {
    user: UserId,
    session: Session,
    link: LinkId,
    /// When it is woken next.
    woken_at: Option<Timestamp>,
    is_on: bool,
}

impl OwnClient {
    pub(crate) fn new(user: UserId, device: &str, rng: &mut Rng) -> Self {
        let mut config = SessionConfig::new("app", user.as_str(), TransportKind::Tcp, rng.next());
        device.clone_into(&mut config.device_id);
        config.window = if rng.chance(500) { 1 } else { 4 };
        Self { user, session: Session::new(config), link: NO_LINK, woken_at: None, is_on: false }
    }

    pub(crate) const fn is_synced(&self) -> bool {
        self.session.is_synced()
    }

    pub(crate) fn is_sending(&self) -> bool {
        self.session.unsettled() > 0
    }

    pub(crate) const fn user(&self) -> &UserId {
        &self.user
    }

    pub(crate) const fn cursor(&self) -> u64 {
        self.session.cursor().0
    }

    pub(crate) fn handle(&mut self, event: Event, now: Timestamp) -> Vec<Said> {
        let link = self.link;
        let event = match event {
            Event::GoOnline if !self.is_on => {
                self.is_on = true;
                SessionEvent::Start
            }
            Event::GoOffline if self.is_on => {
                self.is_on = false;
                SessionEvent::Stop
            }
            Event::Opened => SessionEvent::Opened { link },
            Event::Lost => SessionEvent::Lost { link },
            Event::Frame(frame) => SessionEvent::Frame { link, frame },
            Event::Send(letter) => SessionEvent::Send(Box::new(outgoing(letter))),
            Event::Timer(Timer::Navigated) => SessionEvent::Navigated(vec!["sim".to_owned()]),
            Event::Timer(Timer::Wake) => {
                self.woken_at = None;
                SessionEvent::Tick
            }
            Event::GoOnline | Event::GoOffline | Event::Timer(_) => return Vec::new(),
        };
        let mut effects = Vec::new();
        self.session.handle(event, now, &mut effects);
        let mut said: Vec<Said> = effects.into_iter().filter_map(|effect| self.perform(effect)).collect();
        if let Some(at) = self.session.wake_at()
            && self.woken_at.is_none_or(|woken| at < woken)
        {
            self.woken_at = Some(at);
            said.push(Said::After(at.since(now).max(1), Timer::Wake));
        }
        said
    }

    fn perform(&mut self, effect: Effect) -> Option<Said> {
        match effect {
            Effect::Navigate => Some(Said::After(10, Timer::Navigated)),
            Effect::Open { link, .. } => {
                self.link = link;
                Some(Said::Dial)
            }
            Effect::Write(frame) => Some(Said::Write(frame)),
            Effect::Close { .. } => Some(Said::HangUp),
            Effect::Tell(Notice::Received(received)) => Some(show(&received)),
            Effect::Tell(Notice::Stopped(_)) => {
                self.is_on = false;
                None
            }
            Effect::Tell(_) => None,
        }
    }
}

fn outgoing(letter: Letter) -> Outgoing {
    let content = Bytes::from(letter.body.to_string());
    if letter.class == MessageClass::Status {
        return Outgoing::status(letter.conversation, Bytes::from_static(b"RC:TypSts"), content);
    }
    let mut outgoing = Outgoing::new(letter.conversation, Bytes::from_static(b"RC:TxtMsg"), content);
    outgoing.client_id = letter.client_id.map(ClientMessageId);
    if !letter.persist {
        outgoing.flags = MessageFlags::default();
    }
    outgoing
}

fn show(received: &Received) -> Said {
    let seen = Seen {
        uid: received.uid,
        sent: received.sent.0,
        sender: received.sender.as_str().into(),
        conversation: conversation(received.conversation.kind, received.conversation.target.as_str()),
        direction: if received.own { Direction::Sent } else { Direction::Received },
        body: body_key(&received.content),
    };
    let via = match received.via {
        Via::Direct => trace::Via::Direct,
        Via::Pull | Via::History => trace::Via::Pull,
        Via::Copy => trace::Via::Copy,
    };
    Said::Show(seen, via)
}
