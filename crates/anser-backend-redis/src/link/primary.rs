//! Finds the primary among several servers: asks all of them, and carries out what is chosen. Shared by all links of a process, so
//! that they go over to another primary together.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, ConnectionInfo, RedisError, Value};
use tokio::time::Instant;

use super::choice::{Choice, Facts, Noted, Seen, choose, used};
use super::{eval_command, servers};
use crate::check::field;
use crate::config::{RedisConfig, RedisMode};
use crate::error::CallError;
use crate::format::EXACT_MAX;
use crate::keys::Keys;
use crate::script::NamedScript;
use crate::store::parse;

const NAME: &str = "choose";
/// Between two looks while servers are waited for.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// After so long without a look nothing is sent before one: whoever stood still may use a primary that was given up meanwhile.
const LOOK_AFTER: Duration = Duration::from_secs(2);
/// How often what others do meanwhile is given way to.
const ROUNDS_MAX: u32 = 8;
/// How many primaries that take no writes are remembered: more than there are servers.
const REFUSED_MAX: usize = 16;
/// What a life followed that followed none.
const NOBODY: char = '0';

/// The servers of which one is the primary, and which it is.
#[derive(Debug)]
pub(crate) struct Primary {
    servers: Vec<Server>,
    settings: AsyncConnectionConfig,
    timeout: Duration,
    /// Where a choice is noted; `None` if there is nothing to choose.
    key: Option<Vec<u8>>,
    /// How much a choice is above the highest floor of the last one.
    lead_ms: u64,
    choose: NamedScript,
    unchoose: NamedScript,
    /// Which server is used.
    last: AtomicUsize,
    known: Mutex<Known>,
}

/// A server, and a connection for questions alone.
struct Server {
    address: String,
    info: ConnectionInfo,
    questions: Mutex<Option<MultiplexedConnection>>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

/// What this process knows of choices.
#[derive(Debug, Default)]
struct Known {
    term: u64,
    base: u64,
    /// The choice that was used last; empty before the first.
    last: String,
    /// Since when none could be found, or, if that was later, the newest choice is known: whoever makes it is waited for anew.
    since: Option<Instant>,
    /// When the last look began that found one.
    looked: Option<Instant>,
    /// The choice that this process has noted last, and when.
    mine: Option<(u64, Instant)>,
    /// The lives of primaries that could not note that they are not chosen any more, because they take no writes.
    refused: VecDeque<String>,
}

impl Primary {
    pub(crate) fn new(config: &RedisConfig, keys: &Keys) -> Self {
        let settings = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(config.connect_timeout()))
            .set_response_timeout(Some(config.response_timeout()));
        let server = |(address, info)| Server { address, info, questions: Mutex::new(None) };
        Self {
            servers: servers(config).into_iter().map(server).collect(),
            settings,
            timeout: config.connect_timeout(),
            key: (config.mode == RedisMode::Replicated).then(|| keys.choice()),
            lead_ms: config.rollback_lead_ms,
            choose: NamedScript::new(NAME, include_str!("../scripts/choose.lua").to_owned()),
            unchoose: NamedScript::new("unchoose", include_str!("../scripts/unchoose.lua").to_owned()),
            last: AtomicUsize::new(0),
            known: Mutex::new(Known::default()),
        }
    }

    /// The number of the server that is used.
    pub(super) fn last(&self) -> usize {
        self.last.load(Ordering::Relaxed)
    }

    /// The address of a server.
    pub(super) fn address(&self, server: usize) -> &str {
        self.servers.get(server).map_or("redis", |server| &server.address)
    }

    /// How many choices there have been, as far as this process knows.
    pub(super) fn term(&self) -> u64 {
        self.known.lock().term
    }

    /// Whether it is too long ago that anybody looked.
    pub(super) fn must_look(&self) -> bool {
        let looked = self.known.lock().looked;
        self.key.is_some() && looked.is_none_or(|looked| looked.elapsed() > LOOK_AFTER)
    }

