//! A stack of real Redis servers, from its start to its end.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anser_sandbox::{Leave, RedisShape, Shape, Stack, State, Up};

/// Ends the stack of a folder when a test is over, however that ends.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    fn up(&self, redis: RedisShape) -> Stack {
        let shape = Shape { redis: Some(redis), ..Shape::empty() };
        let folder = self.0.path().join("stack");
        let tell = |text: &str| eprintln!("{text}");
        let up = Up { folder, jars: self.0.path().join("jars"), shape: Some(shape), base_port: None, tell };
        up.run().expect("Redis starts")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Ok(Some(stack)) = Stack::open(&self.0.path().join("stack"), |_| {}) {
            stack.down(Leave::Nothing).ok();
        }
    }
}

/// Whether these tests are to run: where Redis is installed, and where servers are required.
fn redis_is_there() -> bool {
    let there = Command::new("redis-server").arg("--version").output().is_ok_and(|said| said.status.success());
    let required = std::env::var_os(anser_sandbox::REQUIRED).is_some();
    if !there && !required {
        eprintln!("not tried: redis-server is not installed; `cargo xtask backends up` does that");
    }
    there || required
}

fn states(stack: &Stack) -> Vec<State> {
    stack.status().iter().map(|service| service.state).collect()
}

fn pid(stack: &Stack, name: &str) -> Option<i32> {
    stack.status().iter().find(|service| service.name == name).and_then(|service| service.pid)
}

fn redis(stack: &Stack, name: &str, words: &[&str]) -> String {
    let port = stack.service(name).expect("a service of the stack").port.to_string();
    let said = Command::new("redis-cli").args(["-p", &port]).args(words).output();
    String::from_utf8_lossy(&said.expect("redis-cli is there").stdout).trim().to_owned()
}

