//! The server, or one node of it after the other, is killed without a warning, again and again, while everybody chats.

use std::collections::HashMap;
use std::time::Duration;

use anser_client::Transport;
use anser_testkit::trace::{Event, Name, RosterStep};
use anser_tests::{Chatter, Load, Recorder, Server, read_everything, until};
use anser_types::{Conversation, ConversationType, TargetId};
use tokio::task::JoinSet;

const USERS: [&str; 6] = ["anna", "ben", "chen", "dora", "emil", "fatima"];
const GROUP: &str = "all-of-us";
const PATIENCE: Duration = Duration::from_secs(60);
/// Acks between two kills: long enough for direct pushes, pulls and history, short enough to catch starts half-way.
const ACKS_PER_ROUND: usize = 150;

fn rounds() -> usize {
    std::env::var("ANSER_KILL_ROUNDS").map_or(20, |text| text.parse().expect("ANSER_KILL_ROUNDS is a number"))
}

/// The conversations of one user: with everybody else, and the group.
fn conversations(user: &str) -> Vec<Conversation> {
    let target = |id: &str| TargetId::new(id).expect("these ids are valid");
    let others = USERS.iter().filter(|other| **other != user);
    let private = others.map(|other| Conversation::new(ConversationType::Private, target(other)));
    private.chain([Conversation::new(ConversationType::Group, target(GROUP))]).collect()
}

async fn make_group(server: &Server, recorder: &Recorder) {
    let users: Vec<Name> = USERS.iter().map(|user| Name::from(*user)).collect();
    let note = |step| recorder.note(Event::Roster { group: Name::from(GROUP), users: users.clone(), step });
    note(RosterStep::Joining);
    server.admin().create_group(GROUP, "all of us", &USERS).await.expect("the group is made");
    note(RosterStep::Joined);
}

async fn sign_everybody_in(server: &Server, load: &Load, recorder: &Recorder) -> JoinSet<()> {
    let mut terminals = JoinSet::new();
    for (at, user) in USERS.iter().enumerate() {
        let token = server.admin().token(user).await.expect("a token");
        let chatter = Chatter::new(user, conversations(user), load.clone(), recorder.clone());
        let transport = if at % 2 == 0 { Transport::Tcp } else { Transport::Ws };
        let terminal = chatter.terminal(&server.url(), &server.ready().app_key, &token, transport);
        terminals.spawn(async move {
            terminal.await;
        });
    }
    terminals
}

#[tokio::test(flavor = "multi_thread")]
async fn acked_is_durable_and_nothing_twice_under_kill_9() {
    let (recorder, load) = (Recorder::new(), Load::default());
    let mut server = Server::start().await;
    make_group(&server, &recorder).await;
    load.begin();
    let terminals = sign_everybody_in(&server, &load, &recorder).await;
    for round in 1..=rounds() {
        let enough = recorder.acked() + ACKS_PER_ROUND;
        until("messages are acked", PATIENCE, || (recorder.acked() >= enough).then_some(())).await;
        server.kill();
        if server.is_cluster() && round % 2 == 0 {
            // The others go on; every other time the node is back before they have noticed.
            let enough = recorder.acked() + ACKS_PER_ROUND;
            until("messages are acked without it", PATIENCE, || (recorder.acked() >= enough).then_some(())).await;
        }
        let took = server.start_again().await;
        println!("round {round}: killed after {} acks, ready again after {took:?}", recorder.acked());
    }
    load.end();
    until("all that was sent is acked", PATIENCE, || (recorder.pending_now() == 0).then_some(())).await;
    let audience = HashMap::from([(Name::from(GROUP), USERS.iter().map(|user| Name::from(*user)).collect())]);
    until("all that was acked is shown", PATIENCE, || (recorder.missing(&audience) == 0).then_some(())).await;
    // From here on whatever is not there is missing.
    recorder.note(Event::Quiet);
    for user in USERS {
        read_everything(&server.site(), user, &conversations(user), &recorder).await;
    }
    drop(terminals);
    let report = recorder.check();
    println!("{report}");
    assert!(report.is_clean() && report.settled, "{report}");
    assert!(server.stop().await, "an orderly end");
}
