//! A Docker engine of our own: in a network, a file system view and a table of processes of its own, so that it meddles with
//! nothing of the machine, and everything in it ends with its first process.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::step::{Steps, last_lines};

const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// The first process of the namespaces: it also takes note of the ends of processes that nobody else waits for.
const FIRST_PROCESS: &str = "\
ip link set lo up && { dockerd \"$@\" & } && engine=$! && trap 'kill -TERM $engine' TERM || exit 1
while kill -0 $engine 2>/dev/null; do wait $engine; done";

/// How often it is looked whether a killed engine has gone; a tenth of a second each.
const GONE_LOOKS: u32 = 100;

/// The longest name of a socket that the system takes, less what the engine puts behind the folder.
const FOLDER_LEN_MAX: usize = 60;

/// The engine, in a folder that belongs to it.
#[derive(Debug)]
pub(super) struct Engine {
    folder: PathBuf,
    /// The process that holds the namespaces; what runs in them is killed when it ends.
    holder: Child,
    /// The first process in the namespaces, as this machine counts processes.
    pid: u32,
}

impl Engine {
    pub(super) fn start(folder: &Path, steps: &Steps) -> anyhow::Result<Self> {
        let shown = folder.display();
        ensure!(
            folder.as_os_str().len() <= FOLDER_LEN_MAX,
            "{shown} is too long a name for sockets; give --dir a shorter one"
        );
        let log = steps.log("engine")?;
        let mut command = Command::new("unshare");
        command.args(["--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child=SIGKILL", "sh", "-c"]);
        command.arg(FIRST_PROCESS).arg("sh");
        command.arg("--data-root").arg(folder.join("data")).arg("--exec-root").arg(folder.join("exec"));
        command.arg("--pidfile").arg(folder.join("pid")).args(["--cgroup-parent", CGROUP]);
        command.arg("--host").arg(socket(folder));
        end_old(folder);
        std::fs::remove_dir_all(folder).ok();
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {shown}"))?;
        let spawned = command.stdin(std::process::Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn();
        let mut holder = spawned.context("cannot run unshare")?;
        let identity = format!("{} {}", holder.id(), started(holder.id()).unwrap_or_default());
        std::fs::write(holder_file(folder), identity)?;
        let answers = steps.until("the engine answers", START_LIMIT, || {
            if let Some(status) = holder.try_wait()? {
                let said = std::fs::read_to_string(steps.log_path("engine")).unwrap_or_default();
                anyhow::bail!("the engine did not start ({status}):\n{}", last_lines(&said));
            }
            let Some(pid) = child_of(holder.id()) else { return Ok(None) };
            let asked = docker(folder).arg("version").output().context("cannot run docker")?;
            Ok(asked.status.success().then_some(pid))
        });
        match answers {
            Ok(pid) => Ok(Self { folder: folder.to_owned(), holder, pid }),
            Err(error) => {
                holder.kill().ok();
                holder.wait().ok();
                Err(error)
            }
        }
    }

    /// The docker command, with this engine.
    pub(super) fn docker(&self, words: &[&str]) -> Command {
        let mut command = docker(&self.folder);
        command.args(words);
        command
    }

    /// A command in the network of the engine, where its published ports are.
    pub(super) fn in_network(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.pid.to_string(), "--net"]).arg(program);
        command
    }

    /// Kills a process that has this id among the processes of the engine, as a crash would.
    pub(super) fn kill(&self, pid: u32) -> anyhow::Result<()> {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.pid.to_string(), "--pid", "sh", "-c", &format!("kill -KILL {pid}")]);
        let killed = command.output().context("cannot run nsenter")?;
        ensure!(killed.status.success(), "cannot kill process {pid} of the engine");
        Ok(())
    }

    /// Ends the engine in order, or without if it takes too long, and removes its folder.
    pub(super) fn stop(mut self, steps: &Steps) {
        let asked = Command::new("kill").args(["-TERM", &self.pid.to_string()]).status();
        let ended = asked.is_ok() && steps.wait("the end of the engine", &mut self.holder, STOP_LIMIT).is_ok();
        if !ended {
            steps.tell("the engine did not end in order and was killed");
        }
        self.clean();
    }

    /// What is left when the first process has ended. The view of the file system has gone, with all that was mounted in it.
    fn clean(&mut self) {
        self.holder.kill().ok();
        self.holder.wait().ok();
        forget(&self.folder, self.pid);
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.clean();
    }
}

const CGROUP: &str = "/anser-compose-check";

/// Where the engine in a folder listens.
pub(super) fn socket(folder: &Path) -> String {
    format!("unix://{}", folder.join("sock").display())
}

fn docker(folder: &Path) -> Command {
    let mut command = Command::new("docker");
    // The builder that every engine has.
    command.env("DOCKER_HOST", socket(folder)).env("DOCKER_BUILDKIT", "0").env_remove("DOCKER_CONTEXT");
    command
}

/// Ends what an earlier check left when it was killed itself, and removes its folder.
pub(super) fn end_old(folder: &Path) {
    let text = std::fs::read_to_string(holder_file(folder)).unwrap_or_default();
    let known = text.split_once(' ').and_then(|(pid, started)| Some((pid.parse::<u32>().ok()?, started)));
    // The process that has this id now may be another one.
    if let Some((holder, _)) = known.filter(|(pid, then)| started(*pid).as_deref() == Some(*then)) {
        let engine = child_of(holder);
        Command::new("kill").args(["-KILL", &holder.to_string()]).status().ok();
        forget(folder, engine.unwrap_or(holder));
    }
}

/// Removes what an engine has left when its first process was killed. Its view of the file system goes with it, and so does all
/// that was mounted there: nothing but its own files lies in the folder.
fn forget(folder: &Path, engine: u32) {
    let process = PathBuf::from(format!("/proc/{engine}"));
    for _ in 0..GONE_LOOKS {
        if !process.exists() {
            break;
        }
        super::step::breathe();
    }
    std::fs::remove_dir_all(folder).ok();
    std::fs::remove_file(holder_file(folder)).ok();
    // Only an empty group can be removed. There is one for each controller, or one for all.
    let name = CGROUP.trim_start_matches('/');
    let controllers = std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten();
    for root in controllers.map(|entry| entry.path()).chain(["/sys/fs/cgroup".into()]) {
        std::fs::remove_dir(root.join(name)).ok();
    }
}

/// Where the process that holds an engine is written down.
fn holder_file(folder: &Path) -> PathBuf {
    folder.with_extension("holder")
}

/// When a process was started, in the system's count.
fn started(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(19).map(str::to_owned)
}

/// The only child of a process.
fn child_of(pid: u32) -> Option<u32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}
