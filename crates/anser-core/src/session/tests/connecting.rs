//! Being connected.

use anser_rmtp::frame::ConnAck;
use anser_rmtp::{ClientFrame, ConnAckStatus, DisconnectStatus, ServerFrame};

use super::super::{Effect, Event, LossReason, NavigationFailure, Notice, StopReason};
use super::{Rig, START, connack, me};

fn refused(status: ConnAckStatus) -> ServerFrame {
    ServerFrame::ConnAck(ConnAck::Refused { code: status.code() })
}

fn stops(rig: &Rig) -> Vec<StopReason> {
    rig.notices().filter_map(|n| if let Notice::Stopped(reason) = n { Some(*reason) } else { None }).collect()
}

fn opened(rig: &Rig) -> Vec<&str> {
    rig.effects
        .iter()
        .filter_map(|e| if let Effect::Open { address, .. } = e { Some(address.as_str()) } else { None })
        .collect()
}

#[test]
fn a_session_navigates_connects_and_signs_in() {
    let mut rig = Rig::new(|_| {});
    rig.event(Event::Start);
    assert!(matches!(rig.take().as_slice(), [Effect::Navigate]));
    rig.event(Event::Navigated(vec!["a:1".into()]));
    assert_eq!(opened(&rig), ["a:1"]);
    let link = super::LinkId(1);
    rig.take();
    rig.link = link;
    rig.event(Event::Opened { link });
    let Some(ClientFrame::Connect(connect)) = rig.written().next() else { panic!("no connect") };
    assert_eq!((connect.app_key.as_str(), connect.will.as_str()), ("app", "PC--anser/1"));
    rig.take();
    rig.frame(connack("me", START));
    assert!(rig.session.is_signed_in());
    assert_eq!(rig.session.user(), Some(&me()));
    assert!(matches!(rig.written().next(), Some(ClientFrame::PingReq)));
    assert_eq!(rig.pulls().len(), 1);
}

#[test]
fn the_server_clock_is_estimated_at_the_middle_of_the_sign_in() {
    let mut rig = Rig::new(|_| {});
    rig.event(Event::Start);
    rig.event(Event::Navigated(vec!["a:1".into()]));
    rig.link = super::LinkId(1);
    rig.event(Event::Opened { link: rig.link });
    rig.now = START.plus(200);
    rig.frame(connack("me", START.minus(7_000)));
    assert_eq!(rig.session.clock_offset_ms(), -7_100);
}

#[test]
fn addresses_are_tried_in_turn_and_then_navigation_is_asked_again() {
    let mut rig = Rig::new(|_| {});
    rig.event(Event::Start);
    rig.event(Event::Navigated(vec!["a:1".into(), "b:2".into()]));
    rig.event(Event::Lost { link: super::LinkId(1) });
    rig.pass(5_000);
    assert_eq!(opened(&rig), ["a:1", "b:2"]);
    rig.take();
    rig.pass(1_000);
    assert!(rig.effects.iter().any(|e| matches!(e, Effect::Navigate)));
}

#[test]
fn pauses_between_attempts_double_up_to_a_bound_and_are_jittered() {
    let mut rig = Rig::new(|config| config.reconnect_max_ms = 4_000);
    rig.event(Event::Start);
    let mut pauses = Vec::new();
    for _ in 0..6 {
        rig.event(Event::NavigationFailed(NavigationFailure::Unavailable));
        let at = rig.session.wake_at().unwrap();
        pauses.push(at.since(rig.now));
        rig.pass(at.since(rig.now));
    }
    for (pause, full) in pauses.iter().zip([500, 1_000, 2_000, 4_000, 4_000, 4_000]) {
        assert!((full / 2..=full).contains(pause), "{pauses:?}");
    }
    assert_ne!(pauses[3], pauses[4]);
}

#[test]
fn a_sign_of_life_is_asked_for_every_15_seconds() {
    let mut rig = Rig::synced(|_| {});
    rig.pass_alive(60_000);
    assert_eq!(rig.written().filter(|frame| matches!(frame, ClientFrame::PingReq)).count(), 4);
    assert!(rig.session.is_signed_in());
}