/// Returns once a replica has what this writes. WAIT speaks of what its own connection wrote, so it is the same one.
fn write_through(stack: &Stack, name: &str, key: &str, value: &str) {
    let port = stack.service(name).expect("a service of the stack").port.to_string();
    let mut cli = Command::new("redis-cli");
    let cli = cli.args(["-p", &port]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut cli = cli.expect("redis-cli is there");
    let mut input = cli.stdin.take().expect("its input is ours");
    writeln!(input, "SET {key} {value}\nWAIT 1 10000").expect("redis-cli reads");
    drop(input);
    let said = cli.wait_with_output().expect("redis-cli ends").stdout;
    assert_eq!(String::from_utf8_lossy(&said), "OK\n1\n");
}

/// Lets a server answer only for what is on disk. With what it does otherwise, a kill may take the last two seconds along.
fn make_careful(stack: &Stack, name: &str) {
    assert_eq!(redis(stack, name, &["CONFIG", "SET", "appendfsync", "always"]), "OK");
}

#[test]
fn a_server_is_started_once_and_again_only_when_it_is_gone() {
    if !redis_is_there() {
        return;
    }
    let folder = Folder::new();
    let stack = folder.up(RedisShape::Single);
    assert_eq!(states(&stack), [State::Up]);
    let first = pid(&stack, "redis-1");
    assert_eq!(pid(&folder.up(RedisShape::Single), "redis-1"), first, "up twice is up once");
    make_careful(&stack, "redis-1");
    assert_eq!(redis(&stack, "redis-1", &["SET", "key", "kept"]), "OK");

    stack.pause("redis-1").unwrap();
    assert_eq!(states(&stack), [State::Paused]);
    stack.resume("redis-1").unwrap();
    assert_eq!(states(&stack), [State::Up]);

    stack.kill("redis-1").unwrap();
    stack.kill("redis-1").unwrap();
    assert_eq!(states(&stack), [State::Down]);
    assert!(format!("{:#}", stack.pause("redis-1").unwrap_err()).ends_with("redis-1: it is down"));
    let again = folder.up(RedisShape::Single);
    assert_ne!(pid(&again, "redis-1"), first);
    assert_eq!(redis(&again, "redis-1", &["GET", "key"]), "kept");

    stack.down(Leave::Data).unwrap();
    stack.start("redis-1").unwrap();
    assert_eq!(redis(&stack, "redis-1", &["GET", "key"]), "kept");

    stack.down(Leave::Nothing).unwrap();
    stack.down(Leave::Nothing).unwrap();
    assert!(!stack.folder().join("redis-1").exists());
    assert!(Stack::open(stack.folder(), |_| {}).unwrap().is_none());
}

#[test]
fn a_transaction_that_was_written_in_part_is_none_and_what_is_written_since_is_kept() {
    if !redis_is_there() {
        return;
    }
    let folder = Folder::new();
    let stack = folder.up(RedisShape::Single);
    let get = |key| redis(&stack, "redis-1", &["GET", key]);
    let file = stack.folder().join("redis-1/data/appendonlydir/appendonly.aof.1.incr.aof");
    let length = || file.metadata().expect("a file of what was written").len();
    let begin_again = || {
        stack.kill("redis-1").unwrap();
        stack.start("redis-1").unwrap();
        make_careful(&stack, "redis-1");
    };
    make_careful(&stack, "redis-1");
    // It writes settings as it likes, and what it is told to keep may look like anything.
    assert_eq!(redis(&stack, "redis-1", &["CONFIG", "REWRITE"]), "OK");
    redis(&stack, "redis-1", &["SET", "before", "\nfile of mine"]);
    let script = "redis.call('SET', 'half', '1') redis.call('SET', 'other half', 'EXEC')";
    let write_both = || redis(&stack, "redis-1", &["EVAL", script, "0"]);
    let before = length();
    write_both();
    let whole = length() - before;
    for missing in (1..whole).step_by(9) {
        redis(&stack, "redis-1", &["DEL", "half", "other half", "since"]);
        write_both();
        stack.kill("redis-1").unwrap();
        let cut = std::fs::OpenOptions::new().write(true).open(&file);
        cut.and_then(|cut| cut.set_len(length() - missing)).unwrap();
        stack.start("redis-1").unwrap();
        make_careful(&stack, "redis-1");
        assert_eq!([get("before"), get("half")], ["file of mine", ""], "{missing} bytes are missing");
        redis(&stack, "redis-1", &["SET", "since", "kept"]);
        begin_again();
        assert_eq!([get("half"), get("since")], ["", "kept"], "{missing} bytes are missing");
        // This ends the transaction whose beginning a Redis would have kept.
        redis(&stack, "redis-1", &["EVAL", "redis.call('DEL', 'x') redis.call('SET', 'since', 'new')", "0"]);
        begin_again();
        assert_eq!([get("half"), get("since")], ["", "new"], "{missing} bytes are missing");
    }
}

#[test]
fn a_replica_has_what_its_primary_has_and_stays_promoted() {
    if !redis_is_there() {
        return;
    }
    let folder = Folder::new();
    let stack = folder.up(RedisShape::Replica);
    make_careful(&stack, "redis-2");
    write_through(&stack, "redis-1", "key", "copied");
    stack.kill("redis-1").unwrap();
    stack.promote("redis-2").unwrap();
    stack.kill("redis-2").unwrap();
    stack.start("redis-2").unwrap();
    assert_eq!(redis(&stack, "redis-2", &["GET", "key"]), "copied");
    assert_eq!(redis(&stack, "redis-2", &["SET", "key", "changed"]), "OK");
    stack.start("redis-1").unwrap();
    stack.follow("redis-1", "redis-2").unwrap();
    assert_eq!(redis(&stack, "redis-1", &["GET", "key"]), "changed");
}

#[test]
fn a_cluster_is_whole_again_after_a_node_was_killed() {
    if !redis_is_there() {
        return;
    }
    let folder = Folder::new();
    let stack = folder.up(RedisShape::Cluster);
    stack.services().iter().for_each(|service| make_careful(&stack, &service.name));
    assert_eq!(redis(&stack, "redis-1", &["-c", "SET", "key", "kept"]), "OK");
    stack.kill("redis-3").unwrap();
    let stack = folder.up(RedisShape::Cluster);
    assert_eq!(states(&stack), [State::Up; 3]);
    assert_eq!(redis(&stack, "redis-2", &["-c", "GET", "key"]), "kept");
}

#[test]
fn a_port_that_is_taken_is_named() {
    if !redis_is_there() {
        return;
    }
    let folder = Folder::new();
    let stack = folder.up(RedisShape::Single);
    stack.stop("redis-1").unwrap();
    let port = stack.service("redis-1").unwrap().port;
    let _taken = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    let error = stack.start("redis-1").unwrap_err().to_string();
    assert!(error.contains(&format!("port {port}")) && error.contains("--base-port"), "{error}");
}

#[test]
fn a_server_that_fails_to_start_is_quoted() {
    if !redis_is_there() {
        return;
    }
    let folder = Folder::new();
    let stack = folder.up(RedisShape::Single);
    stack.stop("redis-1").unwrap();
    let settings = stack.folder().join("redis-1/redis.conf");
    add_line(&settings, "no-such-setting yes");
    let error = stack.start("redis-1").unwrap_err().to_string();
    assert!(error.contains("redis-1 has ended") && error.contains("no-such-setting"), "{error}");
}

fn add_line(path: &Path, line: &str) {
    let file = std::fs::OpenOptions::new().append(true).open(path);
    writeln!(file.expect("a settings file"), "{line}").expect("it can be written");
}
