//! The compose project: the unchanged file of this checkout, with variables of its own.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::engine::{Engine, socket};
use super::stand_ins::without_digest;
use super::step::Steps;
use crate::tools;

const NAME: &str = "anser-check";
const SCRIPT_LIMIT: Duration = Duration::from_secs(900);

/// What must be given, or nothing starts.
pub(super) const SECRETS: [&str; 3] = ["ANSER_APP_KEY", "ANSER_APP_SECRET", "ANSER_REDIS_PASSWORD"];

/// The project on an engine.
#[derive(Debug)]
pub(super) struct Project<'a> {
    pub(super) engine: &'a Engine,
    host: String,
    /// The variables, as lines of an `.env` file.
    variables: Vec<(String, String)>,
    folder: PathBuf,
}

/// How a container is.
#[derive(Debug, Clone)]
pub(super) struct Container {
    pub(super) service: String,
    pub(super) id: String,
    pub(super) image: String,
    /// Its first process, among those of the engine.
    pub(super) pid: u32,
    pub(super) running: bool,
    pub(super) healthy: bool,
    pub(super) exit_code: i32,
    pub(super) restarts: u32,
}

impl<'a> Project<'a> {
    /// With secrets by chance, and the names of the stand-ins.
    pub(super) fn new(
        engine: &'a Engine,
        folder: &Path,
        engine_folder: &Path,
        images: &[(String, String)],
    ) -> anyhow::Result<Self> {
        let mut variables = Vec::new();
        for name in SECRETS {
            variables.push((name.to_owned(), by_chance()?));
        }
        let named = images.iter().map(|(variable, image)| (variable.clone(), without_digest(image).to_owned()));
        variables.extend(named);
        // Not every machine lets processes have as many as the file asks for.
        variables.push(("ANSER_OPEN_FILES".to_owned(), open_files()?));
        std::fs::create_dir_all(folder)?;
        Ok(Self { engine, host: socket(engine_folder), variables, folder: folder.to_owned() })
    }

