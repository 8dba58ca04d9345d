//! `anser health`: asks a node's port for operators. No settings, no runtime: it is run often.

use std::io::{Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use anyhow::Context as _;

use crate::cli::HealthArgs;
use crate::failure::Failure;

/// More than a node has to say.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

pub(crate) fn run(args: &HealthArgs) -> Result<(), Failure> {
    let path = if args.live { "/livez" } else { "/readyz" };
    let target = args
        .admin
        .target()
        .ok_or_else(|| Failure::usage(anyhow::anyhow!("--admin off: the server cannot be asked")))?;
    let answer = ask(target, path, Duration::from_secs(args.timeout.max(1)))
        .with_context(|| format!("the server does not answer at {}", args.admin))?;
    let (head, body) = answer.split_once("\r\n\r\n").context("what answers is no server of this kind")?;
    print!("{body}");
    match head.split_whitespace().nth(1) {
        Some("200") => Ok(()),
        Some("503") => {
            Err(Failure::Failed(anyhow::anyhow!("the server is {}", body.lines().next().unwrap_or("unwell"))))
        }
        _ => Err(Failure::Failed(anyhow::anyhow!("what answers at {} is no server of this kind", args.admin))),
    }
}

/// Asks, and returns the whole answer.
fn ask(target: (&str, u16), path: &str, patience: Duration) -> anyhow::Result<String> {
    let address = target.to_socket_addrs()?.next().context("the address is not known")?;
    let mut stream = TcpStream::connect_timeout(&address, patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", target.0)?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer)?;
    Ok(answer)
}
