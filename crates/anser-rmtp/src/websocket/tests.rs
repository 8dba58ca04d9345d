//! The examples and rules of RFC 6455, streams in any pieces, and what an idle decoder holds.

use proptest::prelude::*;

use super::*;
use crate::frame::tests::hex;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Message(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>),
}

fn push(decoder: &mut WebSocketDecoder, bytes: &[u8]) -> Result<Vec<Seen>, WebSocketError> {
    let mut seen = Vec::new();
    decoder.push::<WebSocketError>(&mut bytes.to_vec(), |event| {
        seen.push(match event {
            WebSocketEvent::Message(message) => Seen::Message(message.to_vec()),
            WebSocketEvent::Ping(payload) => Seen::Ping(payload.to_vec()),
            WebSocketEvent::Pong(payload) => Seen::Pong(payload.to_vec()),
            WebSocketEvent::Close(code) => Seen::Close(code.map(|code| code.0)),
        });
        Ok(())
    })?;
    Ok(seen)
}

/// What a server's decoder makes of one piece.
fn server(bytes: &str) -> Result<Vec<Seen>, WebSocketError> {
    push(&mut WebSocketDecoder::server(1000), &hex(bytes))
}

const REQUEST: &str = "GET /websocket?appId=k&token=t%40&sdkVer=5.38.0 HTTP/1.1\r\nHost: h:1\r\nUpgrade: WebSocket\r\n\
    Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";

fn request(text: &str) -> Result<Option<(HttpRequest, usize)>, HttpRefusal> {
    RequestReader::new().push(text.as_bytes())
}

#[test]
fn golden_frames_of_the_rfc() {
    let mut decoder = WebSocketDecoder::client(100_000);
    let seen = push(&mut decoder, &hex("02 03 48656c 80 02 6c6f 89 05 48656c6c6f")).unwrap();
    assert_eq!(seen, [Seen::Message(b"Hello".to_vec()), Seen::Ping(b"Hello".to_vec())]);
    assert_eq!(server("8a 85 37fa213d 7f9f4d5158").unwrap(), [Seen::Pong(b"Hello".to_vec())]);
    let mut out = Vec::new();
    put_pong(b"Hello", Role::Client { mask: [0x37, 0xfa, 0x21, 0x3d] }, &mut out);
    assert_eq!(out, hex("8a 85 37fa213d 7f9f4d5158"));
    out.clear();
    put_close(CloseCode::GOING_AWAY, Role::Server, &mut out);
    assert_eq!(out, hex("88 02 03e9"));
}

#[test]
fn lengths_of_every_width_are_written_and_read() {
    for size in [0, 125, 126, 65_535, 65_536, 100_000] {
        for mask in [None, Some([1, 2, 3, 4])] {
            let mut bytes = Vec::new();
            put_message_head(size, mask, &mut bytes);
            bytes.resize(bytes.len() + size, 0);
            let mut decoder =
                if mask.is_some() { WebSocketDecoder::server(100_000) } else { WebSocketDecoder::client(100_000) };
            let seen = push(&mut decoder, &bytes).unwrap();
            let [Seen::Message(message)] = seen.as_slice() else { panic!("{size}: no message") };
            assert_eq!(message.len(), size);
            assert_eq!(decoder.held_bytes(), 0);
        }
    }
}

#[test]
fn what_breaks_the_rules_is_closed_with_the_code_for_it() {
    for (bytes, error, code) in [
        ("c2 80 00000000", WebSocketError::ReservedBits, 1002),
        ("83 80 00000000", WebSocketError::UnknownOpcode(3), 1002),
        ("8b 80 00000000", WebSocketError::UnknownOpcode(0xb), 1002),
        ("82 00", WebSocketError::Masking, 1002),
        ("09 80 00000000", WebSocketError::Control, 1002),
        ("89 fe 007e 00000000", WebSocketError::Control, 1002),
        ("80 80 00000000", WebSocketError::Fragments, 1002),
        ("02 80 00000000 82 80", WebSocketError::Fragments, 1002),
        ("81 80 00000000", WebSocketError::Text, 1003),
        ("82 fe 03e9", WebSocketError::TooLarge { size: 1001, limit: 1000 }, 1009),
        ("82 ff ffffffffffffffff", WebSocketError::TooLarge { size: u64::MAX, limit: 1000 }, 1009),
        ("88 81 00000000 03", WebSocketError::CloseForm, 1002),
        ("88 82 00000000 03ed", WebSocketError::CloseForm, 1002),
        ("88 83 00000000 03e8 ff", WebSocketError::CloseReason, 1007),
    ] {
        assert_eq!(server(bytes), Err(error), "{bytes}");
        assert_eq!(error.close_code(), CloseCode(code), "{bytes}");
    }
    let mut client = WebSocketDecoder::client(1000);
    assert_eq!(push(&mut client, &hex("82 80 00000000")), Err(WebSocketError::Masking));
}