    /// One of the variables.
    pub(super) fn variable(&self, name: &str) -> &str {
        self.variables.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// The compose command with all variables but one.
    fn command_without(&self, missing: &str, words: &[&str]) -> anyhow::Result<Command> {
        let file = self.folder.join("variables");
        let given = self.variables.iter().filter(|(name, _)| name != missing);
        let lines: String = given.map(|(name, value)| format!("{name}={value}\n")).collect();
        std::fs::write(&file, lines).with_context(|| format!("cannot write {}", file.display()))?;
        let mut command = self.on_the_engine("docker-compose");
        command.arg("--env-file").arg(file).args(["--no-ansi", "--project-name", NAME]).args(words);
        Ok(command)
    }

    /// A command that finds the engine, in the root of the checkout.
    fn on_the_engine(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        // What the caller's own variables say does not count.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ANSER_") {
                command.env_remove(name);
            }
        }
        command.env("DOCKER_HOST", &self.host).env("COMPOSE_HTTP_TIMEOUT", "180");
        command.env("COMPOSE_DOCKER_CLI_BUILD", "0").env("DOCKER_BUILDKIT", "0").env_remove("COMPOSE_FILE");
        command.current_dir(tools::root());
        command
    }

    /// One of the scripts in `deploy`, about this project.
    fn script(&self, name: &str) -> Command {
        let mut command = self.on_the_engine(tools::root().join("deploy").join(name));
        let file = self.folder.join("variables");
        let compose = format!("docker-compose --env-file {} --no-ansi --project-name {NAME}", file.display());
        command.env("COMPOSE", compose);
        command
    }

    /// Saves all that the project holds. Returns the folder, which goes with that of the project.
    pub(super) fn back_up(&self, steps: &Steps) -> anyhow::Result<PathBuf> {
        let folder = self.folder.join("backup");
        steps.run("backup", self.script("backup").env("BACKUP", &folder), SCRIPT_LIMIT)?;
        Ok(folder)
    }

    /// Puts back what was saved, into volumes that are gone.
    pub(super) fn restore(&self, backup: &Path, steps: &Steps) -> anyhow::Result<()> {
        steps.run("restore", self.script("restore").arg(backup), SCRIPT_LIMIT)
    }

    pub(super) fn run(&self, name: &str, words: &[&str], limit: Duration, steps: &Steps) -> anyhow::Result<()> {
        steps.run(name, &mut self.command_without("", words)?, limit)
    }

    /// That nothing is started when a secret is missing, and that the refusal names it.
    pub(super) fn refuses_without(&self, secret: &str, steps: &Steps) -> anyhow::Result<()> {
        let limit = Duration::from_secs(60);
        let (status, said) = steps.outcome("refusals", &mut self.command_without(secret, &["up", "-d"])?, limit)?;
        ensure!(!status.success(), "it started without {secret}");
        ensure!(said.contains(secret) && said.contains(".env.example"), "the refusal is not clear:\n{said}");
        ensure!(self.containers()?.is_empty(), "something was made without {secret}");
        Ok(())
    }

    /// All containers, by service.
    pub(super) fn containers(&self) -> anyhow::Result<Vec<Container>> {
        let label = format!("label=com.docker.compose.project={NAME}");
        let ids = self.ask(&["ps", "--all", "--quiet", "--no-trunc", "--filter", &label])?;
        let ids: Vec<&str> = ids.split_whitespace().collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let told: Vec<Value> = serde_json::from_str(&self.ask(&[&["inspect"], &ids[..]].concat())?)?;
        let read = |told| container(told).with_context(|| format!("docker told of a container: {told}"));
        let mut containers = told.iter().map(read).collect::<anyhow::Result<Vec<_>>>()?;
        containers.sort_by(|one, other| one.service.cmp(&other.service));
        Ok(containers)
    }

    pub(super) fn container(&self, service: &str) -> anyhow::Result<Container> {
        let found = self.containers()?.into_iter().find(|container| container.service == service);
        found.with_context(|| format!("there is no container of {service}"))
    }

    /// Waits until each container is healthy, and the one that only prepares has done so.
    pub(super) fn wait_healthy(&self, limit: Duration, steps: &Steps) -> anyhow::Result<()> {
        let mut ill = Vec::new();
        let waited = steps.until("every container is healthy", limit, || {
            let containers = self.containers()?;
            let good = |container: &Container| match container.service.as_str() {
                "init" => !container.running && container.exit_code == 0,
                _ => container.healthy,
            };
            ill = containers.iter().filter(|container| !good(container)).cloned().collect();
            Ok((ill.is_empty() && !containers.is_empty()).then_some(()))
        });
        waited.with_context(|| format!("not healthy: {ill:?}"))
    }

    /// Kills a container's first process, and waits until the engine has started it again and it is healthy.
    pub(super) fn crash(&self, service: &str, steps: &Steps) -> anyhow::Result<()> {
        let before = self.container(service)?;
        self.engine.kill(before.pid)?;
        steps.until(&format!("{service} is started again"), Duration::from_secs(60), || {
            Ok((self.container(service)?.restarts > before.restarts).then_some(()))
        })?;
        // A broker on a busy machine takes its time to read its files, and HBase to start at all.
        steps.until(&format!("{service}, started again, is healthy"), Duration::from_secs(600), || {
            Ok(self.container(service)?.healthy.then_some(()))
        })
    }

    /// Ends a container in order, which it must do by itself and in time, and starts it again.
    pub(super) fn restart(&self, service: &str, steps: &Steps) -> anyhow::Result<u64> {
        let begun = steps.passed();
        self.run("compose", &["stop", service], Duration::from_secs(120), steps)?;
        let took = steps.passed() - begun;
        let ended = self.container(service)?;
        ensure!(ended.exit_code == 0, "{service} did not end in order, but with {}", ended.exit_code);
        self.run("compose", &["start", service], Duration::from_secs(60), steps)?;
        steps.until(&format!("{service} is back"), Duration::from_secs(90), || {
            Ok(self.container(service)?.healthy.then_some(()))
        })?;
        Ok(took)
    }

    /// Has the nodes run the program of this checkout under a new name, one after the other.
    pub(super) fn upgrade(&self, steps: &Steps) -> anyhow::Result<()> {
        let image = |node: &str| Ok::<_, anyhow::Error>(self.container(node)?.image);
        let before = image("message-1")?;
        let mut script = self.script("upgrade");
        steps.run("upgrade", script.env("ENV_FILE", self.folder.join("variables")), SCRIPT_LIMIT)?;
        for node in super::RESTARTS {
            ensure!(image(node)? != before, "{node} still runs {before}");
        }
        Ok(())
    }

    /// Writes down all that the engine knows of the containers.
    pub(super) fn note_states(&self, steps: &Steps) -> anyhow::Result<()> {
        for container in self.containers()? {
            let mut command =
                self.engine.docker(&["inspect", "--format", "{{.Name}} {{.RestartCount}} {{json .State}}"]);
            steps.run("states", command.arg(container.id), Duration::from_secs(30))?;
        }
        Ok(())
    }

    fn ask(&self, words: &[&str]) -> anyhow::Result<String> {
        let said = self.engine.docker(words).output().context("cannot run docker")?;
        let error = String::from_utf8_lossy(&said.stderr);
        ensure!(said.status.success(), "docker {}: {error}", words.first().copied().unwrap_or_default());
        Ok(String::from_utf8_lossy(&said.stdout).into_owned())
    }
}

