//! Batches as they pass through tonic: bytes, written and read by [`crate::wire`].

use bytes::{Buf as _, BufMut as _, Bytes};
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

/// Where the stream is on a node.
pub(crate) const PATH: &str = "/anser.peer.v1.Peer/Stream";
/// The name of the service in it.
pub(crate) const SERVICE: &str = "anser.peer.v1.Peer";
/// The largest batch that is read: one frame may be an answer with many large messages.
pub(crate) const BATCH_BYTES_MAX: usize = 64 * 1024 * 1024;
/// What a batch is aimed at.
pub(crate) const BATCH_BYTES: usize = 64 * 1024;

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RawCodec;

impl Codec for RawCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, dst: &mut EncodeBuf<'_>) -> Result<(), Status> {
        dst.put(item);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(8 * 1024, BATCH_BYTES)
    }
}

impl Decoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, src: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(src.copy_to_bytes(src.remaining())))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(16 * 1024, BATCH_BYTES)
    }
}
