//! Asking a server whether it answers, in its own protocol, with the few bytes that this takes.

mod kafka;
pub(crate) mod redis;
mod thrift;

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

pub(crate) use kafka::{behind, brokers};
pub(crate) use thrift::answers as thrift_answers;

/// An answer of more than this is none of ours.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// A connection on which nothing waits for longer than `patience`.
fn connect(port: u16, patience: Duration) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Sends a request and returns the first bytes of what comes back.
fn ask<const N: usize>(stream: &mut TcpStream, request: &[u8]) -> std::io::Result<[u8; N]> {
    stream.write_all(request)?;
    let mut answer = [0; N];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

fn strange(what: &str) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, what.to_owned())
}
