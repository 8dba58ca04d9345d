//! The shipped files are what they say they are, and settings that do not fit are refused.

use super::*;

fn check(text: &str) -> Result<(), String> {
    toml::from_str::<NodeConfig>(text).unwrap().check()
}

#[test]
fn the_reference_is_the_defaults() {
    let reference: NodeConfig = toml::from_str(REFERENCE).unwrap();
    assert_eq!(reference.to_toml(), NodeConfig::default().to_toml());
}

#[test]
fn the_shipped_example_is_a_configuration() {
    let example: NodeConfig = toml::from_str(include_str!("../../../../config/embedded.toml")).unwrap();
    assert_eq!(example.check(), Ok(()));
}

#[test]
fn settings_that_do_not_fit_together_are_refused_by_name() {
    for (text, names) in [
        ("http = \"off\"", "http"),
        ("tcp = \"127.0.0.1:8080\"", "tcp: 127.0.0.1:8080 is already the address of http"),
        ("[app]\nkey = \"k\"", "app: key and secret"),
        ("[tls]\ncertificate = \"a.pem\"", "tls: certificate and key"),
        ("[tls]\ntcp = \"127.0.0.1:1\"", "tls.certificate"),
        ("[message]\nmessage_bytes_max = 15728641", "message.message_bytes_max: at most 15728640"),
        ("[message]\nmessage_bytes_max = 262144", "access.frame_bytes_max: at least 327680"),
        ("[access]\nhandshake_timeout_seconds = 0", "access.handshake_timeout_seconds: at least 1"),
        ("[app]\nkey = \"k\"\nsecret = \"secret\"", "app.secret: this secret is easily guessed"),
        ("[app]\nkey = \"\"\nsecret = \"dwq8hnZr3cPm51cLxTb0\"", "app.key: "),
        ("[cluster]\nname = \"one\"\nlisten = \":8083\"", "cluster.advertise is not set"),
        ("tcp = \":8081\"\n[cluster]\nname = \"one\"", "advertise.tcp is not set"),
        (
            "[cluster]\nname = \"one\"\nadvertise = \"message-4\"",
            "cluster.advertise: \"message-4\" is nothing to connect to",
        ),
        ("[admin]\nadvertise = \"0.0.0.0:8084\"", "admin.advertise: "),
        ("[advertise]\nws = \"ws://chat.example.com:443\"", "advertise.ws: "),
        (
            "[cluster]\nname = \"one\"\n[cluster.redis]\nforget_window_ms = 0",
            "cluster.redis.forget_window_ms: at least 1000",
        ),
    ] {
        let refused = check(text).unwrap_err();
        assert!(refused.contains(names), "{text}: {refused}");
    }
    let large = "[message]\nmessage_bytes_max = 15728640\n[access]\nframe_bytes_max = 15794176";
    assert!(check(large).unwrap_err().contains("api.body_bytes_max: at least"));
    assert_eq!(check(&format!("{large}\n[api]\nbody_bytes_max = 15728640")), Ok(()));
    assert_eq!(check("http = \":0\"\ntcp = \":0\"\nws = \":0\""), Ok(()));
}

#[test]
fn a_secret_is_never_shown() {
    let app = AppConfig { key: Some("k".into()), secret: Some("hunter2hunter2".into()) };
    assert!(!format!("{app:?}").contains("hunter2"));
}
