//! The first request of a WebSocket connection, then its frames: in one piece and in small ones the events must be the same.
//!
//! Input: one byte that picks what is read and the size of the pieces, then the bytes.

#![no_main]

use anser_rmtp::websocket::{ClientHandshake, RequestReader, WebSocketDecoder, WebSocketError, WebSocketEvent};
use anser_rmtp::{ClientFrame, RawFrame};
use libfuzzer_sys::fuzz_target;

const MESSAGE_BYTES_MAX: u32 = 4096;

/// Everything that a stream gives, in pieces of at most `piece` bytes.
fn read(mut decoder: WebSocketDecoder, stream: &[u8], piece: usize) -> (Vec<String>, Option<WebSocketError>) {
    let mut events = Vec::new();
    for part in stream.chunks(piece.max(1)) {
        let pushed = decoder.push::<WebSocketError>(&mut part.to_vec(), |event| {
            if let WebSocketEvent::Message(message) = &event {
                drop(RawFrame::from_message(message).and_then(ClientFrame::decode));
            }
            events.push(format!("{event:?}"));
            Ok(())
        });
        if let Err(error) = pushed {
            return (events, Some(error));
        }
        assert!(decoder.held_bytes() <= 4 * (4096 + 14), "the decoder hoards");
    }
    (events, None)
}

fn read_request(bytes: &[u8], piece: usize) -> String {
    let mut reader = RequestReader::new();
    let mut before = 0;
    for part in bytes.chunks(piece.max(1)) {
        match reader.push(part) {
            Ok(None) => before += part.len(),
            Ok(Some((request, consumed))) => return format!("{request:?} {}", before + consumed),
            Err(refusal) => return format!("{refusal:?}"),
        }
    }
    String::new()
}

fuzz_target!(|data: &[u8]| {
    let Some((&picked, bytes)) = data.split_first() else { return };
    let piece = usize::from(picked >> 2);
    match picked & 3 {
        0 => assert_eq!(read_request(bytes, piece), read_request(bytes, bytes.len())),
        1 => drop(ClientHandshake::new([0; 16]).into_reader().push(bytes)),
        side => {
            let decoder = || match side {
                2 => WebSocketDecoder::client(MESSAGE_BYTES_MAX),
                _ => WebSocketDecoder::server(MESSAGE_BYTES_MAX),
            };
            assert_eq!(read(decoder(), bytes, piece), read(decoder(), bytes, bytes.len()));
        }
    }
});
