//! A client for tests: frames in, frames out.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use anser_rmtp::body::{DownStreamMessages, RelationQryInput, SyncRequestMsg, UpStreamMessage};
use anser_rmtp::frame::{ConnAck, ConnAckForm, Connect, Publish, Qos, Query, QueryAck, ServerPublish, Target};
use anser_rmtp::websocket::{ClientHandshake, CloseCode, ConnectQuery, WebSocketDecoder, WebSocketEvent};
use anser_rmtp::{
    ClientFrame, ClientTransport, ObfuscationKey, PublishTopic, QueryTopic, RawFrame, ServerFrame, TcpDecoder,
    TcpLimits, encode_client_frame,
};
use anser_types::TargetId;
use bytes::Bytes;
use prost::Message as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How long anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
const MASK: [u8; 4] = [1, 2, 3, 4];
const KEY: ObfuscationKey = ObfuscationKey::new([9, 8, 7, 6, 5, 4, 3, 2]);

enum Decoder {
    Tcp(TcpDecoder),
    WebSocket(WebSocketDecoder),
}

async fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// A socket, secured or not.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

pub(crate) struct Client {
    pub(crate) stream: Box<dyn Stream>,
    decoder: Decoder,
    form: ConnAckForm,
    inbox: VecDeque<ServerFrame>,
    /// With which code the server closed the WebSocket.
    closed_with: Option<CloseCode>,
    message_id: u16,
}

impl Client {
    pub(crate) async fn websocket(to: SocketAddr, token: &str, device: &str, version: &str, protocol: u8) -> Self {
        let query = ConnectQuery {
            app_key: "app".into(),
            token: token.into(),
            sdk_version: version.into(),
            device_id: device.into(),
            platform: device.split('-').next().unwrap_or_default().into(),
            protocol_version: Some(protocol),
            ..ConnectQuery::default()
        };
        Self::websocket_query(to, &query).await
    }

    pub(crate) async fn websocket_query(to: SocketAddr, query: &ConnectQuery) -> Self {
        Self::websocket_over(Box::new(connect(to).await), query).await
    }

    pub(crate) async fn websocket_over(mut stream: Box<dyn Stream>, query: &ConnectQuery) -> Self {
        let handshake = ClientHandshake::new([7; 16]);
        stream.write_all(&handshake.request("localhost", query)).await.unwrap();
        let mut reader = handshake.into_reader();
        let mut client = Self {
            stream,
            decoder: Decoder::WebSocket(WebSocketDecoder::client(64 << 20)),
            form: ConnAckForm::of_version(query.protocol_version.unwrap_or(0)),
            inbox: VecDeque::new(),
            closed_with: None,
            message_id: 0,
        };
        let mut buffer = [0; 4096];
        loop {
            let count = tokio::time::timeout(PATIENCE, client.stream.read(&mut buffer)).await.unwrap().unwrap();
            assert!(count > 0, "closed within the handshake");
            if let Some(used) = reader.push(&buffer[..count]).unwrap() {
                client.decode(&mut buffer[used..count]);
                return client;
            }
        }
    }

    pub(crate) async fn tcp(to: SocketAddr, app: &str, token: &str, device: &str, will: &str, version: u8) -> Self {
        Self::tcp_over(Box::new(connect(to).await), app, token, device, will, version).await
    }

    pub(crate) async fn tcp_over(
        stream: Box<dyn Stream>,
        app: &str,
        token: &str,
        device: &str,
        will: &str,
        version: u8,
    ) -> Self {
        let mut client = Self {
            stream,
            decoder: Decoder::Tcp(TcpDecoder::client(
                KEY,
                TcpLimits { frame_bytes_max: 64 << 20, ..TcpLimits::default() },
            )),
            form: ConnAckForm::of_version(version),
            inbox: VecDeque::new(),
            closed_with: None,
            message_id: 0,
        };
        let connect =
            Connect { version, client_id: device.into(), will: will.into(), app_key: app.into(), token: token.into() };
        client.send(&ClientFrame::Connect(Box::new(connect))).await;
        client
    }

