//! Taking partitions over: a claim in each, then everything up to the claims is read. Every start is a take-over.

mod start;

use std::collections::BTreeMap;

use anser_backend::{LogEntry, ReadError, StoreError};
use anser_core::node::{Append, Replay};
use anser_core::owner::{Fence, Replayed};
use anser_types::codec::Reader;
use anser_types::record::{Body, Header, Record};
use anser_types::{Claim, Mark, Offset, PartitionId};

use crate::applier::ToApply;
use crate::event_loop::{MessageLoop, load_conversation};
use crate::role::RoleError;

/// Bytes read from the log in one go.
const READ_BYTES: usize = 4 * 1024 * 1024;
/// Effects after which the replay hands on what it has.
const HAND_ON: usize = 4_096;

/// Where a partition stands while it is read.
#[derive(Debug)]
struct Reading {
    fence: Fence,
    /// From here on some table may not have applied the records.
    replay_from: Offset,
    /// The claim; reading ends behind it.
    claim: Offset,
    /// Where reading began.
    start: Offset,
    /// Whether there was anything with a sent time.
    is_quiet: bool,
    done: bool,
}

impl MessageLoop {
    /// Claims these partitions, reads them up to the claims, and serves them. When it returns, the tables have applied all.
    pub(crate) async fn take_over(&mut self, partitions: &[PartitionId]) -> Result<(), RoleError> {
        let claims = self.claim_all(partitions).await?;
        let mut reading = BTreeMap::new();
        let mut from = Vec::new();
        for &(partition, claim) in &claims {
            let replay_from = self.replay_from(partition).await?;
            let start = self.read_from(partition, replay_from).await?;
            let fence = Fence::new(self.backends.log.id());
            let replay_from = replay_from.next;
            reading.insert(partition, Reading { fence, replay_from, claim, start, is_quiet: true, done: false });
            from.push((partition, start));
        }
        let mut reader = self.backends.log.reader(from);
        let mut entries = reader.next(READ_BYTES).await?;
        while reading.values().any(|r| !r.done) {
            if entries.is_empty() {
                return self.claim_missing(&reading).await;
            }
            // The next piece comes from the disk, on a thread of its own, while this one is taken in.
            let (next, taken) = tokio::join!(reader.next(READ_BYTES), self.take_in(entries, &mut reading));
            taken?;
            entries = next?;
        }
        for (&partition, reading) in reading.iter().filter(|(_, reading)| reading.is_quiet) {
            self.read_further_back(partition, reading.start).await?;
        }
        self.perform().await?;
        self.wait_applied().await?;
        let now = (self.clock)();
        for (partition, _) in claims {
            self.node.serve(partition, now, &mut self.effects);
        }
        self.perform().await
    }

    async fn take_in(
        &mut self,
        entries: Vec<LogEntry>,
        reading: &mut BTreeMap<PartitionId, Reading>,
    ) -> Result<(), RoleError> {
        for entry in entries {
            if let Some(reading) = reading.get_mut(&entry.partition).filter(|r| !r.done) {
                self.read(entry, reading).await?;
            }
        }
        Ok(())
    }

    /// The log ends before a claim that it has acknowledged. Serving on would forget what lies between.
    async fn claim_missing(&mut self, reading: &BTreeMap<PartitionId, Reading>) -> Result<(), RoleError> {
        let mut missing = reading.iter().filter(|(_, reading)| !reading.done);
        let Some((&partition, reading)) = missing.next() else {
            return Ok(());
        };
        let end = self.backends.log.bounds(partition).await?.end;
        let asked = reading.claim;
        Err(RoleError::Read(ReadError::BeyondEnd { partition, asked, end }))
    }

    async fn claim_all(&mut self, partitions: &[PartitionId]) -> Result<Vec<(PartitionId, Offset)>, RoleError> {
        let mut pending = Vec::new();
        for &partition in partitions {
            let end = self.backends.log.bounds(partition).await?.end;
            let now = (self.clock)();
            let Some(Append { expected, records, .. }) = self.node.claim(partition, &self.name, end, now) else {
                continue;
            };
            pending.push((partition, self.backends.log.append_at(partition, expected, records)));
        }
        let mut claims = Vec::new();
        let mut failed = None;
        for (partition, append) in pending {
            match append.await {
                Ok(offset) => {
                    self.node.claimed(partition, offset);
                    claims.push((partition, offset));
                }
                Err(error) => {
                    self.node.claim_failed(partition);
                    failed = Some(error);
                }
            }
        }
        failed.map_or(Ok(claims), |error| Err(error.into()))
    }

    /// Below this every table has applied the partition.
    async fn replay_from(&mut self, partition: PartitionId) -> Result<Mark, StoreError> {
        let mailbox = self.backends.mailbox.replay_from(partition).await?;
        let history = self.backends.history.replay_from(partition).await?;
        let directory = self.backends.directory.replay_from(partition).await?;
        Ok(mailbox.min(history).min(directory))
    }

    async fn read(&mut self, entry: LogEntry, reading: &mut Reading) -> Result<(), RoleError> {
        let LogEntry { partition, offset, bytes, .. } = entry;
        reading.done = offset >= reading.claim;
        let bad = |source| RoleError::Record { partition, offset, source };
        let (header, _) = Header::decode(&mut Reader(bytes.clone())).map_err(bad)?;
        let record = Record::decode(bytes.clone()).map_err(bad)?;
        if !reading.fence.admits(offset, header, &record.body) {
            tracing::warn!(%partition, %offset, "record does not count: its claim is not the newest or its sequence has a gap");
            return Ok(());
        }
        self.node.remember(partition, offset, &record.body);
        reading.is_quiet &= matches!(record.body, Body::Claim { .. });
        if offset < reading.replay_from {
            return Ok(());
        }
        // The tables are written under the new claim: they have seen newer ones than that of an old record.
        let claim = Claim(reading.claim);
        loop {
            let now = (self.clock)();
            let replay = Replay { partition, claim, offset, bytes: &bytes, record: &record };
            match self.node.replay(replay, now, &mut self.effects) {
                Replayed::Done => break,
                Replayed::Needs(subject) => {
                    let loaded = load_conversation(&self.backends, &subject).await?;
                    self.node.loaded(partition, &subject, loaded, now, &mut self.effects);
                }
            }
        }
        if self.effects.len() >= HAND_ON || matches!(record.body, Body::Claim { .. }) {
            self.perform().await?;
        }
        Ok(())
    }

    /// Waits until the applier has done everything that it was handed.
    async fn wait_applied(&mut self) -> Result<(), RoleError> {
        let (done, applied) = tokio::sync::oneshot::channel();
        self.applies.send(ToApply::Barrier(done)).await.map_err(|_| RoleError::Ended)?;
        applied.await.map_err(|_| RoleError::Ended)
    }
}
