//! What a client says about itself before anybody knows it: the CONNECT frame, the URL, and the token in either.
//!
//! Input: one byte that picks the way in, then the bytes.

#![no_main]

use anser_rmtp::frame::{FrameKind, Header, Qos};
use anser_rmtp::token::TokenKeyring;
use anser_rmtp::websocket::ConnectQuery;
use anser_rmtp::{ClientFrame, RawFrame, SignIn};
use anser_types::{AppKey, Timestamp};
use libfuzzer_sys::fuzz_target;

fn sign_in(picked: u8, bytes: &[u8]) -> Option<SignIn> {
    let header = Header::new(FrameKind::Connect, Qos::ExactlyOnce);
    let payload = match picked & 3 {
        0 => return Some(SignIn::from_query(ConnectQuery::parse(std::str::from_utf8(bytes).ok()?))),
        1 => bytes.to_vec(),
        _ => [b"\x00\x06RCloud", bytes].concat(),
    };
    match ClientFrame::decode(RawFrame { header, payload: &payload }) {
        Ok(ClientFrame::Connect(connect)) => Some(SignIn::from_connect(*connect)),
        _ => None,
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&picked, bytes)) = data.split_first() else { return };
    let Some(sign_in) = sign_in(picked, bytes) else { return };
    let Ok(app) = AppKey::new(&sign_in.app_key) else { return };
    let verified = TokenKeyring::new(1, "a secret that no input knows").verify(&app, &sign_in.token, Timestamp(0));
    assert!(verified.is_err(), "a token was accepted that nobody signed");
});
