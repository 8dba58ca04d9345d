//! A fresh terminal that reads everything a user has: the timeline from the beginning, and history page by page.

use std::time::Duration;

use anser_client::{Client, ClientEvent, Conversation, Platform, Timestamp};
use anser_testkit::trace::{Event, Name, PageItem};

use crate::chatter::{body_of, shown, traced};
use crate::recorder::Recorder;
use crate::server::Site;
use crate::wait::within;

const PATIENCE: Duration = Duration::from_secs(60);

/// Signs the user in on a new installation and writes down all that its timeline and these conversations hold. To the checker it is there to
/// the end, so that what it was not shown is missing.
pub async fn read_everything(
    site: &Site,
    user: &str,
    conversations: &[anser_types::Conversation],
    recorder: &Recorder,
) {
    let token = site.admin().token(user).await.expect("a token");
    let builder = Client::builder(&site.url, &site.app_key, &token)
        .platform(Platform::Web)
        // Repeats are to be seen, not forgiven.
        .session(|session| session.seen_max = 0);
    let (client, mut events) =
        within("signing in", PATIENCE, builder.connect()).await.expect("a new terminal signs in");
    let connection = recorder.connected(recorder.terminal(), &Name::from(user), Timestamp::ZERO);
    within("reading the timeline", PATIENCE, async {
        while let Some(event) = events.next().await {
            match event {
                ClientEvent::Message(message) => recorder.note(shown(connection, &message)),
                ClientEvent::Synced { .. } => return,
                other => panic!("{user}: {other:?} while reading"),
            }
        }
    })
    .await;
    for conversation in conversations {
        within("reading history", PATIENCE, read_history(&client, user, conversation, recorder)).await;
    }
}

async fn read_history(client: &Client, user: &str, of: &anser_types::Conversation, recorder: &Recorder) {
    let conversation = Conversation::from(of.clone());
    let mut before = Timestamp::ZERO;
    loop {
        let page = client.history(&conversation, before, 100).await.expect("history answers");
        let item = |message: &anser_client::Message| PageItem {
            uid: message.uid,
            sent: message.sent.0,
            number: None,
            body: body_of(&message.content),
        };
        recorder.note(Event::Paged {
            user: Name::from(user),
            conversation: traced(of),
            before: (before > Timestamp::ZERO).then_some(before.0),
            items: page.messages.iter().map(item).collect(),
            more: page.has_more,
        });
        if !page.has_more {
            return;
        }
        before = page.messages.last().expect("a page that is not the last one holds something").sent;
    }
}
