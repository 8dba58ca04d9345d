//! Every frame there and back, its bytes for good, and what is no frame.

pub(crate) mod samples;
mod strategies;

use proptest::prelude::*;

use super::*;

/// One line for each sample: its name and its bytes. These bytes are for good: nodes of two versions talk to each other
/// while a cluster is updated.
const GOLDEN: &str = include_str!("tests/golden.txt");

fn bytes_of(frame: &Frame) -> Vec<u8> {
    let mut batch = BytesMut::new();
    frame.put(&mut batch);
    batch.to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn golden_bytes_of_every_frame() {
    let now: Vec<String> =
        samples::all().iter().map(|(name, frame)| format!("{name} {}", hex(&bytes_of(frame)))).collect();
    let golden: Vec<&str> = GOLDEN.lines().collect();
    for (now, golden) in now.iter().zip(&golden) {
        assert_eq!(now, golden);
    }
    assert_eq!(now.len(), golden.len(), "{}", now.join("\n"));
}

#[test]
fn samples_come_back_as_they_were() {
    let mut batch = BytesMut::new();
    let samples: Vec<Frame> = samples::all().into_iter().map(|(_, frame)| frame).collect();
    samples.iter().for_each(|frame| frame.put(&mut batch));
    assert_eq!(read(&batch).unwrap(), samples);
    assert_eq!(probe(&batch), Ok(samples.len()));
    for end in 0..batch.len() {
        // Cut anywhere: fewer frames, or an error.
        assert!(read(&batch[..end]).map_or(true, |frames| frames.len() < samples.len()));
    }
}

#[test]
fn what_is_no_frame_is_refused() {
    assert_eq!(read(&[]), Ok(Vec::new()));
    for (bytes, what) in [
        (&b"\xff\xff\xff"[..], "no protobuf"),
        (b"\x0a\x00", "a frame of no kind"),
        (b"\x0a\x04\xba\x06\x01\x00", "a frame of a kind that is not known"),
        (b"\x0a\x06\x22\x04\x12\x02\x0a\x00", "a publish without anything"),
        (b"\x0a\x02\x32\x00", "an arrival without a message"),
        (b"\x0a\x02\x6a\x00", "a call without a question"),
        (b"GET / HTTP/1.1\r\n\r\n", "something else"),
    ] {
        assert!(read(bytes).is_err(), "{what}");
    }
}

/// A field that holds these bytes.
fn field(tag: u32, bytes: &[u8]) -> Vec<u8> {
    let mut field = Vec::new();
    prost::encoding::bytes::encode(tag, &bytes.to_vec(), &mut field);
    field
}

/// A list of the tags of a choice that names one too many makes the decoder panic.
#[test]
fn any_choice_gives_frames_or_an_error() {
    // Where there is something to choose: a frame, the question of a call, what it publishes, and the answer of a reply.
    let choices: [&[u32]; 4] = [&[1], &[1, 13, 3], &[1, 13, 3, 1], &[1, 14, 3]];
    for path in choices {
        for choice in 1..32 {
            let batch = path.iter().rev().fold(field(choice, &[]), |inside, &outer| field(outer, &inside));
            read(&batch).ok();
        }
    }
}

proptest! {
    #[test]
    fn every_frame_comes_back(frames in prop::collection::vec(strategies::frame(), 0..6)) {
        let mut batch = BytesMut::new();
        frames.iter().for_each(|frame| frame.put(&mut batch));
        prop_assert_eq!(read(&batch), Ok(frames));
    }

    #[test]
    fn any_bytes_give_frames_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        read(&bytes).ok();
    }

    #[test]
    fn damaged_frames_give_frames_or_an_error(
        frame in strategies::frame(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = bytes_of(&frame);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        read(&bytes).ok();
    }
}
