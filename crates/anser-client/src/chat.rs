//! A chat in the terminal: lines in, lines out. No screen is taken over, so it works in a pipe as well.

use std::collections::VecDeque;
use std::io::{self, BufRead as _, IsTerminal as _, Write};
use std::thread;
use std::time::Duration;

use anser_core::session::{Outgoing, StopReason};
use anser_types::{ConversationType, IdError, Timestamp};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::admin::{Admin, AdminError};
use crate::client::Sending;
use crate::navigation::Transport;
use crate::{Client, ClientEvent, ConnectError, Conversation, Events, Message, QueryError};

/// Lines that may wait for the chat.
const LINES: usize = 64;
/// How long `/history` waits for lines that are not acked yet.
const SOON: Duration = Duration::from_secs(2);
/// Messages that `/history` shows when it is not told how many.
const HISTORY: u32 = 20;

/// Who talks to whom, and where.
#[derive(Clone)]
pub struct ChatOptions {
    /// The server's HTTP address, such as `127.0.0.1:8080`.
    pub http: String,
    /// The app.
    pub app_key: String,
    /// Its secret, to get a token with.
    pub app_secret: String,
    /// Who talks.
    pub user: String,
    /// With whom.
    pub with: ChatWith,
    /// Over what.
    pub transport: Transport,
}

impl std::fmt::Debug for ChatOptions {
    /// Leaves the secret out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChatOptions")
            .field("http", &self.http)
            .field("user", &self.user)
            .field("with", &self.with)
            .finish_non_exhaustive()
    }
}

/// The other side of a chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChatWith {
    /// A user.
    User(String),
    /// A group. Whoever chats there is added to it, and it is made if need be.
    Group(String),
}

/// Why a chat could not begin, or ended.
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    /// The server gave no token, or would not make the group.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The sign-in failed.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A name that is no id.
    #[error("name is not valid")]
    Name(#[from] IdError),
    /// The session was ended by the server.
    #[error("chat is over: {0}")]
    Stopped(StopReason),
    /// The screen cannot be written to.
    #[error("output cannot be written")]
    Output(#[from] io::Error),
}

/// Chats on the process's own standard input and output until `/quit` or the end of the input.
pub async fn run(options: ChatOptions) -> Result<(), ChatError> {
    let shows_prompt = io::stdin().is_terminal() && io::stdout().is_terminal();
    let (lines, typed) = mpsc::channel(LINES);
    // Reading a terminal cannot be interrupted; the thread ends with the input, or with the process.
    thread::Builder::new().name("stdin".to_owned()).spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if lines.blocking_send(line).is_err() {
                return;
            }
        }
    })?;
    run_on(options, typed, io::stdout(), shows_prompt).await
}

/// Chats on any lines and any output.
pub async fn run_on(
    options: ChatOptions,
    mut typed: mpsc::Receiver<String>,
    output: impl Write,
    shows_prompt: bool,
) -> Result<(), ChatError> {
    let (conversation, client, mut events) = sign_in(&options).await?;
    let mut chat = Chat { client, conversation, output, shows_prompt, unsettled: VecDeque::new() };
    chat.greet()?;
    let mut open = true;
    while open || !chat.unsettled.is_empty() {
        tokio::select! {
            event = events.next() => match event {
                Some(ClientEvent::Stopped(reason)) => return Err(ChatError::Stopped(reason)),
                Some(event) => chat.show(event)?,
                None => return Ok(()),
            },
            line = typed.recv(), if open => match line {
                Some(line) => open = chat.typed(line.trim()).await?,
                None => open = false,
            },
            outcome = next_outcome(&mut chat.unsettled) => chat.settled(outcome)?,
        }
    }
    chat.client.close().await;
    Ok(())
}

async fn sign_in(options: &ChatOptions) -> Result<(Conversation, Client, Events), ChatError> {
    let mut admin = Admin::new(&options.http, &options.app_key, &options.app_secret)?;
    let token = admin.token(&options.user).await?;
    let conversation = match &options.with {
        ChatWith::User(user) => Conversation::private(user)?,
        ChatWith::Group(group) => {
            // Making a group that exists adds its members.
            admin.create_group(group, group, &[&options.user]).await?;
            Conversation::group(group)?
        }
    };
    let builder = Client::builder(&options.http, &options.app_key, &token).transport(options.transport);
    let (client, events) = builder.connect().await?;
    Ok((conversation, client, events))
}

/// A line that was sent, and its outcome to come.
struct Unsettled {
    text: String,
    outcome: Sending,
}

type Outcome = (String, Result<crate::Acked, crate::SendError>);

/// Waits for the oldest line. Cancel-safe: it is taken out only when its outcome is there.
async fn next_outcome(unsettled: &mut VecDeque<Unsettled>) -> Outcome {
    let Some(oldest) = unsettled.front_mut() else {
        return std::future::pending().await;
    };
    let outcome = (&mut oldest.outcome).await;
    let text = unsettled.pop_front().map(|oldest| oldest.text).unwrap_or_default();
    (text, outcome)
}

