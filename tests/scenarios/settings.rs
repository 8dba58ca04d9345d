//! Settings: what is shipped is true, and what is wrong is refused in words before anything is begun.

use std::path::Path;

use anser_tests::Server;

use crate::first_steps::{run, text};

const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../config");

#[test]
fn the_reference_is_printed_as_it_is_shipped_and_is_a_configuration() {
    let shipped = std::fs::read_to_string(format!("{CONFIG}/reference.toml")).expect("it is shipped");
    assert_eq!(text(&run(&["config", "reference"], "").stdout), shipped);
    for name in ["reference.toml", "embedded.toml"] {
        let output = run(&["config", "check", &format!("{CONFIG}/{name}")], "");
        assert!(output.status.success(), "{name}: {}", text(&output.stderr));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shipped_example_starts_a_server() {
    let example = format!("{CONFIG}/embedded.toml");
    let mut server = Server::builder().arguments(&["--config", &example]).start().await;
    assert!(server.stop().await);
}

#[test]
fn told_why_bad_settings_end_with_code_2_and_touch_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("anser.toml");
    std::fs::write(&file, "http = \"127.0.0.1:0\"\n[tls]\nkay = \"a.pem\"\n").expect("written");
    let file = file.to_str().expect("a readable path");
    let data = folder.path().join("data");
    let data = data.to_str().expect("a readable path");
    let certificate = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/one.crt");
    let among_others = ["--set", "cluster.name=n1", "--set", "cluster.listen=127.0.0.1:0"];
    let cases: [(&[&str], &str); 8] = [
        (&["--config", file], "anser.toml:3: unknown field `kay`"),
        (&["--config", "/nowhere/anser.toml"], "/nowhere/anser.toml"),
        (&["--http", "8080"], "HOST:PORT"),
        (&["--set", "acess.x=1"], "acess.x: there is no such setting"),
        (&["--app-key", "only"], "key and secret go together"),
        (&["--app-key", "k", "--app-secret", "secret1"], "easily guessed"),
        (&["--tls-certificate", certificate], "certificate and key go together"),
        (&among_others, "app.key and app.secret: nodes of a cluster have to know the same app"),
    ];
    for (arguments, why) in cases {
        let output = run(&[&["serve", "--data", data], arguments].concat(), "");
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(why), "{arguments:?}: {said}");
        assert!(!Path::new(data).join("log").exists(), "{arguments:?} began something");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn told_why_a_port_that_is_taken_is_named_with_its_flag() {
    let server = Server::start().await;
    let ready = server.ready();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().to_str().expect("a readable path");
    let any = "127.0.0.1:0";
    let ports = [
        ("--http", ready.http.as_str()),
        ("--tcp", ready.tcp.as_deref().expect("a port")),
        ("--ws", ready.ws.as_deref().expect("a port")),
    ];
    for (flag, taken) in ports {
        let at = |name| if name == flag { taken } else { any };
        let arguments = ["--http", at("--http"), "--tcp", at("--tcp"), "--ws", at("--ws")];
        let output = run(&[&["serve", "--data", data], &arguments[..]].concat(), "");
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{flag}: {said}");
        assert!(said.contains(&format!("{taken} is in use")) && said.contains(flag), "{flag}: {said}");
    }
}
