//! The faults: what there is, whom each may hit, and how it is done.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anser_sandbox::{Brokers, Cluster, Kind, RedisShape, Stack, State};
use anser_testkit::trace::Event;
use anser_tests::Recorder;
use anyhow::ensure;
use tokio::time::Instant;

use crate::dice::Dice;
use crate::network::{Heal, Network};

const HOUR_MS: i64 = 3_600_000;
/// How often it is noted within a second that the store may have lost something.
const LOSSES_NOTED: u32 = 20;
/// Nothing that Redis was told longer ago than this is ever forgotten: more than any fault takes from it, and than a replica is behind.
const FORGOTTEN_MAX: Duration = Duration::from_secs(5);
/// The same where a replica steps back to places that are older than a minute, and the older the more Redis was tormented before.
const STEPPED_BACK_MAX: Duration = Duration::from_secs(600);
/// For how long two Redis servers may take to be a primary and its replica.
const PAIR_PATIENCE: Duration = Duration::from_secs(60);
/// How often a node is started before it counts as one that does not start.
const STARTS_MAX: u32 = 5;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum FaultKind {
    NodeKilled,
    NodePaused,
    NodeCut,
    NodeDrained,
    AllDrained,
    AllRestarted,
    ClockSet,
    ClockWrong,
    BrokerKilled,
    BrokerPaused,
    RedisKilled,
    RedisForgot,
    RedisFailedOver,
    RedisTwice,
    RedisPaused,
    RedisHung,
    RedisBranched,
    GatewayKilled,
    HBaseKilled,
    HBasePaused,
    HBaseAway,
}

impl FaultKind {
    /// All of them: those of nodes first.
    pub(crate) const ALL: [Self; 21] = [
        Self::NodeKilled,
        Self::NodePaused,
        Self::NodeCut,
        Self::NodeDrained,
        Self::AllDrained,
        Self::AllRestarted,
        Self::ClockSet,
        Self::ClockWrong,
        Self::BrokerKilled,
        Self::BrokerPaused,
        Self::RedisKilled,
        Self::RedisForgot,
        Self::RedisFailedOver,
        Self::RedisTwice,
        Self::RedisPaused,
        Self::RedisHung,
        Self::RedisBranched,
        Self::GatewayKilled,
        Self::HBaseKilled,
        Self::HBasePaused,
        Self::HBaseAway,
    ];

    /// Whether nothing dies in it, so that clients are to see no error. Not when servers are restarted as well: while HBase is away
    /// something may wait for so long that it is refused.
    pub(crate) const fn is_in_order(self) -> bool {
        matches!(self, Self::NodeDrained | Self::AllDrained)
    }

    /// Whether it is done only where it is named: after it, what was shown in the last minutes may be shown again, so that little is left
    /// to judge.
    pub(crate) const fn is_by_name(self) -> bool {
        matches!(self, Self::RedisBranched)
    }

