//! The user at an SDK: passes on what the SDK is to do, and writes down what it does and shows.

use std::collections::HashSet;
use std::io::Write as _;
use std::process::ChildStdin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anser_testkit::trace::{
    CallId, ClientConnection, Conversation, Direction, Event, Keep, Kind, Name, Seen, Terminal, Via,
};
use anser_tests::Recorder;
use anser_types::{ConversationType, MessageUid, Status, Timestamp};
use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::Shared;

/// How often it sends, if its last message is settled.
const PACE: Duration = Duration::from_secs(1);
/// The state in which an SDK does not connect by itself any more.
const ENDED: &str = "disconnected";
/// What SDKs call conversations of two, and of a group.
const PRIVATE: u64 = 1;
const GROUP: u64 = 3;

/// A message without an answer.
struct UnderWay {
    call: CallId,
    body: u64,
    conversation: Conversation,
}

/// The user at an SDK.
pub(super) struct User {
    name: Name,
    token: String,
    terminal: Terminal,
    connection: Option<ClientConnection>,
    under_way: Option<UnderWay>,
    conversations: Vec<anser_types::Conversation>,
    next: usize,
    /// What it sent and had an ack for, or was shown.
    own: HashSet<MessageUid>,
    recorder: Recorder,
    shared: Arc<Shared>,
    input: ChildStdin,
}

impl User {
    pub(super) fn new(
        (name, token): (&str, String),
        conversations: Vec<anser_types::Conversation>,
        recorder: Recorder,
        (shared, input): (Arc<Shared>, ChildStdin),
    ) -> Self {
        Self {
            name: Name::from(name),
            token,
            terminal: recorder.terminal_aside(),
            connection: None,
            under_way: None,
            conversations,
            next: 0,
            own: HashSet::new(),
            recorder,
            shared,
            input,
        }
    }

    /// Lives until its process ends.
    pub(super) async fn live(mut self, mut lines: mpsc::Receiver<String>) {
        let mut ticks = interval(PACE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let signing_in = self.sign_in();
        let ended: anyhow::Result<()> = async {
            signing_in?;
            loop {
                tokio::select! {
                    line = lines.recv() => match line {
                        Some(line) => self.hear(&serde_json::from_str(&line)?).await?,
                        None => return Ok(()),
                    },
                    _ = ticks.tick() => self.send()?,
                }
            }
        }
        .await;
        match ended {
            Ok(()) => println!("   {}: its process has ended", self.name),
            Err(error) => println!("   {}: {error:#}", self.name),
        }
        self.shared.is_busy.store(false, Ordering::Release);
    }

    fn sign_in(&mut self) -> anyhow::Result<()> {
        let token = self.token.clone();
        self.tell(&json!({ "verb": "connect", "token": token }))
    }

    async fn sign_in_again(&mut self) -> anyhow::Result<()> {
        tokio::time::sleep(PACE).await;
        if self.connection.is_some() { Ok(()) } else { self.sign_in() }
    }

    fn tell(&mut self, what: &Value) -> anyhow::Result<()> {
        writeln!(self.input, "{what}").context("its process does not listen")
    }

    fn send(&mut self) -> anyhow::Result<()> {
        let is_free = self.connection.is_some() && self.under_way.is_none();
        if !is_free || !self.shared.sends.load(Ordering::Acquire) || self.conversations.is_empty() {
            return Ok(());
        }
        self.next += 1;
        let conversation = self.conversations[self.next % self.conversations.len()].clone();
        let (is_group, target) = (conversation.kind == ConversationType::Group, conversation.target.as_str());
        let (call, body) = (self.recorder.call(), self.recorder.body_aside());
        let under_way = UnderWay { call, body, conversation: traced(is_group, target) };
        self.shared.is_busy.store(true, Ordering::Release);
        self.invoke(&under_way);
        self.under_way = Some(under_way);
        let kind = if is_group { GROUP } else { PRIVATE };
        let text = format!("{body} from a published sdk");
        self.tell(&json!({ "verb": "send", "ticket": body, "type": kind, "target": target, "text": text }))
    }

    async fn hear(&mut self, line: &Value) -> anyhow::Result<()> {
        if let Some(shown) = line.get("shown") {
            return self.shown(shown);
        }
        match line.get("state").and_then(Value::as_str) {
            Some("connected") => self.connect(),
            Some(state) => {
                self.disconnect();
                let code = line.get("code").and_then(Value::as_u64);
                println!("   {}: {state}{}", self.name, code.map(|code| format!(", code {code}")).unwrap_or_default());
                if state == ENDED {
                    if self.shared.reconnected.load(Ordering::Relaxed) > 0 {
                        self.shared.stranded.fetch_add(1, Ordering::Relaxed);
                    }
                    // The SDK leaves it at that; its application connects again.
                    return self.sign_in_again().await;
                }
            }
            None => {}
        }
        if line.get("connected").is_some() && self.connection.is_none() {
            self.connect();
        }
        if let Some(acked) = line.get("acked") {
            self.acked(acked)?;
        }
        if let Some(failed) = line.get("failed") {
            if failed.get("ticket").is_none() {
                // Not even signed in: it is asked to until it is.
                return self.sign_in_again().await;
            }
            self.gave_up(failed);
        }
        Ok(())
    }

    fn connect(&mut self) {
        self.disconnect();
        self.connection = Some(self.recorder.connected(self.terminal, &self.name, Timestamp::ZERO));
        self.shared.reconnected.fetch_add(1, Ordering::Relaxed);
    }

    fn disconnect(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.recorder.note(Event::Disconnected { connection });
        }
    }

