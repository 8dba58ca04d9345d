//! Doing something to one server: what faults are made of.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use crate::process::Stopped;
use crate::service::{Kind, Service};
use crate::shape::RedisShape;
use crate::spawn::Home;
use crate::stack::Stack;
use crate::{address, probe, redis_group, wait};

/// How long an orderly end may take before the server is killed.
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// How long a broker may take to say which copies are behind.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// How long a server may take from its start until it answers. Eight times what it takes on two busy cores.
pub(crate) const START_LIMIT: Duration = Duration::from_secs(180);

impl Stack {
    /// Starts a server that is down and waits until it answers. If it is up, that is fine.
    pub fn start(&self, name: &str) -> anyhow::Result<()> {
        let service = self.service(name)?;
        ensure!(!self.home(&service).is_paused(), "{name} is paused: `resume` it");
        self.start_service(&service)
    }

    /// Waits until every broker says that all copies of all partitions are up to date. Whoever takes the next broker away before
    /// that may leave too few to write to.
    pub fn await_copies(&self) -> anyhow::Result<()> {
        let brokers: Vec<Service> = self.services().into_iter().filter(|service| service.kind == Kind::Kafka).collect();
        let all_have =
            || brokers.iter().all(|broker| probe::behind(broker.port, ANSWER_LIMIT).is_ok_and(|behind| behind == 0));
        let waited = wait::until(START_LIMIT, || all_have().then_some(()));
        waited.with_context(|| format!("copies in kafka are still behind after {} s", START_LIMIT.as_secs()))
    }

    /// Ends a server in its own order, and kills it when that takes too long. If it is down, that is fine.
    pub fn stop(&self, name: &str) -> anyhow::Result<()> {
        self.stop_service(&self.service(name)?, STOP_LIMIT)
    }

    /// Ends a server without a warning, as a loss of power would. If it is down, that is fine.
    pub fn kill(&self, name: &str) -> anyhow::Result<()> {
        let home = self.home(&self.service(name)?);
        if home.kill().with_context(|| format!("cannot kill {name}"))? {
            self.tell(&format!("{name}: killed"));
        }
        Ok(())
    }

