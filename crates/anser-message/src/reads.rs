//! Reads of timelines, history and conversation lists: straight from the tables, for one user's eyes.

use std::collections::HashSet;

use anser_backend::{
    HistoryCell, HistoryQuery, ListQuery, ListRow, Order, Page, RangeQuery, StoreError, StoredEntry, StoredRow,
};
use anser_cluster::{HistoryRead, HistoryReply, LIST_BYTES_MAX, ListItem, PullItem, PullReply, PullRequest, Refusal};
use anser_core::history::Reader;
use anser_runtime::Seldom;
use anser_types::codec::DecodeError;
use anser_types::record::{Body, Record};
use anser_types::{ConversationType, Message, MessageUid, Position, Status, Subject, Timestamp, UserKey};
use bytes::Bytes;

use crate::handle::MessageHandle;

/// How many rows are looked at together, once the first look at a history found too little that the reader may see.
const ROWS_AT_ONCE: usize = 200;
/// How often one page of history looks, at most. Only where a user deleted thousands of messages one by one it is answered with a short
/// page and `more`.
const LOOKS_MAX: usize = 20;

/// How many rows of a conversation list are read together: each may bring a large message.
const LIST_ROWS_AT_ONCE: usize = 100;

/// A message as history has it.
pub(crate) struct StoredMessage {
    pub(crate) message: Message,
    /// The message that took it back.
    pub(crate) recalled_by: Option<MessageUid>,
}

/// A page of history that is being filled.
struct Filling {
    count: usize,
    bytes_left: usize,
    reply: HistoryReply,
}

impl Filling {
    /// Takes what the reader may see of these rows. Whether the page is finished: it is full, or what follows is not for
    /// this reader.
    fn take(&mut self, rows: Vec<StoredRow>, order: Order, reader: &Reader) -> Result<bool, Refusal> {
        for stored in rows {
            if order == Order::Before && stored.row.sent < reader.first() {
                return Ok(true);
            }
            let bytes = stored.row.record.len();
            let Some(item) = reader.fold(stored).map_err(damaged)? else { continue };
            let is_full = bytes > self.bytes_left && !self.reply.items.is_empty();
            if is_full || self.reply.items.len() == self.count {
                self.reply.more = true;
                return Ok(true);
            }
            self.bytes_left = self.bytes_left.saturating_sub(bytes);
            self.reply.items.push(item);
        }
        Ok(false)
    }
}

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
        // A terminal that has nothing yet is not worth a row.
        if let Some(device) = device.filter(|_| after > Position::START) {
            // What was read is answered all the same.
            self.backends.mailbox.set_cursor(&user, &device, after).await.map_err(unavailable).ok();
        }
        let mut next = page.entries.last().map(|entry| entry.position);
        let mut items = pull_items(page.entries, &page.recalled).map_err(damaged)?;
        while let Some(behind) = next.filter(|_| items.is_empty() && !page.finished) {
            // All of it was taken back: a page that leads nowhere would be asked for again.
            page = self.range(&user, behind).await?;
            next = page.entries.last().map(|entry| entry.position);
            items = pull_items(page.entries, &page.recalled).map_err(damaged)?;
        }
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
        self.wait_archived(&subject).await?;
        let Some(reader) = self.reader(&request, &subject).await? else {
            return Ok(HistoryReply::default());
        };
        let count = request.count.unwrap_or(self.limits.history_page_default).clamp(1, self.limits.history_page_max);
        let (order, mut time) = if request.ascending {
            // What comes before is not for this reader, and may be long.
            let before_first = Timestamp(reader.first().0.saturating_sub(1));
            (Order::After, request.time.max(Some(before_first)))
        } else {
            (Order::Before, request.time)
        };
        let mut page = Filling { count, bytes_left: self.limits.pull_bytes_max, reply: HistoryReply::default() };
        // One more than asked for tells whether there is more that this reader sees.
        let mut rows_max = count + 1;
        for _ in 0..LOOKS_MAX {
            let query = HistoryQuery { subject: subject.clone(), time, order, count: rows_max };
            let raw = self.backends.history.page(query).await.map_err(storage)?;
            time = raw.rows.last().map(|stored| stored.row.sent);
            if page.take(raw.rows, order, &reader)? || !raw.more {
                return Ok(page.reply);
            }
            rows_max = ROWS_AT_ONCE;
        }
        page.reply.more = true;
        Ok(page.reply)
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

    pub(crate) async fn find_message(
        &self,
        subject: &Subject,
        uid: MessageUid,
    ) -> Result<Option<StoredMessage>, Refusal> {
        let found = self.backends.history.find(subject, uid.sent_time(), uid).await.map_err(storage)?;
        let Some(stored) = found else { return Ok(None) };
        let recalled_by = stored.cells.first().map(|HistoryCell::Recalled { by }| *by);
        Ok(Some(StoredMessage { message: decode_message(stored.row.record).map_err(damaged)?, recalled_by }))
    }

    pub(crate) async fn read_list(
        &self,
        user: UserKey,
        kind: Option<ConversationType>,
        before: Timestamp,
        count: usize,
    ) -> Result<Vec<ListItem>, Refusal> {
        let mut list: Vec<ListItem> = Vec::new();
        let (mut bytes, mut before) = (0, before);
        while list.len() < count && bytes < LIST_BYTES_MAX {
            // The last messages of several conversations may have been sent at the same time: those are asked for again.
            let again = list.iter().rev().take_while(|item| item.last.sent.plus(1) == before).count();
            let wanted = LIST_ROWS_AT_ONCE.min(count - list.len()) + again;
            let query = ListQuery { user: user.clone(), kind, before, count: wanted };
            let rows = self.backends.mailbox.list(query).await.map_err(unavailable)?;
            let is_last = rows.len() < wanted;
            for row in rows {
                let item = list_item(row).map_err(damaged)?;
                let known = list.iter().rev().take(again).any(|known| known.conversation == item.conversation);
                if !known && bytes < LIST_BYTES_MAX {
                    bytes += item.last.payload_bytes();
                    list.push(item);
                }
            }
            let Some(last) = list.last().filter(|_| !is_last) else { break };
            before = last.last.sent.plus(1);
        }
        Ok(list)
    }
}

