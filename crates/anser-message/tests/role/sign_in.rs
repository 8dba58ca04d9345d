//! Who may sign in, as a node of several answers it while the directory is away.

use anser_backend::memory::Answers;
use anser_cluster::{Command, DirectoryService as _, MessageService as _, OwnerService as _, Refusal, SignInView};
use anser_types::Timestamp;
use anser_types::record::UserChange;

use crate::handover::{ME, OTHER, owners, owning};
use crate::key;
use crate::world::World;

const OPEN: SignInView = SignInView { blocked_until: Timestamp(0), tokens_from: Timestamp(0) };
const UNTIL: Timestamp = Timestamp(7);

impl World {
    async fn may_sign_in(&self, user: &str) -> Result<SignInView, Refusal> {
        self.handle().sign_in_view(&key(user)).await
    }

    async fn block(&self, user: &str) -> Result<Timestamp, Refusal> {
        let change = UserChange::Blocked { until: UNTIL };
        self.handle().command(Command::User { user: key(user), change }).await
    }

    /// Asks until what the directory says is kept: it has to have everything from before this node.
    async fn until_known(&self, user: &str) {
        self.until(async || {
            self.directory.set_answers(Answers::Yes);
            self.may_sign_in(user).await.unwrap();
            self.directory.set_answers(Answers::Refuses);
            self.may_sign_in(user).await.is_ok()
        })
        .await;
        self.directory.set_answers(Answers::Yes);
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_was_asked_about_before_can_sign_in_while_the_directory_refuses_or_says_nothing() {
    let world = owning().await;
    world.until_known("alice").await;
    for answers in [Answers::Refuses, Answers::Never] {
        world.directory.set_answers(answers);
        assert_eq!(world.may_sign_in("alice").await, Ok(OPEN));
    }
    world.directory.set_answers(Answers::Refuses);
    assert!(world.may_sign_in("stranger").await.unwrap_err().status.is_retryable());
}

#[tokio::test(start_paused = true)]
async fn one_way_in_holds_for_who_is_blocked_while_the_directory_is_away() {
    let world = owning().await;
    world.until_known("alice").await;
    world.directory.set_answers(Answers::Refuses);
    assert!(world.block("alice").await.unwrap_err().status.is_retryable(), "whoever asked for it asks again");
    assert_eq!(world.may_sign_in("alice").await, Ok(SignInView { blocked_until: UNTIL, ..OPEN }), "it holds at once");
    world.directory.set_answers(Answers::Yes);
    // The directory has not got it yet.
    assert_eq!(world.may_sign_in("alice").await, Ok(SignInView { blocked_until: UNTIL, ..OPEN }));
    world.block("alice").await.unwrap();
    assert_eq!(world.may_sign_in("alice").await, Ok(SignInView { blocked_until: UNTIL, ..OPEN }));
}

#[tokio::test(start_paused = true)]
async fn one_way_in_holds_for_who_was_blocked_at_another_node_meanwhile() {
    let world = owning().await;
    world.until_known("alice").await;
    world.handle().owners_changed(owners(OTHER, OTHER));
    world.directory.set_answers(Answers::Refuses);
    world.until(async || world.may_sign_in("alice").await.is_err()).await;
    world.directory.set_answers(Answers::Yes);
    world.handle().owners_changed(owners(OTHER, ME));
    world.until(async || world.handle().partitions().len() == 1).await;
    world.directory.set_answers(Answers::Refuses);
    assert!(world.may_sign_in("alice").await.is_err(), "the other node may have changed it");
}
