//! Which connections a process has opened, as the system knows it. Looked at only when the process is cut off: it takes
//! some milliseconds.

use std::collections::HashSet;

/// The ports from which a process is connected to somebody on this machine.
pub(crate) fn ports_of(pid: i32) -> HashSet<u16> {
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let inodes = files.filter_map(|file| {
        let target = std::fs::read_link(file.path()).ok()?;
        Some(target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())
    });
    // Each kind of socket has its table; a node may use either for addresses of the old form.
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| std::fs::read_to_string(path).unwrap_or_default());
    ports(&tables.concat(), &inodes.collect())
}

/// The own ports of the sockets with these numbers.
fn ports(table: &str, inodes: &HashSet<String>) -> HashSet<u16> {
    let port = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let port = u16::from_str_radix(fields.get(1)?.rsplit_once(':')?.1, 16).ok()?;
        inodes.contains(*fields.get(9)?).then_some(port)
    };
    table.lines().filter_map(port).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ports_of_sockets_are_found_by_their_numbers() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
                     0: 0100007F:1F90 0100007F:0050 01 00000000:00000000 00:00000000 00000000     0        0 77 1 0 20 4\n   \
                     1: 0100007F:0050 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 78 1 0 20 4\n";
        assert_eq!(ports(table, &HashSet::from(["77".to_owned()])), HashSet::from([8080]));
        assert_eq!(ports(table, &HashSet::new()), HashSet::new());
    }

    #[test]
    fn a_process_knows_its_own_connections() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let pid = i32::try_from(std::process::id()).unwrap();
        assert!(ports_of(pid).contains(&stream.local_addr().unwrap().port()));
    }
}
