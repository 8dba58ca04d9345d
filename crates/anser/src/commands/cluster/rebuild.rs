//! `anser cluster rebuild`: says what it does and does not, asks, and shows how far the cluster is.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use anser_node::{DirectoryRebuild, MailboxRebuild, NodeConfig, RebuildError, RebuildPlan, RebuildProgress};
use anser_runtime::Clock;
use anser_types::Timestamp;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::cli::{ClusterRebuildArgs, Rebuilt};
use crate::failure::Failure;
use crate::since::Shown;

/// How often it is looked how far the cluster is.
const LOOK: Duration = Duration::from_secs(1);
/// How often a line is printed where lines stay.
const LINE: Duration = Duration::from_secs(10);
/// When nothing has changed for so long, somebody should look. What is replayed shows a minute later.
const STILL: Duration = Duration::from_secs(180);

/// What is made anew.
enum Rebuild {
    Mailbox(MailboxRebuild),
    Directory(DirectoryRebuild),
}

pub(crate) async fn run(config: &NodeConfig, args: &ClusterRebuildArgs) -> Result<(), Failure> {
    if !args.follow && !args.yes && !std::io::stdin().is_terminal() {
        return Err(Failure::usage(anyhow::anyhow!("there is nobody to be asked: say --yes to begin")));
    }
    if args.since.is_some() && args.what == Rebuilt::Mailbox {
        return Err(Failure::usage(anyhow::anyhow!(
            "the mailbox is made anew as far back as timelines keep messages: --since is for the directory"
        )));
    }
    let rebuild = match args.what {
        Rebuilt::Mailbox => Rebuild::Mailbox(MailboxRebuild::open(config).await?),
        Rebuilt::Directory => Rebuild::Directory(DirectoryRebuild::open(config).await?),
    };
    let plan = if args.follow {
        let Some(plan) = rebuild.newest().await? else {
            println!("the {} of this cluster was never rebuilt", rebuild.name());
            return Ok(());
        };
        plan
    } else {
        let since = args.since.map_or(Timestamp::ZERO, |since| since.time(Clock::system().now()));
        print!("{}", rebuild.explain(config, since).await?);
        if !args.yes && !is_agreed()? {
            println!("nothing was begun");
            return Ok(());
        }
        rebuild.ask(since).await?
    };
    if rebuild.nodes().await? == 0 {
        println!("no message node is alive; the rebuild goes on when one is");
    }
    let name = rebuild.name();
    tokio::select! {
        done = follow(&rebuild, plan, config) => done,
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            println!("\nthe rebuild goes on in the cluster; `anser cluster rebuild {name} --follow` shows how far it is");
            Ok(())
        }
    }
}

impl Rebuild {
    const fn name(&self) -> &'static str {
        match self {
            Self::Mailbox(_) => "mailbox",
            Self::Directory(_) => "directory",
        }
    }

    async fn newest(&self) -> Result<Option<RebuildPlan>, RebuildError> {
        match self {
            Self::Mailbox(mailbox) => mailbox.newest().await,
            Self::Directory(directory) => directory.newest().await,
        }
    }

    async fn explain(&self, config: &NodeConfig, since: Timestamp) -> Result<String, RebuildError> {
        let days = config.message.limits().offline_retention_ms / (24 * 3600 * 1000);
        Ok(match self {
            Self::Mailbox(mailbox) => explain_mailbox(&mailbox.plan().await?, days),
            Self::Directory(directory) => explain_directory(&directory.plan(since).await?),
        })
    }

    async fn ask(&self, since: Timestamp) -> Result<RebuildPlan, RebuildError> {
        match self {
            Self::Mailbox(mailbox) => mailbox.ask().await,
            Self::Directory(directory) => directory.ask(since).await,
        }
    }

    async fn nodes(&self) -> Result<usize, RebuildError> {
        match self {
            Self::Mailbox(mailbox) => mailbox.nodes().await,
            Self::Directory(directory) => directory.nodes().await,
        }
    }

    async fn progress(&self, plan: &mut RebuildPlan) -> Result<RebuildProgress, RebuildError> {
        match self {
            Self::Mailbox(mailbox) => mailbox.progress(plan).await,
            Self::Directory(directory) => directory.progress(plan).await,
        }
    }

    /// What somebody should know who waits.
    const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Mailbox(_) => {
                Some("what is replayed shows here when redis cannot forget it any more, about a minute later")
            }
            Self::Directory(_) => None,
        }
    }

    /// What there is at the end.
    fn end(&self, plan: &RebuildPlan) -> String {
        match self {
            Self::Mailbox(_) => "the mailbox is rebuilt".to_owned(),
            Self::Directory(_) => format!("the directory and history are rebuilt\n{}", covered(plan)),
        }
    }
}

/// From when on a rebuild of the directory has everything.
fn covered(plan: &RebuildPlan) -> String {
    match plan.lost_before {
        Some(lost) if lost >= plan.since => {
            format!("what was written before {} is not in the log any more; it comes from a backup", Shown(lost))
        }
        _ if plan.since > Timestamp::ZERO => {
            format!("what was written before {} was not asked for, and is as hbase has it", Shown(plan.since))
        }
        _ => "the log goes back to its first record: this is all that was ever written".to_owned(),
    }
}

