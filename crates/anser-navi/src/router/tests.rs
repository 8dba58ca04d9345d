//! Navigation as clients see it.

use anser_cluster::{AppSecret, BoxFuture};
use anser_rmtp::token::TokenClaims;
use axum::http::Method;
use serde_json::Value;
use tower::ServiceExt as _;

use super::*;
use crate::{AccessPoint, Address, Endpoint, OneNode, Transport};

#[derive(Debug)]
struct OneApp(Arc<App>);

impl AppRegistry for OneApp {
    fn find(&self, key: &str) -> Option<Arc<App>> {
        (key == self.0.key.as_str()).then(|| self.0.clone())
    }
}

fn endpoint(transport: Transport, port: u16) -> Endpoint {
    Endpoint { transport, address: Address::Port(port) }
}

fn app() -> Arc<App> {
    Arc::new(App::new(AppKey::new("app1").unwrap(), AppSecret::new("secret")))
}

fn navi_with(points: Arc<dyn AccessPoints>) -> Router {
    router(Navi {
        apps: Arc::new(OneApp(app())),
        points,
        clock: Arc::new(|| Timestamp(1_000_000)),
        config: NaviConfig::default(),
    })
}

fn navi() -> Router {
    let fixed = Endpoint { transport: Transport::Tls, address: Address::Fixed("tls.example:443".into()) };
    navi_with(OneNode::new(vec![
        endpoint(Transport::Ws, 81),
        endpoint(Transport::Tcp, 82),
        fixed,
        endpoint(Transport::Wss, 84),
    ]))
}

fn token(user: &str) -> String {
    let claims = TokenClaims {
        app: AppKey::new("app1").unwrap(),
        user: UserId::new(user).unwrap(),
        issued: Timestamp(1),
        expires: None,
        nonce: 1,
    };
    app().tokens.issue(&claims, &["http://127.0.0.1:80"])
}

struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Reply {
    /// As published clients read both forms: from the first brace to the last.
    fn json(&self) -> Value {
        let from = self.text.find('{').expect("an object");
        let to = self.text.rfind('}').expect("an object");
        serde_json::from_str(&self.text[from..=to]).expect("json")
    }
}

async fn ask(router: Router, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
    let mut request = Request::builder().method(method).uri(path).header("Host", "chat.example:8080");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = router.oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let text = String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().to_vec()).unwrap();
    Reply { status: parts.status, headers: parts.headers, text }
}

async fn post_v2(router: Router, negotiate: &str, token: &str) -> Reply {
    let body: String =
        form_urlencoded::Serializer::new(String::new()).append_pair("token", token).append_pair("v", "5").finish();
    let headers =
        [("RC-Appkey", "app1"), ("RC-Negotiate", negotiate), ("Content-Type", "Application/x-www-form-urlencoded")];
    ask(router, Method::POST, "/v2/navi.json?cloud=0", &headers, &body).await
}

#[tokio::test]
async fn the_script_form_calls_back_with_the_answer() {
    let path = format!("/navi.js?appId=app1&token={}&callBack=getServerEndpoint&v=4.6.4&r=1", token("alice"));
    let reply = ask(navi(), Method::GET, &path, &[], "").await;
    assert_eq!(reply.status, StatusCode::OK);
    assert!(reply.text.starts_with("getServerEndpoint({") && reply.text.ends_with("});"), "{}", reply.text);
    assert_eq!(reply.headers["access-control-allow-origin"], "*");
    let answer = reply.json();
    for (field, value) in [
        ("code", json!(200)),
        ("userId", json!("alice")),
        ("server", json!("chat.example:81")),
        ("backupServer", json!("")),
        ("type", json!(2)),
        ("openAnti", json!(0)),
        ("openUS", json!(1)),
        ("kvStorage", json!(1)),
        ("joinMChrm", json!(true)),
        ("historyMsg", json!(true)),
        ("chatroomMsg", json!(true)),
        ("logSwitch", json!(0)),
        ("logPolicy", json!("")),
    ] {
        assert_eq!(answer[field], value, "{field}");
    }
    assert!(serde_json::from_str::<Value>(answer["voipCallInfo"].as_str().unwrap()).is_ok());
    assert_eq!(answer.get("grpRRVer"), None, "read receipts by query are not offered");
    assert_eq!(answer.get("openHistoryMsg"), None);
    assert_eq!(answer["serverAddr"].as_array().unwrap().len(), 4, "nothing was named, so all are given");
}

