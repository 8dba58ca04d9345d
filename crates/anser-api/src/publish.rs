//! One request, several messages: what all endpoints that publish have in common.

use std::sync::OnceLock;
use std::time::Duration;

use anser_cluster::{Accepted, Outcome, Refusal, ServerPublish};
use anser_rmtp::body::PushExtra;
use anser_types::{
    ConversationType, Extras, MessageClass, MessageFlags, Origin, Status, Subject, TargetId, UserId, UserKey,
};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use serde_json::{Map, Value, json};
use tokio::time::{Instant, timeout_at};

use crate::answer::{Answer, fields};
use crate::call::{Call, Switch, check_length};
use crate::room::Room;
use crate::{Api, ApiError};

/// How many messages of one request are under way at the same time.
const PUBLISHES_AT_ONCE: usize = 64;
/// How long the messages of one request may take, all together.
const PATIENCE: Duration = Duration::from_secs(20);
/// The longest name of a content type, in characters.
const OBJECT_NAME_CHARS_MAX: usize = 64;
/// The most bytes of each push or expansion text.
const EXTRA_BYTES_MAX: usize = 16 * 1024;

/// A message for targets that are still to be named.
#[derive(Debug)]
pub(crate) struct Draft {
    publish: ServerPublish,
}

impl Draft {
    /// Reads what all publishing endpoints take.
    pub(crate) fn read(api: &Api, call: &Call<'_>, kind: ConversationType) -> Result<Self, ApiError> {
        let sender = call.user("fromUserId")?;
        let object_name = call.required("objectName")?;
        check_length("objectName", object_name, OBJECT_NAME_CHARS_MAX)?;
        let content = call.required("content")?;
        let max = api.config.message_bytes_max;
        if content.len() > max {
            return Err(ApiError::parameter("content", format!("is longer than {max} bytes")));
        }
        Ok(Self {
            publish: ServerPublish {
                app: call.app.key.clone(),
                target: TargetId::from(sender.clone()),
                sender,
                kind,
                class: MessageClass::Persisted,
                flags: flags(call)?,
                object_name: Bytes::copy_from_slice(object_name.as_bytes()),
                content: Bytes::copy_from_slice(content.as_bytes()),
                sender_copy: call.switch("isIncludeSender", Switch::Off)?.is_on(),
                check_permission: false,
                extras: extras(call)?,
            },
        })
    }

    /// The receiver's blacklist counts.
    pub(crate) fn check_permission(&mut self, check: Switch) {
        self.publish.check_permission = check.is_on();
    }

    /// The sender's own terminals do not get it, whatever the request says.
    pub(crate) fn no_sender_copy(&mut self) {
        self.publish.sender_copy = false;
    }

    /// Only these members of the group get it; none named means all.
    pub(crate) fn only_to(&mut self, users: Vec<UserId>) {
        if !users.is_empty() {
            self.publish.extras.get_or_insert_default().to_users = users;
        }
    }

    fn to(&self, target: TargetId) -> ServerPublish {
        ServerPublish { target, ..self.publish.clone() }
    }
}

fn flags(call: &Call<'_>) -> Result<MessageFlags, ApiError> {
    let mut flags = MessageFlags::default();
    for (name, default, flag) in [
        ("isPersisted", Switch::On, MessageFlags::PERSIST),
        ("isCounted", Switch::On, MessageFlags::COUNT),
        ("isMentioned", Switch::Off, MessageFlags::MENTION),
        ("disablePush", Switch::Off, MessageFlags::QUIET),
        ("expansion", Switch::Off, MessageFlags::EXPANDABLE),
    ] {
        if call.switch(name, default)?.is_on() {
            flags = flags.with(flag);
        }
    }
    Ok(flags)
}

fn extras(call: &Call<'_>) -> Result<Option<Box<Extras>>, ApiError> {
    let text = |name: &'static str| match call.given(name) {
        Some(text) if text.len() > EXTRA_BYTES_MAX => {
            Err(ApiError::parameter(name, format!("is longer than {EXTRA_BYTES_MAX} bytes")))
        }
        text => Ok(text.map(|text| Bytes::copy_from_slice(text.as_bytes()))),
    };
    let extras = Extras {
        push_text: text("pushContent")?,
        push_data: text("pushData")?,
        push_ext: push_ext(text("pushExt")?.as_deref())?,
        extra_content: text("extraContent")?,
        bus_channel: text("busChannel")?,
        ..Extras::default()
    };
    Ok((extras != Extras::default()).then(|| Box::new(extras)))
}

