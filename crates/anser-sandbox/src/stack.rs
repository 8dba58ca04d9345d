//! A stack: a folder with servers that belong together, and how it ends.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

use crate::address::Ports;
use crate::launch::Site;
use crate::service::Service;
use crate::shape::Shape;
use crate::spawn::{Home, lock};

const RECORD: &str = "stack.json";
const LOCK: &str = "lock";

/// What is to be left of a stack that ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// Nothing.
    Nothing,
    /// What the servers stored and said, for the next time.
    Data,
}

/// The servers of a folder. The value itself holds none of them: dropping it ends nothing, and any number of values, in
/// any number of processes, may stand for the same stack.
#[derive(Debug)]
pub struct Stack {
    pub(crate) folder: PathBuf,
    pub(crate) record: Record,
    pub(crate) tell: fn(&str),
}

/// What a folder remembers of its stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) base_port: u16,
    pub(crate) shape: Shape,
    /// Where the jars are that it runs on.
    pub(crate) jars: PathBuf,
}

impl Record {
    pub(crate) fn read(folder: &Path) -> anyhow::Result<Option<Self>> {
        let path = folder.join(RECORD);
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                let read = serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))?;
                Ok(Some(read))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// Replaces it as a whole: a reader finds the old one or the new one.
    pub(crate) fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let new = folder.join("stack.json.new");
        std::fs::write(&new, serde_json::to_string_pretty(self)?)?;
        std::fs::rename(new, folder.join(RECORD)).with_context(|| format!("cannot write into {}", folder.display()))
    }
}

impl Stack {
    /// The stack of a folder, if there is one, running or not. What happens to it is told to `tell`, a line at a time.
    pub fn open(folder: &Path, tell: fn(&str)) -> anyhow::Result<Option<Self>> {
        let folder = std::path::absolute(folder)?;
        Ok(Record::read(&folder)?.map(|record| Self { folder, record, tell }))
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Which servers it has.
    pub const fn shape(&self) -> Shape {
        self.record.shape
    }

    /// Its servers.
    pub fn services(&self) -> Vec<Service> {
        self.record.shape.services(self.ports())
    }

    /// The server of this name.
    pub fn service(&self, name: &str) -> anyhow::Result<Service> {
        let services = self.services();
        match services.iter().find(|service| service.name == name) {
            Some(service) => Ok(service.clone()),
            None => {
                let names: Vec<&str> = services.iter().map(|service| service.name.as_str()).collect();
                bail!("there is no service {name} in this stack; it has {}", names.join(", "))
            }
        }
    }

    /// Ends all servers, and leaves what it is told to. A stack that is down already is no error.
    pub fn down(&self, leave: Leave) -> anyhow::Result<()> {
        let _one_at_a_time = lock_folder(&self.folder)?;
        let patience = match leave {
            // What they would write in an orderly end is removed right after.
            Leave::Nothing => Duration::from_secs(5),
            Leave::Data => Duration::from_secs(30),
        };
        let services = self.services();
        std::thread::scope(|scope| {
            let stopping: Vec<_> =
                services.iter().map(|service| scope.spawn(|| self.stop_service(service, patience))).collect();
            stopping.into_iter().try_for_each(|stop| stop.join().unwrap_or_else(|_| bail!("a stop panicked")))
        })?;
        if leave == Leave::Nothing {
            for service in &services {
                remove(&self.folder.join(&service.name))?;
            }
            std::fs::remove_file(self.folder.join(RECORD)).ok();
        }
        Ok(())
    }

    pub(crate) const fn ports(&self) -> Ports {
        Ports { base: self.record.base_port }
    }

    pub(crate) fn site(&self) -> Site<'_> {
        Site { shape: self.record.shape, ports: self.ports(), jars: &self.record.jars, tell: self.tell }
    }

    pub(crate) fn home(&self, service: &Service) -> Home {
        Home::new(self.folder.join(&service.name))
    }

    pub(crate) fn tell(&self, text: &str) {
        (self.tell)(text);
    }
}

/// Starting and ending a stack exclude each other; the right ends with what is returned.
pub(crate) fn lock_folder(folder: &Path) -> anyhow::Result<std::fs::File> {
    lock(&folder.join(LOCK))
}

/// Removes a folder, if it is there.
pub(crate) fn remove(folder: &Path) -> anyhow::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}