    pub(crate) fn encode(&self, frame: &ClientFrame, out: &mut Vec<u8>) {
        let transport = match self.decoder {
            Decoder::Tcp(_) => ClientTransport::Tcp(KEY),
            Decoder::WebSocket(_) => ClientTransport::WebSocket { mask: MASK },
        };
        encode_client_frame(frame, transport, out).unwrap();
    }

    pub(crate) async fn send(&mut self, frame: &ClientFrame) {
        let mut bytes = Vec::new();
        self.encode(frame, &mut bytes);
        self.stream.write_all(&bytes).await.unwrap();
    }

    /// A small frame that no client has, as it goes over the wire.
    pub(crate) async fn send_raw(&mut self, header: u8, payload: &[u8]) {
        let mut payload = payload.to_vec();
        let frame = match self.decoder {
            Decoder::Tcp(_) => {
                KEY.apply(&mut payload);
                let signature: &[u8] = if matches!(header >> 4, 3 | 5) { &[7; 8] } else { &[] };
                let length = u8::try_from(signature.len() + payload.len()).unwrap();
                [&[header, header ^ length, length][..], signature, &payload].concat()
            }
            Decoder::WebSocket(_) => {
                let plain = [&[header][..], &payload].concat();
                let length = u8::try_from(plain.len()).unwrap();
                let masked: Vec<u8> = plain.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
                [&[0x82, 0x80 | length][..], &MASK, &masked].concat()
            }
        };
        assert!(frame.len() < 125, "a frame with a short length");
        self.stream.write_all(&frame).await.unwrap();
    }

    fn decode(&mut self, bytes: &mut [u8]) {
        let (form, inbox, closed_with) = (self.form, &mut self.inbox, &mut self.closed_with);
        match &mut self.decoder {
            Decoder::Tcp(decoder) => decoder
                .push(bytes, |raw| {
                    inbox.push_back(ServerFrame::decode(raw, form).unwrap());
                    Ok::<_, anser_rmtp::TcpError>(())
                })
                .unwrap(),
            Decoder::WebSocket(decoder) => decoder
                .push(bytes, |event| {
                    match event {
                        WebSocketEvent::Message(message) => {
                            let raw = RawFrame::from_message(message).unwrap();
                            inbox.push_back(ServerFrame::decode(raw, form).unwrap());
                        }
                        WebSocketEvent::Close(code) => *closed_with = code,
                        WebSocketEvent::Ping(_) | WebSocketEvent::Pong(_) => {}
                    }
                    Ok::<_, anser_rmtp::websocket::WebSocketError>(())
                })
                .unwrap(),
        }
    }