#[test]
fn fragments_are_bounded_as_a_whole_and_may_hold_control_frames_between_them() {
    let mut decoder = WebSocketDecoder::server(4);
    assert_eq!(push(&mut decoder, &hex("02 83 00000000 010203")).unwrap(), []);
    assert_eq!(push(&mut decoder, &hex("89 82 00000000 0909")).unwrap(), [Seen::Ping(vec![9, 9])]);
    assert_eq!(push(&mut decoder, &hex("00 80 00000000")).unwrap(), []);
    assert_eq!(push(&mut decoder, &hex("80 81 00000000 04")).unwrap(), [Seen::Message(vec![1, 2, 3, 4])]);
    assert_eq!(decoder.held_bytes(), 0);
    assert_eq!(push(&mut decoder, &hex("02 83 00000000 010203")).unwrap(), []);
    let error = WebSocketError::TooLarge { size: 5, limit: 4 };
    assert_eq!(push(&mut decoder, &hex("80 82 00000000 0405")), Err(error));
}

#[test]
fn nothing_is_read_after_a_close() {
    let mut decoder = WebSocketDecoder::server(1000);
    assert_eq!(push(&mut decoder, &hex("88 82 00000000 03e8 c0ffee")).unwrap(), [Seen::Close(Some(1000))]);
    assert_eq!(push(&mut decoder, &hex("82 80 00000000")).unwrap(), []);
    assert_eq!(decoder.held_bytes(), 0);
    assert_eq!(server("88 80 00000000").unwrap(), [Seen::Close(None)]);
}

