//! What is told to nodes that are not in the list of members yet.

use anser_backend::{Member, Role};
use anser_cluster::ConnectionIds;
use anser_runtime::{Drain, Tasks};
use anser_types::{LogId, PartitionCount};

use super::*;
use crate::hub::HubParts;
use crate::link::tests::key;
use crate::routes::tests::member;
use crate::wire::{Hello, OLDEST, VERSION};
use crate::{PeerConfig, link};

const NEW: NodeId = NodeId(2 << 32);

fn hub() -> Arc<Hub> {
    let ids = Arc::new(ConnectionIds::new(NodeId(1 << 32)));
    let (cluster, name) = (LogId(7), "n1".to_owned());
    Hub::new(HubParts {
        hello: Hello { version: VERSION, oldest: OLDEST, cluster, node: ids.node(), name, to: None },
        config: PeerConfig::default(),
        certificates: None,
        ids,
        partitions: PartitionCount::EMBEDDED,
        terminals: None,
        tasks: Tasks::new(Drain::new()),
    })
}

fn new() -> Member {
    let address = "127.0.0.1:1".to_owned();
    Member { id: NEW, roles: [Role::Access].into_iter().collect(), address, ..member(2) }
}

/// A message for a user whose presence names the new node.
fn arrival(user: &str, position: u64) -> Arrival {
    let mut arrival = link::tests::arrival(user, position, 0);
    arrival.to[0].online = Some([NEW].as_slice().into());
    arrival
}

#[tokio::test(start_paused = true)]
async fn nothing_lost_a_node_that_is_not_in_the_list_yet_is_told_once_it_is() {
    let hub = hub();
    let access = RoutedAccess::new(Arc::clone(&hub));
    access.arrive(arrival("bob", 5));
    access.moved(&key("eve"), Position(6), Some(&[NEW]));
    // However often claims change meanwhile.
    for _ in 0..5 {
        hub.take_members(&[]);
    }
    let link = hub.link(NEW).expect("what waits for it is kept");
    hub.take_members(&[new()]);
    assert!(Arc::ptr_eq(&link, &hub.link(NEW).unwrap()), "the same is dialled");
    link.open();
    let moved = |user, head| Frame::Moved { user: key(user), head: Position(head) };
    assert_eq!(link.take_frames(), [moved("bob", 5), moved("eve", 6)]);
    link.end();
}

#[tokio::test(start_paused = true)]
async fn a_node_that_never_comes_costs_nothing_for_long() {
    let hub = hub();
    RoutedAccess::new(Arc::clone(&hub)).arrive(arrival("bob", 5));
    hub.take_members(&[]);
    tokio::time::advance(crate::link::IDLE_MAX).await;
    hub.take_members(&[]);
    assert!(hub.link(NEW).is_none());
}