#[tokio::test]
async fn a_client_is_given_the_transports_that_it_names() {
    let answer = post_v2(navi(), "conn=5;rtc=4;log=2;iptype=v4,v6", &token("alice")).await.json();
    assert_eq!(answer["serverAddr"], json!([{ "addr": "chat.example:81", "protocol": 5, "weight": 10 }]));
    assert_eq!(answer["server"], "chat.example:81");
    let answer = post_v2(navi(), "conn=1,2", &token("alice")).await.json();
    assert_eq!(
        answer["serverAddr"],
        json!([
            { "addr": "chat.example:82", "protocol": 1, "weight": 10 },
            { "addr": "tls.example:443", "protocol": 2, "weight": 10 },
        ])
    );
    assert_eq!(answer["server"], "chat.example:82");
    let only_ws = navi_with(OneNode::new(vec![endpoint(Transport::Ws, 81)]));
    let answer = post_v2(only_ws, "conn=6", &token("alice")).await.json();
    assert_eq!(answer.get("serverAddr"), None, "without entries of that kind a client takes `server`");
    assert_eq!(answer["server"], "chat.example:81");
}

#[tokio::test]
async fn a_page_over_https_is_given_the_encrypted_listener() {
    for header in [("Origin", "https://chat.example"), ("X-Forwarded-Proto", "https")] {
        let reply = ask(navi(), Method::GET, "/navi.js?appId=app1&token=x", &[header], "").await;
        assert_eq!(reply.json()["server"], "chat.example:84", "{header:?}");
    }
}

#[tokio::test]
async fn judging_a_token_is_left_to_the_access_node() {
    for token in ["", "nonsense", "nonsense@", &token("alice").replacen('@', "x@", 1)] {
        let reply = post_v2(navi(), "conn=5", token).await;
        assert_eq!((reply.status, reply.json()["code"].clone()), (StatusCode::OK, json!(200)), "{token}");
        assert_eq!(reply.json()["userId"], "");
        let reply = ask(navi(), Method::GET, &format!("/navi.js?appId=app1&token={token}"), &[], "").await;
        assert_eq!((reply.status, reply.json()["code"].clone()), (StatusCode::OK, json!(200)), "{token}");
    }
    let cut = token("alice").split('@').next().unwrap().to_owned() + "@";
    assert_eq!(post_v2(navi(), "conn=5", &cut).await.json()["userId"], "alice");
}

#[tokio::test]
async fn an_unknown_app_is_told_why_by_the_form_whose_clients_can_say_so() {
    for headers in [&[("RC-Appkey", "other")][..], &[]] {
        let reply = ask(navi(), Method::POST, "/v2/navi.json", headers, "token=x").await;
        assert_eq!((reply.status, reply.json()["code"].clone()), (StatusCode::FORBIDDEN, json!(403)));
        assert_eq!(reply.headers["access-control-allow-origin"], "*");
    }
    let reply = ask(navi(), Method::GET, "/navi.js?appId=other&token=x", &[], "").await;
    assert_eq!((reply.status, reply.json()["code"].clone()), (StatusCode::OK, json!(200)));
}

#[tokio::test]
async fn a_browser_may_ask_from_any_page() {
    for path in ["/navi.js", "/v2/navi.json?cloud=0"] {
        let reply = ask(navi(), Method::OPTIONS, path, &[("Origin", "http://page.example")], "").await;
        assert_eq!(reply.status, StatusCode::NO_CONTENT);
        assert_eq!(reply.headers["access-control-allow-origin"], "*");
        let allowed = reply.headers["access-control-allow-headers"].to_str().unwrap();
        for name in ["RC-Appkey", "RC-Negotiate", "Content-Type"] {
            assert!(allowed.contains(name), "{name} in {allowed}");
        }
    }
    let asked = [("Access-Control-Request-Headers", "rc-appkey,x-later")];
    let reply = ask(navi(), Method::OPTIONS, "/v2/navi.json", &asked, "").await;
    assert_eq!(reply.headers["access-control-allow-headers"], "rc-appkey,x-later");
}

#[tokio::test]
async fn a_script_cannot_be_made_to_say_anything_else() {
    for callback in ["alert(1)//", "a%20b", "x%3Cscript%3E", &"a".repeat(65), ""] {
        let path = format!("/navi.js?appId=app1&token={}&callBack={callback}", token("<a>&\u{2028}"));
        let reply = ask(navi(), Method::GET, &path, &[], "").await;
        assert!(reply.text.starts_with("getServerEndpoint({"), "{}", reply.text);
        assert!(!reply.text.contains(['<', '>', '&', '\u{2028}']), "{}", reply.text);
        assert_eq!(reply.json()["userId"], "<a>&\u{2028}");
    }
    let reply = ask(navi(), Method::GET, "/navi.js?appId=app1&callBack=a.$_9", &[], "").await;
    assert!(reply.text.starts_with("a.$_9({"));
}

