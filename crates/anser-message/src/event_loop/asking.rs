//! What the loop asks of backends, and goes on meanwhile.

use std::sync::Arc;

use anser_backend::AppendError;
use anser_core::node::{Append, AppendOutcome, Landed};
use anser_core::owner::Loaded;
use anser_types::{Offset, PartitionId, Subject};
use futures_util::future::FutureExt as _;
use tokio::time::Instant;

use super::{Answered, Answering, MessageLoop};
use crate::role::Backends;

impl MessageLoop {
    pub(super) fn append(&mut self, append: Append) {
        let Append { partition, epoch, expected, records } = append;
        let (count, begun, metrics) = (records.len(), Instant::now(), Arc::clone(&self.metrics));
        let done = self.backends.log.append_at(partition, expected, records);
        self.appends.push(
            partition,
            Box::pin(async move {
                let (landed, error) = match done.await {
                    Ok(first) => (Landed::At(first), None),
                    Err(error @ AppendError::Unknown(_)) => (Landed::Unknown, Some(error)),
                    Err(error) => (Landed::Nowhere, Some(error)),
                };
                metrics.appended(begun.elapsed(), error.as_ref());
                (AppendOutcome { partition, epoch, expected, landed, count }, error)
            }),
        );
    }

    pub(super) fn load(&mut self, place: (PartitionId, u64), subject: Subject) {
        let backends = self.backends.clone();
        let mut load: Answering = Box::pin(async move {
            let loaded = load_conversation(&backends, &subject).await;
            Answered::Loaded(place, subject, loaded)
        });
        // What the tables have in memory is here at once.
        match (&mut load).now_or_never() {
            Some(answer) => self.answered(answer),
            None => self.answers.push(load),
        }
    }

    pub(super) fn fetch(&mut self, partition: PartitionId, subject: Subject, offset: Offset) {
        let log = Arc::clone(&self.backends.log);
        self.answers.push(Box::pin(async move {
            let record = log.read_at(partition, offset).await.unwrap_or_default();
            Answered::Fetched(partition, subject, record)
        }));
    }
}

/// What the directory knows of a conversation.
pub(crate) async fn load_conversation(
    backends: &Backends,
    subject: &Subject,
) -> Result<Loaded, anser_backend::StoreError> {
    let mut loaded = Loaded::default();
    match subject {
        Subject::Private { .. } => loaded.blocks = backends.directory.blocks(subject).await?,
        Subject::Shared { app, conversation } => {
            loaded.group = backends.directory.group(app, &conversation.target).await?
        }
        Subject::System { .. } => {}
        Subject::User(_) => return Ok(loaded),
    }
    Ok(loaded)
}