    /// Its name on a command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::NodeKilled => "kill",
            Self::NodePaused => "pause",
            Self::NodeCut => "cut",
            Self::NodeDrained => "drain",
            Self::AllDrained => "rolling",
            Self::AllRestarted => "rolling-all",
            Self::ClockSet => "clock",
            Self::ClockWrong => "clock-start",
            Self::BrokerKilled => "broker-kill",
            Self::BrokerPaused => "broker-pause",
            Self::RedisKilled => "redis-kill",
            Self::RedisForgot => "redis-loss",
            Self::RedisFailedOver => "redis-failover",
            Self::RedisTwice => "redis-twice",
            Self::RedisPaused => "redis-pause",
            Self::RedisHung => "redis-hang",
            Self::RedisBranched => "redis-branch",
            Self::GatewayKilled => "gateway-kill",
            Self::HBaseKilled => "hbase-kill",
            Self::HBasePaused => "hbase-pause",
            Self::HBaseAway => "hbase-away",
        }
    }

    /// What it is, for people.
    pub(crate) const fn what(self) -> &'static str {
        match self {
            Self::NodeKilled => "kill -9 of a node, back after 0 to 8 s",
            Self::NodePaused => "SIGSTOP of a node for 1 to 20 s",
            Self::NodeCut => "network of a node cut for 1 to 15 s",
            Self::NodeDrained => "a node drained and started again",
            Self::AllDrained => "rolling restart of all nodes",
            Self::AllRestarted => "rolling restart of all nodes, then of all servers behind them",
            Self::ClockSet => "clock of a running node set by an hour, for 2 to 10 s",
            Self::ClockWrong => "a node killed and started with a clock an hour off, then with a right one",
            Self::BrokerKilled => "kill -9 of a Kafka broker, back after 0 to 8 s",
            Self::BrokerPaused => "SIGSTOP of a Kafka broker for 1 to 10 s",
            Self::RedisKilled => "kill -9 of Redis, back at once",
            Self::RedisForgot => "Redis restarted without its last second",
            Self::RedisFailedOver => "Redis failed over to a replica 1 s behind, the old primary back as one at once",
            Self::RedisTwice => {
                "a replica promoted while the old primary lives, for 1 s; then that dies, and is back as one at once"
            }
            Self::RedisPaused => "SIGSTOP of Redis for 1 to 5 s",
            Self::RedisHung => {
                "SIGSTOP of Redis for 3 to 10 s, a replica promoted after one of them, the old primary back as one at once"
            }
            Self::RedisBranched => {
                "Redis restarted without its last second, dead again after 5 to 10 s, and its replica promoted, which heard nothing of that"
            }
            Self::GatewayKilled => "kill -9 of the HBase gateway, back after 0 to 5 s",
            Self::HBaseKilled => "kill -9 of HBase, back at once",
            Self::HBasePaused => "SIGSTOP of HBase or its gateway for 1 to 20 s",
            Self::HBaseAway => "HBase and its gateway away for a minute or longer",
        }
    }
}

/// One fault, as the seed has it.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) kind: FaultKind,
    /// Whom it hits; none: everybody.
    pub(crate) victim: Option<String>,
    /// How long it lasts.
    pub(crate) lasts: Duration,
    heal: Heal,
    clock_off_ms: i64,
}

impl Fault {
    /// The role of the node that it hits, if it hits one: some matter more than others.
    pub(crate) fn role(&self) -> Option<&str> {
        let hits_a_node = matches!(
            self.kind,
            FaultKind::NodeKilled
                | FaultKind::NodePaused
                | FaultKind::NodeCut
                | FaultKind::NodeDrained
                | FaultKind::ClockSet
                | FaultKind::ClockWrong
        );
        let (role, _) = self.victim.as_deref().filter(|_| hits_a_node)?.rsplit_once('-')?;
        Some(role)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let victim = self.victim.as_deref().unwrap_or("all");
        write!(f, "{} {victim}, {:.1} s", self.kind.name(), self.lasts.as_secs_f32())?;
        match self.kind {
            FaultKind::NodeCut => write!(f, ", {:?}", self.heal),
            FaultKind::ClockSet | FaultKind::ClockWrong => write!(f, ", {:+} ms", self.clock_off_ms),
            _ => Ok(()),
        }
    }
}

/// What faults are done to.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) stack: Stack,
    pub(crate) cluster: Cluster,
    pub(crate) network: Network,
    pub(crate) recorder: Recorder,
    /// How long HBase is away when it is; none: as the dice have it.
    pub(crate) hbase_away: Option<Duration>,
}

