//! Reads of timelines, history and conversation lists: straight from the tables, for one user's eyes.

use anser_backend::{HistoryQuery, ListQuery, Order, Page, RangeQuery, Side, StoreError, StoredEntry};
use anser_cluster::{HistoryRead, HistoryReply, ListItem, PullItem, PullReply, PullRequest, Refusal};
use anser_core::history::Reader;
use anser_types::codec::DecodeError;
use anser_types::record::{Body, Record};
use anser_types::{ConversationType, Message, MessageUid, Position, Status, Subject, Timestamp, UserKey};
use bytes::Bytes;

use crate::handle::MessageHandle;

/// Raw pages read for one page of history, at most. A conversation in which nearly everything was deleted is answered with
/// a short page and `more`.
const RAW_PAGES_MAX: usize = 50;

impl MessageHandle {
    pub(crate) async fn read_timeline(&self, request: PullRequest) -> Result<PullReply, Refusal> {
        let PullRequest { user, device, after } = request;
        let mut after = after;
        let mut page = self.range(&user, after).await?;
        if after > page.head {
            // Some clients take the sent time of their own last ack for a cursor, and that message may not be applied yet.
            self.wait_applied().await?;
            page = self.range(&user, after).await?;
        }
        if after > page.head {
            // A cursor that this timeline never gave: near the clock it is taken at its word, else as a new install.
            if after.0 <= (self.clock)().plus(self.limits.ahead_ms_max).0 {
                self.backends.mailbox.lift(&user, after).await.map_err(unavailable)?;
                page = self.range(&user, after).await?;
                page.head = page.head.max(after);
            } else {
                after = Position::START;
                page = self.range(&user, after).await?;
            }
        }
        if let Some(device) = device {
            self.backends.mailbox.set_cursor(&user, &device, after).await.map_err(unavailable)?;
        }
        let items = page.entries.into_iter().map(pull_item).collect::<Result<Vec<_>, _>>().map_err(damaged)?;
        Ok(PullReply { items, after, head: page.head, finished: page.finished })
    }

    async fn range(&self, user: &UserKey, after: Position) -> Result<Page, Refusal> {
        let query = RangeQuery {
            user: user.clone(),
            after,
            entries_max: self.limits.pull_entries_max,
            bytes_max: self.limits.pull_bytes_max,
        };
        self.backends.mailbox.range(query).await.map_err(unavailable)
    }

    pub(crate) async fn read_history(&self, request: HistoryRead) -> Result<HistoryReply, Refusal> {
        let subject = Subject::of_conversation(&request.user, &request.conversation);
        let Some(reader) = self.reader(&request, &subject).await? else {
            return Ok(HistoryReply::default());
        };
        let count = request.count.unwrap_or(self.limits.history_page_default).clamp(1, self.limits.history_page_max);
        let order = if request.ascending { Order::After } else { Order::Before };
        let mut reply = HistoryReply::default();
        let mut time = request.time;
        for _ in 0..RAW_PAGES_MAX {
            // One more than asked for tells whether there is more that this reader sees.
            let query = HistoryQuery { subject: subject.clone(), time, order, count: count + 1 };
            let page = self.backends.history.page(query).await.map_err(storage)?;
            time = page.rows.last().map(|stored| stored.row.sent);
            for stored in page.rows {
                if let Some(item) = reader.fold(stored).map_err(damaged)? {
                    if reply.items.len() == count {
                        reply.more = true;
                        return Ok(reply);
                    }
                    reply.items.push(item);
                }
            }
            if !page.more {
                return Ok(reply);
            }
        }
        reply.more = true;
        Ok(reply)
    }

    /// Who reads, and from when on; `None` for somebody who may read nothing there.
    async fn reader(&self, request: &HistoryRead, subject: &Subject) -> Result<Option<Reader>, Refusal> {
        let user = &request.user;
        let from = match request.conversation.kind {
            ConversationType::Private | ConversationType::System => Timestamp::ZERO,
            ConversationType::Group => {
                let group = &request.conversation.target;
                let member = self.backends.directory.member(&user.app, group, &user.user).await.map_err(storage)?;
                let Some(member) = member else {
                    return Ok(None);
                };
                member.joined
            }
            _ => return Ok(None),
        };
        let hidden = self.backends.history.hidden(user, subject).await.map_err(storage)?;
        Ok(Some(Reader { user: user.user.clone(), from, hidden }))
    }

    pub(crate) async fn find_message(&self, subject: &Subject, uid: MessageUid) -> Result<Option<Message>, Refusal> {
        let found = self.backends.history.find(subject, uid.sent_time(), uid).await.map_err(storage)?;
        found.map(|stored| decode_message(stored.row.record)).transpose().map_err(damaged)
    }

    pub(crate) async fn read_list(
        &self,
        user: UserKey,
        kind: Option<ConversationType>,
        before: Timestamp,
        count: usize,
    ) -> Result<Vec<ListItem>, Refusal> {
        let query = ListQuery { user, kind, before, count };
        let rows = self.backends.mailbox.list(query).await.map_err(unavailable)?;
        rows.into_iter()
            .map(|row| {
                let last = decode_message(row.record)?;
                Ok(ListItem { conversation: row.conversation, last, unread: row.unread, read_until: row.read_until })
            })
            .collect::<Result<_, _>>()
            .map_err(damaged)
    }
}

fn pull_item(entry: StoredEntry) -> Result<PullItem, DecodeError> {
    let sent_on = match entry.side {
        Side::Inbox => None,
        Side::Outbox(connection) => Some(connection),
    };
    Ok(PullItem { position: entry.position, sent_on, message: decode_message(entry.record)? })
}

fn decode_message(record: Bytes) -> Result<Message, DecodeError> {
    match Record::decode(record)?.body {
        Body::Message(message) => Ok(message),
        _ => Err(DecodeError::Value("record kind")),
    }
}

pub(crate) fn unavailable(error: StoreError) -> Refusal {
    tracing::error!(%error, source = ?std::error::Error::source(&error), "a table cannot be used");
    Refusal::UNAVAILABLE
}

pub(crate) fn storage(error: StoreError) -> Refusal {
    tracing::error!(%error, source = ?std::error::Error::source(&error), "history or directory cannot be read");
    Refusal::new(Status::STORAGE_UNAVAILABLE)
}

fn damaged(error: DecodeError) -> Refusal {
    tracing::error!(%error, "a stored record cannot be read");
    Refusal::new(Status::STORAGE_UNAVAILABLE)
}
