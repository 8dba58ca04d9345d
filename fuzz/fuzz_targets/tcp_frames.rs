//! TCP streams, as a server and as a client reads them: in one piece and in small ones the frames must be the same.
//!
//! Input: one byte that picks the side and the size of the pieces, then the stream.

#![no_main]

use anser_rmtp::frame::{ConnAckForm, Connect};
use anser_rmtp::{
    ClientFrame, ClientTransport, ObfuscationKey, RawFrame, ServerFrame, TcpDecoder, TcpError, TcpLimits,
    encode_client_frame,
};
use libfuzzer_sys::fuzz_target;

const LIMITS: TcpLimits = TcpLimits { connect_bytes_max: 512, frame_bytes_max: 4096 };

fn signed_in() -> TcpDecoder {
    let connect = Connect {
        version: 3,
        client_id: "device".into(),
        will: "PC--5.46.1".into(),
        app_key: "app".into(),
        token: "token@".into(),
    };
    let mut bytes = Vec::new();
    let key = ClientTransport::Tcp(ObfuscationKey::V3);
    encode_client_frame(&ClientFrame::Connect(Box::new(connect)), key, &mut bytes).expect("a small frame");
    let mut decoder = TcpDecoder::server(LIMITS);
    decoder.push::<TcpError>(&mut bytes, |_| Ok(())).expect("a good frame");
    decoder
}

/// Everything that a stream gives, in pieces of at most `piece` bytes.
fn read(mut decoder: TcpDecoder, stream: &[u8], piece: usize) -> (Vec<(u8, Vec<u8>)>, Option<TcpError>) {
    let mut frames = Vec::new();
    for part in stream.chunks(piece.max(1)) {
        let pushed = decoder.push::<TcpError>(&mut part.to_vec(), |raw: RawFrame<'_>| {
            drop(ClientFrame::decode(raw));
            drop(ServerFrame::decode(raw, ConnAckForm::V3));
            drop(ServerFrame::decode(raw, ConnAckForm::V4));
            frames.push((raw.header.0, raw.payload.to_vec()));
            Ok(())
        });
        if let Err(error) = pushed {
            return (frames, Some(error));
        }
        assert!(decoder.held_bytes() <= 2 * (4096 + 8), "the decoder hoards");
    }
    (frames, None)
}

fuzz_target!(|data: &[u8]| {
    let Some((&picked, stream)) = data.split_first() else { return };
    let decoder = || match picked & 3 {
        0 => TcpDecoder::server(LIMITS),
        1 => TcpDecoder::client(ObfuscationKey::V3, LIMITS),
        _ => signed_in(),
    };
    let whole = read(decoder(), stream, stream.len());
    assert_eq!(read(decoder(), stream, usize::from(picked >> 2)), whole);
});
