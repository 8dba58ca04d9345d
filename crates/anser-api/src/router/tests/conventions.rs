//! What holds for every endpoint: signatures, forms, limits, errors.

use anser_types::Status;
use proptest::prelude::*;

use super::*;

#[tokio::test]
async fn every_endpoint_is_there_with_and_without_json() {
    let backend = Backend::new();
    for (path, _) in Endpoint::ALL {
        for path in [path.to_owned(), format!("{path}.json")] {
            let reply = backend.post(&path, "").await;
            let wanted = if path.starts_with("/user/block/query") { (200, 200) } else { (400, 1002) };
            assert_eq!(reply.codes(), wanted, "{path}: {}", reply.body);
        }
    }
}

#[tokio::test]
async fn told_why_what_is_not_offered_is_not_found() {
    let backend = Backend::new();
    for path in ["/chatroom/create.json", "/", "/user", "/user/gettoken.json", "/user/getToken.json.json", "/%00"] {
        let reply = backend.post(path, "userId=u").await;
        assert_eq!(reply.codes(), (404, 1001), "{path}");
        assert!(!reply.says().is_empty());
    }
    let request = Request::builder().uri("/user/getToken.json?userId=u").body(Body::empty()).unwrap();
    let reply = reply(backend.router(), request).await;
    assert_eq!(reply.codes(), (405, 1001));
    assert_eq!(reply.allow.as_deref(), Some("POST"));
}

#[tokio::test]
async fn one_way_in_only_a_request_signed_by_the_app_is_answered() {
    let backend = Backend::new();
    let changed = |name: &str, value: Option<&str>| {
        let mut headers = signed();
        headers.retain(|(header, _)| *header != name);
        if let Some(value) = value {
            let name = ["App-Key", "Nonce", "Timestamp", "Signature"].into_iter().find(|n| *n == name).unwrap();
            headers.push((name, value.to_owned()));
        }
        headers
    };
    let mut bad = vec![Vec::new()];
    for name in ["App-Key", "Nonce", "Timestamp", "Signature"] {
        bad.extend([
            changed(name, None),
            changed(name, Some("")),
            changed(name, Some("x")),
            changed(name, Some(&"x".repeat(300))),
        ]);
    }
    bad.push(changed("App-Key", Some("nosuchapp")));
    bad.push(changed("Signature", Some(&"0".repeat(40))));
    for headers in bad {
        let reply = backend.send("/user/getToken.json", &headers, FORM, b"userId=u").await;
        assert_eq!(reply.codes(), (401, 1004), "{headers:?}");
        assert_eq!(reply.body.get("token"), None);
    }
    assert!(backend.fakes.commands().is_empty());
}

#[tokio::test]
async fn any_nonce_both_spellings_and_both_units_of_time_are_taken_and_again() {
    let backend = Backend::new();
    for (nonce, timestamp) in [("0.8243", "1795311881"), ("any 文本!", "1795311881922"), ("1", "0")] {
        let plain = headers(nonce, timestamp);
        let prefixed: Vec<_> = plain
            .iter()
            .zip(["RC-App-Key", "RC-Nonce", "RC-Timestamp", "RC-Signature"])
            .map(|((_, v), n)| (n, v.clone()))
            .collect();
        let upper: Vec<_> =
            plain.iter().map(|(n, v)| (*n, if *n == "Signature" { v.to_uppercase() } else { v.clone() })).collect();
        for headers in [&plain, &plain, &prefixed, &upper] {
            let reply = backend.send("/user/checkOnline", headers, FORM, b"userId=u").await;
            assert_eq!(reply.codes(), (200, 200), "{headers:?}");
        }
    }
}

