//! What a newcomer does first: the tour of the README, through the operator's commands.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use anser_tests::{Server, anser};

/// Runs a command to its end, with this typed into it.
pub(crate) fn run(arguments: &[&str], typed: &str) -> Output {
    let mut command = Command::new(anser());
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the command starts");
    let mut input = child.stdin.take().expect("its input is a pipe");
    input.write_all(typed.as_bytes()).expect("it takes its input");
    drop(input);
    child.wait_with_output().expect("it ends")
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_users_chat_one_after_the_other_and_both_see_it_all() {
    let server = Server::start().await;
    let data = server.data().to_str().expect("a readable path").to_owned();
    let http = server.ready().http.clone();
    let chat = |user: &str, to: &str, typed: &str| {
        let output = run(&["chat", "--user", user, "--to", to, "--http", &http, "--data", &data], typed);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let said = chat("alice", "bob", "hello bob\n");
    assert!(said.contains("✓ hello bob"), "{said}");
    let seen = chat("bob", "alice", "/history\nhello alice\n");
    assert!(seen.contains("alice: hello bob") && seen.contains("✓ hello alice"), "{seen}");
    let seen = chat("alice", "bob", "/history\n");
    let places = ["alice: hello bob", "bob: hello alice"].map(|line| seen.find(line));
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_was_made_without_the_server_signs_in() {
    let server = Server::start().await;
    let data = server.data().to_str().expect("a readable path");
    let output = run(&["token", "carol", "--data", data], "");
    let token = text(&output.stdout);
    let client = anser_client::Client::builder(&server.url(), &server.ready().app_key, token.trim());
    let (client, _events) = client.connect().await.expect("the token is good");
    assert_eq!(client.user().as_str(), "carol");
}

#[test]
fn every_command_explains_itself() {
    let commands: [&[&str]; 10] = [
        &[],
        &["serve"],
        &["health"],
        &["config", "check"],
        &["config", "reference"],
        &["app", "create"],
        &["app", "rotate-secret"],
        &["token"],
        &["chat"],
        &["load", "private"],
    ];
    for command in commands {
        let output = run(&[command, &["--help"]].concat(), "");
        assert!(output.status.success(), "{command:?}");
        assert!(text(&output.stdout).contains("Usage: anser"), "{command:?}");
    }
    assert!(text(&run(&["--version"], "").stdout).starts_with("anser "));
}