impl World {
    /// A fault of this kind, if it makes sense here.
    pub(crate) fn draw(&self, kind: FaultKind, dice: &mut Dice) -> Option<Fault> {
        let nodes: Vec<String> = self.cluster.nodes().into_iter().map(|node| node.name).collect();
        let of = |kind| self.services(kind);
        let shape = self.stack.shape();
        let (victims, least, most) = match kind {
            FaultKind::NodeKilled => (nodes, 0, 8_000),
            FaultKind::NodePaused => (nodes, 1_000, 20_000),
            FaultKind::NodeCut => (nodes, 1_000, 15_000),
            FaultKind::NodeDrained => (nodes, 0, 3_000),
            FaultKind::AllDrained | FaultKind::AllRestarted => (Vec::new(), 0, 0),
            FaultKind::ClockSet => (nodes, 2_000, 10_000),
            FaultKind::ClockWrong => (nodes, 0, 0),
            FaultKind::BrokerKilled => (of(Kind::Kafka), 0, 8_000),
            FaultKind::BrokerPaused => (of(Kind::Kafka), 1_000, 10_000),
            FaultKind::RedisKilled | FaultKind::RedisForgot => (self.primaries(), 0, 0),
            FaultKind::RedisFailedOver | FaultKind::RedisTwice if shape.redis == Some(RedisShape::Replica) => {
                (Vec::new(), 0, 0)
            }
            FaultKind::RedisPaused => (self.primaries(), 1_000, 5_000),
            FaultKind::RedisHung if shape.redis == Some(RedisShape::Replica) => (Vec::new(), 3_000, 10_000),
            FaultKind::RedisBranched if shape.redis == Some(RedisShape::Replica) => (Vec::new(), 5_000, 10_000),
            FaultKind::HBasePaused => ([of(Kind::HBase), of(Kind::Thrift)].concat(), 1_000, 20_000),
            FaultKind::GatewayKilled => (of(Kind::Thrift), 0, 5_000),
            FaultKind::HBaseKilled => (of(Kind::HBase), 0, 0),
            FaultKind::HBaseAway => (Vec::new(), 60_000, 90_000),
            FaultKind::RedisFailedOver | FaultKind::RedisTwice | FaultKind::RedisHung | FaultKind::RedisBranched => {
                return None;
            }
        };
        if kind == FaultKind::BrokerPaused && shape.kafka != Some(Brokers::Three) {
            return None;
        }
        let victim = dice.pick(&victims).cloned();
        let drawn = Duration::from_millis(dice.between(least, most));
        let lasts = if kind == FaultKind::HBaseAway { self.hbase_away.unwrap_or(drawn) } else { drawn };
        let heal = *dice.pick(&[Heal::GoOn, Heal::Break])?;
        let clock_off_ms = *dice.pick(&[HOUR_MS, -HOUR_MS])?;
        Some(Fault { kind, victim, lasts, heal, clock_off_ms })
    }

    fn services(&self, kind: Kind) -> Vec<String> {
        let services = self.stack.services().into_iter().filter(|service| service.kind == kind);
        services.map(|service| service.name).collect()
    }

    /// The nodes that have ended; in the end also those that do not answer.
    pub(crate) fn gone(&self, is_over: bool) -> Vec<String> {
        let is_gone = |state| state == State::Down || is_over && state != State::Up;
        let gone = self.cluster.status().into_iter().filter(|node| is_gone(node.state));
        gone.map(|node| node.node.name).collect()
    }

    /// The Redis servers that are written to: of two, the one that is a primary now.
    fn primaries(&self) -> Vec<String> {
        let is_primary = |name: &String| self.stack.is_primary(name).unwrap_or(false);
        self.services(Kind::Redis).into_iter().filter(is_primary).collect()
    }

    /// Does it, and returns when it is over: whatever was ended is back.
    pub(crate) async fn inflict(self: &Arc<Self>, fault: &Fault) -> anyhow::Result<()> {
        let steps_back = fault.kind == FaultKind::RedisBranched;
        self.recorder.note_saved(if steps_back { STEPPED_BACK_MAX } else { FORGOTTEN_MAX });
        let victim = fault.victim.clone().unwrap_or_default();
        if fault.kind == FaultKind::NodeCut {
            self.network.cut(&victim);
            tokio::time::sleep(fault.lasts).await;
            self.network.heal(fault.heal).await;
            return Ok(());
        }
        let (world, fault) = (Arc::clone(self), fault.clone());
        tokio::task::spawn_blocking(move || world.inflict_blocking(&fault, &victim)).await?
    }

