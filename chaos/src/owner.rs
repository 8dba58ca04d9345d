//! Which connections a process has opened, as the system knows it. Looked at only when the process is cut off: it takes
//! some milliseconds.

use std::collections::HashSet;

/// A connection, by the port from which it comes and the one to which it leads. The first alone does not name one: the system
/// gives the same port to several processes, if they connect to different ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Ports {
    pub(crate) from: u16,
    pub(crate) to: u16,
}

/// The connections of a process to somebody on this machine.
pub(crate) fn connections_of(pid: i32) -> HashSet<Ports> {
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let inodes = files.filter_map(|file| {
        let target = std::fs::read_link(file.path()).ok()?;
        Some(target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())
    });
    // Each kind of socket has its table; a node may use either for addresses of the old form.
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| std::fs::read_to_string(path).unwrap_or_default());
    connections(&tables.concat(), &inodes.collect())
}

/// The sockets with these numbers.
fn connections(table: &str, inodes: &HashSet<String>) -> HashSet<Ports> {
    let port = |address: &str| u16::from_str_radix(address.rsplit_once(':')?.1, 16).ok();
    let ports = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let ports = Ports { from: port(fields.get(1)?)?, to: port(fields.get(2)?)? };
        inodes.contains(*fields.get(9)?).then_some(ports)
    };
    table.lines().filter_map(ports).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_found_by_their_numbers() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
                     0: 0100007F:1F90 0100007F:0050 01 00000000:00000000 00:00000000 00000000     0        0 77 1 0 20 4\n   \
                     1: 0100007F:0050 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 78 1 0 20 4\n";
        let of = |inodes: &[&str]| connections(table, &inodes.iter().map(|inode| (*inode).to_owned()).collect());
        assert_eq!(of(&["77"]), HashSet::from([Ports { from: 8080, to: 80 }]));
        assert_eq!(of(&[]), HashSet::new());
    }

    #[test]
    fn a_process_knows_its_own_connections() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let pid = i32::try_from(std::process::id()).unwrap();
        let (from, to) = (stream.local_addr().unwrap().port(), stream.peer_addr().unwrap().port());
        assert!(connections_of(pid).contains(&Ports { from, to }));
    }
}
