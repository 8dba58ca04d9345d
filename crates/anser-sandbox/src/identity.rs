//! Which process a service is. A process id alone may come to belong to somebody else, so it is always taken together with
//! the time at which that process started, and signals go through a process descriptor.

use std::path::Path;

use anyhow::Context as _;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, pidfd_open, pidfd_send_signal, waitpid};

/// A process, as told from all others since the machine was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Its id.
    pub(crate) pid: i32,
    /// When it started, in ticks since the machine did.
    started: u64,
}

/// How a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    /// Not there any more, or only as an entry that nobody has collected yet.
    Gone,
    /// Stopped by a signal.
    Paused,
    /// There.
    Running,
}

impl Identity {
    /// Reads what a service wrote about itself when it started: its own line of `/proc/PID/stat`.
    pub(crate) fn of_file(path: &Path) -> Option<Self> {
        parse(&std::fs::read_to_string(path).ok()?).map(|stat| stat.identity)
    }

    /// How it is now.
    pub(crate) fn condition(self) -> Condition {
        let now = std::fs::read_to_string(format!("/proc/{}/stat", self.pid)).ok();
        let condition = condition(self, now.as_deref());
        if condition == Condition::Gone {
            self.collect();
        }
        condition
    }

    /// If it was started by this very process, its entry stays until it is waited for.
    fn collect(self) {
        if let Some(pid) = Pid::from_raw(self.pid) {
            // It fails where the process was started by another one, whose matter this is then.
            waitpid(Some(pid), WaitOptions::NOHANG).ok();
        }
    }

    /// Sends it a signal, if it is still there.
    pub(crate) fn signal(self, signal: Signal) -> anyhow::Result<()> {
        let Some(pid) = Pid::from_raw(self.pid) else {
            return Ok(());
        };
        let sent = pidfd_open(pid, PidfdFlags::empty()).and_then(|process| {
            // The descriptor stands for one process for good, so what is seen now holds for the signal.
            if self.condition() == Condition::Gone { Ok(()) } else { pidfd_send_signal(process, signal) }
        });
        match sent {
            Err(Errno::SRCH) => Ok(()),
            other => other.with_context(|| format!("cannot send a signal to process {}", self.pid)),
        }
    }
}

/// A line of `/proc/PID/stat`.
struct Stat<'a> {
    identity: Identity,
    state: &'a str,
    threads: u64,
}

fn condition(whose: Identity, stat: Option<&str>) -> Condition {
    match stat.and_then(parse) {
        Some(found) if found.identity != whose => Condition::Gone,
        // The first thread of a killed process may be a zombie while others still hold its ports.
        Some(Stat { state: "Z", threads: 2.., .. }) => Condition::Running,
        None | Some(Stat { state: "Z" | "X" | "x", .. }) => Condition::Gone,
        Some(Stat { state: "T" | "t", .. }) => Condition::Paused,
        Some(_) => Condition::Running,
    }
}

/// Reads such a line. The name in it may hold anything, blanks and brackets too.
fn parse(stat: &str) -> Option<Stat<'_>> {
    let pid = stat.split(' ').next()?.parse().ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?;
    let threads = fields.nth(16)?.parse().ok()?;
    let started = fields.nth(1)?.parse().ok()?;
    Some(Stat { identity: Identity { pid, started }, state, threads })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::wait;

    fn stat(pid: i32, name: &str, state: &str, started: u64) -> String {
        format!("{pid} ({name}) {state} 1 2 3 0 -1 4 5 6 7 8 9 10 11 12 20 0 1 0 {started} 99 98 97\n")
    }

    #[test]
    fn a_reused_id_and_a_zombie_count_as_gone() {
        let whose = Identity { pid: 7, started: 500 };
        assert_eq!(condition(whose, Some(&stat(7, "java", "S", 500))), Condition::Running);
        assert_eq!(condition(whose, Some(&stat(7, "a) b (c", "T", 500))), Condition::Paused);
        assert_eq!(condition(whose, Some(&stat(7, "java", "Z", 500))), Condition::Gone);
        assert_eq!(condition(whose, Some(&stat(7, "java", "S", 501))), Condition::Gone, "somebody else by now");
        assert_eq!(condition(whose, None), Condition::Gone);
        assert_eq!(condition(whose, Some("")), Condition::Gone);
    }

    #[test]
    fn a_process_is_gone_only_with_its_last_thread() {
        let whose = Identity { pid: 7, started: 500 };
        let one_thread_left = stat(7, "java", "Z", 500).replace(" 20 0 1 0 ", " 20 0 2 0 ");
        assert_eq!(condition(whose, Some(&one_thread_left)), Condition::Running);
    }

    #[test]
    fn a_signal_reaches_its_process_and_never_one_that_got_its_id() {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        let path = format!("/proc/{}/stat", child.id());
        let identity = Identity::of_file(Path::new(&path)).unwrap();
        let stranger = Identity { started: identity.started + 1, ..identity };
        stranger.signal(Signal::KILL).unwrap();
        assert_eq!(identity.condition(), Condition::Running);
        assert_eq!(child.try_wait().unwrap(), None);
        identity.signal(Signal::KILL).unwrap();
        let gone =
            wait::until(std::time::Duration::from_secs(10), || (identity.condition() == Condition::Gone).then_some(()));
        assert!(gone.is_some());
        identity.signal(Signal::KILL).unwrap();
        child.kill().ok();
    }
}
