//! The little of the protocol of Redis that is needed to look after servers.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::time::Duration;

use super::{ANSWER_BYTES_MAX, connect, strange};

/// What a server said. Lists are not asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// A text or a number, as text.
    Text(String),
    /// A refusal.
    Refused(String),
}

/// Whether the server at this port answers a PING. One that is still reading its data refuses.
pub(crate) fn answers(port: u16, patience: Duration) -> bool {
    matches!(call(port, &["PING"], patience), Ok(Reply::Text(text)) if text == "PONG")
}

/// One command, on a connection of its own.
pub(crate) fn call(port: u16, words: &[&str], patience: Duration) -> std::io::Result<Reply> {
    let mut stream = connect(port, patience)?;
    let sent: String = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
    stream.write_all(format!("*{}\r\n{sent}", words.len()).as_bytes())?;
    read(&mut BufReader::new(stream))
}

fn read(stream: &mut impl std::io::BufRead) -> std::io::Result<Reply> {
    let mut line = String::new();
    stream.take(64 << 10).read_line(&mut line)?;
    let line = line.strip_suffix("\r\n").ok_or_else(|| strange("that is no whole answer of Redis"))?;
    let (kind, rest) = line.split_at_checked(1).ok_or_else(|| strange("that is no answer of Redis"))?;
    match kind {
        "+" | ":" => Ok(Reply::Text(rest.to_owned())),
        "-" => Ok(Reply::Refused(rest.to_owned())),
        "$" => {
            let length = rest.parse::<usize>().ok().filter(|length| *length <= ANSWER_BYTES_MAX);
            let mut bytes = vec![0; length.ok_or_else(|| strange("Redis has nothing to say to that"))?];
            stream.read_exact(&mut bytes)?;
            Ok(Reply::Text(String::from_utf8_lossy(&bytes).into_owned()))
        }
        _ => Err(strange("that is another kind of answer")),
    }
}

/// The value of a line `name:value` of what INFO and CLUSTER INFO say.
pub(crate) fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.trim_end().split_once(':').filter(|(found, _)| *found == name)).map(|(_, v)| v)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_in_the_forms_that_come() {
        let mut said = &b"+PONG\r\n:3\r\n-LOADING Redis is loading\r\n$5\r\na\r\nbc\r\n"[..];
        assert_eq!(read(&mut said).unwrap(), Reply::Text("PONG".to_owned()));
        assert_eq!(read(&mut said).unwrap(), Reply::Text("3".to_owned()));
        assert_eq!(read(&mut said).unwrap(), Reply::Refused("LOADING Redis is loading".to_owned()));
        assert_eq!(read(&mut said).unwrap(), Reply::Text("a\r\nbc".to_owned()));
        for bad in ["", "\r\n", "+PO", "$-1\r\n", "$99999999\r\n", "$5\r\nab", "*2\r\n", "HTTP/1.1 400\r\n"] {
            assert!(read(&mut bad.as_bytes()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let info = "# Replication\r\nrole:slave\r\nmaster_link_status:up\r\n";
        assert_eq!(field(info, "role"), Some("slave"));
        assert_eq!(field(info, "master_link_status"), Some("up"));
        assert_eq!(field(info, "link_status"), None);
    }
}
