//! Wrong setups of a cluster: a node that would break a promise ends at once, with one sentence that says what is wrong.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anser_tests::{More, Server, anser, until};

const PATIENCE: Duration = Duration::from_secs(60);
const SERVE: [&str; 2] = ["serve", "--config"];

/// The settings of a node that would be one more, with some of them replaced.
fn settings(server: &Server, replaced: &[(&str, &str)]) -> String {
    let file = server.cluster().folder().join("message-1/anser.toml");
    let text = std::fs::read_to_string(file).expect("a node has settings");
    let own = [
        ("data", "\"data\""),
        ("http", "\"127.0.0.1:0\""),
        ("tcp", "\"127.0.0.1:0\""),
        ("ws", "\"127.0.0.1:0\""),
        ("admin.listen", "\"127.0.0.1:0\""),
        ("cluster.listen", "\"127.0.0.1:0\""),
        ("cluster.name", "\"guest\""),
    ];
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for (name, value) in own.iter().chain(replaced) {
        let begin = format!("{name} = ");
        lines.retain(|line| !line.starts_with(&begin));
        lines.push(begin + value);
    }
    lines.join("\n")
}

/// A program that is to end by itself.
struct Tried(Child);

impl Drop for Tried {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

type Replaced<'a> = &'a [(&'a str, &'a str)];

/// What `anser` says in the last line before it ends with this exit code, with settings for one more node.
async fn ended(
    server: &Server,
    words: &[&str],
    replaced: Replaced<'_>,
    variables: &[(&str, &Path)],
    code: i32,
) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, log) = (folder.path().join("anser.toml"), folder.path().join("log"));
    std::fs::write(&file, settings(server, replaced)).expect("a file");
    let mut command = Command::new(anser());
    command.args(words).arg(&file).current_dir(folder.path()).envs(variables.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log).expect("a file"));
    let mut tried = Tried(command.spawn().expect("the program runs"));
    let said = || std::fs::read_to_string(&log).unwrap_or_default();
    let status = until("it has ended", PATIENCE, || tried.0.try_wait().expect("it is ours")).await;
    assert_eq!(status.code(), Some(code), "{replaced:?}: {}", said());
    said().lines().last().unwrap_or_default().to_owned()
}

async fn refused(server: &Server, words: &[&str], replaced: Replaced<'_>, variables: &[(&str, &Path)]) -> String {
    ended(server, words, replaced, variables, 1).await
}

/// A setting of Redis that is wrong until the value goes: others use the same server.
struct WrongRedis<'a> {
    server: &'a Server,
    mend: String,
}

impl<'a> WrongRedis<'a> {
    fn set(server: &'a Server, setting: &str, wrong: &str, right: &str) -> Self {
        server.tell_redis(&format!("CONFIG SET {setting} {wrong}"));
        Self { server, mend: format!("CONFIG SET {setting} {right}") }
    }
}

impl Drop for WrongRedis<'_> {
    fn drop(&mut self) {
        self.server.tell_redis(&self.mend);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_a_wrong_setup_is_refused_and_says_why() {
    let server = Server::start_cluster(More::default()).await;
    for (replaced, words) in [
        (&[("cluster.kafka.durability", "\"replicated\"")][..], "copies"),
        (&[("cluster.kafka.prefix", "\"nobody\"")], "anser cluster init"),
        (&[("cluster.hbase.table_prefix", "\"nobody\"")], "anser cluster init"),
        (&[("cluster.name", "\"message-1\"")], "is alive at"),
    ] {
        let said = refused(&server, &SERVE, replaced, &[]).await;
        assert!(said.contains(words), "{replaced:?} is refused with {said:?}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let hour = folder.path().join("off");
    std::fs::write(&hour, "3600000").expect("a file");
    let said = refused(&server, &SERVE, &[], &[("TEST_CLOCK_OFF_FILE", &hour)]).await;
    assert!(said.contains("clock_off_ms_max"), "{said}");

    for (setting, wrong, right) in [("maxmemory-policy", "allkeys-lru", "noeviction"), ("appendonly", "no", "yes")] {
        let _wrong = WrongRedis::set(&server, setting, wrong, right);
        let said = refused(&server, &SERVE, &[], &[]).await;
        assert!(said.contains(setting) && said.contains(wrong), "{setting}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_another_cluster_is_not_made_anew() {
    let server = Server::start_cluster(More::default()).await;
    let other = format!("\"o{}\"", std::process::id());
    let init = ["cluster", "init"];
    let said = refused(&server, &init, &[("cluster.kafka.partitions", "12")], &[]).await;
    assert!(said.contains("the number is fixed at birth"), "the log is there already: {said}");
    let said = refused(&server, &init, &[("cluster.kafka.prefix", &other)], &[]).await;
    assert!(said.contains("were made from log"), "the tables belong to another log: {said}");
    let both = [("cluster.kafka.prefix", other.as_str()), ("cluster.hbase.table_prefix", &other)];
    let said = refused(&server, &init, &both, &[]).await;
    assert!(said.contains("cluster.redis.prefix"), "the keys belong to another log: {said}");
    // A second cluster beside this one: with the keys of this one its nodes are refused.
    let all = [both[0], both[1], ("cluster.redis.prefix", other.as_str())];
    ended(&server, &init, &all, &[], 0).await;
    let said = refused(&server, &SERVE, &both, &[]).await;
    assert!(said.contains("cluster.redis.prefix"), "the keys belong to another log: {said}");
    assert!(server.status().contains("48 of 48 partitions served"), "nothing was changed");
}
