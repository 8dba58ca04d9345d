//! What the message role counts, and how it tells of single messages.
//!
//! Of each message there is a line at the level `debug` where it is accepted, refused and delivered, with its UID.

use std::sync::Arc;
use std::time::Duration;

use anser_backend::AppendError;
use anser_cluster::Settled;
use anser_core::owner::Committed;
use anser_runtime::metrics::{Counter, Counters, Histogram, Looked, Registry, durations};
use anser_types::record::Body;
use anser_types::{Message, Timestamp};

use crate::progress::Progress;

/// See the module. Made with the role, and counts from then on.
#[derive(Debug)]
pub struct MessageMetrics {
    progress: Progress,
    settled: Counters,
    settled_well: Counter,
    records: Counters,
    messages: Counter,
    ack_seconds: Histogram,
    appends: Counters,
    landed: Counter,
    append_seconds: Histogram,
    deliveries: Counter,
    delivery_seconds: Histogram,
    pub(crate) notices: Counter,
    pub(crate) take_overs: Counter,
    pub(crate) take_overs_failed: Counter,
    pub(crate) claims_lost: Counter,
    pub(crate) overflows: Counter,
    tries: Counters,
}

impl MessageMetrics {
    pub(crate) fn new(progress: Progress) -> Self {
        let (settled, records, appends) = (Counters::default(), Counters::default(), Counters::default());
        Self {
            progress,
            settled_well: settled.get_or_create_owned(&[("status", "accepted")]),
            messages: records.get_or_create_owned(&[("kind", "message")]),
            landed: appends.get_or_create_owned(&[("outcome", "landed")]),
            ack_seconds: durations(),
            append_seconds: durations(),
            deliveries: Counter::default(),
            delivery_seconds: durations(),
            notices: Counter::default(),
            take_overs: Counter::default(),
            take_overs_failed: Counter::default(),
            claims_lost: Counter::default(),
            overflows: Counter::default(),
            tries: Counters::default(),
            settled,
            records,
            appends,
        }
    }

    /// Gives the metrics their names.
    pub fn register(self: &Arc<Self>, to: &mut Registry) {
        to.register(
            "publishes_settled",
            "Publishes of clients that were decided here, by status",
            self.settled.clone(),
        );
        to.register("records_accepted", "Records that are durable and count, by kind", self.records.clone());
        to.register("ack_seconds", "From the sent time of a message to when it is acked", self.ack_seconds.clone());
        to.register("log_appends", "Appends to the log, by outcome", self.appends.clone());
        to.register("log_append_seconds", "How long an append takes", self.append_seconds.clone());
        to.register("deliveries", "Timelines that a message was put into", self.deliveries.clone());
        to.register(
            "delivery_seconds",
            "From the sent time of a message to when it is in timelines and terminals are told",
            self.delivery_seconds.clone(),
        );
        to.register("replay_notices", "Users who were told to look after a replay", self.notices.clone());
        to.register("take_overs", "Partitions that were taken over", self.take_overs.clone());
        to.register("take_overs_failed", "Take-overs that failed and are repeated", self.take_overs_failed.clone());
        to.register("claims_lost", "Partitions whose claim was lost or in doubt", self.claims_lost.clone());
        to.register(
            "overflows",
            "Batches of publishes that were refused because too many waited",
            self.overflows.clone(),
        );
        to.register(
            "table_failures",
            "Reads and writes of a table that failed and are tried again",
            self.tries.clone(),
        );
        let shown = Arc::clone(self);
        to.register_collector(Box::new(Looked(move |looks| {
            let (mut served, mut stopped, mut held_back, mut to_apply, mut to_archive) = (0, 0, 0, 0, 0);
            for state in shown.progress.served() {
                served += 1;
                stopped += u64::from(state.is_stopped);
                held_back += u64::from(state.is_held_back);
                to_apply += state.to_apply;
                to_archive += state.to_archive;
            }
            looks.gauge("partitions_served", "Partitions that this node owns and serves", number(served))?;
            looks.gauge(
                "partitions_stopped",
                "Partitions that take nothing in until history has caught up",
                number(stopped),
            )?;
            looks.gauge(
                "partitions_held_back",
                "Partitions that take nothing in until timelines have caught up",
                number(held_back),
            )?;
            let troubles = shown.progress.troubles.all().len();
            looks.gauge(
                "partitions_in_trouble",
                "Partitions that are not taken over, or not archived, until a store is mended",
                f64::from(u32::try_from(troubles).unwrap_or(u32::MAX)),
            )?;
            looks.gauge(
                "buckets_parked",
                "Buckets of the mailbox that cannot be written, so that what comes for their users waits",
                f64::from(u32::try_from(shown.progress.parked().len()).unwrap_or(u32::MAX)),
            )?;
            looks.gauge(
                "applier_lag_records",
                "Records that are accepted and not in timelines yet",
                number(to_apply),
            )?;
            looks.gauge("archiver_lag_records", "Records that are accepted and not in history yet", number(to_archive))
        })));
    }

