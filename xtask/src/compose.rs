//! `cargo xtask compose-check`: the unchanged `docker-compose.yml` on a Docker engine of its own, messages through it, and
//! containers killed meanwhile.

mod clients;
mod engine;
mod needs;
mod project;
mod stand_ins;
mod step;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};

use self::clients::{Clients, Load};
use self::engine::Engine;
use self::project::{Project, SECRETS};
use self::stand_ins::{Parts, public_images};
use self::step::Steps;
use crate::tools;

const USAGE: &str = "\
usage: cargo xtask compose-check [OPTION …]

Runs docker-compose.yml as it is, on a Docker engine that it starts and ends, with images that stand in for the public ones
(xtask/stand-ins), sends messages through it, kills containers meanwhile, and removes all of it. Needs root, and installs what
is missing by apt-get.

  --dir DIR              where the engine keeps its data; /tmp/anser-compose if not given
  --down                 only ends what an earlier check left";

/// How long messages are sent while containers are killed, and how many a second.
const SECONDS: u64 = 240;
const RATE: &str = "100";
const UP_LIMIT: Duration = Duration::from_secs(300);
const BUILD_LIMIT: Duration = Duration::from_secs(180);
const DOWN_LIMIT: Duration = Duration::from_secs(180);

/// Whose processes are killed, one after the other: the engine has to start them again.
const CRASHES: [&str; 5] = ["message-1", "access-1", "kafka-2", "redis", "hbase"];
/// Who is stopped in order and started again, one after the other, as in an upgrade.
const RESTARTS: [&str; 7] = ["message-1", "message-2", "message-3", "access-1", "access-2", "navi-1", "navi-2"];

/// Does it; whether everything was good.
pub(crate) fn run(words: &[&str]) -> anyhow::Result<bool> {
    let folder = match words {
        [] | ["--down"] => PathBuf::from("/tmp/anser-compose"),
        ["--dir", folder] | ["--dir", folder, "--down"] | ["--down", "--dir", folder] => std::path::absolute(folder)?,
        _ => {
            eprintln!("{USAGE}");
            return Ok(false);
        }
    };
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let lock = std::fs::File::create(folder.join("lock"))?;
    lock.try_lock().with_context(|| format!("another check uses {}", folder.display()))?;
    let engine = folder.join("engine");
    if words.contains(&"--down") {
        engine::end_old(&engine);
    } else {
        let steps = Steps::begin(&tools::target().join("ci/compose-check"))?;
        let checked = whole(&folder, &engine, &steps);
        std::fs::remove_dir_all(folder.join("work")).ok();
        checked?;
        steps.tell("all is good, and all is gone");
        println!("1 passed, 0 failed");
    }
    std::fs::remove_dir_all(folder)?;
    Ok(true)
}

fn whole(folder: &Path, engine_folder: &Path, steps: &Steps) -> anyhow::Result<()> {
    needs::see_to(steps)?;
    let text = std::fs::read_to_string(tools::root().join("docker-compose.yml"))?;
    let images = public_images(&text);
    steps.tell("building the server (profile fast)");
    let server = tools::build_server()?;
    let parts = Parts::get(&tools::cache().join("compose"), server.clone(), steps)?;
    steps.tell("starting an engine");
    let engine = Engine::start(engine_folder, steps)?;
    steps.tell("making images that stand in for the public ones");
    parts.build(&engine, &images, steps)?;
    let project = Project::new(&engine, &folder.join("work"), engine_folder, &images)?;
    let checked = check(&project, &server, steps);
    if checked.is_err() {
        // What the containers said stays among the logs.
        project.run("containers", &["logs", "--no-color", "--timestamps"], DOWN_LIMIT, steps).ok();
        project.note_states(steps).ok();
    }
    steps.tell("taking all down");
    let down = project.run("compose", &["down", "--volumes", "--timeout", "5"], DOWN_LIMIT, steps);
    engine.stop(steps);
    checked.and(down)
}

fn check(project: &Project<'_>, server: &Path, steps: &Steps) -> anyhow::Result<()> {
    for secret in SECRETS {
        project.refuses_without(secret, steps)?;
    }
    steps.tell("nothing starts without its secrets");
    project.run("build", &["build"], BUILD_LIMIT, steps)?;
    steps.tell("the images of nodes and HBase are built from their Dockerfiles");
    up(project, steps)?;

    let work = server.with_file_name("compose-check");
    std::fs::create_dir_all(&work)?;
    let clients = Clients { project, server, folder: &work };
    let found = clients.check(
        "127.0.0.1:8090",
        10,
        &["--transport", "ws", "--rate", RATE, "--pairs", "10", "--quiet"],
        steps,
    )?;
    steps.tell(&format!("over WebSocket, asking navi-2: {found}"));
    let line = "what was said before everything was taken down";
    clients.say(line, steps)?;

    faults(&clients, steps)?;

    let backup = project.back_up(steps)?;
    project.run("compose", &["down", "--volumes"], DOWN_LIMIT, steps)?;
    steps.tell("all was saved, and taken down with its volumes");
    project.restore(&backup, steps)?;
    project.wait_healthy(UP_LIMIT, steps)?;
    let history = clients.history(steps)?;
    ensure!(history.contains(line), "history is gone:\n{history}");
    steps.tell("it was restored, and what was said before is there");
    std::fs::remove_dir_all(work)?;
    Ok(())
}

fn up(project: &Project<'_>, steps: &Steps) -> anyhow::Result<()> {
    let begun = steps.passed();
    project.run("compose", &["up", "--detach"], UP_LIMIT, steps)?;
    project.wait_healthy(UP_LIMIT, steps)?;
    steps.tell(&format!("all containers are healthy, {} s after `up`", steps.passed() - begun));
    Ok(())
}

/// Sends all the time, and meanwhile lets one after the other die or leave. On a slow machine that takes longer than one load.
fn faults(clients: &Clients<'_>, steps: &Steps) -> anyhow::Result<()> {
    let send = || -> anyhow::Result<Load> {
        let load = clients.send("127.0.0.1:8080", SECONDS, &["--rate", RATE, "--pairs", "10", "--both"], steps)?;
        // Whoever signs in for the first time needs all of it.
        steps.pause(Duration::from_secs(10));
        Ok(load)
    };
    let judge = |load: Load| -> anyhow::Result<()> {
        let found = load.judge(steps)?;
        steps.tell(&format!("over TCP, asking navi-1: {found}"));
        Ok(())
    };
    let go_on = |mut load: Load| -> anyhow::Result<Load> {
        if load.is_sending()? {
            return Ok(load);
        }
        judge(load)?;
        send()
    };
    let mut load = send()?;
    for service in CRASHES {
        load = go_on(load)?;
        let begun = steps.passed();
        clients.project.crash(service, steps)?;
        steps.tell(&format!("{service} was killed; started again and healthy after {} s", steps.passed() - begun));
        steps.pause(Duration::from_secs(5));
    }
    for service in RESTARTS {
        load = go_on(load)?;
        let took = clients.project.restart(service, steps)?;
        steps.tell(&format!("{service} was stopped in order, which took {took} s, and started again"));
    }
    load = go_on(load)?;
    clients.project.upgrade(steps)?;
    steps.tell("every node runs an image of another name, by deploy/upgrade");
    clients.project.wait_healthy(UP_LIMIT, steps)?;
    judge(load)
}