/// Settings of the notification: JSON here, and a message of the protocol to clients.
fn push_ext(text: Option<&[u8]>) -> Result<Option<Bytes>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    let wrong = |_| ApiError::parameter("pushExt", "is no JSON object");
    let settings: Map<String, Value> = serde_json::from_slice(text).map_err(wrong)?;
    let text_of = |name: &str| match settings.get(name) {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(other) => Some(other.to_string()),
    };
    let settings = PushExtra {
        title: text_of("title"),
        push_id: text_of("pushId"),
        push_configs: text_of("pushConfigs"),
        template_id: text_of("templateId"),
    };
    Ok(Some(settings.to_bytes()))
}

/// The messages of one request, on their way.
struct FanOut<'a> {
    api: &'a Api,
    room: &'a Room,
    draft: &'a Draft,
    deadline: Instant,
    /// Why the request fails, once that is certain.
    failure: OnceLock<Refusal>,
}

/// Publishes a draft to each target, several at a time, until every message is durable or refused. The outcomes are in the
/// order of the targets.
///
/// When a target is refused for now, the request fails, and no further message begins. What has not begun then, or has no
/// outcome at the deadline, counts as refused for now.
pub(crate) async fn to_all(api: &Api, room: &Room, draft: &Draft, targets: Vec<TargetId>) -> Vec<(TargetId, Outcome)> {
    let deadline = Instant::now() + PATIENCE;
    let fan_out = &FanOut { api, room, draft, deadline, failure: OnceLock::new() };
    let mut outcomes = vec![Err(Refusal::UNAVAILABLE); targets.len()];
    let publishes = targets.clone().into_iter().enumerate();
    let publishes = publishes.map(|(place, target)| async move { (place, fan_out.publish(target).await) });
    let mut settled = stream::iter(publishes).buffer_unordered(PUBLISHES_AT_ONCE);
    while let Ok(Some((place, outcome))) = timeout_at(deadline, settled.next()).await {
        if let Some(slot) = outcomes.get_mut(place) {
            *slot = outcome;
        }
    }
    targets.into_iter().zip(outcomes).collect()
}

impl FanOut<'_> {
    /// Publishes to one target as soon as there is room, unless it is in vain by then.
    async fn publish(&self, target: TargetId) -> Outcome {
        let publish = self.draft.to(target.clone());
        if let Some(refusal) = self.end() {
            return Err(refusal);
        }
        let _room = self.room.enter(&waits_with(&publish), publish.payload_bytes()).await;
        if let Some(refusal) = self.end() {
            return Err(refusal);
        }
        let outcome = self.api.messages.publish_for_server(publish, Origin::NONE).await;
        match outcome {
            Ok(Accepted { uid, .. }) => tracing::debug!(%uid, %target, "message published by the app's backend"),
            Err(refusal) if refusal.status.is_retryable() => {
                self.failure.get_or_init(|| refusal);
            }
            Err(_) => {}
        }
        outcome
    }

    /// Why nothing more begins, if so.
    fn end(&self) -> Option<Refusal> {
        let late = || (Instant::now() >= self.deadline).then_some(Refusal::UNAVAILABLE);
        self.failure.get().copied().or_else(late)
    }
}

/// Whose messages one waits with. With a copy for its sender it passes the sender's queue, where one conversation that nothing is
/// accepted in holds up all others: so it takes no room of theirs.
fn waits_with(publish: &ServerPublish) -> Subject {
    let ServerPublish { app, kind, sender, target, sender_copy, .. } = publish;
    match sender_copy {
        true => Subject::User(UserKey::new(app.clone(), sender.clone())),
        false => Subject::of_message(app, *kind, sender, target),
    }
}