/// As the beginning of a sentence.
fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).chain(['.']).collect()).unwrap_or_default()
}

/// What to do about rows that were deleted by hand.
fn hidden(rows: u64, config: &NodeConfig) -> anyhow::Error {
    let table = format!("{}_views", config.cluster.hbase.table_prefix);
    anyhow::anyhow!(
        "{rows} rows were written and cannot be seen, because somebody deleted them and hbase remembers that: say flush '{table}' and \
         major_compact '{table}' in its shell, and when that is done begin this again"
    )
}

/// What will be done, and what cannot be.
fn explain_directory(plan: &RebuildPlan) -> String {
    format!(
        "\
The message nodes apply to groups, blacklists, users, settings and history again what the log
holds: {} records in {} partitions, in their order. What HBase has already stays as it is, or
becomes what the log says; nothing newer is replaced by anything older.

{}

While they do
  messages are accepted and delivered
  history of conversations in a partition that has its turn is refused as to be asked for again
  groups and users change at the end of their partition's turn, each at once

Not brought back
  a group of which the log has some changes only, and HBase nothing: it has those members only
  rows that were deleted by hand in the shell of HBase, until the table is compacted

Not touched: timelines, conversation lists, unread counts, who is online

",
        plan.records(),
        plan.partitions(),
        capital(&covered(plan))
    )
}

/// What will be done, and what cannot be.
fn explain_mailbox(plan: &RebuildPlan, days: u64) -> String {
    let (partitions, records) = (plan.partitions(), plan.records());
    let mut text = format!(
        "\
The message nodes make timelines, conversation lists and unread counts anew from the log: what was
said in the last {days} days, {records} records in {partitions} partitions.

While they do
  messages are accepted and acked; those to a partition that has its turn, a few at a time, are
    delivered when it is through
  calls of the server API that change users or groups may be answered with an error to try again,
    although they were accepted
  users do not find all that they have
  terminals fetch the {days} days again; those that know messages by their uids show none twice

Not brought back
  conversations in lists, with what is unread there, in which nothing was said for {days} days
  messages of groups to those who left them more than a day ago
"
    );
    if plan.too_short > 0 {
        text += &format!(
            "  what was said before the log begins: in {} partitions it does not go back {days} days\n",
            plan.too_short
        );
    }
    text + "\nNot touched: history, groups, users, settings, who is online, how far terminals have got\n\n"
}

/// Asks the one who sits there.
fn is_agreed() -> Result<bool, Failure> {
    print!("Begin? Type yes: ");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(answer.trim() == "yes")
}

/// Shows how far it is until all is done.
async fn follow(rebuild: &Rebuild, mut plan: RebuildPlan, config: &NodeConfig) -> Result<(), Failure> {
    let stays = !std::io::stdout().is_terminal();
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut printed_at, mut changed_at): (Option<Instant>, _) = (None, Instant::now());
    let (mut last, mut is_told, mut is_away): (Option<RebuildProgress>, _, _) = (None, false, false);
    if let Some(hint) = rebuild.hint() {
        println!("{hint}");
    }
    loop {
        looks.tick().await;
        let asked_at = plan.asked_at();
        let progress = match rebuild.progress(&mut plan).await {
            Ok(progress) => progress,
            Err(error) if error.is_retryable() => {
                if !std::mem::replace(&mut is_away, true) {
                    println!("\nhow far it is cannot be seen now, it is tried again: {:#}", anyhow::Error::from(error));
                }
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        is_away = false;
        if plan.asked_at() != asked_at {
            println!("\nanother rebuild was asked for since; this is how far that one is");
        }
        let now = Instant::now();
        if last.replace(progress) != Some(progress) {
            (changed_at, is_told) = (now, false);
        }
        if progress.is_done() || !stays || printed_at.is_none_or(|at| now - at >= LINE) {
            printed_at = Some(now);
            print(progress, stays)?;
        }
        if progress.is_done() {
            println!("{}{}", if stays { "" } else { "\n" }, rebuild.end(&plan));
            if progress.hidden > 0 {
                return Err(Failure::Failed(hidden(progress.hidden, config)));
            }
            return Ok(());
        }
        if now - changed_at >= STILL && !is_told {
            is_told = true;
            println!(
                "\nnothing has changed for three minutes: look at `anser cluster status` and the logs of the message nodes"
            );
        }
    }
}

fn print(progress: RebuildProgress, stays: bool) -> Result<(), Failure> {
    let RebuildProgress { partitions, partitions_total, records, records_total, .. } = progress;
    let line = format!("replayed {partitions} of {partitions_total} partitions, {records} of {records_total} records");
    let mut out = std::io::stdout();
    if stays {
        writeln!(out, "{line}")?;
    } else {
        // Over the line before, which is never longer.
        write!(out, "\r{line}")?;
        out.flush()?;
    }
    Ok(())
}
