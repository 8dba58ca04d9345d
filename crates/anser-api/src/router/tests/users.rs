//! Tokens, profiles, presence.

use anser_cluster::{App, AppSecret, Command, UserProfile};
use anser_types::record::UserChange;
use anser_types::{AppKey, Status, UserKey};

use super::*;
use fakes::user;

fn profile(name: &str, portrait: &str) -> UserProfile {
    UserProfile { name: name.into(), portrait: portrait.into(), created: Timestamp(951_782_400_000) }
}

/// The changes of profiles that were stored; what stays is `-`.
fn stored(backend: &Backend) -> Vec<(String, String, String)> {
    let given = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let stored = backend.fakes.commands().into_iter().map(|command| match command {
        Command::User { user: UserKey { user, .. }, change: UserChange::Profile { name, portrait } } => {
            (user.to_string(), given(name), given(portrait))
        }
        other => panic!("{other:?}"),
    });
    stored.collect()
}

#[tokio::test]
async fn a_token_signs_its_user_in_and_names_navigation() {
    let navigation = vec!["http://127.0.0.1:8080".to_owned(), "navi.example".to_owned()];
    let backend = Backend::with(ApiConfig { navigation, ..ApiConfig::default() });
    let answer = backend.ok("/user/getToken.json", "userId=alice&name=Alice&portraitUri=http%3A%2F%2Fx").await;
    assert_eq!(answer["userId"], "alice");
    let token = answer["token"].as_str().unwrap();
    assert!(token.ends_with("@http://127.0.0.1:8080;navi.example"), "{token}");
    let app = App::new(AppKey::new("app1").unwrap(), AppSecret::new("secret"));
    let claims = app.tokens.verify(&app.key, token, NOW).unwrap();
    assert_eq!((claims.user, claims.issued, claims.expires), (user("alice"), NOW, None));
    assert_eq!(stored(&backend), [("alice".into(), "Alice".into(), "http://x".into())]);
    let again = backend.ok("/user/getToken", "userId=alice&name=Alice&portraitUri=http%3A%2F%2Fx").await;
    assert_ne!(again["token"], token, "no two tokens are the same");
}

#[tokio::test(start_paused = true)]
async fn a_token_is_made_while_the_directory_is_away() {
    let begin = tokio::time::Instant::now();
    let backend = Backend::new();
    backend.fakes.refuses("alice", Status::UNAVAILABLE);
    assert!(backend.ok("/user/getToken", "userId=alice").await["token"].is_string());
    assert!(begin.elapsed().is_zero());
    backend.fakes.hangs("bob");
    assert!(backend.ok("/user/getToken", "userId=bob").await["token"].is_string());
    assert_eq!(begin.elapsed().as_secs(), 2);
    assert_eq!(stored(&backend), []);
}

#[tokio::test]
async fn a_token_is_good_although_the_clock_is_behind_that_by_which_older_ones_were_made_void() {
    let backend = Backend::new();
    let ahead = NOW.plus(800);
    backend.fakes.voids("alice", ahead);
    let answer = backend.ok("/user/getToken", "userId=alice").await;
    let app = App::new(AppKey::new("app1").unwrap(), AppSecret::new("secret"));
    let claims = app.tokens.verify(&app.key, answer["token"].as_str().unwrap(), NOW).unwrap();
    assert_eq!(claims.issued, ahead);
}

#[tokio::test]
async fn what_a_token_request_says_of_its_user_is_stored_or_it_fails() {
    let backend = Backend::new();
    backend.fakes.refuses("alice", Status::UNAVAILABLE);
    for said in ["name=Alice", "portraitUri=p", "name="] {
        let reply = backend.post("/user/getToken", &format!("userId=alice&{said}")).await;
        assert_eq!(reply.codes(), (503, 1000), "{said}");
        assert_eq!(reply.body.get("token"), None);
    }
}

#[tokio::test]
async fn a_profile_is_stored_only_when_it_changes() {
    let backend = Backend::new();
    backend.fakes.knows("alice", profile("Alice", "p"));
    for same in ["userId=alice&name=Alice&portraitUri=p", "userId=alice&name=Alice", "userId=alice"] {
        backend.ok("/user/getToken", same).await;
        backend.ok("/user/refresh", same).await;
    }
    assert_eq!(stored(&backend), []);
    backend.ok("/user/refresh", "userId=alice&name=Alicia").await;
    backend.ok("/user/getToken", "userId=alice&portraitUri=").await;
    // Known through something else only, for example because the user was blocked.
    backend.fakes.knows("bob", UserProfile::default());
    backend.ok("/user/getToken", "userId=bob").await;
    let wanted = [("alice", "Alicia", "-"), ("alice", "-", ""), ("bob", "-", "-")];
    assert_eq!(stored(&backend), wanted.map(|(u, n, p)| (u.into(), n.into(), p.into())));
}

#[tokio::test]
async fn profiles_have_limits() {
    let backend = Backend::new();
    for path in ["/user/getToken", "/user/refresh"] {
        backend.refused(path, "name=x", "userId").await;
        backend.refused(path, &format!("userId=u&name={}", "x".repeat(257)), "name").await;
        backend.refused(path, &format!("userId=u&portraitUri={}", "x".repeat(2049)), "portraitUri").await;
    }
}

#[tokio::test]
async fn info_shows_the_profile() {
    let backend = Backend::with(ApiConfig { utc_offset_minutes: 480, ..ApiConfig::default() });
    backend.fakes.knows("alice", profile("Alice", "p"));
    let answer = backend.ok("/user/info.json", "userId=alice").await;
    assert_eq!(
        answer,
        serde_json::json!({ "code": 200, "userName": "Alice", "userPortrait": "p", "createTime": "2000-02-29 08:00:00" })
    );
    backend.refused("/user/info", "userId=nobody", "userId").await;
}

#[tokio::test]
async fn presence_is_a_text() {
    let backend = Backend::new();
    backend.fakes.is_online("alice");
    assert_eq!(backend.ok("/user/checkOnline", "userId=alice").await["status"], "1");
    assert_eq!(backend.ok("/user/checkOnline", "userId=bob").await["status"], "0");
}
