//! History and the directory are to be made anew: the partitions have their turns, a few at a time.
//!
//! A partition is not archived while it has its turn, so there is one writer; the others go on, also with what lies over holes. Nobody
//! who has it afterwards can take a turn for done that was begun under an older claim than one that was noted since.

use std::collections::{BTreeMap, BTreeSet};

use anser_backend::{RebuildAsked, StoreError};
use anser_core::archiver::Event;
use anser_types::{Offset, PartitionId};
use futures_util::future::{AbortHandle, abortable};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::anew::{self, Task};
use super::{ArchiverTask, Doing, Done};
use crate::role::{Backends, RoleError};
use crate::ticks::Every;
use crate::troubles::Trouble;

/// How often it is looked whether a rebuild was asked for, in ticks of the archiver.
const LOOK_TICKS: u32 = 10;
/// How many partitions of a node have their turn at a time: enough that one reads while others write.
const AT_ONCE: usize = 2;
/// How many are begun at once.
const BEGUN_AT_ONCE: usize = 8;

/// What comes back of a backend.
pub(super) enum Turn {
    /// The newest rebuild, and of which of the partitions that are here something is to be done for it.
    Looked(Result<(Option<RebuildAsked>, Vec<PartitionId>), StoreError>),
    /// What is to be done of a partition that came, by which claim it did; and whether it has to be done before anything else.
    Come(PartitionId, Offset, Result<(Option<RebuildAsked>, bool), RoleError>),
    /// A turn is over.
    Over(Task, Result<bool, RoleError>),
}

/// The turns of partitions.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// Under which claims partitions are here.
    claims: BTreeMap<PartitionId, Offset>,
    seen: Option<RebuildAsked>,
    looks: Every<LOOK_TICKS>,
    is_looking: bool,
    /// Those that came, while it is found out whether they are to be rebuilt.
    coming: BTreeSet<PartitionId>,
    /// Those that wait for their turn, and for which rebuild.
    waiting: BTreeMap<PartitionId, RebuildAsked>,
    /// Those that are still being archived before their turn.
    leaving: BTreeMap<PartitionId, RebuildAsked>,
    under_way: BTreeMap<PartitionId, AbortHandle>,
}

impl Turns {
    /// The partition is not here any more.
    fn forget(&mut self, partition: PartitionId) {
        self.claims.remove(&partition);
        self.coming.remove(&partition);
        self.waiting.remove(&partition);
        self.leaving.remove(&partition);
        if let Some(turn) = self.under_way.remove(&partition) {
            turn.abort();
        }
    }

    fn has(&self, partition: PartitionId) -> bool {
        self.coming.contains(&partition)
            || self.leaving.contains_key(&partition)
            || self.under_way.contains_key(&partition)
    }
}

async fn look(
    backends: Backends,
    seen: Option<RebuildAsked>,
    here: Vec<(PartitionId, Offset)>,
) -> Result<(Option<RebuildAsked>, Vec<PartitionId>), StoreError> {
    let Some(rebuilds) = &backends.rebuilds else {
        return Ok((None, Vec::new()));
    };
    let newest = rebuilds.asked().await?.filter(|newest| seen.is_none_or(|seen| newest.at > seen.at));
    let here = if newest.is_some() { here } else { Vec::new() };
    let begun = stream::iter(here).map(async |(partition, claim)| {
        let begun = rebuilds.begin(partition, Some(claim.0)).await?;
        Ok::<_, StoreError>(begun.map(|_| partition))
    });
    let begun: Vec<Option<PartitionId>> = begun.buffered(BEGUN_AT_ONCE).try_collect().await?;
    Ok((newest, begun.into_iter().flatten().collect()))
}

async fn come(
    backends: Backends,
    partition: PartitionId,
    claim: Offset,
) -> Result<(Option<RebuildAsked>, bool), RoleError> {
    let asked = match &backends.rebuilds {
        Some(rebuilds) => rebuilds.begin(partition, Some(claim.0)).await?,
        None => None,
    };
    let is_short = asked.is_some() && anew::is_short(&backends, partition).await?;
    Ok((asked, is_short))
}

impl ArchiverTask {
    /// A partition is here, by this claim.
    pub(super) fn come(&mut self, partition: PartitionId, claim: Offset) -> Result<(), RoleError> {
        if self.wires.backends.rebuilds.is_none() {
            return self.handle(Event::Take(partition));
        }
        self.turns.claims.insert(partition, claim);
        if self.turns.has(partition) {
            return Ok(());
        }
        if self.machine.partitions().any(|known| known == partition) {
            return self.handle(Event::Take(partition));
        }
        self.turns.coming.insert(partition);
        self.ask_of(partition, claim);
        Ok(())
    }

    fn ask_of(&mut self, partition: PartitionId, claim: Offset) {
        let backends = self.wires.backends.clone();
        self.doing.push(Box::pin(async move {
            Done::Turn(Turn::Come(partition, claim, come(backends, partition, claim).await))
        }));
    }

