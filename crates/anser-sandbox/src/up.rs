//! Bringing a stack up: whatever of it does not run is started, and all is waited for.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

use crate::shape::{RedisShape, Shape};
use crate::stack::{Record, Stack, lock_folder};
use crate::{address, control, probe, redis_group, wait};

/// How a stack is to be brought up.
#[derive(Debug, Clone)]
pub struct Up {
    /// Its folder. It is made; settings, data, logs and process ids lie in it.
    pub folder: PathBuf,
    /// Where the jars are kept, for all stacks.
    pub jars: PathBuf,
    /// Which servers; none: those that the folder's stack has already, or the default ones.
    pub shape: Option<Shape>,
    /// The first of its 32 ports; none: a block that is free.
    pub base_port: Option<u16>,
    /// Who is told how it goes, a line at a time.
    pub tell: fn(&str),
}

impl Up {
    /// On return every server of the stack answers and each group of servers is complete. What ran already was left
    /// alone. After an error, what was started stays up: look at it, or end it with [`Stack::down`].
    pub fn run(self) -> anyhow::Result<Stack> {
        let folder = std::path::absolute(&self.folder)?;
        check_name(&folder)?;
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let _one_at_a_time = lock_folder(&folder)?;
        let record = self.record(&folder)?;
        let stack = Stack { folder, record, tell: self.tell };
        stack.site().install()?;
        stack.record.write(&stack.folder)?;
        stack.start_all()?;
        stack.settle()?;
        Ok(stack)
    }

    fn record(&self, folder: &Path) -> anyhow::Result<Record> {
        let jars = std::path::absolute(&self.jars)?;
        if let Some(old) = Record::read(folder)? {
            let same = self.base_port.is_none_or(|asked| asked == old.base_port);
            ensure!(same, "this stack has its ports from {} on; `down` it first", old.base_port);
            let shape = self.shape.map_or(Ok(old.shape), |asked| old.shape.join(asked))?;
            return Ok(Record { base_port: old.base_port, shape, jars });
        }
        let base_port = match self.base_port {
            Some(port) if (1024..=u16::MAX - address::BLOCK).contains(&port) => port,
            Some(port) => bail!("no block of ports begins at {port}"),
            None => address::choose(folder, address::BLOCK, address::is_free)
                .context("there are not 32 free ports in a row")?,
        };
        Ok(Record { base_port, shape: self.shape.unwrap_or_default(), jars })
    }
}

impl Stack {
    fn start_all(&self) -> anyhow::Result<()> {
        let services = self.services();
        let failed: Vec<anyhow::Error> = std::thread::scope(|scope| {
            let starting: Vec<_> =
                services.iter().map(|service| scope.spawn(|| self.start_or_resume(&service.name))).collect();
            let ended = starting.into_iter().map(|start| start.join().unwrap_or_else(|_| bail!("a start panicked")));
            ended.filter_map(Result::err).collect()
        });
        let texts: Vec<String> = failed.iter().map(|error| format!("{error:#}")).collect();
        ensure!(texts.is_empty(), "{}", texts.join("\n"));
        Ok(())
    }

    fn start_or_resume(&self, name: &str) -> anyhow::Result<()> {
        let service = self.service(name)?;
        if self.home(&service).is_paused() {
            self.resume(name)?;
        }
        self.start_service(&service)
    }

    /// Waits until groups of servers know each other, which single answers do not show.
    fn settle(&self) -> anyhow::Result<()> {
        let shape = self.record.shape;
        let brokers = u32::from(shape.kafka.map_or(0, |brokers| brokers.count()));
        let kafka = (1..=brokers as u16).map(|number| self.ports().kafka(number));
        for port in kafka {
            self.settled("the Kafka brokers know each other", || {
                probe::brokers(port, PATIENCE).is_ok_and(|known| known == brokers)
            })?;
        }
        let redis: Vec<u16> =
            (1..=shape.redis.map_or(0, RedisShape::count)).map(|number| self.ports().redis(number)).collect();
        match shape.redis {
            Some(RedisShape::Cluster) => self.settle_cluster(&redis),
            Some(RedisShape::Replica) => redis.iter().try_for_each(|port| {
                self.settled("the Redis replica has its copy", || redis_group::has_its_copy(*port))
            }),
            Some(RedisShape::Single) | None => Ok(()),
        }
    }

    fn settle_cluster(&self, ports: &[u16]) -> anyhow::Result<()> {
        let count = ports.len() as u16;
        if !ports.iter().all(|port| redis_group::is_whole(*port, count)) {
            redis_group::form(self.ports(), count)?;
        }
        ports
            .iter()
            .try_for_each(|port| self.settled("the Redis Cluster is whole", || redis_group::is_whole(*port, count)))
    }

    fn settled(&self, what: &str, mut look: impl FnMut() -> bool) -> anyhow::Result<()> {
        let settled = wait::until(control::START_LIMIT, || look().then_some(()));
        settled.with_context(|| format!("waited {} s in vain until {what}", control::START_LIMIT.as_secs()))
    }
}

const PATIENCE: Duration = Duration::from_secs(5);

/// The folder's name goes into settings of three programs, each with its own idea of what must be quoted.
fn check_name(folder: &Path) -> anyhow::Result<()> {
    let plain = |c: char| c.is_alphanumeric() || "/._-+@,=".contains(c);
    let name = folder.to_str().filter(|name| name.chars().all(plain));
    ensure!(name.is_some(), "{} has characters that HBase does not take in a path; choose another", folder.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::Brokers;

    fn up(folder: &Path) -> Up {
        Up { folder: folder.to_owned(), jars: folder.join("jars"), shape: None, base_port: None, tell: |_| {} }
    }

    #[test]
    fn a_stack_keeps_its_ports_and_its_shape() {
        let folder = tempfile::tempdir().unwrap();
        let shape = Shape { redis: Some(RedisShape::Single), ..Shape::empty() };
        let first = Up { shape: Some(shape), base_port: Some(21_000), ..up(folder.path()) };
        let record = first.record(folder.path()).unwrap();
        record.write(folder.path()).unwrap();
        assert_eq!(up(folder.path()).record(folder.path()).unwrap(), record);
        let other_ports = Up { base_port: Some(22_000), ..up(folder.path()) };
        assert!(other_ports.record(folder.path()).unwrap_err().to_string().contains("21000"));
        let more = Shape { kafka: Some(Brokers::One), ..Shape::empty() };
        let more = Up { shape: Some(more), ..up(folder.path()) }.record(folder.path()).unwrap();
        assert_eq!(more.shape, Shape { kafka: Some(Brokers::One), ..shape });
    }

    #[test]
    fn odd_ports_and_odd_folders_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        for port in [0, 80, 65_535] {
            assert!(Up { base_port: Some(port), ..up(folder.path()) }.record(folder.path()).is_err(), "{port}");
        }
        for name in ["/a b", "/a%20b", "/a\"b", "/a&b", "/a*"] {
            assert!(check_name(Path::new(name)).is_err(), "{name}");
        }
        check_name(Path::new("/tmp/.tmpA-1_x/target")).unwrap();
    }
}
