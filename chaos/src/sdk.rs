//! Published SDKs among the users: each a process with an unmodified SDK in it, which sends at a slow pace.
//!
//! What an SDK may do by itself is taken into account: it gives up on a message that it has sent, or connects anew, and then nobody
//! knows what became of what was under way. It may show what it sent itself once more after it has
//! connected anew; that is counted, and not judged.

mod user;

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anser_tests::{Recorder, Site};
use anyhow::{Context as _, ensure};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use user::User;

/// Lines of an SDK that nobody has read yet.
const LINES_MAX: usize = 1_000;

/// Which SDKs there are, and how they are driven.
#[derive(Debug, Clone)]
pub(crate) struct Suite {
    /// By the names of their adapters.
    pub(crate) sdks: Vec<String>,
    scripts: PathBuf,
    packages: PathBuf,
}

impl Suite {
    /// The SDKs of a list with commas between.
    pub(crate) fn new(list: &str, scripts: &Path, packages: &Path) -> anyhow::Result<Self> {
        let sdks: Vec<String> = list.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        for name in &sdks {
            ensure!(scripts.join("adapters").join(format!("{name}.js")).exists(), "there is no SDK {name}");
        }
        Ok(Self { sdks, scripts: scripts.to_owned(), packages: packages.to_owned() })
    }
}

/// A running SDK, as its owner sees it. It ends with the value.
#[derive(Debug)]
pub(crate) struct Sdk {
    name: String,
    shared: Arc<Shared>,
    living: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Shared {
    sends: AtomicBool,
    is_busy: AtomicBool,
    /// How often a message was refused, or it gave up on one.
    failed: AtomicUsize,
    /// How often it was told that a message can never be sent. Nobody is blocked here, and everybody is a member.
    refused_for_good: AtomicUsize,
    /// How often it connected.
    reconnected: AtomicUsize,
    acked: AtomicUsize,
    /// How often it showed again what it had sent itself.
    own_again: AtomicUsize,
    /// How often it had been connected, and ended its tries to be so again.
    stranded: AtomicUsize,
}

/// A process that ends with the value.
#[derive(Debug)]
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Sdk {
    /// Starts one. It signs in as soon as it can, and sends until it is told not to.
    pub(crate) async fn begin(
        (suite, adapter): (&Suite, &str),
        site: &Site,
        (name, conversations): (&str, Vec<anser_types::Conversation>),
        recorder: &Recorder,
    ) -> anyhow::Result<Self> {
        let token = site.admin().token(name).await.context("a token")?;
        let mut command = Command::new("node");
        command.arg(suite.scripts.join("chat.js")).arg(adapter).env("SDK_PACKAGES", &suite.packages);
        command.env("NAVI", &site.url).env("APP_KEY", &site.app_key);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process(command.spawn().context("cannot run node; published SDKs need Node 20 or later")?);
        let child = &mut process.0;
        let (input, output) = (child.stdin.take().context("its input")?, child.stdout.take().context("its output")?);
        let (heard, lines) = mpsc::channel(LINES_MAX);
        std::thread::spawn(move || {
            let mut said = BufReader::new(output).lines().map_while(Result::ok);
            said.try_for_each(|line| heard.blocking_send(line))
        });
        let shared = Arc::new(Shared { sends: AtomicBool::new(true), ..Shared::default() });
        let user = User::new((name, token), conversations, recorder.clone(), (Arc::clone(&shared), input));
        let mut living = JoinSet::new();
        living.spawn(async move {
            user.live(lines).await;
            drop(process);
        });
        Ok(Self { name: name.to_owned(), shared, living })
    }

    /// It begins no more messages.
    pub(crate) fn stop_sending(&self) {
        self.shared.sends.store(false, Ordering::Release);
    }

    /// Nothing of it is under way.
    pub(crate) fn is_settled(&self) -> bool {
        !self.shared.is_busy.load(Ordering::Acquire)
    }

    /// Whether it fared well. It was never left offline, until its application connected again: that it comes back by itself is the server's
    /// to see to. Nothing was refused for good, and most of what it sent was acked.
    pub(crate) fn is_content(&self) -> bool {
        let of = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        let Shared { acked, failed, refused_for_good, stranded, .. } = &*self.shared;
        of(stranded) == 0 && of(refused_for_good) == 0 && of(acked) > of(failed)
    }

    /// Ends its process, without a word in the trace: to the checker its terminal is there to the end.
    pub(crate) async fn end(mut self) {
        self.living.shutdown().await;
    }

    /// What it did, for people.
    pub(crate) fn told(&self) -> String {
        let of = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        let Shared { acked, failed, refused_for_good, reconnected, own_again, stranded, .. } = &*self.shared;
        format!(
            "{}: {} acked, {} refused or given up, {} of them for good, connected {} times, left offline {} times, showed {} of its own again",
            self.name,
            of(acked),
            of(failed),
            of(refused_for_good),
            of(reconnected),
            of(stranded),
            of(own_again)
        )
    }
}