    /// Publishes are answered.
    pub(crate) fn settles(&self, settled: &[Settled], now: Timestamp) {
        for one in settled {
            match one.outcome {
                Ok(accepted) => {
                    self.settled_well.inc();
                    self.ack_seconds.observe(seconds(now.since(accepted.sent)));
                }
                Err(refusal) => {
                    self.settled.get_or_create(&[("status", refusal.status.label())]).inc();
                    let (conn, publish, status) = (one.connection, one.publish, refusal.status.0);
                    tracing::debug!(%conn, publish, status, "publish refused");
                }
            }
        }
    }

    /// Records are durable. Those of a replay were counted where they were accepted.
    pub(crate) fn accepts(&self, committed: &[Committed]) {
        for record in committed.iter().filter(|record| !record.replayed) {
            match &*record.body {
                Body::Message(message) => {
                    self.messages.inc();
                    let (partition, offset) = (record.partition, record.offset.0);
                    tracing::debug!(
                        uid = %message.uid, app = %message.app, sender = %message.sender, %partition, offset, "message accepted"
                    );
                }
                Body::Roster(_) => self.counts("roster"),
                Body::User(_) => self.counts("user"),
                Body::Claim { .. } => self.counts("claim"),
            }
        }
    }

    fn counts(&self, kind: &'static str) {
        self.records.get_or_create(&[("kind", kind)]).inc();
    }

    /// An append has ended.
    pub(crate) fn appended(&self, took: Duration, error: Option<&AppendError>) {
        self.append_seconds.observe(took.as_secs_f64());
        let outcome = match error {
            None => {
                self.landed.inc();
                return;
            }
            Some(AppendError::Full) => "full",
            Some(AppendError::NotExpected { .. }) => "elsewhere",
            Some(AppendError::Unknown(_)) => "unknown",
            Some(AppendError::Failed) => "failed",
            Some(AppendError::Refused(_)) => "refused",
        };
        self.appends.get_or_create(&[("outcome", outcome)]).inc();
    }

    /// A message is in timelines.
    pub(crate) fn delivers(&self, message: &Message, users: usize, now: Timestamp) {
        let late_ms = now.since(message.sent);
        self.deliveries.inc_by(u64::try_from(users).unwrap_or(u64::MAX));
        self.delivery_seconds.observe(seconds(late_ms));
        tracing::debug!(uid = %message.uid, users, late_ms, "message delivered");
    }

    /// Something about a table failed, and is tried again.
    pub(crate) fn tries_again(&self, table: &'static str) {
        self.tries.get_or_create(&[("table", table)]).inc();
    }
}

fn seconds(millis: u64) -> f64 {
    Duration::from_millis(millis).as_secs_f64()
}

fn number(of: u64) -> f64 {
    f64::from(u32::try_from(of).unwrap_or(u32::MAX))
}
