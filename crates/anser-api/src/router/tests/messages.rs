//! Messages that the server sends and takes back.

use anser_rmtp::body::PushExtra;
use anser_types::{ConversationType, MessageClass, MessageFlags, MessageUid, Status, target_hash};
use serde_json::json;

use super::*;
use fakes::user;

const ONE: &str = "fromUserId=boss&toUserId=a&objectName=RC:TxtMsg&content=%7B%22content%22%3A%22hi%22%7D";
const TO_GROUP: &str = "fromUserId=boss&toGroupId=g&objectName=RC:TxtMsg&content=%7B%7D";

fn uid(kind: ConversationType, target: &str) -> String {
    MessageUid::new(NOW, 0, kind, target_hash(target)).to_string()
}

#[tokio::test]
async fn a_private_message_is_answered_with_its_uid() {
    let backend = Backend::new();
    let answer = backend.ok("/message/private/publish.json", ONE).await;
    let wanted = json!([{ "userId": "a", "messageUID": uid(ConversationType::Private, "a") }]);
    assert_eq!(answer, json!({ "code": 200, "messageUIDs": wanted }));
    let published = backend.fakes.published().remove(0);
    assert_eq!(published.sender, user("boss"));
    assert_eq!((published.kind, published.class), (ConversationType::Private, MessageClass::Persisted));
    assert_eq!(published.flags, MessageFlags::PERSIST.with(MessageFlags::COUNT));
    assert_eq!((&published.object_name[..], &published.content[..]), (&b"RC:TxtMsg"[..], &br#"{"content":"hi"}"#[..]));
    assert!(!published.sender_copy && !published.check_permission && published.extras.is_none());
}

#[tokio::test]
async fn parameters_become_flags_and_extras() {
    let backend = Backend::new();
    let more = "isPersisted=0&isCounted=0&isIncludeSender=1&verifyBlacklist=1&disablePush=true&expansion=True&pushContent=p&pushData=d&pushExt=%7B%22title%22%3A%22t%22%2C%22pushConfigs%22%3A%5B1%5D%7D&extraContent=%7B%7D&busChannel=c";
    backend.ok("/message/private/publish", &format!("{ONE}&{more}")).await;
    let published = backend.fakes.published().remove(0);
    assert_eq!(published.flags, MessageFlags::QUIET.with(MessageFlags::EXPANDABLE));
    assert!(published.sender_copy && published.check_permission);
    let extras = published.extras.unwrap();
    let texts = [extras.push_text, extras.push_data, extras.extra_content, extras.bus_channel];
    assert_eq!(texts.map(Option::unwrap), ["p", "d", "{}", "c"]);
    let settings = PushExtra { title: Some("t".into()), push_configs: Some("[1]".into()), ..PushExtra::default() };
    assert_eq!(extras.push_ext.unwrap(), settings.to_bytes());
    let backend = Backend::new();
    for wrong in ["e", "%5B%5D", "%7B"] {
        backend.refused("/message/private/publish", &format!("{ONE}&pushExt={wrong}"), "pushExt").await;
    }
}

#[tokio::test]
async fn one_message_to_many_is_one_for_each_in_the_order_asked() {
    let backend = Backend::new();
    let targets: Vec<String> = (0..1000).map(|i| format!("u{i}")).collect();
    let to: String = targets.iter().map(|user| format!("&toUserId={user}")).collect();
    let answer = backend
        .ok("/message/private/publish", &format!("fromUserId=boss&objectName=o&content=c{to}&toUserId=u0"))
        .await;
    let named: Vec<_> =
        answer["messageUIDs"].as_array().unwrap().iter().map(|m| m["userId"].as_str().unwrap()).collect();
    assert_eq!(named, targets, "each once, though one was named twice");
    assert_eq!(backend.fakes.published().len(), 1000);
    let backend = Backend::new();
    backend
        .refused(
            "/message/private/publish",
            &format!("fromUserId=boss&objectName=o&content=c{to}&toUserId=more"),
            "toUserId",
        )
        .await;
}

/// A message to this many: `u0`, `u1`, …
fn to_many(count: usize) -> String {
    let to: String = (0..count).map(|i| format!("&toUserId=u{i}")).collect();
    format!("fromUserId=boss&objectName=o&content=c{to}")
}

/// Whom an answer says the message reached.
fn reached(answer: &Value) -> Vec<&str> {
    answer["messageUIDs"].as_array().unwrap().iter().map(|m| m["userId"].as_str().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn one_slow_target_keeps_no_other_from_its_message() {
    let begin = tokio::time::Instant::now();
    let backend = Backend::new();
    backend.fakes.hangs("u0");
    backend.fakes.refuses("u7", Status::NOT_IN_GROUP);
    let reply = backend.post("/message/private/publish", &to_many(1000)).await;
    assert_eq!(begin.elapsed().as_secs(), 20);
    assert_eq!(reply.codes(), (503, 1000));
    assert!(reply.says().contains("retry"), "{}", reply.says());
    let others: Vec<String> = (1..1000).filter(|i| *i != 7).map(|i| format!("u{i}")).collect();
    assert_eq!(reached(&reply.body), others, "in the order asked");
    assert_eq!(reply.body["refused"], json!([{ "userId": "u7", "code": 22406 }]), "not to be tried again");
}

#[tokio::test(start_paused = true)]
async fn nothing_begins_once_a_request_has_failed() {
    let backend = Backend::new();
    backend.fakes.refuses("u10", Status::UNAVAILABLE);
    let reply = backend.post("/message/private/publish", &to_many(1000)).await;
    assert_eq!(reply.codes(), (503, 1000));
    let begun: Vec<String> = backend.fakes.published().iter().map(|publish| publish.target.to_string()).collect();
    assert!(begun.len() < 64, "{}", begun.len());
    assert_eq!(reached(&reply.body), begun, "what was under way is waited for, and named");
    // Neither does it after the deadline.
    let backend = Backend::new();
    (0..64).for_each(|i| backend.fakes.hangs(&format!("u{i}")));
    let reply = backend.post("/message/private/publish", &to_many(1000)).await;
    assert_eq!(reply.codes(), (503, 1000));
    assert_eq!(reply.body.get("messageUIDs"), None, "it reached nobody");
    assert_eq!(backend.fakes.published().len(), 64);
}

#[tokio::test(start_paused = true)]
async fn slow_is_alone_messages_under_way_are_bounded_for_each_conversation_over_all_requests() {
    let backend = Backend::new();
    (0..64).for_each(|i| backend.fakes.hangs(&format!("u{i}")));
    let router = backend.router();
    let send =
        |body: String| reply(router.clone(), request("/message/private/publish", &signed(), FORM, Body::from(body)));
    let many = futures_util::future::join_all((0..20).map(|_| send(to_many(64))));
    let a_while = Duration::from_secs(10);
    let (waiting, elsewhere) = tokio::join!(tokio::time::timeout(a_while, many), send(ONE.to_owned()));
    assert!(waiting.is_err(), "they wait");
    assert_eq!(elsewhere.codes(), (200, 200), "which holds up nobody else");
    let under_way = backend.fakes.published().len() - 1;
    assert!((64..=4 * 64).contains(&under_way), "{under_way}");
}

#[tokio::test(start_paused = true)]
async fn slow_is_alone_what_waits_in_a_senders_queue_takes_no_room_of_conversations() {
    let backend = Backend::new();
    (0..64).for_each(|i| backend.fakes.hangs(&format!("u{i}")));
    let reply = backend.post("/message/private/publish", &format!("{}&isIncludeSender=1", to_many(64))).await;
    assert_eq!(reply.codes(), (503, 1000));
    // It goes through that queue one conversation at a time, however many ask.
    assert_eq!(backend.fakes.published().len(), 4);
}

#[tokio::test]
async fn a_group_message_may_be_for_some_members() {
    let backend = Backend::new();
    let answer = backend.ok("/message/group/publish", &format!("{TO_GROUP}&toUserId=a&toUserId=b&isMentioned=1")).await;
    assert_eq!(answer["messageUIDs"], json!([{ "groupId": "g", "messageUID": uid(ConversationType::Group, "g") }]));
    let published = backend.fakes.published().remove(0);
    assert_eq!(published.kind, ConversationType::Group);
    assert!(published.flags.has(MessageFlags::MENTION));
    assert_eq!(published.extras.unwrap().to_users, [user("a"), user("b")]);
    let backend = Backend::new();
    backend.refused("/message/group/publish", &format!("{TO_GROUP}&toGroupId=h&toUserId=a"), "toUserId").await;
    backend
        .refused("/message/group/publish", &format!("{TO_GROUP}&toGroupId=h&toGroupId=i&toGroupId=j"), "toGroupId")
        .await;
    backend.ok("/message/group/publish", &format!("{TO_GROUP}&toGroupId=h&toGroupId=i")).await;
    assert_eq!(backend.fakes.published().len(), 3);
}

#[tokio::test]
async fn a_system_message_goes_to_users_and_not_back() {
    let backend = Backend::new();
    backend.ok("/message/system/publish", &format!("{ONE}&isIncludeSender=1")).await;
    let published = backend.fakes.published().remove(0);
    assert_eq!((published.kind, published.sender_copy), (ConversationType::System, false));
    let to: String = (0..101).map(|i| format!("&toUserId=u{i}")).collect();
    let backend = Backend::new();
    backend
        .refused("/message/system/publish", &format!("fromUserId=desk&objectName=o&content=c{to}"), "toUserId")
        .await;
}

#[tokio::test]
async fn publishes_name_what_they_need_within_limits() {
    let backend = Backend::new();
    for (path, to) in [("private", "toUserId"), ("group", "toGroupId"), ("system", "toUserId")] {
        let path = format!("/message/{path}/publish");
        for missing in ["fromUserId", to, "objectName", "content"] {
            let body: String = ["fromUserId", to, "objectName", "content"]
                .iter()
                .filter(|n| **n != missing)
                .map(|n| format!("{n}=x&"))
                .collect();
            backend.refused(&path, &body, missing).await;
        }
        let body = |content: &str, rest: &str| format!("fromUserId=x&{to}=x&objectName=x&content={content}{rest}");
        backend.refused(&path, &body(&"x".repeat(128 * 1024 + 1), ""), "content").await;
        backend.refused(&path, &body("x", "&isPersisted=2"), "isPersisted").await;
        backend.refused(&path, &body("x", &format!("&pushContent={}", "x".repeat(16 * 1024 + 1))), "pushContent").await;
        backend
            .refused(
                &path,
                &body("x", "").replace("objectName=x", &format!("objectName={}", "x".repeat(65))),
                "objectName",
            )
            .await;
    }
    backend
        .ok(
            "/message/private/publish",
            &format!("fromUserId=x&toUserId=x&objectName=x&content={}", "x".repeat(128 * 1024)),
        )
        .await;
}

#[tokio::test]
async fn content_in_json_may_be_an_object_or_a_text() {
    let backend = Backend::new();
    for content in [r#"{ "content" : "你好" }"#, r#""{\"content\":\"你好\"}""#] {
        let body = format!(r#"{{"fromUserId":"boss","toUserId":["a"],"objectName":"RC:TxtMsg","content":{content}}}"#);
        let reply = backend.send("/message/private/publish.json", &signed(), "application/json", body.as_bytes()).await;
        assert_eq!(reply.codes(), (200, 200), "{}", reply.body);
        assert_eq!(backend.fakes.published().pop().unwrap().content, r#"{"content":"你好"}"#);
    }
}

#[tokio::test]
async fn told_why_when_a_target_refuses() {
    let backend = Backend::new();
    backend.fakes.refuses("b", Status::BLACKLISTED);
    let answer = backend.ok("/message/private/publish", &format!("{ONE}&toUserId=b&verifyBlacklist=1")).await;
    assert_eq!(answer["refused"], json!([{ "userId": "b", "code": 405 }]));
    assert_eq!(answer["messageUIDs"].as_array().unwrap().len(), 1);
    backend.fakes.refuses("g", Status::NOT_IN_GROUP);
    let reply = backend.post("/message/group/publish", TO_GROUP).await;
    assert_eq!(reply.codes(), (400, 1002));
    assert!(reply.says().contains("no such group"), "{}", reply.body);
    backend.fakes.refuses("a", Status::UNAVAILABLE);
    assert_eq!(backend.post("/message/private/publish", ONE).await.codes(), (503, 1000));
}

#[tokio::test]
async fn a_recall_is_the_command_that_clients_send() {
    let backend = Backend::new();
    let uid = uid(ConversationType::Private, "a");
    let body = format!("fromUserId=boss&conversationType=1&targetId=a&messageUID={uid}&sentTime={NOW}&isDelete=1");
    assert_eq!(backend.ok("/message/recall.json", &body).await, json!({ "code": 200 }));
    let recall = backend.fakes.recalls().remove(0);
    assert_eq!(
        (recall.target.uid.to_string(), recall.target.sent, recall.target.by_sender_only),
        (uid.clone(), NOW, true)
    );
    let command = recall.command;
    assert_eq!(
        (&command.object_name[..], command.kind, command.sender),
        (&b"RC:RcCmd"[..], ConversationType::Private, user("boss"))
    );
    assert_eq!(
        (command.class, command.flags, command.sender_copy),
        (MessageClass::Persisted, MessageFlags::default(), true)
    );
    let content: Value = serde_json::from_slice(&command.content).unwrap();
    let wanted = json!({
        "conversationType": 1, "targetId": "a", "messageUId": uid, "sentTime": NOW.0, "isAdmin": false, "isDelete": true,
    });
    assert_eq!(content, wanted);
}

#[tokio::test]
async fn an_administrator_recalls_what_others_sent() {
    let backend = Backend::new();
    let uid = uid(ConversationType::Group, "g");
    // Without a sent time the one in the UID counts.
    backend
        .ok(
            "/message/recall",
            &format!("fromUserId=boss&conversationType=3&targetId=g&messageUID={uid}&isAdmin=1&extra=why"),
        )
        .await;
    let recall = backend.fakes.recalls().remove(0);
    assert_eq!((recall.target.sent, recall.target.by_sender_only), (NOW, false));
    let content: Value = serde_json::from_slice(&recall.command.content).unwrap();
    assert_eq!((&content["isAdmin"], &content["extra"]), (&json!(true), &json!("why")));
    backend.fakes.refuses("g", Status::NOT_YOUR_MESSAGE);
    let reply =
        backend.post("/message/recall", &format!("fromUserId=x&conversationType=3&targetId=g&messageUID={uid}")).await;
    assert_eq!(reply.codes(), (400, 1002));
    assert!(reply.says().contains("isAdmin"), "{}", reply.body);
}

#[tokio::test]
async fn recalls_name_what_they_need() {
    let backend = Backend::new();
    let uid = uid(ConversationType::Private, "a");
    let good = [("fromUserId", "boss"), ("conversationType", "1"), ("targetId", "a"), ("messageUID", uid.as_str())];
    for (missing, _) in good {
        let body: String = good.iter().filter(|(n, _)| *n != missing).map(|(n, v)| format!("{n}={v}&")).collect();
        backend.refused("/message/recall", &body, missing).await;
    }
    for (name, value) in
        [("conversationType", "4"), ("conversationType", "99999999999"), ("messageUID", "no"), ("sentTime", "x")]
    {
        let body: String = good.iter().filter(|(n, _)| *n != name).map(|(n, v)| format!("{n}={v}&")).collect();
        backend.refused("/message/recall", &format!("{body}{name}={value}"), name).await;
    }
    assert!(backend.fakes.recalls().is_empty());
}