/// The answer for the outcomes of a request.
///
/// It is an error if a target was refused for now, or if every target was refused for good. Otherwise, and beside an error for
/// some targets only, the answer names the UIDs of those that were reached, and who was refused for good. A receiver that
/// blocks the sender was left out as the request asked for: that alone is no error.
pub(crate) fn answer(name: &'static str, outcomes: Vec<(TargetId, Outcome)>) -> Result<Answer, ApiError> {
    let error = error_of(&outcomes);
    let mut sent: Vec<Value> = Vec::new();
    let mut refused: Vec<Value> = Vec::new();
    for (target, outcome) in outcomes {
        match outcome {
            Ok(Accepted { uid, .. }) => sent.push(json!({ name: target.as_str(), "messageUID": uid.to_string() })),
            Err(refusal) if refusal.status.is_retryable() => {}
            Err(refusal) => refused.push(json!({ name: target.as_str(), "code": refusal.status.0 })),
        }
    }
    let reached_some = !sent.is_empty();
    let mut answer = fields([("messageUIDs", json!(sent))]);
    if !refused.is_empty() {
        answer.insert("refused".to_owned(), json!(refused));
    }
    match error {
        None => Ok(answer),
        Some(refusal) if reached_some => Err(ApiError::ReachedSome { refusal, reached: answer }),
        Some(refusal) => Err(refusal.into()),
    }
}

fn error_of(outcomes: &[(TargetId, Outcome)]) -> Option<Refusal> {
    let refusals = || outcomes.iter().filter_map(|(_, outcome)| outcome.err());
    let retryable = refusals().find(|refusal| refusal.status.is_retryable());
    let all_refused = outcomes.iter().all(|(_, outcome)| outcome.is_err());
    retryable.or_else(|| refusals().find(|refusal| all_refused && refusal.status != Status::BLACKLISTED))
}

#[cfg(test)]
mod tests {
    use anser_types::{MessageUid, Timestamp};

    use super::*;

    fn target(name: &str) -> TargetId {
        TargetId::new(name).unwrap()
    }

    fn sent(name: &str) -> (TargetId, Outcome) {
        (target(name), Ok(Accepted { uid: MessageUid::from_bytes([7; 10]), sent: Timestamp(1) }))
    }

    fn refused(name: &str, status: Status) -> (TargetId, Outcome) {
        (target(name), Err(Refusal::new(status)))
    }

    #[test]
    fn told_why_some_targets_may_be_refused_and_named() {
        let answer = answer("userId", vec![sent("a"), refused("b", Status::BLACKLISTED), sent("c")]).unwrap();
        assert_eq!(answer["messageUIDs"].as_array().unwrap().len(), 2);
        assert_eq!(answer["refused"], json!([{ "userId": "b", "code": 405 }]));
    }

    #[test]
    fn a_blocked_sender_alone_is_no_error_but_a_group_that_is_not_there_is() {
        assert!(answer("userId", vec![refused("a", Status::BLACKLISTED)]).is_ok());
        let refusal = Refusal::new(Status::NOT_IN_GROUP);
        assert_eq!(answer("groupId", vec![refused("g", Status::NOT_IN_GROUP)]), Err(ApiError::Refused(refusal)));
        assert!(answer("groupId", vec![refused("g", Status::NOT_IN_GROUP), sent("h")]).is_ok());
    }

    #[test]
    fn one_target_that_is_to_be_tried_again_makes_the_request_so() {
        let outcomes = vec![sent("a"), refused("b", Status::BLACKLISTED), refused("c", Status::UNAVAILABLE)];
        let Err(ApiError::ReachedSome { refusal, reached }) = answer("userId", outcomes) else {
            panic!("an error that tells who has it");
        };
        assert_eq!(refusal, Refusal::UNAVAILABLE);
        assert_eq!(reached["messageUIDs"].as_array().unwrap().len(), 1);
        assert_eq!(reached["messageUIDs"][0]["userId"], "a");
        assert_eq!(reached["refused"], json!([{ "userId": "b", "code": 405 }]), "only who is not to be tried again");
        let outcomes = vec![refused("b", Status::BLACKLISTED), refused("c", Status::UNAVAILABLE)];
        assert_eq!(answer("userId", outcomes), Err(ApiError::Refused(Refusal::UNAVAILABLE)), "it reached nobody");
    }
}