    /// Looks which server is to be used, and has it chosen if nobody did.
    pub(super) async fn find(&self, name: &'static str) -> Result<usize, CallError> {
        let Some(key) = &self.key else {
            return Ok(self.last());
        };
        let mut rounds = 0;
        loop {
            let began = Instant::now();
            let mut seen = self.look(key).await;
            self.tell_refused(key, &mut seen).await;
            let (newest, last, waited) = self.note(&seen);
            match choose(&seen, newest, &last, self.mine_before(began), waited) {
                Choice::Use(server) => {
                    self.note_used(seen.get(server), began);
                    self.last.store(server, Ordering::Relaxed);
                    return Ok(server);
                }
                Choice::Take { server, from } if rounds < ROUNDS_MAX => {
                    rounds += 1;
                    if let Some(Seen::Primary(facts)) = seen.get(server) {
                        self.take(key, &seen, (server, facts), &from).await?;
                    }
                }
                Choice::Confirm(server) if rounds < ROUNDS_MAX => {
                    rounds += 1;
                    if let Some(Seen::Primary(facts)) = seen.get(server) {
                        self.confirm(key, (server, facts)).await?;
                    }
                }
                Choice::Take { .. } | Choice::Confirm(_) => {
                    return Err(CallError::new(name, "redis", "others choose other primaries"));
                }
                Choice::Wait(why) if seen.iter().any(|seen| matches!(seen, Seen::Primary(_))) => {
                    tracing::debug!(why, "waiting for redis");
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
                Choice::Wait(why) => return Err(CallError::new(name, "redis", why)),
            }
        }
    }

    /// Takes note of what is newer than what is known. Returns the newest choice, the one that was used last, and for how long none has
    /// been found nor begun.
    fn note(&self, seen: &[Seen]) -> (u64, String, Duration) {
        let mut known = self.known.lock();
        let term_before = known.term;
        for seen in seen {
            if let Seen::Primary(facts) = seen {
                known.term = facts.noted.term.max(known.term);
                known.base = facts.noted.base.max(known.base);
            }
        }
        let now = Instant::now();
        let since = known.since.filter(|_| known.term == term_before).unwrap_or(now);
        known.since = Some(since);
        (known.term, known.last.clone(), now.duration_since(since))
    }

    /// The choice that this process has noted, if it did so before a look began: only then that look tells whether another one stands by
    /// now. Whoever noted it may have been cancelled since.
    fn mine_before(&self, look: Instant) -> Option<u64> {
        self.known.lock().mine.filter(|(_, noted)| *noted <= look).map(|(term, _)| term)
    }

    /// A server is used, as it was seen in a look that began then.
    fn note_used(&self, seen: Option<&Seen>, began: Instant) {
        let mut known = self.known.lock();
        (known.since, known.looked) = (None, Some(began));
        if let Some(Seen::Primary(facts)) = seen {
            let last = used(&facts.life, facts.noted.term);
            // An older program chooses, and does not say what a server has of it.
            known.last = if facts.has(&last) { last } else { String::new() };
        }
    }

    /// Nothing goes into a mailbox on a primary that takes no writes, so it stands in nobody's way. It is told again each time, in case
    /// it takes them again.
    async fn tell_refused(&self, key: &[u8], seen: &mut [Seen]) {
        for (server, seen) in self.servers.iter().zip(seen) {
            let Seen::Primary(facts) = seen else { continue };
            let newest = {
                let known = self.known.lock();
                if !known.refused.contains(&facts.life) || facts.noted.term >= known.term {
                    continue;
                }
                known.term.to_string()
            };
            let last = facts.noted.term.to_string();
            let args = [last.as_bytes(), newest.as_bytes()];
            match self.run(server, &self.unchoose, &[key.to_vec()], &args).await {
                Ok(above) if above < 0 => {}
                Err(error) if !takes_no_writes(&error) => *seen = Seen::Nothing,
                _ => (facts.noted.life, facts.noted.next) = (String::new(), String::new()),
            }
        }
    }

    fn note_refused(&self, life: &str) {
        let refused = &mut self.known.lock().refused;
        if !refused.iter().any(|known| known == life) {
            refused.push_back(life.to_owned());
            if refused.len() > REFUSED_MAX {
                refused.pop_front();
            }
        }
    }

    /// What all servers say.
    async fn look(&self, key: &[u8]) -> Vec<Seen> {
        join_all(self.servers.iter().map(|server| async {
            let asked = tokio::time::timeout(self.timeout, self.ask(server, key)).await;
            let Ok(Ok(seen)) = asked else {
                if let Ok(Err(error)) = asked {
                    tracing::debug!(redis = %server.address, %error, "it does not say what it is");
                }
                *server.questions.lock() = None;
                return Seen::Nothing;
            };
            seen
        }))
        .await
    }

    async fn ask(&self, server: &Server, key: &[u8]) -> Result<Seen, CallError> {
        let of_redis = |error: RedisError| CallError::of_redis(NAME, &server.address, &error);
        let mut connection = self.questions(server).await?;
        let info: String =
            redis::cmd("INFO").arg("replication").query_async(&mut connection).await.map_err(of_redis)?;
        if field(&info, "role") != Some("master") {
            return Ok(Seen::Replica);
        }
        type Note = (Option<u64>, Option<String>, Option<String>, Option<u64>, Option<u64>, Option<String>);
        let (term, life, next, base, top, line): Note = redis::cmd("HMGET")
            .arg(key)
            .arg(&["term", "life", "next", "base", "top", "line"])
            .query_async(&mut connection)
            .await
            .map_err(of_redis)?;
        let before = field(&info, "master_replid2").filter(|before| before.chars().any(|at| at != NOBODY));
        Ok(Seen::Primary(Facts {
            life: field(&info, "master_replid").unwrap_or_default().to_owned(),
            before: before.unwrap_or_default().to_owned(),
            before_end: field(&info, "second_repl_offset").and_then(|end| end.parse().ok()).unwrap_or(0),
            noted: Noted {
                term: term.unwrap_or(0),
                life: life.unwrap_or_default(),
                next: next.unwrap_or_default(),
                base: base.max(top).unwrap_or(0),
                line: line.unwrap_or_default(),
            },
        }))
    }

    async fn questions(&self, server: &Server) -> Result<MultiplexedConnection, CallError> {
        if let Some(connection) = &*server.questions.lock() {
            return Ok(connection.clone());
        }
        let connection =
            self.connect(server).await.map_err(|error| CallError::of_redis(NAME, &server.address, &error))?;
        *server.questions.lock() = Some(connection.clone());
        Ok(connection)
    }

    async fn connect(&self, server: &Server) -> Result<MultiplexedConnection, RedisError> {
        Client::open(server.info.clone())?.get_multiplexed_async_connection_with_config(&self.settings).await
    }

    /// A connection to a server.
    pub(super) async fn connect_to(
        &self,
        server: usize,
        name: &'static str,
    ) -> Result<MultiplexedConnection, CallError> {
        let Some(server) = self.servers.get(server) else {
            return Err(CallError::new(name, "redis", "there is no server"));
        };
        self.connect(server).await.map_err(|error| CallError::of_redis(name, &server.address, &error))
    }

    /// Asks all servers but the one that is used. Of one that does not answer nothing is told.
    pub(super) async fn ask_others(&self, command: &Cmd) -> Vec<(String, Value)> {
        let others = self.servers.iter().enumerate().filter(|(number, _)| *number != self.last());
        let answers = others.map(|(_, server)| async {
            let mut connection = self.questions(server).await.ok()?;
            let answer = tokio::time::timeout(self.timeout, command.query_async(&mut connection)).await;
            Some((server.address.clone(), answer.ok()?.ok()?))
        });
        join_all(answers).await.into_iter().flatten().collect()
    }

    /// Tells all other primaries that they are not chosen, and then the new one that it is to be, unless anybody was quicker.
    async fn take(
        &self,
        key: &[u8],
        seen: &[Seen],
        (server, facts): (usize, &Facts),
        from: &[usize],
    ) -> Result<(), CallError> {
        let keys = [key.to_vec()];
        let (number, mut base, last) = {
            let known = self.known.lock();
            (known.term + 1, known.base, known.last.clone())
        };
        let term = number.to_string();
        for from in from {
            let (Some(Seen::Primary(facts)), Some(other)) = (seen.get(*from), self.servers.get(*from)) else {
                continue;
            };
            let last = facts.noted.term.to_string();
            match self.run(other, &self.unchoose, &keys, &[last.as_bytes(), term.as_bytes()]).await {
                Ok(above) if above < 0 => return Ok(()),
                Ok(above) => base = base.max(above.unsigned_abs()),
                Err(error) if takes_no_writes(&error) => self.note_refused(&facts.life),
                Err(error) => return Err(error),
            }
        }
        let Some(next) = self.servers.get(server) else { return Ok(()) };
        let above = base.saturating_add(self.lead_ms).min(EXACT_MAX).to_string();
        if facts.is_branch(&last) {
            tracing::warn!(redis = %next.address, term, last, "this primary has nothing of the last one that was used; it steps back");
        }
        let args = [facts.life.as_bytes(), term.as_bytes(), above.as_bytes(), last.as_bytes()];
        if self.run(next, &self.choose, &keys, &args).await? == 1 {
            self.known.lock().mine = Some((number, Instant::now()));
        }
        Ok(())
    }

    /// Tells a primary that it is chosen, if nobody was quicker.
    async fn confirm(&self, key: &[u8], (server, facts): (usize, &Facts)) -> Result<(), CallError> {
        let Some(next) = self.servers.get(server) else { return Ok(()) };
        let term = facts.noted.term.to_string();
        let args = [facts.life.as_bytes(), term.as_bytes()];
        if self.run(next, &self.choose, &[key.to_vec()], &args).await? == 1 {
            tracing::info!(redis = %next.address, term, "this primary is used from now on");
        }
        Ok(())
    }

    async fn run(
        &self,
        server: &Server,
        script: &NamedScript,
        keys: &[Vec<u8>],
        args: &[&[u8]],
    ) -> Result<i64, CallError> {
        let mut connection = self.questions(server).await?;
        let command = eval_command("EVAL", &script.text, keys, args);
        let answer = tokio::time::timeout(self.timeout, command.query_async(&mut connection)).await;
        let answer = answer.map_err(|_| CallError::new(script.name, &server.address, "no answer in time"))?;
        parse(script.name, answer.map_err(|error| CallError::of_redis(script.name, &server.address, &error))?)
    }
}

fn takes_no_writes(error: &CallError) -> bool {
    matches!(error.code(), "NOREPLICAS" | "READONLY" | "OOM" | "MISCONF")
}
