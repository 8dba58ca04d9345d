//! The simulator itself: runs are good, repeatable, and different seeds differ.

use crate::switch::{Switch, Trial};
use crate::{Run, run};

fn assert_good(run: &Run) {
    assert!(run.is_good(), "seed {}: {}{}\n{}", run.seed, run.report, run.unfinished, run.last_error);
}

#[test]
fn a_seed_reproduces_a_run_exactly() {
    for (seed, trial) in (0..8).flat_map(|seed| [(seed, Trial::Plain), (seed, Trial::Several)]) {
        let (first, second) = (run(seed, trial), run(seed, trial));
        let differs = first.lines.iter().zip(&second.lines).position(|(one, other)| one != other);
        assert_eq!(differs, None, "seed {seed} differs from this event on");
        assert_eq!(first.trace_hash(), second.trace_hash(), "seed {seed}");
    }
}

#[test]
fn different_seeds_are_different_runs() {
    assert_ne!(run(1, Trial::Plain).trace_hash(), run(2, Trial::Plain).trace_hash());
}

#[test]
fn every_promise_is_kept_through_crashes_and_faults() {
    let runs: Vec<Run> = (0..12).map(|seed| run(seed, Trial::Plain)).collect();
    runs.iter().for_each(assert_good);
    assert!(runs.iter().map(|run| run.starts).sum::<usize>() > 12, "the server crashed now and then");
    assert!(runs.iter().all(|run| run.report.acked > 10), "something was said in each");
}

/// The whole zoo takes longer; it is run by itself. These break at the bottom, in the middle, at the top, and between nodes.
#[test]
fn a_broken_rule_is_noticed_and_a_whole_one_is_not() {
    for switch in [Switch::AckBeforeDurable, Switch::MarksIgnored, Switch::DirectWhileBehind, Switch::KeptApart] {
        assert_good(&run(0, Trial::Whole(switch)));
        let caught = (0..10).any(|seed| run(seed, Trial::Broken(switch)).caught(switch).is_some());
        assert!(caught, "{} went unnoticed", switch.name());
    }
}
