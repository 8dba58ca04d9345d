//! Writing the answers.

use std::collections::HashMap;

use anser_cluster::{HistoryReply, LIST_BYTES_MAX, ListItem, Refusal, SettingItem, SettingsPage};
use anser_rmtp::body::{
    DownStreamRef, RelationInfo, RelationsOutput, SessionState, SessionStateItem, SessionStateModifyResp,
    SessionStates, put_history_page,
};
use anser_types::{Status, Timestamp};
use bytes::Bytes;
use prost::Message as _;

use crate::downstream;
use crate::terminal::inflight::{About, Question};
use crate::terminal::{Output, Reply, Terminal};

impl Terminal {
    pub(super) fn answer_reply(&mut self, mut question: Question, reply: Reply, now: Timestamp, out: &mut impl Output) {
        let about = std::mem::replace(&mut question.about, About::Change);
        let body = match (about, reply) {
            (About::Pull(pull), Reply::Pull(reply)) => return self.on_pull_read(question, pull, &reply, now, out),
            (About::Probe { after }, Reply::Pull(reply)) => return self.on_probed(after, Some(&reply), now, out),
            (About::Recall { publish }, Reply::Recalled(accepted)) => {
                return self.on_recalled(&question, publish, Ok(accepted), now, out);
            }
            (About::History { time }, Reply::History(reply)) => self.history_page(time, &reply),
            (About::Conversations { count }, Reply::Conversations(list)) => self.conversation_list(count, &list),
            (About::Settings { version }, Reply::Settings(page)) => settings_page(version, &page),
            (About::Change, Reply::Done(_)) => Vec::new(),
            (About::SetSettings, Reply::Done(time)) => {
                out.announce_settings(time);
                // The client is not to take this for what it has: others may have set something just before, of which it has not heard.
                SessionStateModifyResp { version: millis(time), update_version: false }.encode_to_vec()
            }
            (about, _) => {
                // An answer to another question: a fault of the shell, told as something to be tried again.
                debug_assert!(false, "{about:?} was answered with something else");
                question.about = about;
                return self.answer_refused(&question, Refusal::UNAVAILABLE, now, out);
            }
        };
        self.answer(question.asked, Status::OK, &body, now, out);
    }

    fn history_page(&mut self, asked: Timestamp, reply: &HistoryReply) -> Vec<u8> {
        let viewer = self.identity.user.user.clone();
        let messages: Vec<_> =
            reply.items.iter().map(|item| (&item.message, downstream::direction(&item.message, &viewer))).collect();
        for (message, _) in &messages {
            self.shown(message);
        }
        let last = messages.last().map_or(asked, |(message, _)| message.sent);
        let mut body = Vec::new();
        downstream::with_encoded(&messages, |items| put_history_page(items, last, reply.more, &mut body));
        body
    }

    fn conversation_list(&mut self, count: usize, list: &[ListItem]) -> Vec<u8> {
        let viewer = self.identity.user.user.clone();
        let info = list.iter().map(|item| {
            self.shown(&item.last);
            let direction = downstream::direction(&item.last, &viewer);
            RelationInfo {
                kind: i32::from(item.conversation.kind.number()),
                user_id: item.conversation.target.as_str().to_owned(),
                msg: Some(Bytes::from(DownStreamRef::of(&item.last, direction).to_vec())),
                read_msg_time: millis(item.read_until),
                unread_count: i64::try_from(item.unread).unwrap_or(i64::MAX),
                bus_channel: None,
                version_time: millis(item.last.sent),
                remind_count: None,
            }
        });
        let info = info.collect();
        let pull_time = list.last().map_or(0, |item| millis(item.last.sent));
        let bytes: usize = list.iter().map(|item| item.last.payload_bytes()).sum();
        let is_finished = list.len() < count && bytes < LIST_BYTES_MAX;
        RelationsOutput { info, is_finished, pull_time }.encode_to_vec()
    }
}

fn settings_page(asked: Timestamp, page: &SettingsPage) -> Vec<u8> {
    let mut state: Vec<SessionState> = Vec::new();
    let mut places = HashMap::new();
    for item in &page.items {
        let place = *places.entry(&item.conversation).or_insert_with(|| {
            state.push(SessionState {
                kind: i32::from(item.conversation.kind.number()),
                channel_id: item.conversation.target.as_str().to_owned(),
                ..SessionState::default()
            });
            state.len() - 1
        });
        if let Some(found) = state.get_mut(place) {
            found.time = found.time.max(Some(millis(item.time)));
            found.state_item.push(state_item(item));
        }
    }
    SessionStates { version: millis(page.version.max(asked)), state }.encode_to_vec()
}

fn state_item(item: &SettingItem) -> SessionStateItem {
    SessionStateItem {
        session_state_type: i32::try_from(item.item).unwrap_or(0),
        value: String::from_utf8_lossy(&item.value).into_owned(),
        tags: Vec::new(),
        time: Some(millis(item.time)),
    }
}

fn millis(time: Timestamp) -> i64 {
    i64::try_from(time.0).unwrap_or(i64::MAX)
}
