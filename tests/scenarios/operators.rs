//! What operators see of a cluster and do with it: its state in words, ports for health and numbers, log lines by UID, certificates
//! between nodes, and a mailbox made anew while it serves.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use anser_client::{Client, ClientEvent, Conversation, Events, Message, Timestamp};
use anser_tests::{More, Server, Site, until, within};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::task::JoinSet;

use crate::health::{ask, metric};

const PATIENCE: Duration = Duration::from_secs(60);
/// All the nodes that a cluster of a scenario has.
const NODES: [&str; 6] = ["access-1", "access-2", "front-1", "message-1", "message-2", "message-3"];
/// How a client of HTTP/2, and so another node, begins.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";
/// The first byte of a TLS record that tells of an error.
const ALERT: u8 = 21;

/// A certificate for all nodes, by an authority made for them, as settings.
fn certificates(folder: &Path) -> Vec<String> {
    let mut of_authority = CertificateParams::new(Vec::new()).expect("a certificate");
    of_authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let own_key = KeyPair::generate().expect("a key");
    let authority = CertifiedIssuer::self_signed(of_authority, own_key).expect("an authority");
    let pair = KeyPair::generate().expect("a key");
    let of_nodes = CertificateParams::new(vec!["node.anser".to_owned()]).expect("a certificate");
    let certificate = of_nodes.signed_by(&pair, &authority).expect("it signs");
    let files = [("authority", authority.pem()), ("certificate", certificate.pem()), ("key", pair.serialize_pem())];
    let setting = |(name, pem): (&str, String)| {
        let file = folder.join(name);
        std::fs::write(&file, pem).expect("a file");
        format!("cluster.tls.{name} = {:?}", file.display().to_string())
    };
    let mut settings: Vec<String> = files.into_iter().map(setting).collect();
    settings.push("cluster.tls.server_name = \"node.anser\"".to_owned());
    settings
}

/// A place is safe after this time, and only then counts as replayed.
fn soon_replayed() -> More {
    More { settings: vec!["cluster.redis.forget_window_ms = 2000".to_owned()], ..More::default() }
}

async fn connect(server: &Server, user: &str) -> (Client, Events) {
    let token = server.admin().token(user).await.expect("a token");
    let client = Client::builder(&server.url(), &server.ready().app_key, &token);
    client.connect().await.expect("the token is good")
}

async fn next_message(events: &mut Events) -> Message {
    within("the next message", PATIENCE, async {
        loop {
            if let ClientEvent::Message(message) = events.next().await.expect("it stays connected") {
                return message;
            }
        }
    })
    .await
}

/// Waits until status says this.
async fn until_status_says(server: &Server, words: &str) -> String {
    until(words, PATIENCE, || Some(server.status()).filter(|status| status.contains(words))).await
}

/// Waits until the nodes have told of each step of a message in a line with its UID.
async fn follow(server: &Server, uid: &str, more: &[(&str, &str)]) {
    let steps = [("message accepted", "message"), ("message delivered", "message"), ("message arrives", "access")];
    for (step, kind) in steps.iter().chain(more) {
        let tells = |node: &&&str| {
            let log = server.cluster().said(node).expect("it has a log");
            log.lines().any(|line| line.contains(step) && line.contains(uid))
        };
        until(step, PATIENCE, || NODES.iter().filter(|node| node.starts_with(kind)).find(tells)).await;
    }
}

/// The metrics that operators are told of.
fn told_metrics() -> BTreeSet<&'static str> {
    let rows = include_str!("../../docs/operations.md").lines().filter(|line| line.starts_with("| `"));
    let words = rows.filter_map(|row| row.split('|').nth(1)).flat_map(|names| names.split('`'));
    words.filter(|word| word.starts_with("anser_") || word.starts_with("process_")).collect()
}

/// The metrics that a port shows.
fn shown_metrics(answer: &str) -> impl Iterator<Item = String> {
    answer.lines().filter_map(|line| {
        let (name, kind) = line.strip_prefix("# TYPE ")?.split_once(' ')?;
        Some(if kind == "counter" { format!("{name}_total") } else { name.to_owned() })
    })
}

