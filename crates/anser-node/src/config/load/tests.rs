//! Which source wins, and what is refused with which words.

use super::*;
use std::collections::HashSet;

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

fn with_file(text: &str) -> (tempfile::TempDir, Sources) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("anser.toml");
    std::fs::write(&path, text).unwrap();
    (folder, Sources { file: Some(path), ..Sources::default() })
}

#[test]
fn a_flag_wins_over_the_environment_over_the_file_over_the_default() {
    let (_folder, mut sources) = with_file("http = \"127.0.0.1:1\"\ntcp = \"127.0.0.1:2\"\nws = \"127.0.0.1:3\"\n");
    sources.environment = pairs(&[("ANSER_TCP", "127.0.0.1:20"), ("ANSER_WS", "127.0.0.1:30"), ("HOME", "/")]);
    sources.flags = pairs(&[("ws", "127.0.0.1:300")]);
    let config = sources.load().unwrap().config;
    assert_eq!(config.http.to_string(), "127.0.0.1:1");
    assert_eq!(config.tcp.to_string(), "127.0.0.1:20");
    assert_eq!(config.ws.to_string(), "127.0.0.1:300");
    assert_eq!(config.data, NodeConfig::default().data);
}

#[test]
fn an_unknown_key_is_refused_with_its_line() {
    let (folder, sources) = with_file("data = \"x\"\n\n[tls]\ncertificat = \"a.pem\"\n");
    let refused = sources.load().unwrap_err().to_string();
    let place = format!("{}:4: ", folder.path().join("anser.toml").display());
    assert!(refused.starts_with(&place), "{refused}");
    assert!(refused.contains("certificat"), "{refused}");
}

#[test]
fn a_broken_file_and_a_wrong_value_are_refused_with_their_line() {
    for (text, line) in [("data = \n", 1), ("\nhttp = \"nowhere\"\n", 2), ("data = \"a\"\ndata = \"b\"\n", 2)] {
        let (_folder, sources) = with_file(text);
        match sources.load() {
            Err(ConfigError::Line { line: found, .. }) => assert_eq!(found, line, "{text:?}"),
            other => panic!("{text:?}: {other:?}"),
        }
    }
}

#[test]
fn a_wrong_variable_is_refused_by_its_name_and_an_unknown_one_is_told() {
    let wrong = Sources { environment: pairs(&[("ANSER_HTTP", "8080")]), ..Sources::default() };
    assert!(wrong.load().unwrap_err().to_string().starts_with("ANSER_HTTP: "));
    let unknown = Sources {
        environment: pairs(&[("ANSER_PORT", "tcp://10.0.0.1"), ("ANSER_LOG", "debug")]),
        ..Sources::default()
    };
    assert_eq!(unknown.load().unwrap().unknown_variables, ["ANSER_PORT"]);
}

#[test]
fn a_setting_without_a_default_has_a_variable_too() {
    let environment = pairs(&[("ANSER_CLUSTER_REDIS_PASSWORD", "of redis")]);
    let loaded = Sources { environment, ..Sources::default() }.load().unwrap();
    assert!(loaded.unknown_variables.is_empty(), "{:?}", loaded.unknown_variables);
    assert_eq!(loaded.config.cluster.redis.password, "of redis");
}

#[test]
fn an_unknown_flag_setting_is_refused() {
    let sources = Sources { flags: pairs(&[("htpp", "127.0.0.1:1")]), ..Sources::default() };
    assert_eq!(sources.load().unwrap_err().to_string(), "htpp: there is no such setting");
}

#[test]
fn a_missing_file_is_named() {
    let sources = Sources { file: Some("/nowhere/anser.toml".into()), ..Sources::default() };
    assert!(sources.load().unwrap_err().to_string().contains("/nowhere/anser.toml"));
}

#[test]
fn every_setting_has_a_variable_of_its_own() {
    let all: Vec<_> = settings().iter().map(Setting::variable).collect();
    let distinct: HashSet<_> = all.iter().collect();
    assert_eq!(all.len(), distinct.len(), "{all:?}");
    for name in COMMAND_VARIABLES {
        assert!(!all.iter().any(|variable| variable == name), "{name} is a command's variable");
    }
}
