//! The getTableNames call of HBase's Thrift gateway: buffered, strict binary, as the gateway speaks unless told otherwise.

use std::time::Duration;

use super::{ask, connect};

const NAME: &[u8; 13] = b"getTableNames";
const CALL: u8 = 1;
const REPLY: u8 = 2;
const SEQUENCE: [u8; 4] = [0, 0, 0, 1];
const END: u8 = 0;
const LIST: u8 = 15;

/// The beginning of an answer, up to which of its fields is set: 0 the tables, 1 an error.
const HEAD: usize = 4 + 4 + NAME.len() + 4 + 1 + 2;

/// Whether the gateway at this port tells the tables: so ZooKeeper, the master and a region server are there too.
pub(crate) fn answers(port: u16, patience: Duration) -> std::io::Result<bool> {
    let mut stream = connect(port, patience)?;
    let head: [u8; HEAD] = ask(&mut stream, &[&message(CALL)[..], &[END]].concat())?;
    Ok(head[..] == [&message(REPLY)[..], &[LIST, 0, 0]].concat()[..])
}

fn message(kind: u8) -> Vec<u8> {
    [&[0x80, 1, 0, kind, 0, 0, 0, NAME.len() as u8], &NAME[..], &SEQUENCE].concat()
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn answered_with(answer: &'static [u8]) -> bool {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let gateway = std::thread::spawn(move || {
            let mut request = [0; 26];
            let mut stream = listener.accept().unwrap().0;
            stream.read_exact(&mut request).unwrap();
            stream.write_all(answer).unwrap();
            request
        });
        let answered = answers(port, PATIENCE).unwrap();
        assert_eq!(&gateway.join().unwrap(), b"\x80\x01\0\x01\0\0\0\x0dgetTableNames\0\0\0\x01\0");
        answered
    }

    #[test]
    fn only_a_list_of_tables_is_an_answer() {
        let no_tables = b"\x80\x01\0\x02\0\0\0\x0dgetTableNames\0\0\0\x01\x0f\0\0\x0b\0\0\0\0\0";
        assert!(answered_with(no_tables));
        let an_error = b"\x80\x01\0\x02\0\0\0\x0dgetTableNames\0\0\0\x01\x0c\0\x01\x0b\0\x01\0\0\0\0\0\0";
        assert!(!answered_with(an_error));
        let an_exception = b"\x80\x01\0\x03\0\0\0\x0dgetTableNames\0\0\0\x01\x0b\0\x01\0\0\0\0\0";
        assert!(!answered_with(an_exception));
    }
}
