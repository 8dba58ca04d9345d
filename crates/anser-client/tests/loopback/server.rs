//! A server's end of a connection.

#![expect(clippy::unwrap_used, reason = "a test")]

use anser_client::Transport;
use anser_rmtp::body::{DownStreamMessage, DownStreamMessages, UpStreamMessage};
use anser_rmtp::frame::{Body, ConnAckForm, ConnAckRef, PubAck, Qos, QueryAckRef, ServerPublishRef};
use anser_rmtp::websocket::{HttpRequest, RequestReader, WebSocketDecoder, WebSocketError, WebSocketEvent};
use anser_rmtp::{
    ClientFrame, ConnAckStatus, DisconnectStatus, PushTopic, QueryTopic, RawFrame, ServerFrameRef, ServerTopic,
    ServerTransport, TcpDecoder, TcpError, TcpLimits, encode_server_frame,
};
use anser_types::{ConversationType, MessageUid, Status, Timestamp, target_hash};
use prost::Message as _;
use std::collections::VecDeque;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

pub(crate) struct Server(TcpListener);

impl Server {
    pub(crate) async fn listen() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub(crate) fn address(&self) -> String {
        self.0.local_addr().unwrap().to_string()
    }

    /// A connection, over WebSocket after the upgrade, over TCP after the CONNECT.
    pub(crate) async fn accept(&self, transport: Transport) -> Accepted {
        let (mut stream, _) = self.0.accept().await.unwrap();
        let mut frames = VecDeque::new();
        if transport == Transport::Ws {
            let first = upgrade(&mut stream).await;
            let mut decoder = Decoder::WebSocket(WebSocketDecoder::server(1 << 20));
            decoder.push(first, &mut frames);
            return Accepted { stream, decoder, frames, transport: ServerTransport::WebSocket };
        }
        let mut decoder = TcpDecoder::server(TcpLimits::default());
        let mut accepted = loop {
            let mut bytes = vec![0; 4096];
            let read = stream.read(&mut bytes).await.unwrap();
            bytes.truncate(read);
            tcp_push(&mut decoder, bytes, &mut frames);
            if let Some(key) = decoder.key() {
                let transport = ServerTransport::Tcp(key);
                break Accepted { stream, decoder: Decoder::Tcp(decoder), frames, transport };
            }
        };
        assert!(matches!(accepted.frame().await, ClientFrame::Connect(_)));
        accepted
    }
}

async fn upgrade(stream: &mut TcpStream) -> Vec<u8> {
    let mut reader = RequestReader::new();
    loop {
        let mut bytes = vec![0; 4096];
        let read = stream.read(&mut bytes).await.unwrap();
        bytes.truncate(read);
        if let Some((HttpRequest::Upgrade(request), consumed)) = reader.push(&bytes).unwrap() {
            let mut response = Vec::new();
            request.put_response(&mut response);
            stream.write_all(&response).await.unwrap();
            return bytes.split_off(consumed);
        }
    }
}

enum Decoder {
    Tcp(TcpDecoder),
    WebSocket(WebSocketDecoder),
}

impl Decoder {
    fn push(&mut self, mut bytes: Vec<u8>, frames: &mut VecDeque<ClientFrame>) {
        match self {
            Self::Tcp(decoder) => tcp_push(decoder, bytes, frames),
            Self::WebSocket(decoder) => decoder
                .push::<WebSocketError>(&mut bytes, |event| {
                    if let WebSocketEvent::Message(message) = event {
                        frames.push_back(ClientFrame::decode(RawFrame::from_message(message).unwrap()).unwrap());
                    }
                    Ok(())
                })
                .unwrap(),
        }
    }
}

fn tcp_push(decoder: &mut TcpDecoder, mut bytes: Vec<u8>, frames: &mut VecDeque<ClientFrame>) {
    decoder
        .push::<TcpError>(&mut bytes, |raw| {
            frames.push_back(ClientFrame::decode(raw).unwrap());
            Ok(())
        })
        .unwrap();
}

/// What a client published.
pub(crate) struct Published {
    pub(crate) message_id: u16,
    pub(crate) target: String,
    pub(crate) content: String,
    pub(crate) client_id: i64,
}

pub(crate) struct Accepted {
    stream: TcpStream,
    decoder: Decoder,
    frames: VecDeque<ClientFrame>,
    transport: ServerTransport,
}

impl Accepted {
    pub(crate) async fn sign_in(&mut self, user: &str) {
        self.send(ServerFrameRef::ConnAck(ConnAckRef::Accepted {
            form: ConnAckForm::V4,
            user_id: user,
            session_id: "session",
            time: Timestamp(1_000),
            first_message_id: Some(100),
        }))
        .await;
    }

    pub(crate) async fn refuse(&mut self, status: ConnAckStatus) {
        self.send(ServerFrameRef::ConnAck(ConnAckRef::Refused(status))).await;
    }

