//! Golden bytes of the native stack, streams in any pieces, limits, and what an idle decoder holds.

use proptest::prelude::*;

use super::*;
use crate::frame::{
    ClientFrame, ClientTransport, FrameKind, RawFrame, ServerFrameRef, ServerTransport, encode_client_frame,
    encode_server_frame,
};
use crate::frame::{
    Target,
    tests::{arb_client_frame, connect, hex},
};
use crate::topic::QueryTopic;

fn push(decoder: &mut TcpDecoder, bytes: &[u8]) -> Result<Vec<ClientFrame>, TcpError> {
    let mut frames = Vec::new();
    decoder.push::<TcpError>(&mut bytes.to_vec(), |raw| {
        frames.push(ClientFrame::decode(raw).unwrap());
        Ok(())
    })?;
    Ok(frames)
}

fn signed_in(key: ObfuscationKey) -> TcpDecoder {
    let mut decoder = TcpDecoder::server(TcpLimits::default());
    let mut bytes = Vec::new();
    encode_client_frame(&connect(4), ClientTransport::Tcp(key), &mut bytes).unwrap();
    assert_eq!(push(&mut decoder, &bytes).unwrap().len(), 1);
    decoder
}

#[test]
fn golden_frames_of_the_native_stack() {
    let mut decoder = signed_in(ObfuscationKey::V3);
    let frames = push(&mut decoder, &hex("52 47 15 | a3835c6fd5541d22 | 6c4a646060575418184d152111")).unwrap();
    let [ClientFrame::Query(query)] = frames.as_slice() else { panic!("{frames:?}") };
    assert_eq!((query.topic, &query.target, query.message_id), (QueryTopic::AppBots, &Target::Myself, 1));
    assert_eq!(push(&mut decoder, &hex("40 42 02 1c4c")).unwrap(), [ClientFrame::PubAck { message_id: 0x7001 }]);
    assert_eq!(push(&mut decoder, &hex("c0 c0 00")).unwrap(), [ClientFrame::PingReq]);

    let mut out = Vec::new();
    encode_server_frame(&ServerFrameRef::PingResp, ServerTransport::Tcp(ObfuscationKey::V3), &mut out).unwrap();
    assert_eq!(out, hex("d0 d0 00"));
}

#[test]
fn golden_start_of_a_native_connect() {
    let mut out = Vec::new();
    encode_client_frame(&connect(3), ClientTransport::Tcp(ObfuscationKey::V3), &mut out).unwrap();
    assert_eq!(out[0], 0x14);
    assert_eq!(out[1], out[0] ^ out[2]);
    assert_eq!(out[3..15], hex("6c4b47627c486313 6f891f21"));
    assert_eq!(Head::new(Header(0x14), 0x74).unwrap().as_bytes(), hex("14 60 74"));
    assert_eq!(Head::new(Header(0x32), 0x4d).unwrap().as_bytes(), hex("32 7f 4d"));
}

#[test]
fn lengths_of_every_width_are_written_and_read() {
    for size in [0, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 268_435_455] {
        let head = Head::new(Header(0x60), size).unwrap();
        let limits = TcpLimits { frame_bytes_max: u32::MAX, ..TcpLimits::default() };
        let mut decoder = TcpDecoder::client(ObfuscationKey::V3, limits);
        let mut sizes = Vec::new();
        let mut bytes = head.as_bytes().to_vec();
        if size <= 16_384 {
            bytes.resize(bytes.len() + size, 0);
        }
        decoder
            .push::<TcpError>(&mut bytes, |raw| {
                sizes.push(raw.payload.len());
                Ok(())
            })
            .unwrap();
        assert_eq!(sizes, if size <= 16_384 { vec![size] } else { vec![] });
    }
    assert!(Head::new(Header(0x60), 268_435_456).is_none());
}

#[test]
fn a_stream_that_breaks_the_framing_is_refused() {
    for (bytes, error) in [
        ("80 80 00", TcpError::NotConnect),
        // The beginning of TLS.
        ("16 03 01", TcpError::Checksum { found: 3, expected: 0x17 }),
        ("47 45 54 20 2f", TcpError::NotConnect),
        ("14 00 74", TcpError::Checksum { found: 0, expected: 0x60 }),
        ("14 14 ff ff ff ff", TcpError::LengthForm),
        ("14 94 80 80 01", TcpError::Checksum { found: 0x94, expected: 0x15 }),
        ("14 15 80 80 01", TcpError::TooLarge { size: 16_384, limit: 4096 }),
        ("14 17 03 000000", TcpError::TooShort(FrameKind::Connect)),
    ] {
        let mut decoder = TcpDecoder::server(TcpLimits::default());
        assert_eq!(push(&mut decoder, &hex(bytes)), Err(error), "{bytes}");
    }
    let mut decoder = signed_in(ObfuscationKey::V3);
    let too_large = Head::new(Header(0x32), 262_145).unwrap();
    assert_eq!(push(&mut decoder, too_large.as_bytes()), Err(TcpError::TooLarge { size: 262_145, limit: 262_144 }));
    let mut decoder = signed_in(ObfuscationKey::V3);
    assert_eq!(push(&mut decoder, &hex("32 35 07 00000000000000")), Err(TcpError::TooShort(FrameKind::Publish)));
}

#[test]
fn an_error_of_the_sink_ends_the_push() {
    let mut decoder = signed_in(ObfuscationKey::V3);
    let mut seen = 0;
    let result = decoder.push::<TcpError>(&mut hex("c0c000 c0c000"), |_: RawFrame<'_>| {
        seen += 1;
        Err(TcpError::NotConnect)
    });
    assert_eq!((result, seen), (Err(TcpError::NotConnect), 1));
}

#[test]
fn an_incomplete_frame_holds_only_what_has_arrived() {
    let mut decoder = signed_in(ObfuscationKey::V3);
    let head = Head::new(Header(0x32), 200_000).unwrap();
    assert_eq!(push(&mut decoder, head.as_bytes()).unwrap(), []);
    assert!(decoder.held_bytes() < 64, "{}", decoder.held_bytes());
}

proptest! {
    #[test]
    fn a_stream_gives_the_same_frames_in_any_pieces(
        frames in proptest::collection::vec(arb_client_frame(), 1..10),
        key: [u8; 8],
        cuts in proptest::collection::vec(1usize..200, 1..50),
    ) {
        let key = ObfuscationKey::new(key);
        let mut stream = Vec::new();
        encode_client_frame(&connect(4), ClientTransport::Tcp(key), &mut stream).unwrap();
        for frame in &frames {
            encode_client_frame(frame, ClientTransport::Tcp(key), &mut stream).unwrap();
        }
        let mut decoder = TcpDecoder::server(TcpLimits::default());
        let mut read = Vec::new();
        let mut rest = stream.as_slice();
        for &cut in cuts.iter().cycle() {
            let (piece, after) = rest.split_at(cut.min(rest.len()));
            read.extend(push(&mut decoder, piece).unwrap());
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(&read[1..], &frames[..]);
        prop_assert_eq!(decoder.held_bytes(), 0);
    }

    #[test]
    fn no_bytes_make_the_decoder_panic_or_hoard(
        pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..100), 0..20),
        begun: bool,
    ) {
        let mut decoder = if begun { signed_in(ObfuscationKey::V3) } else { TcpDecoder::server(TcpLimits::default()) };
        for piece in pieces {
            if decoder.push::<TcpError>(&mut piece.clone(), |_| Ok(())).is_err() {
                break;
            }
            prop_assert!(decoder.held_bytes() <= 2 * 2_000);
        }
    }
}
