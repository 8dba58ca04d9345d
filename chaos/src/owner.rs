//! Which node has opened a connection, as the system knows it.

use anser_sandbox::Cluster;

/// The node that connected from this port to that one; none if it is somebody else.
pub(crate) fn owner(cluster: &Cluster, from: u16, to: u16) -> Option<String> {
    let table = std::fs::read_to_string("/proc/net/tcp").ok()?;
    let link = format!("socket:[{}]", inode(&table, from, to)?);
    let processes = cluster.processes();
    processes.into_iter().find(|(_, pid)| holds(*pid, &link)).map(|(name, _)| name)
}

/// The number of the socket with these two ports.
fn inode(table: &str, from: u16, to: u16) -> Option<&str> {
    let (from, to) = (format!(":{from:04X}"), format!(":{to:04X}"));
    let fields = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let is_it = |fields: &Vec<&str>| {
        fields.get(1).is_some_and(|local| local.ends_with(&from)) && fields.get(2).is_some_and(|far| far.ends_with(&to))
    };
    fields.into_iter().find(is_it).and_then(|fields| fields.get(9).copied())
}

fn holds(pid: i32, link: &str) -> bool {
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    files.into_iter().any(|file| std::fs::read_link(file.path()).is_ok_and(|target| target.as_os_str() == link))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_found_by_both_of_its_ports() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
                     0: 0100007F:1F90 0100007F:0050 01 00000000:00000000 00:00000000 00000000     0        0 77 1 0 20 4\n   \
                     1: 0100007F:0050 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 78 1 0 20 4\n";
        assert_eq!(inode(table, 8080, 80), Some("77"));
        assert_eq!(inode(table, 80, 8080), Some("78"));
        assert_eq!(inode(table, 81, 8080), None);
    }
}
