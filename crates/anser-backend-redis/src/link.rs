//! The way to Redis: calls with a deadline and a bound on how many are under way, over a connection that is replaced when it
//! fails. It knows servers and commands, and not what they are about.

mod choice;
mod cluster;
mod direct;
mod primary;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redis::{Cmd, ConnectionInfo, IntoConnectionInfo, Pipeline, RedisConnectionInfo, Value};
use tokio::sync::Semaphore;

use crate::config::{RedisConfig, RedisMode, split_address};
use crate::error::CallError;
use crate::script::NamedScript;

use self::cluster::Cluster;
use self::direct::Direct;
pub(crate) use self::primary::Primary;

/// Bytes that a command takes beside its arguments, for a first guess at its size.
const COMMAND_BYTES: usize = 256;

/// A way to Redis for one kind of calls. Calls of different kinds have different links, so that large answers of one kind do
/// not stand before small ones of another.
#[derive(Debug)]
pub(crate) struct Link {
    way: Way,
    permits: Semaphore,
    deadline: Duration,
    calls: AtomicU64,
}

#[derive(Debug)]
enum Way {
    Direct(Direct),
    Cluster(Cluster),
}

/// What is to be sent.
enum Request<'a> {
    One(&'a Cmd),
    /// All keys in one slot.
    Many(&'a Pipeline),
}

impl Link {
    /// A link that connects when it is first used. All links of a process share what they know of the primary.
    pub(crate) fn new(config: &RedisConfig, primary: &Arc<Primary>) -> Self {
        let way = match config.mode {
            RedisMode::Single | RedisMode::Replicated => Way::Direct(Direct::new(Arc::clone(primary))),
            RedisMode::Cluster => Way::Cluster(Cluster::new(config)),
        };
        let deadline = config.connect_timeout() + config.response_timeout();
        Self { way, permits: Semaphore::new(config.calls_max), deadline, calls: AtomicU64::new(0) }
    }

    /// How many calls there were so far.
    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Sends a command. When the call fails, it may have been executed.
    pub(crate) async fn call(&self, name: &'static str, command: &Cmd) -> Result<Value, CallError> {
        self.within(name, async {
            match &self.way {
                Way::Direct(direct) => direct.send(name, Request::One(command)).await,
                Way::Cluster(cluster) => cluster.send(name, Request::One(command)).await,
            }
        })
        .await
    }

    /// Sends commands together, all about one slot. Returns their values.
    pub(crate) async fn pipeline(&self, name: &'static str, commands: &Pipeline) -> Result<Value, CallError> {
        self.within(name, async {
            match &self.way {
                Way::Direct(direct) => direct.send(name, Request::Many(commands)).await,
                Way::Cluster(cluster) => cluster.send(name, Request::Many(commands)).await,
            }
        })
        .await
    }

    /// Runs a script.
    pub(crate) async fn eval(
        &self,
        script: &NamedScript,
        keys: &[Vec<u8>],
        args: &[&[u8]],
    ) -> Result<Value, CallError> {
        let known = self.call(script.name, &eval_command("EVALSHA", script.hash(), keys, args)).await;
        match known {
            Err(error) if error.code() == "NOSCRIPT" => {
                self.call(script.name, &eval_command("EVAL", &script.text, keys, args)).await
            }
            known => known,
        }
    }

    /// Sends a command to the primary, or to each primary of a cluster. Returns the answers with the servers' names.
    pub(crate) async fn on_primaries(
        &self,
        name: &'static str,
        command: &Cmd,
    ) -> Result<Vec<(String, Value)>, CallError> {
        self.within(name, async {
            match &self.way {
                Way::Direct(direct) => {
                    let answer = direct.send(name, Request::One(command)).await?;
                    Ok(vec![(direct.place().to_owned(), answer)])
                }
                Way::Cluster(cluster) => cluster.on_primaries(name, command).await,
            }
        })
        .await
    }

    /// What those servers say that may become the primary, as far as they answer. Of a cluster nothing is known of them.
    pub(crate) async fn on_others(&self, command: &Cmd) -> Vec<(String, Value)> {
        match &self.way {
            Way::Direct(direct) => direct.ask_others(command).await,
            Way::Cluster(_) => Vec::new(),
        }
    }

    /// Looks whether another server is the primary by now; then all links of the process go over to it. Returns a number that is
    /// another one after each change. A cluster sees to that by itself.
    pub(crate) async fn look(&self, name: &'static str) -> Result<u64, CallError> {
        match &self.way {
            Way::Direct(direct) => self.within(name, direct.look(name)).await,
            Way::Cluster(_) => Ok(0),
        }
    }

    async fn within<T>(
        &self,
        name: &'static str,
        work: impl Future<Output = Result<T, CallError>>,
    ) -> Result<T, CallError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let late = |_| CallError::new(name, "redis", "no answer in time");
        tokio::time::timeout(self.deadline, async {
            let _permit = self.permits.acquire().await.map_err(|_| CallError::new(name, "redis", "it is closed"))?;
            work.await
        })
        .await
        .map_err(late)?
    }
}

fn eval_command(verb: &str, script: &str, keys: &[Vec<u8>], args: &[&[u8]]) -> Cmd {
    let bytes =
        keys.iter().map(|key| key.len() + 8).sum::<usize>() + args.iter().map(|arg| arg.len() + 8).sum::<usize>();
    let mut command = Cmd::with_capacity(3 + keys.len() + args.len(), COMMAND_BYTES + script.len() + bytes);
    command.arg(verb).arg(script).arg(keys.len());
    for key in keys {
        command.arg(key);
    }
    for arg in args {
        command.arg(arg);
    }
    command
}

/// How to connect to each address of the settings, which have been checked.
fn servers(config: &RedisConfig) -> Vec<(String, ConnectionInfo)> {
    let mut settings = RedisConnectionInfo::default().set_db(i64::from(config.database));
    if !config.username.is_empty() {
        settings = settings.set_username(&config.username);
    }
    if !config.password.is_empty() {
        settings = settings.set_password(&config.password);
    }
    let server = |address: &String| {
        let info = split_address(address)?.into_connection_info().ok()?;
        let tcp = info.tcp_settings().clone().set_nodelay(true);
        Some((address.clone(), info.set_tcp_settings(tcp).set_redis_settings(settings.clone())))
    };
    config.addresses.iter().filter_map(server).collect()
}