#[test]
fn golden_handshake_of_the_rfc() {
    let (request, consumed) = request(REQUEST).unwrap().unwrap();
    assert_eq!(consumed, REQUEST.len());
    let HttpRequest::Upgrade(upgrade) = request else { panic!("{request:?}") };
    assert_eq!((upgrade.query.app_key.as_str(), upgrade.query.token.as_str()), ("k", "t@"));
    let mut response = Vec::new();
    upgrade.put_response(&mut response);
    let response = String::from_utf8(response).unwrap();
    assert!(response.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{response}");
    assert!(!response.to_ascii_lowercase().contains("extensions"));

    let mut reader = ClientHandshake::new(*b"the sample nonce").into_reader();
    let cut = response.len() - 3;
    assert_eq!(reader.push(&response.as_bytes()[..cut]), Ok(None));
    assert_eq!(reader.push(b"\n\r\n\x82\x00"), Ok(Some(3)));
    let mut other = ClientHandshake::new([0; 16]).into_reader();
    assert_eq!(other.push(response.as_bytes()), Err(HandshakeError::NotAccepted));
    let mut refused = ClientHandshake::new([0; 16]).into_reader();
    assert_eq!(refused.push(HttpRefusal::NotFound.response()), Err(HandshakeError::Status(404)));
}

#[test]
fn both_sides_of_a_handshake_agree() {
    let handshake = ClientHandshake::new([7; 16]);
    let query = ConnectQuery { app_key: "k".into(), token: "a@b".into(), ..ConnectQuery::default() };
    let text = handshake.request("h:1", &query);
    let mut reader = RequestReader::new();
    let (last, first) = text.split_last().unwrap();
    assert_eq!(first.iter().find_map(|byte| reader.push(&[*byte]).unwrap()), None);
    let Some((HttpRequest::Upgrade(upgrade), 1)) = reader.push(&[*last]).unwrap() else { panic!("no upgrade") };
    assert_eq!(upgrade.query, query);
    let mut response = Vec::new();
    upgrade.put_response(&mut response);
    assert_eq!(handshake.into_reader().push(&response), Ok(Some(response.len())));
}

#[test]
fn other_requests_are_answered_or_refused() {
    let (ping, _) = request("GET /ping?r=1 HTTP/1.1\r\nHost: h\r\n\r\n").unwrap().unwrap();
    assert_eq!(ping, HttpRequest::Ping);
    let long = format!("GET /websocket HTTP/1.1\r\nX: {}", "x".repeat(9000));
    let many = format!("GET /websocket HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(65));
    for (text, refusal) in [
        ("GET / HTTP/1.1\r\n\r\n", HttpRefusal::NotFound),
        ("GET /websocketx HTTP/1.1\r\n\r\n", HttpRefusal::NotFound),
        ("POST /websocket HTTP/1.1\r\n\r\n", HttpRefusal::MethodNotAllowed),
        ("GET /websocket HTTP/1.1\r\n\r\n", HttpRefusal::UpgradeRequired),
        (&REQUEST.replace("Version: 13", "Version: 8"), HttpRefusal::UpgradeRequired),
        (&REQUEST.replace("HTTP/1.1", "HTTP/1.0"), HttpRefusal::BadRequest),
        (&REQUEST.replace("dGhlIHNhbXBsZSBub25jZQ==", "dGhl"), HttpRefusal::BadRequest),
        (&REQUEST.replace("Sec-WebSocket-Key", "X"), HttpRefusal::BadRequest),
        ("\x16\x03\x01\r\n\r\n", HttpRefusal::BadRequest),
        (&long, HttpRefusal::HeadTooLarge),
        (&many, HttpRefusal::HeadTooLarge),
    ] {
        assert_eq!(request(text), Err(refusal), "{text}");
        let status = std::str::from_utf8(refusal.response()).unwrap();
        assert!(status.starts_with("HTTP/1.1 4") && status.ends_with("\r\n\r\n"), "{status}");
    }
    assert_eq!(request("GET /websocket HTTP/1.1\r\n"), Ok(None));
}

fn arb_frames() -> impl Strategy<Value = Vec<(u8, Vec<u8>)>> {
    let data = proptest::collection::vec(any::<u8>(), 0..300).prop_map(|payload| (0x82, payload));
    let ping = proptest::collection::vec(any::<u8>(), 0..126).prop_map(|payload| (0x89, payload));
    proptest::collection::vec(prop_oneof![3 => data, 1 => ping], 1..10)
}

proptest! {
    #[test]
    fn a_stream_gives_the_same_events_in_any_pieces(
        frames in arb_frames(), mask: [u8; 4], cuts in proptest::collection::vec(1usize..80, 1..40),
    ) {
        let mut stream = Vec::new();
        let mut expected = Vec::new();
        for (first, payload) in frames {
            let start = stream.len();
            put_message_head(payload.len(), Some(mask), &mut stream);
            stream[start] = first;
            let start = stream.len();
            stream.extend_from_slice(&payload);
            apply_mask(mask, &mut stream[start..]);
            expected.push(if first == 0x82 { Seen::Message(payload) } else { Seen::Ping(payload) });
        }
        let mut decoder = WebSocketDecoder::server(300);
        let mut seen = Vec::new();
        let mut rest = stream.as_slice();
        for &cut in cuts.iter().cycle() {
            let (piece, after) = rest.split_at(cut.min(rest.len()));
            seen.extend(push(&mut decoder, piece).unwrap());
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(seen, expected);
        prop_assert_eq!(decoder.held_bytes(), 0);
    }

    #[test]
    fn no_bytes_make_the_decoder_panic_or_hoard(
        pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..100), 0..20), server: bool,
    ) {
        let mut decoder = if server { WebSocketDecoder::server(500) } else { WebSocketDecoder::client(500) };
        for piece in pieces {
            if push(&mut decoder, &piece).is_err() {
                break;
            }
            prop_assert!(decoder.held_bytes() <= 4 * 514);
        }
    }

    #[test]
    fn no_text_makes_the_request_reader_panic(text in "(GET|POST) /(websocket|ping)?[?a-z%=&]{0,40} HTTP/1.1\r\n[a-zA-Z: \r\n]{0,200}") {
        let mut reader = RequestReader::new();
        drop(reader.push(text.as_bytes()));
    }
}