    fn inflict_blocking(&self, fault: &Fault, victim: &str) -> anyhow::Result<()> {
        let Self { stack, cluster, .. } = self;
        match fault.kind {
            FaultKind::NodeKilled => {
                cluster.kill(victim)?;
                last(fault);
                self.start_node(victim)?;
            }
            FaultKind::NodePaused => {
                cluster.pause(victim)?;
                last(fault);
                cluster.resume(victim)?;
            }
            FaultKind::NodeDrained => {
                cluster.stop(victim)?;
                last(fault);
                self.start_node(victim)?;
            }
            FaultKind::AllDrained => self.restart_nodes()?,
            FaultKind::AllRestarted => {
                self.restart_nodes()?;
                for service in stack.services() {
                    stack.stop(&service.name)?;
                    stack.start(&service.name)?;
                    if service.kind == Kind::Kafka {
                        stack.await_copies()?;
                    }
                }
            }
            FaultKind::ClockSet => {
                cluster.set_clock(victim, fault.clock_off_ms)?;
                last(fault);
                cluster.set_clock(victim, 0)?;
            }
            FaultKind::ClockWrong => {
                cluster.kill(victim)?;
                cluster.set_clock(victim, fault.clock_off_ms)?;
                ensure!(cluster.start(victim).is_err(), "{victim} started with a clock that is an hour off");
                let said = cluster.said(victim)?;
                ensure!(said.contains("clock_off_ms_max"), "{victim} does not say that its clock is off:\n{said}");
                cluster.set_clock(victim, 0)?;
                self.start_node(victim)?;
            }
            FaultKind::NodeCut => {}
            FaultKind::RedisKilled => {
                stack.kill(victim)?;
                self.start_redis(victim)?;
            }
            FaultKind::BrokerKilled | FaultKind::GatewayKilled | FaultKind::HBaseKilled => {
                stack.kill(victim)?;
                last(fault);
                stack.start(victim)?;
            }
            FaultKind::HBaseAway => self.take_hbase_away(fault)?,
            FaultKind::BrokerPaused | FaultKind::RedisPaused | FaultKind::HBasePaused => {
                stack.pause(victim)?;
                last(fault);
                stack.resume(victim)?;
            }
            FaultKind::RedisForgot => {
                stack.kill_forgetful(victim, Duration::from_secs(1))?;
                self.start_redis(victim)?;
            }
            FaultKind::RedisFailedOver => self.fail_over()?,
            FaultKind::RedisTwice => self.promote_beside()?,
            FaultKind::RedisHung => self.promote_for_one_that_hangs(fault.lasts)?,
            FaultKind::RedisBranched => self.promote_without_a_copy(fault.lasts)?,
        }
        Ok(())
    }

    fn restart_nodes(&self) -> anyhow::Result<()> {
        self.cluster.nodes().iter().try_for_each(|node| {
            self.cluster.stop(&node.name)?;
            self.start_node(&node.name)
        })
    }

    /// Starts a node as a supervisor does: one that finds its servers away ends, and is started again.
    fn start_node(&self, name: &str) -> anyhow::Result<()> {
        for _ in 1..STARTS_MAX {
            match self.cluster.start(name) {
                Ok(_) => return Ok(()),
                Err(error) => println!("   {name} is started again: {error}"),
            }
        }
        self.cluster.start(name).map(|_| ())
    }

    /// The old primary dies a second after the replica has heard of it for the last time, and is there again before it is told to
    /// follow.
    fn fail_over(&self) -> anyhow::Result<()> {
        let (old, new) = self.pair(FORGOTTEN_MAX)?;
        let stack = &self.stack;
        stack.detach(new)?;
        pass(Duration::from_secs(1));
        stack.kill(old)?;
        self.recorder.note(Event::StoreForgot);
        stack.promote(new)?;
        self.note_losses();
        self.bring_back(old, new)
    }

    fn take_hbase_away(&self, fault: &Fault) -> anyhow::Result<()> {
        let (hbase, gateways) = (self.services(Kind::HBase), self.services(Kind::Thrift));
        gateways.iter().chain(&hbase).try_for_each(|name| self.stack.kill(name))?;
        last(fault);
        // The gateway is of no use without the other.
        hbase.iter().chain(&gateways).try_for_each(|name| self.stack.start(name))
    }