#[tokio::test]
async fn told_why_when_it_does_not_work() {
    let none = OneNode::new(vec![endpoint(Transport::Ws, 81)]);
    none.drain();
    let reply = post_v2(navi_with(none.clone()), "conn=5", &token("alice")).await;
    assert_eq!((reply.status, reply.json()["code"].clone()), (StatusCode::SERVICE_UNAVAILABLE, json!(503)));
    let reply = ask(navi_with(none), Method::GET, "/navi.js?appId=app1", &[], "").await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    let reply = ask(navi(), Method::GET, "/cometnavi.js?appId=app1", &[], "").await;
    assert_eq!(reply.status, StatusCode::NOT_FOUND);
    let reply = ask(navi(), Method::GET, "/v2/navi.json", &[], "").await;
    assert_eq!(reply.status, StatusCode::METHOD_NOT_ALLOWED);
    let reply = post_v2(navi(), "conn=5", &"x".repeat(70_000)).await;
    assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[derive(Debug)]
struct Three;

impl AccessPoints for Three {
    fn live(&self) -> Vec<AccessPoint> {
        let point = |name: &str| AccessPoint {
            node: anser_core::navigation::AccessNode { name: name.into(), weight: 1, users: 0, draining: false },
            endpoints: vec![Endpoint { transport: Transport::Ws, address: Address::Fixed(format!("{name}:1")) }],
        };
        vec![point("a"), point("b"), point("c")]
    }

    fn home<'a>(&'a self, user: &'a UserKey) -> BoxFuture<'a, Option<String>> {
        let home = (user.user.as_str() == "homely").then(|| "c".to_owned());
        Box::pin(std::future::ready(home))
    }
}

#[tokio::test]
async fn all_terminals_of_a_user_get_the_same_node_first_and_the_others_as_backups() {
    let first = post_v2(navi_with(Arc::new(Three)), "conn=5", &token("alice")).await.json();
    let second =
        ask(navi_with(Arc::new(Three)), Method::GET, &format!("/navi.js?appId=app1&token={}", token("alice")), &[], "")
            .await
            .json();
    assert_eq!(first["server"], second["server"]);
    assert_eq!(first["backupServer"], second["backupServer"]);
    assert_eq!(first["backupServer"].as_str().unwrap().split(',').count(), 2);
    let weights: Vec<u64> =
        first["serverAddr"].as_array().unwrap().iter().map(|a| a["weight"].as_u64().unwrap()).collect();
    assert_eq!(weights, [10, 9, 8], "clients try the highest weight first");
    let homely = post_v2(navi_with(Arc::new(Three)), "conn=5", &token("homely")).await.json();
    assert_eq!(homely["server"], "c:1");
}

#[test]
fn a_host_header_is_repeated_only_if_it_is_a_host() {
    for (header, wanted) in [
        ("chat.example:80", "chat.example"),
        ("chat.example", "chat.example"),
        ("[::1]:80", "[::1]"),
        ("[::1]", "[::1]"),
        ("127.0.0.1:1", "127.0.0.1"),
        ("", "127.0.0.1"),
        ("a b", "127.0.0.1"),
        ("<x>:1", "127.0.0.1"),
        (":", "127.0.0.1"),
    ] {
        assert_eq!(host(header), wanted, "{header}");
    }
}

#[tokio::test(start_paused = true)]
async fn slow_is_alone_a_body_that_does_not_come_is_given_up() {
    let begins = futures_util::stream::iter([Ok::<_, std::io::Error>("token=")]);
    let body = Body::from_stream(futures_util::StreamExt::chain(begins, futures_util::stream::pending()));
    let request = Request::builder().method(Method::POST).uri("/v2/navi.json").header("RC-Appkey", "app1");
    let response = navi().oneshot(request.body(body).unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::REQUEST_TIMEOUT);
}

#[tokio::test]
async fn a_connection_is_kept_for_the_question_behind_a_preflight_alone() {
    let reply = ask(navi(), Method::OPTIONS, "/v2/navi.json", &[], "").await;
    assert_eq!(reply.headers.get("connection"), None);
    assert_eq!(post_v2(navi(), "conn=5", &token("alice")).await.headers["connection"], "close");
    assert_eq!(ask(navi(), Method::GET, "/navi.js?appId=app1", &[], "").await.headers["connection"], "close");
}
