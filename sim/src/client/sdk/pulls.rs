//! Pulling: what model clients ask, and what they make of the answers.

use anser_rmtp::body::{DownStreamMessages, SyncRequestMsg};
use anser_rmtp::frame::{Qos, Query, QueryAck, Target};
use anser_rmtp::{ClientFrame, QueryTopic};
use anser_testkit::trace::{Direction, Seen, Via};
use prost::Message as _;

use super::super::down::seen;
use super::super::{Said, Timer};
use super::{ANSWER_MS, SdkClient};
use crate::plan::Kind;

impl SdkClient {
    pub(super) fn pull(&mut self, said: &mut Vec<Said>) {
        let message_id = self.next_message_id();
        let is_native = self.kind == Kind::Native;
        let time = |cursor: u64| i64::try_from(cursor).unwrap_or(i64::MAX);
        let asked = SyncRequestMsg {
            sync_time: time(self.cursor),
            ispolling: false,
            is_pull_send: (!is_native || !self.pulled_before).then_some(true),
            send_box_sync_time: (!is_native || self.send_cursor > 0).then_some(time(self.send_cursor)),
            broadcast_sync_time: Some(1),
            ..SyncRequestMsg::default()
        };
        self.pulled_before = true;
        self.pulling = Some(message_id);
        self.pull_again = false;
        said.push(Said::Write(ClientFrame::Query(Query {
            qos: if is_native { Qos::AtLeastOnce } else { Qos::AtMostOnce },
            topic: QueryTopic::Pull,
            target: if is_native { Target::Myself } else { Target::Id(self.user.clone().into()) },
            message_id,
            body: asked.encode_to_vec().into(),
        })));
        said.push(Said::After(ANSWER_MS, Timer::Overdue { dial: self.dial, message_id }));
    }

    pub(super) fn on_answer(&mut self, answer: &QueryAck, said: &mut Vec<Said>) {
        // What it has given up waiting for it does not know any more.
        if self.pulling != Some(answer.message_id) {
            return;
        }
        if answer.qos.is_confirmed() {
            said.push(Said::Write(ClientFrame::QueryCon { message_id: answer.message_id }));
        }
        self.pulling = None;
        let page = match DownStreamMessages::decode(answer.body.clone()) {
            Ok(page) if answer.status.is_ok() => page,
            // A pull that failed is not repeated, and a notify that came meanwhile is forgotten.
            _ => {
                self.pull_again = false;
                return;
            }
        };
        let items: Vec<Seen> = page.list.iter().filter_map(|down| seen(&self.user, down)).collect();
        for item in &items {
            self.take(item, said);
        }
        self.move_cursors(&items, u64::try_from(page.sync_time).unwrap_or(0));
        let is_behind = self.kind == Kind::V4 && self.cursor < self.notified;
        if !page.finished || self.pull_again || is_behind {
            self.pull(said);
        }
    }

    fn take(&mut self, item: &Seen, said: &mut Vec<Said>) {
        let is_known = match self.kind {
            Kind::Native => !self.known.insert(item.uid),
            // Own messages are recognised once; 5.38 looks only at those that are newer than the newest it was sent. Of several
            // nodes a slow one may bring an older one later: then it shows it again, which cannot be helped from here.
            Kind::Next if item.sent > self.send_cursor || self.is_among_several => {
                self.sent.remove(&item.uid).is_some()
            }
            Kind::Next => false,
            Kind::V4 | Kind::Own => self.sent.remove(&item.uid).is_some(),
        };
        said.push(if is_known { Said::Withhold(item.uid, item.body) } else { Said::Show(item.clone(), Via::Pull) });
    }

    fn move_cursors(&mut self, items: &[Seen], synced: u64) {
        let newest = |direction| items.iter().filter(|i| i.direction == direction).map(|i| i.sent).max().unwrap_or(0);
        self.send_cursor = self.send_cursor.max(newest(Direction::Sent));
        self.cursor = match self.kind {
            Kind::Native => self.cursor.max(newest(Direction::Received)),
            _ => synced,
        };
    }
}