    /// A partition is another node's.
    pub(super) fn go(&mut self, partition: PartitionId) -> Result<(), RoleError> {
        self.turns.forget(partition);
        self.wires.progress.troubles.end(Trouble::NotArchived, partition);
        self.handle(Event::Release(partition))
    }

    /// Looks for a rebuild now and then.
    pub(super) fn look_for_rebuilds(&mut self) {
        if !self.turns.looks.tick() || self.turns.is_looking || self.wires.backends.rebuilds.is_none() {
            return;
        }
        self.turns.looks.done();
        self.turns.is_looking = true;
        let (backends, seen) = (self.wires.backends.clone(), self.turns.seen);
        let here = self.turns.claims.iter().map(|(partition, claim)| (*partition, *claim)).collect();
        self.doing.push(Box::pin(async move { Done::Turn(Turn::Looked(look(backends, seen, here).await)) }));
    }

    pub(super) fn turn(&mut self, turn: Turn) -> Result<(), RoleError> {
        match turn {
            Turn::Looked(looked) => self.looked(looked),
            Turn::Come(partition, claim, answer) => self.has_come(partition, claim, answer)?,
            Turn::Over(task, outcome) => self.over(task, outcome)?,
        }
        self.turn_on()
    }

    fn looked(&mut self, looked: Result<(Option<RebuildAsked>, Vec<PartitionId>), StoreError>) {
        self.turns.is_looking = false;
        // While it does not answer nothing can be rebuilt either.
        let Ok((Some(newest), begun)) = looked else { return };
        self.turns.seen = Some(newest);
        let here: Vec<_> = begun.into_iter().filter(|partition| self.turns.claims.contains_key(partition)).collect();
        if !here.is_empty() {
            tracing::info!(partitions = here.len(), "history and the directory are made anew from what the log holds");
        }
        self.turns.waiting.extend(here.into_iter().map(|partition| (partition, newest)));
    }

    fn has_come(
        &mut self,
        partition: PartitionId,
        claim: Offset,
        answer: Result<(Option<RebuildAsked>, bool), RoleError>,
    ) -> Result<(), RoleError> {
        if !self.turns.coming.contains(&partition) {
            return Ok(());
        }
        match answer {
            Ok((asked, is_short)) => {
                self.turns.coming.remove(&partition);
                if let Some(asked) = asked {
                    self.turns.waiting.insert(partition, asked);
                }
                // What tables lack, the log does not have: only a turn tells where to go on.
                if is_short { Ok(()) } else { self.handle(Event::Take(partition)) }
            }
            Err(error) if error.is_retryable() || self.outlives(&error) => {
                let pause = if error.is_retryable() { super::TICK } else { anew::PAUSE };
                self.note_failure(partition, &error);
                let backends = self.wires.backends.clone();
                self.doing.push(Box::pin(async move {
                    tokio::time::sleep(pause).await;
                    Done::Turn(Turn::Come(partition, claim, come(backends, partition, claim).await))
                }));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn over(&mut self, task: Task, outcome: Result<bool, RoleError>) -> Result<(), RoleError> {
        let Task { partition, .. } = task;
        if self.turns.under_way.remove(&partition).is_none() {
            return Ok(());
        }
        if outcome? {
            tracing::info!(%partition, "history and the directory of the partition are made anew");
            self.wires.rolled_back.note_anew(partition);
        }
        if self.turns.waiting.is_empty() && self.turns.under_way.is_empty() {
            tracing::info!("history and the directory of the last partitions of this node are made anew");
        }
        self.handle(Event::Take(partition))
    }

    /// Goes on with the next ones when others are done.
    pub(super) fn turn_on(&mut self) -> Result<(), RoleError> {
        while self.turns.under_way.len() + self.turns.leaving.len() < AT_ONCE
            && let Some((partition, asked)) = self.turns.waiting.pop_first()
        {
            // What is in memory is written first.
            self.turns.leaving.insert(partition, asked);
            self.handle(Event::Release(partition))?;
        }
        let is_archived = |partition: &PartitionId| self.machine.partitions().any(|known| known == *partition);
        let gone: Vec<PartitionId> =
            self.turns.leaving.keys().filter(|partition| !is_archived(partition)).copied().collect();
        for partition in gone {
            let (Some(asked), Some(claim)) =
                (self.turns.leaving.remove(&partition), self.turns.claims.get(&partition).copied())
            else {
                continue;
            };
            let task = Task { partition, claim, asked };
            let (turn, abort) = abortable(anew::rebuild(self.wires.backends.clone(), task));
            self.turns.under_way.insert(partition, abort);
            let doing: Doing = Box::pin(async move {
                let outcome = turn.await.unwrap_or(Ok(false));
                Done::Turn(Turn::Over(task, outcome))
            });
            self.doing.push(doing);
        }
        Ok(())
    }
}
