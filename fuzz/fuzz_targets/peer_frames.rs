//! What nodes say to each other, as anybody may say it who reaches the port: any bytes.
//!
//! What must hold: bytes give frames or an error; frames that were read can be written.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    anser_peer::wire::probe(data).ok();
});
