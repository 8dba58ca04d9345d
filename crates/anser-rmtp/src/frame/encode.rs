//! Writing frames, with whatever their transport puts around them, in one pass onto the end of a buffer.
//!
//! The length of a frame is known before its first byte is written, so nothing is moved and nothing is allocated but what
//! the buffer itself needs to grow.

use anser_types::Timestamp;

use super::server::{HAS_FIRST_ID, HAS_SESSION, HAS_TIME, HAS_USER};
use super::{ClientFrame, ConnAckForm, ConnAckRef, Header, PubAck, QueryAckRef, ServerFrameRef, ServerPublishRef};
use crate::status::ConnAckStatus;
use crate::tcp::{ObfuscationKey, SIGNATURE_LEN};
use crate::wire::{put_text, text_len};
use crate::{tcp, websocket};

/// The length of a UID's text, and the same as a length field.
const UID_TEXT_LEN: usize = 19;
const UID_TEXT_LEN_FIELD: [u8; 2] = [0, 19];

/// What carries a server's frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerTransport {
    /// One unmasked binary message per frame.
    WebSocket,
    /// Checksum, length, and the payload under this connection's key.
    Tcp(ObfuscationKey),
}

/// What carries a client's frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientTransport {
    /// One binary message per frame, masked with these four bytes; they must be unpredictable and fresh for each frame.
    WebSocket {
        /// The masking key.
        mask: [u8; 4],
    },
    /// Checksum, length, and the payload under this connection's key.
    Tcp(ObfuscationKey),
}

/// Why a frame was not written. Never worth a retry; the buffer is as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A text field of more than 65,535 bytes.
    #[error("a text field has {0} bytes, more than its length can say")]
    TextTooLong(usize),
    /// A payload that no length on the wire can say.
    #[error("a payload has {0} bytes, more than a frame can hold")]
    TooLarge(usize),
}

/// Appends a server's frame to `out`. On an error `out` is unchanged.
pub fn encode_server_frame(
    frame: &ServerFrameRef<'_>,
    transport: ServerTransport,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let header = frame.header();
    let length = server_len(frame)?;
    match transport {
        ServerTransport::WebSocket => {
            websocket::put_message_head(1 + length, None, out);
            out.push(header.0);
            put_server(frame, out);
        }
        ServerTransport::Tcp(key) => {
            let signed = matches!(frame, ServerFrameRef::Publish(_));
            put_tcp_head(header, length, signed, out)?;
            let start = out.len();
            put_server(frame, out);
            key.apply(out.get_mut(start..).unwrap_or_default());
        }
    }
    Ok(())
}

/// Appends a client's frame to `out`. On an error `out` is unchanged.
pub fn encode_client_frame(
    frame: &ClientFrame,
    transport: ClientTransport,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let header = frame.header();
    let length = client_len(frame)?;
    match transport {
        ClientTransport::WebSocket { mask } => {
            websocket::put_message_head(1 + length, Some(mask), out);
            let start = out.len();
            out.push(header.0);
            put_client(frame, out);
            websocket::apply_mask(mask, out.get_mut(start..).unwrap_or_default());
        }
        ClientTransport::Tcp(key) => {
            let signed = matches!(frame, ClientFrame::Publish(_) | ClientFrame::Query(_));
            put_tcp_head(header, length, signed, out)?;
            let start = out.len();
            put_client(frame, out);
            key.apply(out.get_mut(start..).unwrap_or_default());
        }
    }
    Ok(())
}

/// Everything before the payload that the key covers. The signature's bytes may be any; nobody can check them.
fn put_tcp_head(header: Header, length: usize, signed: bool, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let signature: &[u8] = if signed { &[0; SIGNATURE_LEN] } else { &[] };
    let total = length + signature.len();
    let head = tcp::Head::new(header, total).ok_or(EncodeError::TooLarge(total))?;
    out.reserve(head.as_bytes().len() + total);
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(signature);
    Ok(())
}

fn checked(text: &str) -> Result<usize, EncodeError> {
    if text.len() > usize::from(u16::MAX) { Err(EncodeError::TextTooLong(text.len())) } else { Ok(text_len(text)) }
}

fn server_len(frame: &ServerFrameRef<'_>) -> Result<usize, EncodeError> {
    Ok(match frame {
        ServerFrameRef::ConnAck(ConnAckRef::Refused(_)) | ServerFrameRef::Disconnect(_) => 2,
        ServerFrameRef::ConnAck(ConnAckRef::Accepted { form, user_id, session_id, first_message_id, .. }) => {
            let common = 2 + checked(user_id)? + checked(session_id)? + 8;
            match form {
                ConnAckForm::V3 => common,
                ConnAckForm::V4 => common + 1 + if first_message_id.is_some() { 2 } else { 0 },
            }
        }
        ServerFrameRef::Publish(publish) => {
            4 + text_len(publish.topic.as_str()) + checked(publish.target)? + 2 + publish.body.len()
        }
        ServerFrameRef::PubAck(ack) => 12 + ack.uid.map_or(0, |_| UID_TEXT_LEN),
        ServerFrameRef::QueryAck(answer) => 8 + answer.body.len(),
        ServerFrameRef::PingResp => 0,
    })
}

