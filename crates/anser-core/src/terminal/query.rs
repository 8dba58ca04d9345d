//! Questions of the client beside pulls, and their answers.

mod answer;
mod change;

use anser_cluster::{Command, HistoryRead, Refusal};
use anser_rmtp::QueryTopic;
use anser_rmtp::body::{
    self, BotOutput, EventChangeList, HistoryMsgInput, PullModifyMsgReq, PullModifyMsgResp, PullUserSettingInput,
    PullUserSettingOutput, QueryMsgChange, RelationQryInput, SessionReq, SyncRequestMsg, put_history_page,
};
use anser_rmtp::frame::Query;
use anser_types::record::UserChange;
use anser_types::{Conversation, ConversationType, Status, TargetId, Timestamp};
use prost::Message as _;

use super::inflight::{About, Question};
use super::{Asked, Output, Reply, Request, Terminal, Ticket};

/// The room is not known here: chatrooms are not offered yet.
const NO_SUCH_CHATROOM: Status = Status(23_410);

/// The pulls that one client may have open: each may bring megabytes. Published clients open one.
const PULLS_MAX: u32 = 4;

/// What a query comes to.
enum Plan {
    /// It is answered at once with this body.
    Answer(Vec<u8>),
    /// Somebody else has to be asked.
    Ask(About, Request),
}

impl Terminal {
    pub(super) fn on_query(&mut self, query: Query, now: Timestamp, out: &mut impl Output) {
        let asked = Asked { message_id: query.message_id, qos: query.qos };
        let full = self.questions.len() >= self.config.questions_max;
        if query.topic == QueryTopic::Pull {
            return self.judge_pull(&query, full, now, out);
        }
        match self.plan(query, now) {
            Err(status) => self.answer_status(asked, status, now, out),
            Ok(Plan::Answer(body)) => self.answer(asked, Status::OK, &body, now, out),
            Ok(Plan::Ask(..)) if full => self.answer_status(asked, Status::UNAVAILABLE, now, out),
            Ok(Plan::Ask(_, Request::Commands(changes))) if !self.may_change(&changes, now) => {
                self.answer_status(asked, Status::TOO_FAST, now, out);
            }
            Ok(Plan::Ask(about, request)) => {
                let ticket = self.questions.add(asked, now.plus(self.config.question_timeout_ms), about);
                out.ask(ticket, request);
            }
        }
    }

    /// A change costs as much as a message: it is a record in the log, or a row in history.
    fn may_change(&mut self, changes: &[Command], now: Timestamp) -> bool {
        let rows = |change: &Command| match change {
            Command::User { change: UserChange::HideMessages { messages, .. }, .. } => messages.len(),
            _ => 1,
        };
        let count = changes.iter().map(rows).sum();
        self.rate.take_many(count, now, self.config.publish_rate, self.config.publish_burst)
    }

    fn judge_pull(&mut self, query: &Query, full: bool, now: Timestamp, out: &mut impl Output) {
        let asked = Asked { message_id: query.message_id, qos: query.qos };
        let full = full || self.sync.pulls_open() >= PULLS_MAX;
        let body = body::decode::<SyncRequestMsg>(query.body.clone());
        match body {
            Ok(body) if self.is_self(&query.target) && !full => self.on_pull(query, &body, now, out),
            Ok(body) if self.is_self(&query.target) => {
                let pull = self.sync.begin_pull(position(body.sync_time), self.generation);
                self.answer_status(asked, Status::UNAVAILABLE, now, out);
                self.sync.fail_pull(pull.after, now, &self.config);
            }
            _ => self.answer_status(asked, Status::BAD_PARAMETER, now, out),
        }
    }

    /// Says what a query comes to, or with which status it is refused.
    fn plan(&self, query: Query, now: Timestamp) -> Result<Plan, Status> {
        match query.topic {
            QueryTopic::HistoryPrivate | QueryTopic::HistoryGroup | QueryTopic::HistorySystem => {
                self.plan_history(query)
            }
            QueryTopic::HistoryCustomerService | QueryTopic::HistoryChatroom => {
                let mut body = Vec::new();
                put_history_page(std::iter::empty(), Timestamp::ZERO, false, &mut body);
                Ok(Plan::Answer(body))
            }
            QueryTopic::Conversations | QueryTopic::ConversationsLegacy => self.plan_conversations(query),
            QueryTopic::ConversationStates => {
                self.demand_self(&query)?;
                let version = time(read::<SessionReq>(&query)?.time);
                let user = self.identity.user.clone();
                Ok(Plan::Ask(About::Settings { version }, Request::Settings { user, version }))
            }
            QueryTopic::RemoveConversation
            | QueryTopic::RemoveConversations
            | QueryTopic::SetConversationStates
            | QueryTopic::SetReadTime
            | QueryTopic::SetReadTimeLater
            | QueryTopic::DeleteMessages
            | QueryTopic::CleanPrivate
            | QueryTopic::CleanGroup
            | QueryTopic::CleanSystem
            | QueryTopic::CleanCustomerService
            | QueryTopic::CleanBatch => self.plan_change(query, now),
            QueryTopic::JoinChatroom
            | QueryTopic::JoinExistingChatroom
            | QueryTopic::LeaveChatroom
            | QueryTopic::ChatroomPull
            | QueryTopic::ChatroomInfo
            | QueryTopic::SetChatroomEntry
            | QueryTopic::DeleteChatroomEntry
            | QueryTopic::SetChatroomEntries
            | QueryTopic::DeleteChatroomEntries
            | QueryTopic::ChatroomEntries => Err(NO_SUCH_CHATROOM),
            _ => plan_start(&query),
        }
    }