#[test]
fn a_silent_connection_is_given_up_after_45_seconds() {
    let mut rig = Rig::synced(|_| {});
    rig.pass(44_999);
    assert!(rig.session.is_signed_in());
    rig.pass(1);
    assert!(!rig.session.is_signed_in());
    assert!(rig.notices().any(|n| matches!(n, Notice::Disconnected(LossReason::Silent))));
    assert!(rig.effects.iter().any(|e| matches!(e, Effect::Close { .. })));
    rig.pass(1_000);
    assert_eq!(opened(&rig), ["a:1"]);
}

#[test]
fn what_comes_from_an_earlier_connection_is_ignored() {
    let mut rig = Rig::synced(|_| {});
    let old = rig.link;
    rig.reconnect();
    rig.take();
    rig.event(Event::Lost { link: old });
    rig.event(Event::Opened { link: old });
    rig.event(Event::Frame { link: old, frame: ServerFrame::Disconnect { code: 1 } });
    assert!(rig.session.is_signed_in());
    assert!(rig.take().is_empty());
}

#[test]
fn told_why_final_statuses_end_the_session() {
    use DisconnectStatus as D;
    for (status, reason) in [
        (D::Kicked, StopReason::Kicked),
        (D::Blocked, StopReason::Blocked),
        (D::LegacyBlocked, StopReason::Blocked),
        (D::TokenExpired, StopReason::TokenExpired),
        (D::AccountCancelled, StopReason::Ended(9)),
        (D::ProtocolError, StopReason::Ended(8)),
    ] {
        let mut rig = Rig::synced(|_| {});
        rig.frame(ServerFrame::Disconnect { code: status.code() });
        assert_eq!(stops(&rig), [reason]);
        assert_eq!(rig.session.wake_at(), None);
        rig.take();
        rig.event(Event::Start);
        assert!(matches!(rig.take().as_slice(), [Effect::Navigate]), "it may be started again");
    }
    for status in [
        ConnAckStatus::TokenIncorrect,
        ConnAckStatus::TokenExpired,
        ConnAckStatus::UserBlocked,
        ConnAckStatus::AppRejected,
    ] {
        let mut rig = Rig::new(|_| {});
        rig.event(Event::Start);
        rig.event(Event::Navigated(vec!["a:1".into()]));
        rig.link = super::LinkId(1);
        rig.event(Event::Opened { link: rig.link });
        rig.frame(refused(status));
        assert_eq!(stops(&rig), [StopReason::Refused(status.code())]);
    }
    let mut rig = Rig::new(|_| {});
    rig.event(Event::Start);
    rig.event(Event::NavigationFailed(NavigationFailure::Refused(401)));
    assert_eq!(stops(&rig), [StopReason::Navigation(401)]);
}

#[test]
fn a_redirect_asks_navigation_again_and_a_close_comes_back() {
    let mut rig = Rig::synced(|_| {});
    rig.frame(ServerFrame::Disconnect { code: DisconnectStatus::Redirect.code() });
    assert!(!rig.effects.iter().any(|e| matches!(e, Effect::Navigate)), "not all at the same moment");
    rig.pass(500);
    assert!(rig.effects.iter().any(|e| matches!(e, Effect::Navigate)));

    let mut rig = Rig::synced(|_| {});
    rig.frame(ServerFrame::Disconnect { code: DisconnectStatus::ServerClose.code() });
    rig.pass(500);
    assert_eq!(opened(&rig), ["a:1"]);
}

#[test]
fn a_server_that_is_not_available_is_tried_elsewhere() {
    let mut rig = Rig::new(|_| {});
    rig.event(Event::Start);
    rig.event(Event::Navigated(vec!["a:1".into(), "b:2".into()]));
    rig.link = super::LinkId(1);
    rig.event(Event::Opened { link: rig.link });
    rig.frame(refused(ConnAckStatus::Unavailable));
    assert_eq!(opened(&rig), ["a:1", "b:2"]);
}

#[test]
fn signing_out_says_so_to_the_server() {
    let mut rig = Rig::synced(|_| {});
    rig.event(Event::Stop);
    assert!(matches!(rig.written().next(), Some(ClientFrame::Disconnect { status: 4 })));
    assert_eq!(stops(&rig), [StopReason::Asked]);
}
