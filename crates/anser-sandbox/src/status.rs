//! How the servers are.

use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;

use crate::identity::Condition;
use crate::probe;
use crate::service::{Kind, Service};
use crate::stack::Stack;

/// How a server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Its process is there and answers.
    Up,
    /// Its process is there and does not answer: it is starting, or in trouble.
    Silent,
    /// Its process was paused.
    Paused,
    /// It has no process.
    Down,
}

/// One server, as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServiceStatus {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// How it is.
    pub state: State,
    /// Where clients connect.
    pub port: u16,
    /// Its process, unless it is down.
    pub pid: Option<i32>,
    /// When that process was started, in seconds since 1970.
    pub since: Option<u64>,
    /// What it wrote.
    pub log: PathBuf,
}

impl Stack {
    /// Looks at every server.
    pub fn status(&self) -> Vec<ServiceStatus> {
        self.services().iter().map(|service| self.status_of(service)).collect()
    }

    fn status_of(&self, service: &Service) -> ServiceStatus {
        let home = self.home(service);
        let process = home.process();
        let state = match process {
            None => State::Down,
            Some((_, Condition::Paused)) => State::Paused,
            Some(_) if self.answers(service, Duration::from_secs(2)) => State::Up,
            Some(_) => State::Silent,
        };
        let since = process.and_then(|_| home.started_at()).and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        ServiceStatus {
            name: service.name.clone(),
            kind: service.kind,
            state,
            port: service.port,
            pid: process.map(|(identity, _)| identity.pid),
            since: since.map(|since| since.as_secs()),
            log: home.log(),
        }
    }

    /// Whether somebody answers at a server's port as this server would.
    pub(crate) fn answers(&self, service: &Service, patience: Duration) -> bool {
        match service.kind {
            Kind::Kafka => probe::brokers(service.port, patience).is_ok_and(|count| count > 0),
            Kind::Redis => probe::redis::answers(service.port, patience),
            // Its own protocol takes more than a few bytes, and the gateway asks it anyway.
            Kind::HBase => self.home(service).said().contains("Master has completed initialization"),
            Kind::Thrift => probe::thrift_answers(service.port, patience).unwrap_or_default(),
        }
    }
}
