//! The whole stack that is given to tests: it answers, and every server of it comes back after a kill.

use std::path::Path;

use anser_sandbox::{Stack, State, wanted};

fn given(variable: &str) -> Option<Stack> {
    let folder = wanted(variable)?;
    let stack = Stack::open(Path::new(&folder), |text| eprintln!("{text}")).expect("a stack that can be read");
    Some(stack.expect("a folder with a stack"))
}

fn down_or_silent(stack: &Stack) -> Vec<(String, State)> {
    let services = stack.status().into_iter().map(|service| (service.name, service.state));
    services.filter(|(_, state)| *state != State::Up).collect()
}

#[test]
fn every_server_comes_back_after_a_kill() {
    let Some(stack) = given("ANSER_TEST_STACK") else {
        return;
    };
    let names: Vec<String> = stack.services().into_iter().map(|service| service.name).collect();
    assert!(
        ["kafka-1", "redis-1", "hbase", "thrift"].iter().all(|one| names.iter().any(|name| name == one)),
        "{names:?}"
    );
    assert_eq!(down_or_silent(&stack), []);
    for name in &names {
        stack.kill(name).unwrap();
        assert!(down_or_silent(&stack).contains(&(name.clone(), State::Down)));
        stack.start(name).unwrap();
    }
    assert_eq!(down_or_silent(&stack), []);
}

#[test]
fn two_of_three_brokers_go_on_without_the_third() {
    let Some(stack) = given("ANSER_TEST_STACK3") else {
        return;
    };
    assert_eq!(down_or_silent(&stack), []);
    stack.pause("kafka-2").unwrap();
    assert_eq!(down_or_silent(&stack), [("kafka-2".to_owned(), State::Paused)]);
    stack.resume("kafka-2").unwrap();
    stack.kill("kafka-3").unwrap();
    assert_eq!(down_or_silent(&stack), [("kafka-3".to_owned(), State::Down)]);
    stack.start("kafka-3").unwrap();
    assert_eq!(down_or_silent(&stack), []);
}