fn operators_port(server: &Server, node: &str) -> String {
    format!("127.0.0.1:{}", server.cluster().node(node).expect("it has such a node").ports.admin)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_each_node_and_misses_who_went_without_a_word() {
    let mut server = Server::start_cluster(More::default()).await;
    let well = until_status_says(&server, "all is well").await;
    assert!(well.contains("6 nodes") && well.contains("48 of 48 partitions served"), "{well}");
    let told = told_metrics();
    for node in NODES {
        assert!(well.contains(&format!("{node}  ")), "{node} is missing in\n{well}");
        let port = operators_port(&server, node);
        for path in ["/livez", "/readyz", "/metrics", "/status"] {
            let answer = ask(&port, path);
            assert!(answer.starts_with("HTTP/1.1 200"), "{node} {path}: {answer}");
            let untold: Vec<String> = shown_metrics(&answer).filter(|name| !told.contains(name.as_str())).collect();
            assert!(untold.is_empty(), "docs/operations.md does not tell of {untold:?}, which {node} shows");
        }
    }
    // The server API is where its role is.
    for (node, is_there) in [("front-1", true), ("access-1", false), ("message-1", false)] {
        let http = server.cluster().node(node).expect("it has such a node").ports.http;
        let site = Site { url: format!("http://127.0.0.1:{http}"), ..server.site() };
        let token = site.admin().token("guest").await;
        assert_eq!(token.is_ok(), is_there, "{node}: {token:?}");
    }
    // Entries of timelines go when they are older than their retention; Redis keeps of each bucket up to which time.
    let expired = "local keys = redis.call('KEYS', '*{b:007}') if #keys == 0 then return 0 end for _, key in ipairs(keys) do \
                   if not redis.call('HGET', key, 'expired') then return 0 end end return redis.status_reply('OK')";
    let eval = format!("EVAL \"{expired}\" 0");
    until("timelines are let go of", PATIENCE, || server.redis_says_ok(&eval).then_some(())).await;

    // While they share them out, one may have let go of what the next does not serve yet.
    until("the message nodes serve 48 partitions between them", PATIENCE, || {
        let served = ["message-1", "message-2", "message-3"]
            .map(|node| metric(&operators_port(&server, node), "anser_partitions_served"));
        (served.iter().flatten().sum::<f64>() == 48.0).then_some(())
    })
    .await;

    server.kill_node("message-2");
    let missed = until_status_says(&server, "message-2 went without a word").await;
    assert!(missed.contains("`anser cluster forget message-2 [FILE]`"), "{missed}");
    until_status_says(&server, "48 of 48 partitions served").await;
    assert!(!server.status().contains("all is well"), "nobody forgets it by itself");
    assert!(server.operate(&["forget", "message-2"], &[]).contains("message-2 is not missed any more"));
    let five = until_status_says(&server, "all is well").await;
    assert!(five.contains("5 nodes"), "{five}");
    server.start_again().await;
    until_status_says(&server, "6 nodes").await;
    until_status_says(&server, "all is well").await;
    // Whoever is stopped in order is not missed.
    server.stop_node("message-3");
    until_status_says(&server, "5 nodes").await;
    let five = until_status_says(&server, "all is well").await;
    assert!(!five.contains("message-3"), "{five}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_with_certificates_keep_others_out_and_a_message_can_be_followed_by_its_uid() {
    let folder = tempfile::tempdir().expect("a folder");
    let lines = ("ANSER_LOG".to_owned(), "anser_message=debug,anser_access=debug,anser_api=debug,info".to_owned());
    let more = More { settings: certificates(folder.path()), environment: vec![lines] };
    let server = Server::start_cluster(more).await;
    until_status_says(&server, "all is well").await;
    let (alice, _events) = connect(&server, "alice").await;
    let (_bob, mut arrives) = connect(&server, "bob").await;
    let acked = alice.text(Conversation::private("bob").expect("an id"), "a secret").await.expect("it is acked");
    next_message(&mut arrives).await;
    follow(&server, &acked.uid.to_string(), &[]).await;
    let published = [("fromUserId", "alice"), ("toUserId", "bob"), ("objectName", "RC:TxtMsg"), ("content", "{}")];
    let answer = server.admin().call("/message/private/publish", &published).await.expect("it is published");
    let uid = answer["messageUIDs"][0]["messageUID"].as_str().expect("a uid");
    follow(&server, uid, &[("message published by the app's backend", "front")]).await;
    assert!(!server.log().contains("a secret"), "what is said is nobody's business");

    let peers = server.cluster().node("message-1").expect("it has such a node").ports.peers;
    let mut stranger = TcpStream::connect(("127.0.0.1", peers)).expect("the port is open");
    stranger.set_read_timeout(Some(PATIENCE)).expect("a time");
    stranger.write_all(PREFACE).expect("it takes what is sent");
    let mut answer = Vec::new();
    stranger.read_to_end(&mut answer).expect("it ends the connection");
    assert!(answer.first().is_none_or(|first| *first == ALERT), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_lost_an_operator_finds_a_bucket_that_cannot_be_written_and_mends_it() {
    let server = Server::start_cluster(soon_replayed()).await;
    let (alice, _events) = connect(&server, "alice").await;
    let (_carol, mut arrives) = connect(&server, "carol").await;
    let to = |user: &str| Conversation::private(user).expect("an id");
    alice.text(to("bob"), "1").await.expect("acked");
    until_status_says(&server, "; 0 records to deliver").await;
    let of_bob = |kind: &str, doing: &str| {
        let each = format!("if redis.call('TYPE', key).ok == '{kind}' then redis.call({doing}) end");
        let all = format!("for _, key in ipairs(redis.call('KEYS', '*bob*')) do {each} end");
        server.tell_redis(&format!("EVAL \"{all} return redis.status_reply('OK')\" 0"));
    };
    // Somebody writes over his timeline.
    of_bob("zset", "'SET', key, 'x'");
    alice.text(to("bob"), "2").await.expect("acked");
    let parked = until_status_says(&server, "mailbox: 1 of 256 buckets parked (").await;
    assert!(parked.contains("what comes for their users waits in the log until redis is mended"), "{parked}");
    alice.text(to("carol"), "3").await.expect("acked");
    assert_eq!(next_message(&mut arrives).await.text().as_deref(), Some("3"), "nobody else waits");

    of_bob("string", "'DEL', key");
    let said = server.operate(&["rebuild", "mailbox"], &["--yes"]);
    assert!(said.contains("the mailbox is rebuilt"), "{said}");
    until_status_says(&server, "all is well").await;
    let (_bob, mut arrives) = connect(&server, "bob").await;
    for text in ["1", "2"] {
        assert_eq!(next_message(&mut arrives).await.text().as_deref(), Some(text));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_lost_a_mailbox_is_made_anew_while_the_cluster_serves() {
    let server = Server::start_cluster(soon_replayed()).await;
    let (alice, _events) = connect(&server, "alice").await;
    let to_bob = Conversation::private("bob").expect("an id");
    for n in 1..=20 {
        alice.text(to_bob.clone(), &n.to_string()).await.expect("acked");
    }
    until_status_says(&server, "; 0 records to deliver").await;
    // Somebody removes all that bob has, which Redis itself does not notice.
    let keys = "for _, key in ipairs(redis.call('KEYS', '*bob*')) do redis.call('DEL', key) end return redis.status_reply('OK')";
    server.tell_redis(&format!("EVAL \"{keys}\" 0"));
    let mut sending = JoinSet::new();
    sending.spawn(async move {
        for n in 21..=60 {
            alice.text(to_bob.clone(), &n.to_string()).await.expect("acked");
        }
    });
    let said = server.operate(&["rebuild", "mailbox"], &["--yes"]);
    assert!(said.contains("the mailbox is rebuilt"), "{said}");
    within("all are acked", PATIENCE, sending.join_all()).await;
    let (bob, mut arrives) = connect(&server, "bob").await;
    let mut texts = Vec::new();
    while texts.len() < 60 {
        texts.extend(next_message(&mut arrives).await.text());
    }
    assert_eq!(texts, (1..=60).map(|n| n.to_string()).collect::<Vec<_>>(), "each once, and in order");
    let page =
        bob.history(&Conversation::private("alice").expect("an id"), Timestamp::ZERO, 100).await.expect("a page");
    assert_eq!(page.messages.len(), 60, "history is not touched");
}
