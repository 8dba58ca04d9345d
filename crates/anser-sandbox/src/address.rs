//! Which ports a stack uses: a block of its own, below those that systems hand out to clients.

use std::path::Path;

/// How many ports belong to one stack.
pub(crate) const BLOCK: u16 = 32;
const FIRST: u16 = 20_000;
const BLOCKS: u16 = 370;

/// How many belong to the nodes of a cluster.
pub(crate) const NODES_BLOCK: u16 = 2 * BLOCK;

/// The first of so many ports for a folder: always the same while they are free, so that stacks in several folders do
/// not get in each other's way even if they are started at the same moment. None if nowhere so many are free.
pub(crate) fn choose(folder: &Path, ports: u16, is_free: impl Fn(u16) -> bool) -> Option<u16> {
    let first = (hash(folder.as_os_str().as_encoded_bytes()) % u64::from(BLOCKS)) as u16;
    let blocks = (0..BLOCKS).map(|step| FIRST + (first + step) % BLOCKS * BLOCK);
    blocks.into_iter().find(|base| (*base..base + ports).all(&is_free))
}

/// FNV-1a: the same in every build, unlike the hasher of the standard library.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Whether nobody listens there.
pub(crate) fn is_free(port: u16) -> bool {
    std::net::TcpListener::bind(("127.0.0.1", port)).is_ok()
}

/// The ports of a block, by what listens there. Numbers of servers begin with 1.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    /// The first of the block.
    pub(crate) base: u16,
}

impl Ports {
    pub(crate) const fn kafka(self, number: u16) -> u16 {
        self.base + number - 1
    }

    /// Where a broker listens for those who come through a program that passes bytes on.
    pub(crate) const fn kafka_passed(self, number: u16) -> u16 {
        self.base + 20 + number - 1
    }

    /// Where that program listens: what the broker tells them.
    pub(crate) const fn kafka_elsewhere(self, number: u16) -> u16 {
        self.base + 24 + number - 1
    }

    pub(crate) const fn controller(self, number: u16) -> u16 {
        self.base + 3 + number - 1
    }

    pub(crate) const fn redis(self, number: u16) -> u16 {
        self.base + 8 + number - 1
    }

    /// Where the nodes of a Redis Cluster talk to each other.
    pub(crate) const fn redis_bus(self, number: u16) -> u16 {
        self.base + 11 + number - 1
    }

    pub(crate) const fn thrift(self) -> u16 {
        self.base + 16
    }

    /// Where a program listens that passes on what is for a Redis server.
    pub(crate) const fn redis_elsewhere(self, number: u16) -> u16 {
        self.base + 28 + number - 1
    }

    /// And one that passes on what is for the gateway.
    pub(crate) const fn thrift_elsewhere(self) -> u16 {
        self.base + 31
    }

    pub(crate) const fn zookeeper(self) -> u16 {
        self.base + 17
    }

    pub(crate) const fn master(self) -> u16 {
        self.base + 18
    }

    pub(crate) const fn region_server(self) -> u16 {
        self.base + 19
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_keeps_its_block_and_steps_aside_when_one_port_of_it_is_taken() {
        let folder = Path::new("/checkout/.cache/backends/stack");
        let base = choose(folder, BLOCK, |_| true).unwrap();
        assert_eq!(choose(folder, BLOCK, |_| true), Some(base));
        assert_ne!(choose(Path::new("/other/.cache/backends/stack"), BLOCK, |_| true), Some(base));
        let next = choose(folder, BLOCK, |port| port != base + 19).unwrap();
        assert!(next >= base + BLOCK || next + BLOCK <= base, "{next} is not clear of {base}");
        assert_eq!(choose(folder, BLOCK, |_| false), None);
    }

    #[test]
    fn blocks_stay_below_the_ports_that_systems_hand_out() {
        for name in 0..2000 {
            let base = choose(Path::new(&format!("/{name}")), NODES_BLOCK, |_| true).unwrap();
            assert!(base >= FIRST && base + NODES_BLOCK <= 32_768, "{base}");
        }
    }
}