fn list_item(row: ListRow) -> Result<ListItem, DecodeError> {
    let last = decode_message(row.record)?;
    Ok(ListItem { conversation: row.conversation, last, unread: row.unread, read_until: row.read_until })
}

/// The entries without what was taken back.
fn pull_items(entries: Vec<StoredEntry>, recalled: &[MessageUid]) -> Result<Vec<PullItem>, DecodeError> {
    let recalled: HashSet<MessageUid> = recalled.iter().copied().collect();
    let items = entries.into_iter().map(pull_item);
    items.filter(|item| !matches!(item, Ok(item) if recalled.contains(&item.message.uid))).collect()
}

fn pull_item(entry: StoredEntry) -> Result<PullItem, DecodeError> {
    Ok(PullItem { position: entry.position, sent_on: entry.side.sent_on(), message: decode_message(entry.record)? })
}

fn decode_message(record: Bytes) -> Result<Message, DecodeError> {
    match Record::decode(record)?.body {
        Body::Message(message) => Ok(message),
        _ => Err(DecodeError::Value("record kind")),
    }
}

pub(crate) fn unavailable(error: StoreError) -> Refusal {
    static SAID: Seldom = Seldom::new();
    if let Some(unsaid) = SAID.due() {
        tracing::error!(%error, source = ?std::error::Error::source(&error), unsaid, "a table cannot be used");
    }
    Refusal::UNAVAILABLE
}

pub(crate) fn storage(error: StoreError) -> Refusal {
    static SAID: Seldom = Seldom::new();
    if let Some(unsaid) = SAID.due() {
        let source = std::error::Error::source(&error);
        tracing::error!(%error, ?source, unsaid, "history or directory cannot be read");
    }
    Refusal::new(Status::STORAGE_UNAVAILABLE)
}

fn damaged(error: DecodeError) -> Refusal {
    static SAID: Seldom = Seldom::new();
    if let Some(unsaid) = SAID.due() {
        tracing::error!(%error, unsaid, "a stored record cannot be read");
    }
    Refusal::new(Status::STORAGE_UNAVAILABLE)
}