fn put_server(frame: &ServerFrameRef<'_>, out: &mut Vec<u8>) {
    match frame {
        ServerFrameRef::ConnAck(connack) => put_connack(connack, out),
        ServerFrameRef::Publish(publish) => put_server_publish(publish, out),
        ServerFrameRef::PubAck(ack) => put_puback(*ack, out),
        ServerFrameRef::QueryAck(answer) => put_query_ack(answer, out),
        ServerFrameRef::PingResp => {}
        ServerFrameRef::Disconnect(status) => out.extend_from_slice(&[0, status.code()]),
    }
}

fn put_connack(connack: &ConnAckRef<'_>, out: &mut Vec<u8>) {
    match *connack {
        ConnAckRef::Refused(status) => out.extend_from_slice(&[0, status.code()]),
        ConnAckRef::Accepted { form, user_id, session_id, time, first_message_id } => {
            out.extend_from_slice(&[0, ConnAckStatus::Accepted.code()]);
            let first = match form {
                ConnAckForm::V3 => None,
                ConnAckForm::V4 => {
                    let first = if first_message_id.is_some() { HAS_FIRST_ID } else { 0 };
                    out.push(HAS_USER | HAS_SESSION | HAS_TIME | first);
                    first_message_id
                }
            };
            put_text(out, user_id);
            put_text(out, session_id);
            out.extend_from_slice(&time.0.to_be_bytes());
            if let Some(first) = first {
                out.extend_from_slice(&first.to_be_bytes());
            }
        }
    }
}

fn put_server_publish(publish: &ServerPublishRef<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(&publish.seconds.to_be_bytes());
    put_text(out, publish.topic.as_str());
    put_text(out, publish.target);
    out.extend_from_slice(&publish.message_id.to_be_bytes());
    publish.body.put(out);
}

fn put_puback(ack: PubAck, out: &mut Vec<u8>) {
    let (seconds, millis) = split_time(ack.sent);
    out.extend_from_slice(&ack.message_id.to_be_bytes());
    out.extend_from_slice(&seconds.to_be_bytes());
    out.extend_from_slice(&ack.status.0.to_be_bytes());
    out.extend_from_slice(&millis.to_be_bytes());
    match ack.uid {
        Some(uid) => {
            let text: [u8; UID_TEXT_LEN] = uid.to_text();
            out.extend_from_slice(&UID_TEXT_LEN_FIELD);
            out.extend_from_slice(&text);
        }
        None => out.extend_from_slice(&[0, 0]),
    }
}

fn put_query_ack(answer: &QueryAckRef<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(&answer.message_id.to_be_bytes());
    out.extend_from_slice(&answer.seconds.to_be_bytes());
    out.extend_from_slice(&answer.status.0.to_be_bytes());
    answer.body.put(out);
}

/// The two fields that a time is on the wire: seconds, and the milliseconds within the second.
fn split_time(time: Timestamp) -> (u32, u16) {
    let millis = u16::try_from(time.0 % 1000).unwrap_or(0);
    (u32::try_from(time.0 / 1000).unwrap_or(u32::MAX), millis)
}

fn client_len(frame: &ClientFrame) -> Result<usize, EncodeError> {
    Ok(match frame {
        ClientFrame::Connect(connect) => {
            for text in connect.texts() {
                checked(text)?;
            }
            connect.encoded_len()
        }
        ClientFrame::Publish(publish) => {
            text_len(publish.topic.as_str()) + checked(publish.target.as_str())? + 2 + publish.body.len()
        }
        ClientFrame::Query(query) => {
            text_len(query.topic.as_str()) + checked(query.target.as_str())? + 2 + query.body.len()
        }
        ClientFrame::PubAck { .. } | ClientFrame::QueryCon { .. } | ClientFrame::Disconnect { .. } => 2,
        ClientFrame::PingReq => 0,
    })
}

fn put_client(frame: &ClientFrame, out: &mut Vec<u8>) {
    let mut request = |topic: &str, target: &str, message_id: u16, body: &[u8]| {
        put_text(out, topic);
        put_text(out, target);
        out.extend_from_slice(&message_id.to_be_bytes());
        out.extend_from_slice(body);
    };
    match frame {
        ClientFrame::Publish(p) => request(p.topic.as_str(), p.target.as_str(), p.message_id, &p.body),
        ClientFrame::Query(q) => request(q.topic.as_str(), q.target.as_str(), q.message_id, &q.body),
        ClientFrame::Connect(connect) => connect.encode(out),
        ClientFrame::PubAck { message_id } | ClientFrame::QueryCon { message_id } => {
            out.extend_from_slice(&message_id.to_be_bytes());
        }
        ClientFrame::PingReq => {}
        ClientFrame::Disconnect { status } => out.extend_from_slice(&[0, *status]),
    }
}