struct Chat<W> {
    client: Client,
    conversation: Conversation,
    output: W,
    shows_prompt: bool,
    unsettled: VecDeque<Unsettled>,
}

impl<W: Write> Chat<W> {
    fn greet(&mut self) -> io::Result<()> {
        let (user, with) = (self.client.user().clone(), self.conversation.clone());
        self.print(&format!("{user} talks to {with}. Times are UTC. /history [N] shows the past, /quit ends."))
    }

    /// Prints a line above the prompt.
    fn print(&mut self, line: &str) -> io::Result<()> {
        if self.shows_prompt {
            // Back to the beginning of the line, and clear it: the prompt is there.
            write!(self.output, "\r\x1b[K")?;
        }
        writeln!(self.output, "{line}")?;
        if self.shows_prompt {
            write!(self.output, "> ")?;
        }
        self.output.flush()
    }

    fn show(&mut self, event: ClientEvent) -> io::Result<()> {
        match event {
            ClientEvent::Message(message) => {
                let line = self.line(&message);
                self.print(&line)
            }
            ClientEvent::Connected { .. } => self.print("-- connected again"),
            ClientEvent::Disconnected(_) => self.print("-- connection lost; what you type is sent when it is back"),
            ClientEvent::Synced { .. } | ClientEvent::Stopped(_) => Ok(()),
        }
    }

    fn line(&self, message: &Message) -> String {
        let text = message.text().unwrap_or_else(|| format!("[{}]", message.object_name()));
        let elsewhere = Conversation::from(message.conversation.clone());
        let place = if elsewhere == self.conversation {
            String::new()
        } else if elsewhere.kind() == ConversationType::Private && !message.own {
            " (in private)".to_owned()
        } else {
            format!(" (to {})", printable(&elsewhere.to_string()))
        };
        format!("{} {}{place}: {}", clock(message.sent), printable(message.sender.as_str()), printable(&text))
    }

    /// Does what a line says. Whether the chat goes on.
    async fn typed(&mut self, line: &str) -> io::Result<bool> {
        let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
        match command {
            "" => self.print_prompt()?,
            "/quit" | "/exit" => return Ok(false),
            "/history" => self.history(rest.trim().parse().unwrap_or(HISTORY)).await?,
            command if command.starts_with('/') => self.print("-- there are /history [N] and /quit")?,
            _ => {
                let outgoing = Outgoing::text(self.conversation.clone().into(), line);
                match self.client.begin_send(outgoing).await {
                    Ok(outcome) => self.unsettled.push_back(Unsettled { text: line.to_owned(), outcome }),
                    Err(error) => self.print(&format!("-- not sent: {error}"))?,
                }
                self.print_prompt()?;
            }
        }
        Ok(true)
    }

    fn print_prompt(&mut self) -> io::Result<()> {
        if self.shows_prompt {
            write!(self.output, "\r> ")?;
        }
        self.output.flush()
    }

    fn settled(&mut self, (text, outcome): Outcome) -> io::Result<()> {
        match outcome {
            Ok(acked) => self.print(&format!("{} ✓ {text}", clock(acked.sent))),
            Err(error) => self.print(&format!("-- not sent ({error}): {text}")),
        }
    }

    /// Shows the past, what was typed just now included if it gets through soon.
    async fn history(&mut self, count: u32) -> io::Result<()> {
        while !self.unsettled.is_empty()
            && let Ok(outcome) = timeout(SOON, next_outcome(&mut self.unsettled)).await
        {
            self.settled(outcome)?;
        }
        let page = self.client.history(&self.conversation, Timestamp::ZERO, count).await;
        match page {
            Ok(page) => {
                for message in page.messages.iter().rev() {
                    let line = self.line(message);
                    self.print(&line)?;
                }
                let end = if page.has_more { "-- there is more before" } else { "-- that is all" };
                self.print(end)
            }
            Err(QueryError::Unanswered(error)) => self.print(&format!("-- no history: {error}")),
            Err(error) => self.print(&format!("-- no history: {error}")),
        }
    }
}

/// The time of day, UTC.
fn clock(time: Timestamp) -> String {
    let seconds = time.0 / 1000 % 86_400;
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// What others write must not steer the terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_by_the_day() {
        assert_eq!(clock(Timestamp(1_795_311_881_922)), "01:44:41");
        assert_eq!(clock(Timestamp(0)), "00:00:00");
    }

    #[test]
    fn a_message_cannot_steer_the_terminal() {
        assert_eq!(printable("a\x1b[2Jb\nc"), "a [2Jb c");
    }

    #[test]
    fn debug_text_holds_no_secret() {
        let options = ChatOptions {
            http: "h".into(),
            app_key: "k".into(),
            app_secret: "hunter2".into(),
            user: "a".into(),
            with: ChatWith::User("b".into()),
            transport: Transport::Ws,
        };
        assert!(!format!("{options:?}").contains("hunter2"));
    }
}