    fn settled(&self, count: &AtomicUsize) {
        count.fetch_add(1, Ordering::Relaxed);
        self.shared.is_busy.store(false, Ordering::Release);
    }

    fn invoke(&self, what: &UnderWay) {
        self.recorder.note(Event::Invoked {
            call: what.call,
            user: self.name.clone(),
            connection: self.connection,
            conversation: what.conversation.clone(),
            client_id: None,
            body: what.body,
            keep: Keep::History,
            to: Vec::new(),
        });
    }

    fn acked(&mut self, acked: &Value) -> anyhow::Result<()> {
        let uid = uid_of(acked)?;
        let sent = acked.get("time").and_then(Value::as_u64).context("an ack without a time")?;
        if let Some(mut under_way) = self.under_way.take() {
            if !self.own.insert(uid) {
                // It was shown already, so this is the answer to a second attempt of the SDK.
                under_way.call = self.recorder.call();
                self.invoke(&under_way);
            }
            self.settled(&self.shared.acked);
            self.recorder.note(Event::Acked { call: under_way.call, uid, sent });
        }
        Ok(())
    }

    /// The server refused it, or nobody knows what became of it. To the checker that is so when its connection ends.
    fn gave_up(&mut self, failed: &Value) {
        let Some(under_way) = self.under_way.take() else { return };
        self.settled(&self.shared.failed);
        let why = failed.get("why").and_then(Value::as_str).unwrap_or_default();
        match refusal_in(why) {
            Some(status) => {
                let is_for_good = !Status(status).is_retryable();
                self.shared.refused_for_good.fetch_add(usize::from(is_for_good), Ordering::Relaxed);
                self.recorder.note(Event::Refused { call: under_way.call, status });
            }
            None => {
                println!("   {}: {}", self.name, why.lines().next().unwrap_or_default());
                if self.connection.is_some() {
                    self.connect();
                }
            }
        }
    }

    fn shown(&mut self, shown: &Value) -> anyhow::Result<()> {
        let text = |name: &str| shown.get(name).and_then(Value::as_str).unwrap_or_default();
        let uid = uid_of(shown)?;
        let is_own = shown.get("mine").and_then(Value::as_bool).unwrap_or(false);
        let body = text("text").split(' ').next().and_then(|body| body.parse().ok()).unwrap_or(0);
        if is_own && !self.own.insert(uid) {
            self.shared.own_again.fetch_add(1, Ordering::Relaxed);
            // On the connection on which it was sent it is not to come.
            let connection = self.connection;
            connection.into_iter().for_each(|connection| self.recorder.note(Event::Withheld { connection, uid, body }));
            return Ok(());
        }
        // It shows what came before it says that it is connected.
        if self.connection.is_none() {
            self.connect();
        }
        let Some(connection) = self.connection else { return Ok(()) };
        let message = Seen {
            uid,
            sent: shown.get("time").and_then(Value::as_u64).unwrap_or_default(),
            sender: Name::from(text("from")),
            conversation: traced(shown.get("type").and_then(Value::as_u64) == Some(GROUP), text("target")),
            direction: if is_own { Direction::Sent } else { Direction::Received },
            body,
        };
        self.recorder.note(Event::Shown { connection, via: Via::Direct, message });
        Ok(())
    }
}

/// The status in what an SDK says of a message that was refused: `code 20607` or `"code":20607`. What it gives up by itself has
/// numbers from 30000 on.
fn refusal_in(why: &str) -> Option<u16> {
    let after = why.split_once("code")?.1.trim_start_matches(['"', ':', ' ']);
    let digits = after.split(|letter: char| !letter.is_ascii_digit()).next()?;
    digits.parse().ok().filter(|status| (1..30_000).contains(status))
}

fn uid_of(message: &Value) -> anyhow::Result<MessageUid> {
    let uid = message.get("uid").and_then(Value::as_str).context("a message without an id")?;
    uid.parse().ok().with_context(|| format!("{uid} is no message id"))
}

fn traced(is_group: bool, target: &str) -> Conversation {
    let kind = if is_group { Kind::Group } else { Kind::Private };
    Conversation { kind, target: Name::from(target) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_from_what_an_sdk_gave_up() {
        assert_eq!(refusal_in("send: Error: code 20607\n    at data"), Some(20_607));
        assert_eq!(refusal_in("send: {\"code\":405,\"data\":{}}"), Some(405));
        assert_eq!(refusal_in("send: Error: code 30003"), None);
        assert_eq!(refusal_in("the SDK's process ended"), None);
    }
}