    /// One that was killed is back. It has lost something also where nothing was taken from it: while its disk is slow it answers before it
    /// has written.
    fn start_redis(&self, name: &str) -> anyhow::Result<()> {
        self.recorder.note(Event::StoreForgot);
        self.stack.start(name)?;
        self.note_losses();
        Ok(())
    }

    /// For a second. What was on its way when the store lost something is shown a little later, and may be shown again soon.
    fn note_losses(&self) {
        for _ in 0..LOSSES_NOTED {
            self.recorder.note(Event::StoreForgot);
            pass(Duration::from_secs(1) / LOSSES_NOTED);
        }
    }

    /// The replica becomes a primary a second before the old one dies. Until then nodes may go over to it at any moment.
    fn promote_beside(&self) -> anyhow::Result<()> {
        let (old, new) = self.pair(FORGOTTEN_MAX)?;
        self.stack.promote(new)?;
        self.note_losses();
        self.stack.kill(old)?;
        self.bring_back(old, new)
    }

    /// The primary stands still, and the replica takes its place. The old one goes on where it was, as a primary, before it is told to
    /// follow.
    fn promote_for_one_that_hangs(&self, lasts: Duration) -> anyhow::Result<()> {
        let (old, new) = self.pair(FORGOTTEN_MAX)?;
        let before = Duration::from_secs(1);
        self.stack.pause(old)?;
        pass(before);
        self.stack.promote(new)?;
        self.recorder.note(Event::StoreForgot);
        pass(lasts.saturating_sub(before));
        self.stack.resume(old)?;
        pass(before / 2);
        self.recorder.note(Event::StoreForgot);
        self.stack.follow(old, new)
    }

    /// The primary comes back without what the replica has, goes on for a while that the replica hears nothing of, and dies; the replica
    /// takes its place.
    fn promote_without_a_copy(&self, lasts: Duration) -> anyhow::Result<()> {
        let (old, new) = self.pair(STEPPED_BACK_MAX)?;
        self.stack.kill_forgetful(old, Duration::from_secs(1))?;
        self.stack.pause(new)?;
        self.recorder.note(Event::StoreForgot);
        self.stack.start(old)?;
        pass(lasts);
        self.stack.kill(old)?;
        self.stack.resume(new)?;
        self.stack.promote(new)?;
        self.recorder.note(Event::StoreForgot);
        self.bring_back(old, new)?;
        // Until all is placed again it lies at two places: whoever reads meanwhile is shown both.
        (0..3).for_each(|_| self.note_losses());
        Ok(())
    }

    /// The old primary is there again for a moment, as one.
    fn bring_back(&self, old: &str, new: &str) -> anyhow::Result<()> {
        self.stack.start(old)?;
        // What was shown until now may be forgotten: also what was on its way when the old one died.
        self.recorder.note(Event::StoreForgot);
        self.stack.follow(old, new)
    }

    /// The primary, and its replica, once that has its copy: one that is promoted before is as far behind as the copy is old. What Redis was
    /// told so long before that is not forgotten.
    fn pair(&self, forgotten_max: Duration) -> anyhow::Result<(&'static str, &'static str)> {
        let begun = Instant::now();
        let (one, other) = ("redis-1", "redis-2");
        let pair = loop {
            match (self.stack.is_primary(one)?, self.stack.is_primary(other)?) {
                (true, false) => break (one, other),
                (false, true) => break (other, one),
                _ => ensure!(begun.elapsed() < PAIR_PATIENCE, "of {one} and {other} exactly one is to be a primary"),
            }
            pass(Duration::from_millis(100));
        };
        self.stack.await_copy(pair.1)?;
        self.recorder.note_saved(forgotten_max);
        Ok(pair)
    }
}

fn last(fault: &Fault) {
    pass(fault.lasts);
}

#[expect(clippy::disallowed_methods, reason = "on a thread for what blocks, and time is what it is about")]
fn pass(time: Duration) {
    std::thread::sleep(time);
}