#[tokio::test]
async fn an_operator_can_demand_fresh_requests() {
    let config = ApiConfig { timestamp_window_ms: 60_000, nonces_max: 100, ..ApiConfig::default() };
    let backend = Backend::with(config);
    let router = backend.router();
    let mut codes = Vec::new();
    for headers in [headers("n", "1795311881"), headers("n", "1795311881"), headers("m", "1795311000")] {
        let mut request = Request::builder().method(Method::POST).uri("/user/checkOnline");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        codes.push(reply(router.clone(), request.body(Body::from("userId=u")).unwrap()).await.codes());
    }
    assert_eq!(codes, [(200, 200), (401, 1004), (401, 1004)], "fresh, repeated, old");
}

#[tokio::test(start_paused = true)]
async fn what_was_refused_for_now_before_it_was_carried_out_may_be_sent_again_as_it_is() {
    let config = ApiConfig {
        timestamp_window_ms: 60_000,
        nonces_max: 100,
        requests_in_flight_max: 1,
        requests_per_second: 2,
        ..ApiConfig::default()
    };
    let router = Backend::with(config).router();
    let send =
        |nonce, body| reply(router.clone(), request("/user/checkOnline", &headers(nonce, "1795311881"), FORM, body));
    let endless = || Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::convert::Infallible>>());
    let good = || Body::from("userId=u");
    let (slow, busy) = tokio::join!(send("slow", endless()), send("busy", good()));
    assert_eq!((slow.codes(), busy.codes()), ((408, 1002), (503, 1000)));
    assert_eq!(send("slow", good()).await.codes(), (200, 200));
    assert_eq!(send("slow", good()).await.codes(), (401, 1004), "now it was carried out");
    assert_eq!(send("busy", good()).await.codes(), (200, 200));
    assert_eq!(send("fast", good()).await.codes(), (429, 1008));
    assert_eq!(send("fast", good()).await.codes(), (429, 1008), "its signature is not used up");
}

#[tokio::test]
async fn of_two_repeats_at_once_one_is_carried_out() {
    let config = ApiConfig { timestamp_window_ms: 60_000, nonces_max: 100, ..ApiConfig::default() };
    let backend = Backend::with(config);
    let router = backend.router();
    let send = || async {
        let late = async {
            tokio::task::yield_now().await;
            Ok::<_, std::convert::Infallible>(Bytes::from_static(b"userId=u"))
        };
        let body = Body::from_stream(futures_util::stream::once(late));
        reply(router.clone(), request("/user/unblock", &headers("n", "1795311881"), FORM, body)).await.codes()
    };
    let mut codes: [_; 2] = tokio::join!(send(), send()).into();
    codes.sort_unstable();
    assert_eq!(codes, [(200, 200), (401, 1004)]);
    assert_eq!(backend.fakes.commands().len(), 1);
}

