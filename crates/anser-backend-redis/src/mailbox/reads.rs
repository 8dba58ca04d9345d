//! What is read of one user.

use anser_backend::{ListQuery, ListRow, Online, Page, RangeQuery, StoreError};
use anser_types::{MessageUid, Position, Timestamp, UserKey};
use bytes::Bytes;
use redis::Value;

use super::RedisMailbox;
use crate::error::{CallError, damaged};
use crate::format::{EXACT_MAX, entry, list_row, place};
use crate::store::parse;

impl RedisMailbox {
    pub(super) async fn read_range(&self, query: RangeQuery) -> Result<Page, StoreError> {
        let user = &query.user;
        let keys = [self.keys.bucket(user.bucket()), self.keys.state(user), self.keys.timeline(user)];
        let shown = self.seen.lock().shown(user.bucket());
        let page = [number(query.after.0), query.entries_max.to_string(), query.bytes_max.to_string()];
        let limits = self.raise_limits(shown);
        let args: Vec<&[u8]> = page.iter().chain(&limits).map(String::as_bytes).collect();
        let answer = self.reads.eval(&self.scripts.range, &keys, &args).await?;
        let page = read_page(answer)?;
        self.seen.lock().show(user.bucket(), page.head);
        Ok(page)
    }

    pub(super) async fn read_head(&self, user: &UserKey) -> Result<Position, StoreError> {
        let keys = [self.keys.bucket(user.bucket()), self.keys.state(user)];
        let head = Position(parse("head", self.reads.eval(&self.scripts.head, &keys, &[]).await?)?);
        self.seen.lock().show(user.bucket(), head);
        Ok(head)
    }

    pub(super) async fn read_list(&self, query: ListQuery) -> Result<Vec<ListRow>, StoreError> {
        let user = &query.user;
        let keys = [self.keys.bucket(user.bucket()), self.keys.state(user), self.keys.list(user)];
        let kind: Vec<u8> = query.kind.map(|kind| kind.number()).into_iter().collect();
        let before = if query.before == Timestamp::ZERO { "+inf".to_owned() } else { number(query.before.0) };
        let args = [&*kind, before.as_bytes(), query.count.to_string().as_bytes()].map(<[u8]>::to_vec);
        let answer = self.reads.eval(&self.scripts.list, &keys, &args.each_ref().map(Vec::as_slice)).await?;
        let fields: Vec<Vec<u8>> = parse("list", answer)?;
        let mut rows = Vec::with_capacity(fields.len() / 2);
        let mut fields = fields.into_iter();
        while let (Some(conversation), Some(value)) = (fields.next(), fields.next()) {
            rows.push(list_row::read(&conversation, Bytes::from(value)).map_err(damaged("list"))?);
        }
        // The script orders by time alone.
        rows.sort_unstable_by(|a, b| b.sent.cmp(&a.sent).then_with(|| a.conversation.cmp(&b.conversation)));
        rows.truncate(query.count);
        Ok(rows)
    }

    pub(super) async fn read_online(&self, user: &UserKey) -> Result<Online, StoreError> {
        let mut command = redis::cmd("HGET");
        command.arg(self.keys.state(user)).arg("online");
        let places: Option<Vec<u8>> = parse("HGET", self.reads.call("HGET", &command).await?)?;
        place::read_online(&places.unwrap_or_default()).map_err(damaged("online"))
    }
}

/// A number as scripts take it. Nothing that exists is larger.
pub(super) fn number(number: u64) -> String {
    number.min(EXACT_MAX).to_string()
}

fn read_page(answer: Value) -> Result<Page, StoreError> {
    let unexpected = || StoreError::from(CallError::new("range", "redis", "the answer has another form"));
    let Value::Array(values) = answer else {
        return Err(unexpected());
    };
    let mut values = values.into_iter();
    let (Some(Value::Int(head)), Some(Value::Int(finished)), Some(Value::BulkString(recalled))) =
        (values.next(), values.next(), values.next())
    else {
        return Err(unexpected());
    };
    let head = Position(u64::try_from(head).map_err(|_| unexpected())?);
    let (uids, _) = recalled.as_chunks();
    let mut recalled: Vec<MessageUid> = uids.iter().copied().map(MessageUid::from_bytes).collect();
    recalled.sort_unstable();
    let mut page = Page { entries: Vec::with_capacity(values.len()), head, finished: finished == 1, recalled };
    for value in values {
        let Value::BulkString(member) = value else {
            return Err(unexpected());
        };
        page.entries.push(entry::read(Bytes::from(member)).map_err(damaged("timeline"))?);
    }
    Ok(page)
}