    pub(crate) async fn disconnect(&mut self, status: DisconnectStatus) {
        self.send(ServerFrameRef::Disconnect(status)).await;
    }

    pub(crate) async fn ack(&mut self, message_id: u16, status: Status) {
        let uid = Some(uid(1_001));
        self.send(ServerFrameRef::PubAck(PubAck { message_id, sent: Timestamp(1_001), status, uid })).await;
    }

    /// Waits for a pull, and answers it.
    pub(crate) async fn answer_pull(&mut self, list: &[DownStreamMessage]) {
        self.answer_pull_and(list, &[]).await;
    }

    /// Waits for a pull, answers it with nothing, and pushes a message; all of it in one write.
    pub(crate) async fn answer_pull_and_push(&mut self, time: u64, text: &str) {
        let pushed = self.pushed(time, text);
        self.answer_pull_and(&[], &pushed).await;
    }

    async fn answer_pull_and(&mut self, list: &[DownStreamMessage], more: &[u8]) {
        let message_id = loop {
            match self.frame().await {
                ClientFrame::Query(query) if query.topic == QueryTopic::Pull => {
                    break query.message_id;
                }
                _ => {}
            }
        };
        let page = DownStreamMessages { list: list.to_vec(), sync_time: 1, finished: true, broadcast_sync_time: 0 };
        let body = page.encode_to_vec();
        let answer = ServerFrameRef::QueryAck(QueryAckRef {
            qos: Qos::AtLeastOnce,
            message_id,
            seconds: 1,
            status: Status::OK,
            body: Body::One(&body),
        });
        let mut bytes = Vec::new();
        encode_server_frame(&answer, self.transport, &mut bytes).unwrap();
        bytes.extend_from_slice(more);
        self.stream.write_all(&bytes).await.unwrap();
        while !matches!(self.frame().await, ClientFrame::QueryCon { message_id: id } if id == message_id) {}
    }

    /// Waits for the next message.
    pub(crate) async fn publish(&mut self) -> Published {
        loop {
            if let ClientFrame::Publish(publish) = self.frame().await {
                let up = UpStreamMessage::decode(publish.body).unwrap();
                return Published {
                    message_id: publish.message_id,
                    target: publish.target.id().unwrap().to_string(),
                    content: String::from_utf8(up.content.to_vec()).unwrap(),
                    client_id: up.client_unique_id.unwrap(),
                };
            }
        }
    }

    /// Waits until the client says that it goes; its status.
    pub(crate) async fn goodbye(&mut self) -> u8 {
        loop {
            if let ClientFrame::Disconnect { status } = self.frame().await {
                return status;
            }
        }
    }

    pub(crate) async fn push(&mut self, time: u64, text: &str) {
        let bytes = self.pushed(time, text);
        self.stream.write_all(&bytes).await.unwrap();
    }

    pub(crate) async fn push_byte_by_byte(&mut self, time: u64, text: &str) {
        for byte in self.pushed(time, text) {
            self.stream.write_all(&[byte]).await.unwrap();
            self.stream.flush().await.unwrap();
            tokio::task::yield_now().await;
        }
    }

    fn pushed(&self, time: u64, text: &str) -> Vec<u8> {
        let down = DownStreamMessage {
            from_user_id: "peer".into(),
            kind: 1,
            classname: "RC:TxtMsg".into(),
            content: serde_json::json!({ "content": text }).to_string().into(),
            data_time: i64::try_from(time).unwrap(),
            msg_id: Some(uid(time).to_string()),
            ..DownStreamMessage::default()
        };
        let body = down.encode_to_vec();
        let publish = ServerPublishRef {
            qos: Qos::AtLeastOnce,
            dup: false,
            seconds: 1,
            topic: ServerTopic::Push(PushTopic::Message),
            target: "me",
            message_id: 7,
            body: Body::One(&body),
        };
        let mut bytes = Vec::new();
        encode_server_frame(&ServerFrameRef::Publish(publish), self.transport, &mut bytes).unwrap();
        bytes
    }

    async fn send(&mut self, frame: ServerFrameRef<'_>) {
        let mut bytes = Vec::new();
        encode_server_frame(&frame, self.transport, &mut bytes).unwrap();
        self.stream.write_all(&bytes).await.unwrap();
    }

    async fn frame(&mut self) -> ClientFrame {
        loop {
            if let Some(frame) = self.frames.pop_front() {
                return frame;
            }
            let mut bytes = vec![0; 65_536];
            let read = self.stream.read(&mut bytes).await.unwrap();
            assert!(read > 0, "the client closed the connection");
            bytes.truncate(read);
            self.decoder.push(bytes, &mut self.frames);
        }
    }
}

fn uid(time: u64) -> MessageUid {
    MessageUid::new(Timestamp(time), 0, ConversationType::Private, target_hash("me"))
}
