//! The applier: what the log has made durable, in the order of the log, goes into the tables and out to the terminals.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use anser_backend::{BucketBatch, MailboxRow, Placed, StoreError};
use anser_cluster::{Accepted, AccessService, Arrival, Deliver, Outcome};
use anser_core::applier::{Derived, PartitionWrites, Placements};
use anser_core::draft::Ticket;
use anser_core::owner::Committed;
use anser_types::record::{Body, UserChange};
use anser_types::{ConnectionId, MessageUid, UserKey};

use crate::progress::Progress;
use crate::role::{Backends, RoleError};

/// What the applier is told. In the order of the log.
#[derive(Debug)]
pub(crate) enum ToApply {
    /// Records that count.
    Records(Vec<Committed>),
    /// A call to answer when its record is applied.
    Expect(u64, oneshot::Sender<Outcome>),
    /// Answer when everything before is applied.
    Barrier(oneshot::Sender<()>),
}

/// How long to wait before a table is tried again, at first and at most.
const TRY_AGAIN_MIN: Duration = Duration::from_millis(5);
const TRY_AGAIN_MAX: Duration = Duration::from_secs(1);
/// Messages taken from the channel in one go.
const BATCH_MAX: usize = 64;

#[derive(Debug)]
pub(crate) struct Applier {
    backends: Backends,
    access: Arc<dyn AccessService>,
    inputs: mpsc::Receiver<ToApply>,
    expected: HashMap<u64, oneshot::Sender<Outcome>>,
    progress: Progress,
}

impl Applier {
    pub(crate) fn new(
        backends: Backends,
        access: Arc<dyn AccessService>,
        inputs: mpsc::Receiver<ToApply>,
        progress: Progress,
    ) -> Self {
        Self { backends, access, inputs, expected: HashMap::new(), progress }
    }

    /// Runs until the loop has gone and everything is applied.
    pub(crate) async fn run(mut self) -> Result<(), RoleError> {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        while self.inputs.recv_many(&mut batch, BATCH_MAX).await > 0 {
            let mut records = Vec::new();
            for input in batch.drain(..) {
                match input {
                    ToApply::Records(more) => records.extend(more),
                    ToApply::Expect(call, answer) => {
                        self.expected.insert(call, answer);
                    }
                    ToApply::Barrier(done) => {
                        self.apply(std::mem::take(&mut records)).await?;
                        // Whoever waited may have gone.
                        done.send(()).ok();
                    }
                }
            }
            self.apply(records).await?;
        }
        Ok(())
    }

    async fn apply(&mut self, records: Vec<Committed>) -> Result<(), StoreError> {
        if records.is_empty() {
            return Ok(());
        }
        let mut derived = Derived::default();
        for record in &records {
            derived.add(record);
        }
        let mut placements = Placements::default();
        for batch in derived.take_mailbox() {
            let mut tries = Tries::default();
            let placed = loop {
                match self.write_bucket(&batch).await {
                    Err(error) if error.is_retryable() => tries.wait("mailbox", &error).await,
                    other => break other?,
                }
            };
            for (part, placed) in batch.parts.iter().zip(&placed) {
                placements.note(part, placed);
            }
            if tries.count > 0 {
                self.tell_of_written(&batch, &placed).await?;
            }
        }
        let Backends { history, directory, mailbox, .. } = self.backends.clone();
        for (partition, writes) in derived.into_partitions() {
            let PartitionWrites { history: rows, directory: changes, mark } = writes;
            until_written("history", || history.write(partition, mark, rows.clone())).await?;
            until_written("directory", || directory.apply(partition, mark, changes.clone())).await?;
            until_written("mailbox", || mailbox.applied(partition, mark)).await?;
            self.progress.note(partition, mark.next);
        }
        for record in records {
            let deliver = placements.take(&record);
            self.tell(record, deliver);
        }
        Ok(())
    }

    /// A write that failed may have happened all the same, and then where its entries went is not known: the terminals of
    /// their users are told to look.
    async fn tell_of_written(&self, batch: &BucketBatch, placed: &[Vec<Option<Placed>>]) -> Result<(), StoreError> {
        for (part, placed) in batch.parts.iter().zip(placed) {
            for ((_, row), placed) in part.rows.iter().zip(placed) {
                if let (MailboxRow::Entry(entry), None) = (row, placed) {
                    let user = &entry.user;
                    let head = until_written("mailbox", || self.backends.mailbox.head(user)).await?;
                    self.access.moved(user, head, None);
                }
            }
        }
        Ok(())
    }

    async fn write_bucket(&self, batch: &BucketBatch) -> Result<Vec<Vec<Option<Placed>>>, StoreError> {
        match self.backends.mailbox.apply(batch.clone()).await {
            Err(StoreError::StaleClaim) => {}
            other => return other,
        }
        // Some of the partitions have a newer owner, which applies their records again. The others are still ours.
        let mut placed = Vec::with_capacity(batch.parts.len());
        for part in &batch.parts {
            let alone = BucketBatch { bucket: batch.bucket, parts: vec![part.clone()] };
            match self.backends.mailbox.apply(alone).await {
                Ok(one) => placed.extend(one),
                Err(StoreError::StaleClaim) => {
                    tracing::info!(partition = %part.partition, "a newer owner applies these records");
                    placed.push(Vec::new());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(placed)
    }

    fn tell(&mut self, committed: Committed, deliver: Vec<Deliver>) {
        match &*committed.body {
            Body::Message(message) if committed.replayed => {
                for to in deliver {
                    if let Some(position) = to.position {
                        let user = UserKey::new(message.app.clone(), to.user);
                        self.access.moved(&user, position, to.online.as_deref());
                    }
                }
            }
            Body::Message(message) if !deliver.is_empty() => {
                let message = Arc::new(message.clone());
                self.access.arrive(Arrival { app: message.app.clone(), message, to: deliver });
            }
            Body::User(record) => {
                if let UserChange::Setting { .. } = record.change {
                    self.access.settings_changed(&record.user, record.time, ConnectionId::NONE, None);
                }
                self.answer(&committed);
            }
            _ => self.answer(&committed),
        }
    }

    fn answer(&mut self, committed: &Committed) {
        let Ticket::Call(call) = committed.ticket else {
            return;
        };
        if let Some(answer) = self.expected.remove(&call) {
            let accepted = Accepted { uid: MessageUid::from_bytes([0; 10]), sent: committed.body.time() };
            // Whoever called may have gone.
            answer.send(Ok(accepted)).ok();
        }
    }
}

/// How often something was tried that a store could not do, and how long to wait before the next time.
#[derive(Debug, Default)]
struct Tries {
    count: u32,
}

impl Tries {
    /// Waits before the next try: longer each time, a second at most.
    async fn wait(&mut self, table: &'static str, error: &StoreError) {
        if self.count.is_power_of_two() || self.count == 0 {
            let source = std::error::Error::source(error);
            tracing::warn!(table, tries = self.count, %error, ?source, "a table cannot be written, what comes waits for it");
        }
        self.count += 1;
        let pause = TRY_AGAIN_MIN * 2u32.saturating_pow(self.count.min(8));
        tokio::time::sleep(pause.min(TRY_AGAIN_MAX)).await;
    }
}

/// Does something with a table until it can be done. A repeated write changes nothing.
async fn until_written<'a, T>(
    table: &'static str,
    write: impl Fn() -> anser_backend::BoxFuture<'a, Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let mut tries = Tries::default();
    loop {
        match write().await {
            Err(error) if error.is_retryable() => tries.wait(table, &error).await,
            other => return other,
        }
    }
}
