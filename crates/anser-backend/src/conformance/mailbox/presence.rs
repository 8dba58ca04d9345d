//! Where users are.

use anser_types::{ConnectionId, NodeId};

use super::MailboxFixture;
use crate::conformance::sample::{P0, bucket, part, received, user};
use crate::{BucketBatch, Mailbox, Online};

const HERE: NodeId = NodeId(1);
const THERE: NodeId = NodeId(u64::MAX);

async fn place(mailbox: &dyn Mailbox, next: u64) -> Online {
    let rows = vec![received("bob", "al", 100 + next)];
    let batch = BucketBatch { bucket: bucket("bob"), parts: vec![part(P0, 0, next, rows)] };
    let placed = mailbox.apply(batch).await.expect("a batch is applied");
    let mut online = placed.into_iter().flatten().flatten().next().expect("an entry was placed").online;
    online.sort_unstable();
    online
}

async fn online(mailbox: &dyn Mailbox, name: &str) -> Vec<NodeId> {
    let mut online = mailbox.online(&user(name)).await.expect("an answer").to_vec();
    online.sort_unstable();
    online
}

/// Whoever applies an entry learns in the same step where it is to be pushed.
pub async fn entries_are_placed_with_where_their_users_are(fixture: &impl MailboxFixture) {
    let mailbox = fixture.create().await;
    if !fixture.keeps_presence() {
        return;
    }
    assert_eq!(place(&*mailbox, 1).await.as_slice(), []);
    assert_eq!(mailbox.set_online(&user("bob"), HERE, ConnectionId(5)).await.expect("noted").as_slice(), [HERE]);
    assert_eq!(mailbox.set_online(&user("bob"), THERE, ConnectionId(1)).await.expect("noted").len(), 2);
    assert_eq!(place(&*mailbox, 2).await.as_slice(), [HERE, THERE]);
    assert_eq!(online(&*mailbox, "bob").await, [HERE, THERE]);
    assert_eq!(online(&*mailbox, "al").await, []);
    mailbox.set_offline(&user("bob"), HERE, ConnectionId(5)).await.expect("noted");
    assert_eq!(place(&*mailbox, 3).await.as_slice(), [THERE]);
}

/// Sign-ins and sign-outs may overtake each other on their way.
pub async fn a_late_sign_out_hides_no_newer_terminal(fixture: &impl MailboxFixture) {
    let mailbox = fixture.create().await;
    if !fixture.keeps_presence() {
        return;
    }
    for connection in [5, 9] {
        mailbox.set_online(&user("bob"), HERE, ConnectionId(connection)).await.expect("noted");
    }
    mailbox.set_offline(&user("bob"), HERE, ConnectionId(8)).await.expect("noted");
    assert_eq!(online(&*mailbox, "bob").await, [HERE]);
    mailbox.set_offline(&user("bob"), HERE, ConnectionId(12)).await.expect("noted");
    assert_eq!(online(&*mailbox, "bob").await, []);
    mailbox.set_offline(&user("nobody"), HERE, ConnectionId(12)).await.expect("noted");
}