    /// Has HBase lose all that it has: it is there again with no table. Its gateway is started anew with it.
    pub fn wipe_hbase(&self) -> anyhow::Result<()> {
        let services = self.services();
        let [hbase, gateway] = [Kind::HBase, Kind::Thrift].map(|kind| services.iter().find(|one| one.kind == kind));
        let (Some(hbase), Some(gateway)) = (hbase, gateway) else { bail!("this stack has no HBase") };
        self.kill(&gateway.name)?;
        self.kill(&hbase.name)?;
        for folder in ["root", "tmp", "zookeeper"] {
            let folder = self.home(hbase).join(folder);
            std::fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        self.start(&hbase.name)?;
        self.start(&gateway.name)
    }

    /// Ends a Redis server without a warning, together with what it has written for `newest` from now on, although it said that
    /// it has it: as when a machine loses its power before its disk has everything. Returns after that time.
    pub fn kill_forgetful(&self, name: &str, newest: Duration) -> anyhow::Result<()> {
        let service = self.service(name)?;
        ensure!(service.kind == Kind::Redis, "{name} is no Redis server");
        let home = self.home(&service);
        let before = append_only_files(&home)?;
        wait::pass(newest);
        self.kill(name)?;
        let mut lost = 0;
        for (path, length) in before {
            let file = std::fs::OpenOptions::new().write(true).open(&path);
            let cut = |file: std::fs::File| {
                lost += file.metadata()?.len().saturating_sub(length);
                file.set_len(length)
            };
            file.and_then(cut).with_context(|| format!("cannot cut {}", path.display()))?;
        }
        self.tell(&format!("{name}: lost {lost} bytes"));
        Ok(())
    }

    /// Stops a server where it is, without its knowing. It answers nothing until it is resumed; its connections stay open.
    pub fn pause(&self, name: &str) -> anyhow::Result<()> {
        self.home(&self.service(name)?).pause().with_context(|| format!("cannot pause {name}"))?;
        self.tell(&format!("{name}: paused"));
        Ok(())
    }

    /// Lets a server that was paused go on.
    pub fn resume(&self, name: &str) -> anyhow::Result<()> {
        self.home(&self.service(name)?).resume().with_context(|| format!("cannot resume {name}"))?;
        self.tell(&format!("{name}: resumed"));
        Ok(())
    }

    /// Makes the Redis replica of this name a primary, for good. Nothing is done to the former one.
    pub fn promote(&self, name: &str) -> anyhow::Result<()> {
        let service = self.one_of_a_pair(name)?;
        redis_group::follow(service.port, None)?;
        self.tell(&format!("{name}: is a primary now"));
        Ok(())
    }

    /// From now on the Redis replica of this name hears nothing more of its primary, and stays a replica.
    pub fn detach(&self, name: &str) -> anyhow::Result<()> {
        let service = self.one_of_a_pair(name)?;
        redis_group::detach(service.port)?;
        self.tell(&format!("{name}: hears no more of its primary"));
        Ok(())
    }

    /// Makes the Redis server of this name a replica of another one, for good, and waits until it has its copy. What it
    /// knew before is lost.
    pub fn follow(&self, name: &str, primary: &str) -> anyhow::Result<()> {
        let service = self.one_of_a_pair(name)?;
        redis_group::follow(service.port, Some(self.one_of_a_pair(primary)?.port))?;
        self.await_copy(name)?;
        self.tell(&format!("{name}: follows {primary} now"));
        Ok(())
    }

    /// Waits until the Redis replica of this name has its copy, as it has not while its primary begins anew.
    pub fn await_copy(&self, name: &str) -> anyhow::Result<()> {
        let port = self.one_of_a_pair(name)?.port;
        let has_it = wait::until(START_LIMIT, || redis_group::has_its_copy(port).then_some(()));
        has_it.with_context(|| format!("{name} does not get its copy"))
    }

    /// Whether the Redis server of this name is a primary.
    pub fn is_primary(&self, name: &str) -> anyhow::Result<bool> {
        let service = self.service(name)?;
        Ok(service.kind == Kind::Redis && redis_group::is_primary(service.port))
    }

    fn one_of_a_pair(&self, name: &str) -> anyhow::Result<Service> {
        let service = self.service(name)?;
        let paired = self.record.shape.redis == Some(RedisShape::Replica) && service.kind == Kind::Redis;
        ensure!(paired, "{name} is not one of a primary and its replica");
        Ok(service)
    }

    pub(crate) fn start_service(&self, service: &Service) -> anyhow::Result<()> {
        let begun = wait::now();
        let home = self.home(service);
        {
            let _one_at_a_time = home.lock()?;
            if home.process().is_none() {
                check_ports(service)?;
                let program = self.site().prepare(service, &home)?;
                self.tell(&format!("{}: starting on port {}", service.name, service.port));
                home.spawn(&program)?;
            }
        }
        self.await_answer(service, &home, begun)
    }

    fn await_answer(&self, service: &Service, home: &Home, begun: Instant) -> anyhow::Result<()> {
        let name = &service.name;
        let ended = wait::until(START_LIMIT, || {
            let answers = self.answers(service, Duration::from_secs(5));
            // Looked at afterwards: a server that has ended does not answer any more.
            let there = home.process().is_some();
            (answers || !there).then_some(answers && there)
        });
        let log = home.log();
        match ended {
            Some(true) => {
                let seconds = begun.elapsed().as_secs_f32();
                self.tell(&format!("{name}: answers on 127.0.0.1:{} ({seconds:.1} s)", service.port));
                Ok(())
            }
            Some(false) => bail!("{name} has ended; the last lines of {}:\n{}", log.display(), home.last_lines()),
            None => bail!(
                "{name} does not answer after {} s; the last lines of {}:\n{}",
                START_LIMIT.as_secs(),
                log.display(),
                home.last_lines()
            ),
        }
    }

    pub(crate) fn stop_service(&self, service: &Service, patience: Duration) -> anyhow::Result<()> {
        let name = &service.name;
        match self.home(service).stop(patience).with_context(|| format!("cannot stop {name}"))? {
            Stopped::WasDown => {}
            Stopped::InOrder => self.tell(&format!("{name}: stopped")),
            Stopped::Killed => {
                self.tell(&format!("{name}: did not stop within {} s and was killed", patience.as_secs()))
            }
        }
        Ok(())
    }
}

/// The files to which a Redis server appends, and how long they are.
fn append_only_files(home: &Home) -> anyhow::Result<Vec<(std::path::PathBuf, u64)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(home.join("data/appendonlydir"))? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().ends_with(".incr.aof") {
            found.push((entry.path(), entry.metadata()?.len()));
        }
    }
    Ok(found)
}

/// Says which port of a server is taken, before the server does so in its own words.
fn check_ports(service: &Service) -> anyhow::Result<()> {
    let taken =
        [service.port].into_iter().chain(service.other_ports.iter().copied()).find(|port| !address::is_free(*port));
    match taken {
        Some(port) => bail!(
            "{} needs port {port} of 127.0.0.1, and another program has it; end that one, or `down` this stack and \
             choose other ports with --base-port",
            service.name
        ),
        None => Ok(()),
    }
}
