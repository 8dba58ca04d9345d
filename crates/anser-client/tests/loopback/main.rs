//! The client over real sockets, against a server that is played by hand.

mod server;

use std::time::Duration;

use anser_client::{Client, ClientEvent, ConnectError, Conversation, Failure, SendError, StopReason, Transport};
use anser_rmtp::ConnAckStatus;
use anser_types::Status;
use server::{Accepted, Server};
use tokio::time::timeout;

const TRANSPORTS: [Transport; 2] = [Transport::Tcp, Transport::Ws];

/// Whatever is waited for comes soon, or the test has failed.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(20), future).await.expect("it takes too long")
}

fn builder(server: &Server, transport: Transport) -> anser_client::ClientBuilder {
    Client::builder("http://unused", "app", "token")
        .addresses(vec![server.address()])
        .transport(transport)
        .session(|session| session.reconnect_min_ms = 20)
}

/// A client that is signed in and has pulled, and the server's end of its connection.
async fn connected(transport: Transport) -> (Client, anser_client::Events, Server, Accepted) {
    let server = Server::listen().await;
    let (client, accepted) = tokio::join!(builder(&server, transport).connect(), async {
        let mut accepted = server.accept(transport).await;
        accepted.sign_in("me").await;
        accepted.answer_pull(&[]).await;
        accepted
    });
    let (client, events) = client.expect("the server lets it in");
    (client, events, server, accepted)
}

async fn next_message(events: &mut anser_client::Events) -> anser_client::Message {
    loop {
        if let ClientEvent::Message(message) = soon(events.next()).await.expect("the client goes on") {
            return message;
        }
    }
}

#[tokio::test]
async fn a_message_goes_up_and_is_acked() {
    for transport in TRANSPORTS {
        let (client, _events, _server, mut accepted) = connected(transport).await;
        assert_eq!(client.user().as_str(), "me");
        let sending = client.text(Conversation::private("bob").unwrap(), "hello");
        let (outcome, publish) = tokio::join!(soon(sending), async {
            let publish = accepted.publish().await;
            accepted.ack(publish.message_id, Status::OK).await;
            publish
        });
        assert_eq!(publish.target, "bob");
        assert_eq!(publish.content, r#"{"content":"hello"}"#);
        assert_eq!(outcome.unwrap().client_id.0, publish.client_id, "{transport:?}");
    }
}

#[tokio::test]
async fn a_message_comes_down_however_its_bytes_are_cut() {
    for transport in TRANSPORTS {
        let (_client, mut events, _server, mut accepted) = connected(transport).await;
        accepted.push_byte_by_byte(10, "cut").await;
        let message = next_message(&mut events).await;
        assert_eq!((message.text().as_deref(), message.sender.as_str()), (Some("cut"), "peer"), "{transport:?}");
        accepted.push(11, &"long ".repeat(50_000)).await;
        assert_eq!(next_message(&mut events).await.text().map(|text| text.len()), Some(250_000));
    }
}

#[tokio::test]
async fn no_gap_a_cursor_is_told_before_what_comes_after_it() {
    for transport in TRANSPORTS {
        let server = Server::listen().await;
        let (client, _accepted) = tokio::join!(builder(&server, transport).connect(), async {
            let mut accepted = server.accept(transport).await;
            accepted.sign_in("me").await;
            accepted.answer_pull_and_push(10, "hello").await;
            accepted
        });
        let (_client, mut events) = client.expect("the server lets it in");
        let Some(ClientEvent::Synced { cursor }) = soon(events.next()).await else { panic!("it is not synced") };
        assert_eq!(cursor.0, 1, "{transport:?}: the message at 10 is still to come");
        assert_eq!(next_message(&mut events).await.sent.0, 10);
    }
}

#[tokio::test]
async fn nothing_twice_a_lost_connection_resends_under_the_same_id() {
    for transport in TRANSPORTS {
        let (client, _events, server, mut accepted) = connected(transport).await;
        let sending = client.text(Conversation::private("bob").unwrap(), "hello");
        let (outcome, (first, second)) = tokio::join!(soon(sending), async {
            let first = accepted.publish().await;
            drop(accepted);
            let mut accepted = server.accept(transport).await;
            accepted.sign_in("me").await;
            let second = accepted.publish().await;
            accepted.ack(second.message_id, Status::OK).await;
            (first.client_id, second.client_id)
        });
        assert!(outcome.is_ok());
        assert_eq!(first, second, "{transport:?}");
    }
}

#[tokio::test]
async fn told_why_a_kick_ends_the_client_and_its_sends() {
    for transport in TRANSPORTS {
        let (client, mut events, _server, mut accepted) = connected(transport).await;
        let sending = client.text(Conversation::private("bob").unwrap(), "hello");
        let (outcome, ()) = tokio::join!(soon(sending), async {
            accepted.publish().await;
            accepted.disconnect(anser_rmtp::DisconnectStatus::Kicked).await;
        });
        assert_eq!(outcome, Err(SendError::Failed(Failure::Stopped { attempts: 1 })));
        loop {
            match soon(events.next()).await {
                Some(ClientEvent::Stopped(reason)) => break assert_eq!(reason, StopReason::Kicked),
                Some(_) => {}
                None => panic!("no reason was told"),
            }
        }
        assert_eq!(soon(events.next()).await, None);
        let late = soon(client.text(Conversation::private("bob").unwrap(), "late")).await;
        assert_eq!(late, Err(SendError::Closed));
    }
}

#[tokio::test]
async fn told_why_a_refused_sign_in_is_an_error() {
    for transport in TRANSPORTS {
        let server = Server::listen().await;
        let (client, ()) = tokio::join!(soon(builder(&server, transport).connect()), async {
            let mut accepted = server.accept(transport).await;
            accepted.refuse(ConnAckStatus::TokenIncorrect).await;
        });
        let Err(ConnectError::Stopped(reason)) = client else { panic!("signed in") };
        assert_eq!(reason, StopReason::Refused(4));
    }
}

#[tokio::test]
async fn an_application_that_does_not_listen_slows_its_server_and_loses_nothing() {
    const MESSAGES: u64 = 6_000;
    let (_client, mut events, _server, mut accepted) = connected(Transport::Tcp).await;
    let text = "x".repeat(2_000);
    let pushing = async {
        for number in 0..MESSAGES {
            accepted.push(100 + number, &text).await;
        }
    };
    // Far more than the queue and the socket buffers hold together: the server gets stuck.
    tokio::pin!(pushing);
    assert!(timeout(Duration::from_millis(300), &mut pushing).await.is_err());
    let listening = async {
        for number in 0..MESSAGES {
            assert_eq!(next_message(&mut events).await.sent.0, 100 + number);
        }
    };
    tokio::join!(pushing, listening);
}

#[tokio::test]
async fn closing_tells_the_server() {
    for transport in TRANSPORTS {
        let (client, _events, _server, mut accepted) = connected(transport).await;
        let ((), status) = tokio::join!(soon(client.close()), accepted.goodbye());
        assert_eq!(status, 4, "{transport:?}");
    }
}