#[tokio::test]
async fn a_body_may_be_a_form_or_json() {
    let backend = Backend::new();
    backend.fakes.is_online("张 三");
    for (content_type, body) in [
        (FORM, "userId=%E5%BC%A0+%E4%B8%89"),
        (FORM, "userId=张 三"),
        ("application/json", r#"{"userId":"张 三"}"#),
        ("application/json; charset=utf-8", r#"{"userId":["张 三"],"more":{"x":1}}"#),
        ("", r#"{"userId":"张 三"}"#),
    ] {
        let reply = backend.send("/user/checkOnline.json", &signed(), content_type, body.as_bytes()).await;
        assert_eq!(reply.body["status"], "1", "{content_type} {body}: {}", reply.body);
    }
    let reply = backend.send("/user/checkOnline.json", &signed(), "application/json", b"[1]").await;
    assert_eq!(reply.codes(), (400, 1002));
}

#[tokio::test]
async fn a_body_that_is_too_large_or_too_slow_is_refused() {
    let backend = Backend::with(ApiConfig { body_bytes_max: 100, ..ApiConfig::default() });
    let reply_to = backend.post("/user/checkOnline", &format!("userId={}", "x".repeat(100))).await;
    assert_eq!(reply_to.codes(), (413, 1002));
    // Announced, and never sent: refused before anything is read.
    let mut request =
        Request::builder().method(Method::POST).uri("/user/checkOnline").header("Content-Length", "1000000");
    for (name, value) in signed() {
        request = request.header(name, value);
    }
    let announced = reply(backend.router(), request.body(Body::from("userId=u")).unwrap()).await;
    assert_eq!(announced.codes(), (413, 1002));
}

#[tokio::test(start_paused = true)]
async fn slow_is_alone_a_body_that_never_ends_gives_its_place_up() {
    let backend = Backend::with(ApiConfig { requests_in_flight_max: 1, ..ApiConfig::default() });
    let router = backend.router();
    let endless = Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::convert::Infallible>>());
    let request = |body: Body| {
        let mut request = Request::builder().method(Method::POST).uri("/user/checkOnline");
        for (name, value) in signed() {
            request = request.header(name, value);
        }
        request.body(body).unwrap()
    };
    let slow = reply(router.clone(), request(endless));
    let quick = async {
        let busy = reply(router.clone(), request(Body::from("userId=u"))).await;
        assert_eq!(busy.codes(), (503, 1000), "the only place is taken");
        assert!(busy.says().contains("retry"));
    };
    let (slow, ()) = tokio::join!(slow, quick);
    assert_eq!(slow.codes(), (408, 1002));
    assert_eq!(reply(router, request(Body::from("userId=u"))).await.codes(), (200, 200));
}

#[tokio::test]
async fn an_app_that_asks_too_often_is_told_to_wait() {
    let router = Backend::with(ApiConfig { requests_per_second: 1, ..ApiConfig::default() }).router();
    let mut codes = Vec::new();
    for _ in 0..3 {
        let mut request = Request::builder().method(Method::POST).uri("/user/checkOnline");
        for (name, value) in signed() {
            request = request.header(name, value);
        }
        codes.push(reply(router.clone(), request.body(Body::from("userId=u")).unwrap()).await.codes());
    }
    assert_eq!(codes, [(200, 200), (200, 200), (429, 1008)]);
}

#[tokio::test]
async fn told_why_a_server_that_cannot_now_says_retry() {
    let backend = Backend::new();
    backend.fakes.refuses("u", Status::UNAVAILABLE);
    for (path, body) in
        [("/user/getToken", "userId=u&name=U"), ("/user/info", "userId=u"), ("/user/unblock", "userId=u")]
    {
        let reply = backend.post(path, body).await;
        assert_eq!(reply.codes(), (503, 1000), "{path}");
        assert!(reply.says().contains("retry"), "{path}");
        assert_eq!(reply.body.get("token"), None);
    }
}

#[tokio::test]
async fn ids_that_no_key_could_hold_are_refused() {
    let backend = Backend::new();
    for id in ["", "%00", "a%0Ab", "%FF%FE", &"x".repeat(65)] {
        backend.refused("/user/getToken", &format!("userId={id}"), "userId").await;
        backend.refused("/group/create", &format!("userId=u&groupId={id}"), "groupId").await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_body_makes_an_endpoint_panic(
        endpoint in 0..Endpoint::ALL.len(),
        names in prop::collection::vec(prop::sample::select(vec![
            "userId", "toUserId", "fromUserId", "toGroupId", "groupId", "objectName", "content", "minute", "time", "page", "size",
            "messageUID", "sentTime", "conversationType", "targetId", "isAdmin", "group[g]", "blackUserId", "isPersisted",
        ]), 0..12),
        values in prop::collection::vec("[0-9]{1,21}|.{0,70}|D203-MKTG-G004-2VDL", 12),
        raw: Vec<u8>,
        content_type in prop::sample::select(vec![FORM, "application/json", ""]),
    ) {
        let mut form = form_urlencoded::Serializer::new(String::new());
        for (name, value) in names.iter().zip(&values) {
            form.append_pair(name, value);
        }
        let mut body = form.finish().into_bytes();
        body.extend_from_slice(&raw);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let reply = runtime.block_on(Backend::new().send(Endpoint::ALL[endpoint].0, &signed(), content_type, &body));
        prop_assert!(matches!(reply.codes(), (200, 200) | (400, 1002)), "{}", reply.body);
    }
}