    /// The next frame; `None` once the server closed.
    pub(crate) async fn next(&mut self) -> Option<ServerFrame> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            if let Some(frame) = self.inbox.pop_front() {
                return Some(frame);
            }
            let count = tokio::time::timeout(PATIENCE, self.stream.read(&mut buffer)).await.expect("a frame in time");
            match count {
                Ok(0) | Err(_) => return None,
                Ok(count) => self.decode(&mut buffer[..count]),
            }
        }
    }

    pub(crate) async fn accepted(&mut self) -> (String, Option<u16>) {
        match self.next().await {
            Some(ServerFrame::ConnAck(ConnAck::Accepted { user_id, first_message_id, .. })) => {
                (user_id, first_message_id)
            }
            other => panic!("instead of an acceptance: {other:?}"),
        }
    }

    pub(crate) async fn refused(&mut self) -> u8 {
        match self.next().await {
            Some(ServerFrame::ConnAck(ConnAck::Refused { code })) => {
                assert!(self.next().await.is_none(), "nothing follows a refusal");
                code
            }
            other => panic!("instead of a refusal: {other:?}"),
        }
    }

    /// Waits until it is told to come back later: by nothing on TCP.
    pub(crate) async fn put_off(&mut self) {
        assert_eq!(self.next().await, None, "no CONNACK");
        let is_websocket = matches!(self.decoder, Decoder::WebSocket(_));
        assert_eq!(self.closed_with, is_websocket.then_some(CloseCode::TRY_AGAIN_LATER));
    }

    fn next_message_id(&mut self) -> u16 {
        self.message_id += 1;
        self.message_id
    }

    pub(crate) fn message(&mut self, topic: PublishTopic, to: &str, content: &[u8]) -> ClientFrame {
        let body = UpStreamMessage {
            session_id: 3,
            classname: Bytes::from_static(b"RC:TxtMsg"),
            content: Bytes::copy_from_slice(content),
            ..UpStreamMessage::default()
        };
        ClientFrame::Publish(Publish {
            dup: false,
            qos: Qos::AtLeastOnce,
            topic,
            target: TargetId::new(to).map_or(Target::Myself, Target::Id),
            message_id: self.next_message_id(),
            body: Bytes::from(body.encode_to_vec()),
        })
    }

    /// Sends a private text and returns the status of its ack.
    pub(crate) async fn text(&mut self, to: &str, content: &[u8]) -> u16 {
        let frame = self.message(PublishTopic::Private, to, content);
        self.send(&frame).await;
        match self.next().await {
            Some(ServerFrame::PubAck(ack)) => ack.status.0,
            other => panic!("instead of an ack: {other:?}"),
        }
    }

    pub(crate) fn pull_frame(&mut self, cursor: i64, qos: Qos) -> ClientFrame {
        let body = SyncRequestMsg { sync_time: cursor, is_pull_send: Some(true), ..SyncRequestMsg::default() };
        ClientFrame::Query(Query {
            qos,
            topic: QueryTopic::Pull,
            target: Target::Myself,
            message_id: self.next_message_id(),
            body: Bytes::from(body.encode_to_vec()),
        })
    }

    /// Asks for the list of conversations.
    pub(crate) fn list_frame(&mut self) -> ClientFrame {
        ClientFrame::Query(Query {
            qos: Qos::AtMostOnce,
            topic: QueryTopic::Conversations,
            target: Target::Myself,
            message_id: self.next_message_id(),
            body: Bytes::from(RelationQryInput::default().encode_to_vec()),
        })
    }

    /// Asks once; the texts, the new cursor, and whether that was all.
    pub(crate) async fn pull(&mut self, cursor: i64) -> (Vec<Bytes>, i64, bool) {
        let frame = self.pull_frame(cursor, Qos::AtMostOnce);
        self.send(&frame).await;
        loop {
            match self.next().await {
                Some(ServerFrame::QueryAck(answer)) => return self.pulled(answer).await,
                Some(ServerFrame::Publish(_)) => {}
                other => panic!("instead of an answer: {other:?}"),
            }
        }
    }

    async fn pulled(&mut self, answer: QueryAck) -> (Vec<Bytes>, i64, bool) {
        assert_eq!(answer.status.0, 0);
        if answer.qos.is_confirmed() {
            self.send(&ClientFrame::QueryCon { message_id: answer.message_id }).await;
        }
        let body = DownStreamMessages::decode(answer.body).unwrap();
        (body.list.into_iter().map(|item| item.content).collect(), body.sync_time, body.finished)
    }

    /// The next push of the server.
    pub(crate) async fn push(&mut self) -> ServerPublish {
        match self.next().await {
            Some(ServerFrame::Publish(publish)) => publish,
            other => panic!("instead of a push: {other:?}"),
        }
    }

    /// Waits until the server has read everything that was sent.
    pub(crate) async fn ping(&mut self) {
        self.send(&ClientFrame::PingReq).await;
        assert!(matches!(self.next().await, Some(ServerFrame::PingResp)));
    }
}
