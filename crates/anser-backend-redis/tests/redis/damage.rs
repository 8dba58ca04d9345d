//! A key of another type than it must have: whatever comes for its bucket is refused, and changes nothing there.

use anser_backend::{BucketBatch, Mailbox as _, StoreError};

use crate::server::{Server, can_start};
use crate::{P0, apply, config, entries, mailbox, positions, user};

/// An entry for each of two users of one bucket.
fn for_both(one: &str, other: &str, offset: u64, time: u64) -> BucketBatch {
    let mut batch = entries(one, P0, 5, offset, &[time]);
    let more = entries(other, P0, 5, offset + 1, &[time]);
    for (part, more) in batch.parts.iter_mut().zip(more.parts) {
        part.rows.extend(more.rows);
        part.next = more.next;
    }
    batch
}

#[tokio::test]
async fn nothing_twice_what_is_refused_for_one_key_of_another_type_is_written_nowhere() {
    if !can_start() {
        return;
    }
    let server = Server::start();
    let config = config(vec![server.address()]);
    let mailbox = mailbox(&config).await;
    let other = (0..).map(|n| format!("u{n}")).find(|name| user(name).bucket() == user("bob").bucket()).unwrap();
    apply(&*mailbox, for_both("bob", &other, 1, 100)).await;
    for kind in ["t", "l", "s"] {
        let key: Vec<String> = server.ask(&["KEYS", &format!("{}*bob*{kind}", config.prefix)]);
        server.ask::<()>(&["RENAME", &key[0], "kept"]);
        server.ask::<()>(&["SET", &key[0], "nonsense"]);
        let before = positions(&*mailbox, &other).await;
        let batch = for_both("bob", &other, 3, 200);
        for _ in 0..3 {
            let refused = mailbox.apply(batch.clone()).await.unwrap_err();
            assert!(matches!(refused, StoreError::Damaged { .. }) && !refused.is_retryable(), "{kind}: {refused:?}");
            assert_eq!(positions(&*mailbox, &other).await, before, "{kind}");
        }
        server.ask::<u64>(&["DEL", &key[0]]);
        server.ask::<()>(&["RENAME", "kept", &key[0]]);
    }
    apply(&*mailbox, for_both("bob", &other, 3, 200)).await;
    for name in ["bob", &other] {
        assert_eq!(positions(&*mailbox, name).await, [100, 200]);
    }
}
