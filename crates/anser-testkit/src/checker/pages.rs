//! Pages of history.

use std::collections::HashMap;

use crate::trace::{Conversation, Name, PageItem};

use super::table::{At, Chat, Msg};
use super::{Checker, Promise};

/// The pages that one user read of one conversation, from the newest on.
#[derive(Debug, Default)]
pub(super) struct Chain {
    /// The first page.
    pub(super) at: At,
    /// What was on the pages.
    pub(super) items: HashMap<Msg, At>,
    /// Whether the last page said that there is no more.
    pub(super) complete: bool,
    /// The sent time and the number of the last item.
    last: Option<(u64, Option<u64>)>,
}

impl Checker {
    pub(super) fn on_paged(
        &mut self,
        at: At,
        user: &Name,
        conversation: &Conversation,
        before: Option<u64>,
        page: (&[PageItem], bool),
    ) {
        let (items, more) = page;
        let user = self.tables.user(user);
        let chat = self.tables.chat(user, conversation);
        let mut chain = match before {
            None => Chain { at, ..Chain::default() },
            // A page that does not follow the last one begins nothing: it is judged by itself.
            Some(time) => match self.tables.chains.remove(&(user, chat)) {
                Some(chain) if chain.last.is_some_and(|(sent, _)| sent == time) => chain,
                _ => Chain { at, last: Some((time, None)), ..Chain::default() },
            },
        };
        for item in items {
            self.judge_item(at, chat, &mut chain, item);
        }
        chain.complete = !more;
        self.tables.chains.insert((user, chat), chain);
    }

    fn judge_item(&mut self, at: At, chat: Chat, chain: &mut Chain, item: &PageItem) {
        let uid = item.uid;
        let Some(&msg) = self.tables.by_body.get(&item.body) else {
            self.blame(Promise::OneWayIn, &[at], format!("history holds {uid}, and nobody sent it"));
            return;
        };
        let Some(msg) = self.name_message(at, msg, uid, item.sent) else {
            return;
        };
        if self.tables.messages[msg].chat != chat {
            self.blame(Promise::OneWayIn, &[at], format!("{uid} is in the history of another conversation"));
        }
        self.tables.messages[msg].seen.get_or_insert(at);
        if let Some((sent, number)) = chain.last {
            if item.sent >= sent {
                self.blame(Promise::OneOrder, &[chain.at, at], format!("{uid} is not older than what is before it"));
            }
            if let (Some(number), Some(own)) = (number, item.number)
                && own.checked_add(1) != Some(number)
            {
                let what = format!("the running numbers {own} and {number} are neighbours");
                self.blame(Promise::OneOrder, &[chain.at, at], what);
            }
        }
        self.judge_number(at, chat, msg, item);
        chain.last = Some((item.sent, item.number));
        if let Some(earlier) = chain.items.insert(msg, at) {
            self.blame(Promise::NothingTwice, &[earlier, at], format!("{uid} is in history twice"));
        }
    }

    /// All readers are told the same number for the same message.
    fn judge_number(&mut self, at: At, chat: Chat, msg: Msg, item: &PageItem) {
        let Some(number) = item.number else {
            return;
        };
        let (known, read) = *self.tables.chats[chat].numbers.entry(number).or_insert((msg, at));
        if known != msg {
            self.blame(Promise::OneOrder, &[read, at], format!("two messages have the running number {number}"));
        }
    }
}