/// A container as `docker inspect` tells of it. One that has no check of its health has nothing of it there, or null.
fn container(told: &Value) -> Option<Container> {
    let text = |path: &str| told.pointer(path).and_then(Value::as_str).map(str::to_owned);
    let number = |path: &str| told.pointer(path).and_then(Value::as_i64);
    let running = told.pointer("/State/Running")?.as_bool()?;
    Some(Container {
        service: text("/Config/Labels/com.docker.compose.service")?,
        id: text("/Id")?,
        image: text("/Config/Image")?,
        pid: number("/State/Pid")?.try_into().ok()?,
        running,
        healthy: running && text("/State/Health/Status").is_some_and(|health| health == "healthy"),
        exit_code: number("/State/ExitCode")?.try_into().ok()?,
        restarts: number("/RestartCount")?.try_into().ok()?,
    })
}

fn by_chance() -> anyhow::Result<String> {
    use std::io::Read as _;
    let mut bytes = [0; 20];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// How many open files a process of this machine may have at most, but not more than the file asks for.
fn open_files() -> anyhow::Result<String> {
    let limits = std::fs::read_to_string("/proc/self/limits")?;
    let line = limits.lines().find(|line| line.starts_with("Max open files"));
    let hard = line.and_then(|line| line.split_whitespace().nth(4)).and_then(|number| number.parse::<u64>().ok());
    Ok(hard.unwrap_or(65_536).min(65_536).to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_docker_tells_of_a_container_is_read() {
        let told = |service: &str, state: Value| {
            let config = json!({ "Image": "anser:1", "Labels": { "com.docker.compose.service": service } });
            json!({ "Id": "cafe", "Config": config, "State": state, "RestartCount": 2 })
        };
        let health = json!({ "Status": "healthy" });
        let state = json!({ "Pid": 4711, "Running": true, "ExitCode": 0, "Health": health });
        let known = container(&told("message-1", state)).unwrap();
        assert!(known.healthy && known.running && known.image == "anser:1" && known.pid == 4711 && known.restarts == 2);
        for health in [json!({}), json!({ "Health": null })] {
            let mut state = json!({ "Pid": 0, "Running": false, "ExitCode": 0 });
            state.as_object_mut().unwrap().extend(health.as_object().unwrap().clone());
            let ended = container(&told("init", state)).unwrap();
            assert!(!ended.healthy && !ended.running && ended.exit_code == 0);
        }
        assert!(container(&json!({ "Id": "cafe" })).is_none());
    }

    #[test]
    fn this_machine_says_how_many_files_may_be_open() {
        assert!(open_files().unwrap().parse::<u64>().unwrap() > 0);
    }
}
