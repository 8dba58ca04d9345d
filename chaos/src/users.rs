//! The users of a run: each with a terminal that keeps sending at its pace and writes down all that happens.

use std::collections::HashMap;
use std::time::Duration;

use anser_client::Transport;
use anser_testkit::trace::{Event, Name, RosterStep};
use anser_tests::{Chatter, Load, Recorder, Site, at_most, read_everything};
use anser_types::{Conversation, ConversationType, TargetId};
use anyhow::{Context as _, ensure};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::report;
use crate::sdk::{Sdk, Suite};

const GROUP: &str = "all-of-us";
/// How long all that was sent may take to be acked and shown once the last fault is over.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long everybody stays when all is shown: what is shown once too often comes late.
const AFTERMATH: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Users who chat.
#[derive(Debug)]
pub(crate) struct Users {
    names: Vec<String>,
    site: Site,
    load: Load,
    pub(crate) recorder: Recorder,
    terminals: JoinSet<()>,
    sdks: Vec<Sdk>,
}

impl Users {
    /// Signs so many users in. Together they send so many messages a second. Beside them there is one user at each SDK.
    pub(crate) async fn begin(site: Site, count: u32, rate: u32, suite: &Suite) -> anyhow::Result<Self> {
        let own: Vec<String> = (1..=count).map(|number| format!("user-{number}")).collect();
        let at_sdks: Vec<String> = suite.sdks.iter().map(|sdk| format!("sdk-{sdk}")).collect();
        let names = [own.clone(), at_sdks.clone()].concat();
        let (load, recorder, terminals) = (Load::default(), Recorder::new(), JoinSet::new());
        let mut users = Self { names, site, load, recorder, terminals, sdks: Vec::new() };
        users.make_group().await?;
        for (sdk, name) in suite.sdks.iter().zip(&at_sdks) {
            let who = (name.as_str(), users.conversations(name));
            users.sdks.push(Sdk::begin((suite, sdk), &users.site, who, &users.recorder).await?);
        }
        users.load.begin();
        let every = Duration::from_secs(1) * count / rate;
        for (at, name) in own.iter().enumerate() {
            let token = users.site.admin().token(name).await.context("a token")?;
            let chatter = Chatter::new(name, users.conversations(name), users.load.clone(), users.recorder.clone());
            let transport = if at % 2 == 0 { Transport::Tcp } else { Transport::Ws };
            let terminal = chatter.paced(every).terminal(&users.site.url, &users.site.app_key, &token, transport);
            users.terminals.spawn(async move {
                terminal.await;
            });
        }
        Ok(users)
    }

    async fn make_group(&self) -> anyhow::Result<()> {
        let users: Vec<Name> = self.names.iter().map(|name| Name::from(name.as_str())).collect();
        let note = |step| self.recorder.note(Event::Roster { group: Name::from(GROUP), users: users.clone(), step });
        note(RosterStep::Joining);
        let members: Vec<&str> = self.names.iter().map(String::as_str).collect();
        let begun = Instant::now();
        // Nodes that have just started are still taking partitions over, and say so.
        while let Err(error) = self.site.admin().create_group(GROUP, GROUP, &members).await {
            ensure!(begun.elapsed() < PATIENCE, "the group cannot be made: {error}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
        note(RosterStep::Joined);
        Ok(())
    }

    /// The conversations of one user: with everybody else, and the group.
    fn conversations(&self, user: &str) -> Vec<Conversation> {
        let target = |id: &str| TargetId::new(id).expect("these ids are valid");
        let others = self.names.iter().filter(|other| *other != user);
        let private = others.map(|other| Conversation::new(ConversationType::Private, target(other)));
        private.chain([Conversation::new(ConversationType::Group, target(GROUP))]).collect()
    }

    /// Waits until nothing that was sent before this was called is without an ack. Returns whether that came in time.
    pub(crate) async fn settled(&self, patience: Duration) -> bool {
        let begun = Instant::now();
        loop {
            let oldest = self.recorder.met(self.recorder.now()).oldest;
            if oldest.is_none_or(|oldest| oldest < begun.elapsed()) {
                return true;
            }
            if begun.elapsed() > patience {
                return false;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Stops sending, waits until all is acked and shown, and reads timelines and histories from their beginnings. Returns
    /// the trace, and whether all was shown in time, and every SDK fared well.
    pub(crate) async fn end(mut self) -> anyhow::Result<(Recorder, bool)> {
        self.load.end();
        let (recorder, sdks) = (self.recorder.clone(), &self.sdks);
        sdks.iter().for_each(Sdk::stop_sending);
        eventually("all that was sent is acked", || recorder.pending_now() == 0).await?;
        eventually("what SDKs sent is acked or given up", || sdks.iter().all(Sdk::is_settled)).await?;
        let everybody = self.names.iter().map(|name| Name::from(name.as_str())).collect();
        let audience = HashMap::from([(Name::from(GROUP), everybody)]);
        let shown = eventually("all that was acked is shown", || recorder.missing(&audience) == 0).await;
        if let Err(error) = &shown {
            // The checker says which; it does not judge who was not connected in the end.
            println!("{error}");
        }
        let times = recorder.delivery_times(&audience);
        let [half, most, all] = [500, 990, 1000].map(|part| report::shown(at_most(&times, part)));
        println!("   shown to each whom it is for, since it was first sent: p50 {half}, p99 {most}, longest {all}");
        tokio::time::sleep(AFTERMATH).await;
        // Whoever signs in anew replaces them.
        let mut are_content = true;
        for sdk in std::mem::take(&mut self.sdks) {
            println!("   {}", sdk.told());
            are_content &= sdk.is_content();
            sdk.end().await;
        }
        // From here on whatever is not there is missing.
        recorder.note(Event::Quiet);
        for name in &self.names {
            read_everything(&self.site, name, &self.conversations(name), &recorder).await;
        }
        drop(self.terminals);
        Ok((self.recorder, shown.is_ok() && are_content))
    }
}

async fn eventually(what: &str, is_so: impl Fn() -> bool) -> anyhow::Result<()> {
    let begun = Instant::now();
    while !is_so() {
        ensure!(begun.elapsed() < PATIENCE, "waited {} s in vain until {what}", PATIENCE.as_secs());
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}