    fn plan_history(&self, query: Query) -> Result<Plan, Status> {
        self.demand_self(&query)?;
        let kind = query.topic.conversation().ok_or(Status::UNSUPPORTED)?;
        let input: HistoryMsgInput = read(&query)?;
        let conversation = conversation(kind, input.target_id.as_deref().unwrap_or_default())?;
        let time = time(input.time.unwrap_or(0));
        let read = HistoryRead {
            user: self.identity.user.clone(),
            conversation,
            time: (time > Timestamp::ZERO).then_some(time),
            ascending: input.order == Some(1),
            count: count(input.count),
        };
        Ok(Plan::Ask(About::History { time }, Request::History(read)))
    }

    /// The type that clients name is not a filter: some always name the first one, and expect all.
    fn plan_conversations(&self, query: Query) -> Result<Plan, Status> {
        self.demand_self(&query)?;
        let input: RelationQryInput = read(&query)?;
        let kind = match input.channel_type.as_slice() {
            [only] => Some(conversation_type(*only)?),
            _ => None,
        };
        let count = count(input.count).unwrap_or(self.config.conversations_default).min(self.config.conversations_max);
        let before = time(input.start_time.unwrap_or(0));
        let user = self.identity.user.clone();
        Ok(Plan::Ask(About::Conversations { count }, Request::Conversations { user, kind, before, count }))
    }

    /// Most queries are about the asking user, whoever the target names: nobody asks for another.
    fn demand_self(&self, query: &Query) -> Result<(), Status> {
        if self.is_self(&query.target) { Ok(()) } else { Err(Status::BAD_PARAMETER) }
    }

    pub(super) fn on_answered(
        &mut self,
        ticket: Ticket,
        result: Result<Reply, Refusal>,
        now: Timestamp,
        out: &mut impl Output,
    ) {
        // What was refused as overdue is answered already.
        let Some(question) = self.questions.take(ticket) else { return };
        match result {
            Ok(reply) => self.answer_reply(question, reply, now, out),
            Err(refusal) => self.answer_refused(&question, refusal, now, out),
        }
    }

    /// Answers a question that came to nothing.
    pub(super) fn answer_refused(
        &mut self,
        question: &Question,
        refusal: Refusal,
        now: Timestamp,
        out: &mut impl Output,
    ) {
        match &question.about {
            About::Pull(pull) => self.refuse_pull(question, pull.after, refusal, now, out),
            About::Probe { after } => self.on_probed(*after, None, now, out),
            About::Recall { publish } => self.on_recalled(question, *publish, Err(refusal), now, out),
            _ => self.answer_status(question.asked, refusal.status, now, out),
        }
    }
}

/// What clients ask at the start, and is empty here; and everything that is not offered.
fn plan_start(query: &Query) -> Result<Plan, Status> {
    let answer = match query.topic {
        QueryTopic::ReportSdk => Vec::new(),
        QueryTopic::AppBots | QueryTopic::Bots => BotOutput::default().encode_to_vec(),
        QueryTopic::UserSettings => {
            let input: PullUserSettingInput = read(query)?;
            // A version must not fall, and zero would be none.
            PullUserSettingOutput { items: Vec::new(), version: input.version.max(1) }.encode_to_vec()
        }
        QueryTopic::EventChanges => {
            let input: QueryMsgChange = read(query)?;
            EventChangeList { sync_time: input.sync_time, has_next: false }.encode_to_vec()
        }
        QueryTopic::ModifiedMessages => {
            let input: PullModifyMsgReq = read(query)?;
            PullModifyMsgResp { next_version: input.pull_version.unwrap_or(0), finished: true }.encode_to_vec()
        }
        _ => return Err(Status::UNSUPPORTED),
    };
    Ok(Plan::Answer(answer))
}

fn read<M: prost::Message + Default>(query: &Query) -> Result<M, Status> {
    body::decode(query.body.clone()).map_err(|_| Status::BAD_PARAMETER)
}

fn time(millis: i64) -> Timestamp {
    Timestamp(u64::try_from(millis).unwrap_or(0))
}

fn position(millis: i64) -> anser_types::Position {
    anser_types::Position(u64::try_from(millis).unwrap_or(0))
}

/// A number of rows; `None` where the client names none.
fn count(count: Option<i32>) -> Option<usize> {
    usize::try_from(count?).ok().filter(|&count| count > 0)
}

fn conversation_type(number: i32) -> Result<ConversationType, Status> {
    u32::try_from(number).ok().and_then(ConversationType::from_number).ok_or(Status::BAD_PARAMETER)
}

fn conversation(kind: ConversationType, target: &str) -> Result<Conversation, Status> {
    let target = TargetId::new(target).map_err(|_| Status::BAD_PARAMETER)?;
    Ok(Conversation::new(kind, target))
}
