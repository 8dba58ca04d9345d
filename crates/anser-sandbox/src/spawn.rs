//! Starting a process that outlives the one that starts it, and that can be found again.

use std::fs::{File, OpenOptions};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::identity::{Condition, Identity};
use crate::wait;

/// How long the shell may take to write down who it is. Machines under load are slow.
const PATIENCE: Duration = Duration::from_secs(20);

/// The process writes down itself who it is, before it becomes the server: so it can be found even if whoever started it is killed
/// right then. Descriptors that the caller holds without knowing, those of locks for example, must not stay open for
/// as long as the server lives.
const SHELL: &str = "\
read -r line </proc/$$/stat && printf '%s\\n' \"$line\" >\"$0\" && \
exec \"$@\" 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-";

/// What may be read of a log at once.
const LOG_BYTES_MAX: u64 = 4 << 20;

/// A server's folder: who it is, what it says, and what it needs.
#[derive(Debug, Clone)]
pub(crate) struct Home {
    folder: PathBuf,
}

/// How to start a server.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    pub(crate) arguments: Vec<String>,
    /// Variables that it has beside those of the caller.
    pub(crate) environment: Vec<(String, String)>,
}

impl Home {
    pub(crate) const fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// A file or folder in it.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Where it is, for a settings file.
    pub(crate) fn text(&self) -> String {
        self.folder.display().to_string()
    }

    /// Where the server writes what it has to say, one start after the other.
    pub(crate) fn log(&self) -> PathBuf {
        self.join("log")
    }

    fn pid_file(&self) -> PathBuf {
        self.join("pid")
    }

    fn began_file(&self) -> PathBuf {
        self.join("log-began")
    }

    /// The process that was started last, if it is still there, and how it is.
    pub(crate) fn process(&self) -> Option<(Identity, Condition)> {
        let identity = Identity::of_file(&self.pid_file())?;
        let condition = identity.condition();
        (condition != Condition::Gone).then_some((identity, condition))
    }

    /// When that was.
    pub(crate) fn started_at(&self) -> Option<std::time::SystemTime> {
        self.pid_file().metadata().and_then(|file| file.modified()).ok()
    }

    /// Takes the right to start or replace this server's process; given back when dropped.
    pub(crate) fn lock(&self) -> anyhow::Result<File> {
        std::fs::create_dir_all(&self.folder).with_context(|| format!("cannot make {}", self.text()))?;
        lock(&self.join("lock"))
    }

    /// Starts the server. Returns once it can be found by its pid file.
    pub(crate) fn spawn(&self, program: &Program) -> anyhow::Result<()> {
        let log = OpenOptions::new().append(true).create(true).open(self.log())?;
        std::fs::write(self.began_file(), log.metadata()?.len().to_string())?;
        std::fs::remove_file(self.pid_file()).ok();
        let mut command = Command::new("sh");
        command.arg("-c").arg(SHELL).arg(self.pid_file()).arg(&program.path).args(&program.arguments);
        command.envs(program.environment.iter().map(|(name, value)| (name, value)));
        command.current_dir(&self.folder).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // A group of its own: Ctrl-C on a terminal is not meant for it.
        let mut child = command.process_group(0).spawn().context("cannot run sh")?;
        let written = wait::until(PATIENCE, || {
            let identity = Identity::of_file(&self.pid_file());
            let known = identity.is_some_and(|identity| i64::from(identity.pid) == i64::from(child.id()));
            (known || matches!(child.try_wait(), Ok(Some(_)))).then_some(known)
        });
        ensure!(written == Some(true), "{} did not even begin:\n{}", program.path.display(), self.last_lines());
        Ok(())
    }

    /// What the server has said since it was started last, up to a bound from the beginning.
    pub(crate) fn said(&self) -> String {
        self.said_from(|_| 0)
    }

    /// The last of what the server has said since it was started last.
    pub(crate) fn last_lines(&self) -> String {
        let text = self.said_from(|length| length.saturating_sub(64 << 10));
        let lines: Vec<&str> = text.lines().collect();
        let last = lines.iter().skip(lines.len().saturating_sub(25));
        last.map(|line| format!("    {}\n", line.chars().take(300).collect::<String>())).collect()
    }

    fn said_from(&self, skip: impl Fn(u64) -> u64) -> String {
        let began = std::fs::read_to_string(self.began_file()).ok();
        let began = began.and_then(|text| text.parse::<u64>().ok()).unwrap_or_default();
        read_from(&self.log(), |length| began + skip(length.saturating_sub(began))).unwrap_or_default()
    }
}

fn read_from(path: &Path, from: impl Fn(u64) -> u64) -> std::io::Result<String> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(from(length)))?;
    let mut bytes = Vec::new();
    file.take(LOG_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Takes a lock that ends with the file that is returned, or with this process. Waits for whoever has it.
pub(crate) fn lock(path: &Path) -> anyhow::Result<File> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(path);
    let file = file.with_context(|| format!("cannot write {}", path.display()))?;
    file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use rustix::process::Signal;

    use super::*;

    fn shell(script: &str) -> Program {
        Program { path: "sh".into(), arguments: vec!["-c".to_owned(), script.to_owned()], environment: Vec::new() }
    }

    #[test]
    fn a_process_is_found_again_until_it_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::new(folder.path().to_owned());
        assert!(home.process().is_none());
        home.spawn(&shell("echo begun; exec sleep 1000")).unwrap();
        let again = Home::new(folder.path().to_owned());
        let (identity, condition) = again.process().unwrap();
        assert_eq!(condition, Condition::Running);
        identity.signal(Signal::STOP).unwrap();
        let paused = || again.process().filter(|(_, condition)| *condition == Condition::Paused);
        assert!(wait::until(PATIENCE, paused).is_some());
        identity.signal(Signal::KILL).unwrap();
        assert!(wait::until(PATIENCE, || again.process().is_none().then_some(())).is_some());
    }

    #[test]
    fn only_what_was_said_since_the_last_start_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::new(folder.path().to_owned());
        for word in ["first", "second"] {
            home.spawn(&shell(&format!("echo {word}"))).unwrap();
            assert!(wait::until(PATIENCE, || home.process().is_none().then_some(())).is_some());
        }
        assert_eq!(home.said(), "second\n");
        assert_eq!(home.last_lines(), "    second\n");
        assert_eq!(std::fs::read_to_string(home.log()).unwrap(), "first\nsecond\n");
    }

    #[test]
    fn descriptors_of_the_caller_are_not_kept_open() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::new(folder.path().to_owned());
        // A shell that holds a descriptor open for its children, as flock does, and starts a server in the way of spawn.
        let script = "exec 7</dev/null; exec sh -c \"$1\" pid sh -c 'ls -l /proc/self/fd >seen'";
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh", SHELL]).current_dir(folder.path());
        assert!(command.status().unwrap().success());
        let seen = std::fs::read_to_string(home.join("seen")).unwrap();
        assert!(!seen.contains(" 7 -> "), "{seen}");
    }
}
