//! `anser cluster rebuild`: says what it does and does not, asks, and shows how far the cluster is.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use anser_node::{MailboxRebuild, NodeConfig, RebuildPlan, RebuildProgress};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::cli::{ClusterRebuildArgs, Rebuilt};
use crate::failure::Failure;

/// How often it is looked how far the cluster is.
const LOOK: Duration = Duration::from_secs(1);
/// How often a line is printed where lines stay.
const LINE: Duration = Duration::from_secs(10);
/// When nothing has changed for so long, somebody should look. What is replayed shows a minute later.
const STILL: Duration = Duration::from_secs(180);

pub(crate) async fn run(config: &NodeConfig, args: &ClusterRebuildArgs) -> Result<(), Failure> {
    let Rebuilt::Mailbox = args.what;
    if !args.follow && !args.yes && !std::io::stdin().is_terminal() {
        return Err(Failure::usage(anyhow::anyhow!("there is nobody to be asked: say --yes to begin")));
    }
    let rebuild = MailboxRebuild::open(config).await?;
    let plan = if args.follow {
        let Some(plan) = rebuild.newest().await? else {
            println!("the mailbox of this cluster was never rebuilt");
            return Ok(());
        };
        plan
    } else {
        let days = config.message.limits().offline_retention_ms / (24 * 3600 * 1000);
        print!("{}", explain(&rebuild.plan().await?, days));
        if !args.yes && !is_agreed()? {
            println!("nothing was begun");
            return Ok(());
        }
        rebuild.ask().await?
    };
    if rebuild.nodes().await? == 0 {
        println!("no message node is alive; the rebuild goes on when one is");
    }
    tokio::select! {
        done = follow(&rebuild, plan) => done,
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            println!("\nthe rebuild goes on in the cluster; `anser cluster rebuild mailbox --follow` shows how far it is");
            Ok(())
        }
    }
}

/// What will be done, and what cannot be.
fn explain(plan: &RebuildPlan, days: u64) -> String {
    let (partitions, records) = (plan.partitions(), plan.records());
    let mut text = format!(
        "\
The message nodes make timelines, conversation lists and unread counts anew from the log: what was
said in the last {days} days, {records} records in {partitions} partitions.

While they do
  messages are accepted, but delivered when their partition's turn has come; a few partitions at a
    time take nothing in, and what is sent there is refused as to be sent again
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
async fn follow(rebuild: &MailboxRebuild, mut plan: RebuildPlan) -> Result<(), Failure> {
    let stays = !std::io::stdout().is_terminal();
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut printed_at, mut changed_at): (Option<Instant>, _) = (None, Instant::now());
    let (mut last, mut is_told, mut is_away): (Option<RebuildProgress>, _, _) = (None, false, false);
    println!("what is replayed shows here when redis cannot forget it any more, about a minute later");
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
            println!("{}the mailbox is rebuilt", if stays { "" } else { "\n" });
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
    let RebuildProgress { partitions, partitions_total, records, records_total } = progress;
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
