//! What an operator sees of a server that runs: whether it is well, and its numbers.

use std::time::Duration;

use anser_client::{Client, Conversation, Events};
use anser_tests::{Server, until};

use crate::first_steps::{run, text};

const PATIENCE: Duration = Duration::from_secs(20);

/// A server with a port for operators, and where that is.
async fn start() -> (Server, String) {
    let server = Server::builder().arguments(&["--admin", "127.0.0.1:0"]).start().await;
    let admin = server.ready().admin.clone().expect("the port is on");
    (server, admin)
}

async fn connect(server: &Server, user: &str) -> (Client, Events) {
    let token = server.admin().token(user).await.expect("a token");
    let client = Client::builder(&server.url(), &server.ready().app_key, &token);
    client.connect().await.expect("the token is good")
}

/// What the server answers there.
pub(crate) fn ask(admin: &str, path: &str) -> String {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(admin).expect("the port is open");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("it takes the question");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer
}

/// The value of a metric that may have labels.
pub(crate) fn metric(admin: &str, name: &str) -> Option<f64> {
    let text = ask(admin, "/metrics");
    let line = text.lines().find(|line| line.rsplit_once(' ').is_some_and(|(shown, _)| shown == name))?;
    line.rsplit_once(' ')?.1.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_well_says_so_and_one_that_is_away_is_told_by_the_exit_code() {
    let (mut server, admin) = start().await;
    for (arguments, word) in
        [(&["health", "--admin", &admin][..], "ready"), (&["health", "--live", "--admin", &admin], "alive")]
    {
        let output = run(arguments, "");
        assert_eq!((output.status.code(), text(&output.stdout).trim()), (Some(0), word));
    }
    assert!(ask(&admin, "/readyz").starts_with("HTTP/1.1 200") && ask(&admin, "/else").starts_with("HTTP/1.1 404"));
    assert!(server.stop().await);
    let output = run(&["health", "--admin", &admin], "");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains(&format!("the server does not answer at {admin}")), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_drains_takes_no_traffic_and_says_why() {
    let (mut server, admin) = start().await;
    let _client = connect(&server, "alice").await;
    server.signal("TERM");
    let said = until("the server drains", PATIENCE, || {
        let output = run(&["health", "--admin", &admin], "");
        let said = text(&output.stdout);
        (output.status.code() == Some(1) && said.contains("the node drains")).then_some(said)
    });
    assert!(said.await.starts_with("not ready\n"));
    assert!(run(&["health", "--live", "--admin", &admin], "").status.success(), "it lives to its end");
    assert!(server.ended().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_clients_do_shows_in_the_metrics() {
    let (server, admin) = start().await;
    let (alice, _events) = connect(&server, "alice").await;
    assert_eq!(metric(&admin, "anser_connections{transport=\"ws\"}"), Some(1.0));
    assert_eq!(metric(&admin, "anser_sign_ins_total{result=\"accepted\"}"), Some(1.0));
    let to = Conversation::private("bob").expect("an id");
    alice.text(to, "hello").await.expect("it is acked");
    assert_eq!(metric(&admin, "anser_publishes_received_total"), Some(1.0));
    assert_eq!(metric(&admin, "anser_publishes_answered_total{status=\"accepted\"}"), Some(1.0));
    let delivered = || (metric(&admin, "anser_deliveries_total") == Some(2.0)).then_some(());
    until("it is in the timelines of both", PATIENCE, delivered).await;
    assert_eq!(metric(&admin, "anser_records_accepted_total{kind=\"message\"}"), Some(1.0));
    assert!(metric(&admin, "anser_log_appends_total{outcome=\"landed\"}") >= Some(1.0));
    assert_eq!(metric(&admin, "anser_partitions_served"), Some(16.0));
    let archived = || (metric(&admin, "anser_archiver_lag_records") == Some(0.0)).then_some(());
    until("it is in history", PATIENCE, archived).await;
    alice.close().await;
    let gone = || (metric(&admin, "anser_connections{transport=\"ws\"}") == Some(0.0)).then_some(());
    until("the client is gone", PATIENCE, gone).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_can_be_followed_through_the_log_lines_by_its_uid() {
    let lines = ("ANSER_LOG", "anser_message=debug,anser_access=debug,info");
    let server = Server::builder().arguments(&["--log", "json"]).variable(lines.0, lines.1).start().await;
    let (alice, _events) = connect(&server, "alice").await;
    let (_bob, _events) = connect(&server, "bob").await;
    let acked = alice.text(Conversation::private("bob").expect("an id"), "a secret").await.expect("it is acked");
    for step in ["message accepted", "message delivered", "message arrives"] {
        until(step, PATIENCE, || {
            let log = server.log();
            let line = log.lines().find(|line| line.contains(step) && line.contains(&acked.uid.to_string()))?;
            serde_json::from_str::<serde_json::Value>(line).ok()
        })
        .await;
    }
    assert!(!server.log().contains("a secret"), "what is said is nobody's business");
}
