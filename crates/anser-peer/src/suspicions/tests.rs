//! Who is suspected of what, and for how long.

use super::*;
use crate::routes::tests::member;

const COUNTS: Duration = Duration::from_secs(3);
const ONE: NodeId = NodeId(1 << 32);
const TWO: NodeId = NodeId(2 << 32);

fn suspects(silent: &[NodeId], gone: &[NodeId]) -> Suspects {
    Suspects { silent: silent.iter().copied().collect(), gone: gone.iter().copied().collect() }
}

#[test]
fn whoever_is_silent_is_not_gone_and_whoever_answers_is_neither() {
    let (mut suspicions, both, now) = (Suspicions::default(), [member(1), member(2)], Instant::now());
    suspicions.suspect(ONE, false, now);
    suspicions.suspect(TWO, true, now);
    assert_eq!(suspicions.among(&both, now, COUNTS), suspects(&[ONE, TWO], &[TWO]));
    assert!(suspicions.trust(TWO) && !suspicions.trust(TWO), "the second time it is nothing new");
    assert_eq!(suspicions.among(&both, now, COUNTS), suspects(&[ONE], &[]));
}

#[test]
fn a_refusal_counts_from_the_first_one_and_for_a_while() {
    let (mut suspicions, one, now) = (Suspicions::default(), [member(1)], Instant::now());
    let (later, end) = (now + Duration::from_secs(2), now + COUNTS);
    suspicions.suspect(ONE, false, now - COUNTS);
    suspicions.suspect(ONE, true, now);
    suspicions.suspect(ONE, true, later);
    suspicions.suspect(ONE, false, later);
    assert_eq!(suspicions.among(&one, later, COUNTS), suspects(&[ONE], &[ONE]));
    assert_eq!(
        suspicions.among(&one, end, COUNTS),
        suspects(&[ONE], &[]),
        "it announces itself: somebody else refuses"
    );
}

#[test]
fn nobody_is_suspected_who_has_left_the_list() {
    let (mut suspicions, now) = (Suspicions::default(), Instant::now());
    suspicions.suspect(ONE, true, now);
    assert_eq!(suspicions.among(&[member(2)], now, COUNTS), suspects(&[], &[]));
    assert!(suspicions.is_empty());
    assert_eq!(suspicions.among(&[member(1)], now, COUNTS), suspects(&[], &[]), "it came back");
}
