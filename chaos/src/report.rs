//! What a run did and what came of it, as a table.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use anser_testkit::checker::{Promise, Report as Verdict};
use anser_tests::Met;

use crate::fault::{Fault, FaultKind};

/// One fault that is over.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) fault: Fault,
    /// Whether everything that was sent meanwhile was acked in time.
    pub(crate) settled: bool,
    pub(crate) met: Met,
    /// From its beginning until then.
    pub(crate) took: Duration,
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { met, took, .. } = self;
        let settled = if self.settled { "" } else { "; NOT ALL ACKED IN TIME" };
        write!(
            f,
            "{} acked in {:.1} s, waits p50 {}, p99 {}, longest {}; {} refused, {} connections ended, offline for {}{settled}",
            met.waits.len(),
            took.as_secs_f32(),
            shown(met.wait(500)),
            shown(met.wait(990)),
            shown(met.wait(1000)),
            met.refused,
            met.disconnected,
            shown(met.offline)
        )
    }
}

/// The faults of one kind, of nodes of one role.
#[derive(Debug, Default)]
struct OfKind {
    waits: Vec<Duration>,
    acked: usize,
    refused: usize,
    disconnected: usize,
    offline: Duration,
    unsettled: usize,
}

/// A run.
#[derive(Debug)]
pub(crate) struct Report {
    seed: u64,
    baseline: String,
    lasted: Duration,
    /// Whether a fault could not be done, so that the run ended before its time.
    was_stopped: bool,
    kinds: BTreeMap<(FaultKind, Option<String>), OfKind>,
    /// The kinds for which there was no time.
    left_out: Vec<&'static str>,
    /// The nodes that were not there, and nobody had killed them.
    gone: BTreeSet<String>,
}

impl Report {
    pub(crate) const fn new(seed: u64) -> Self {
        Self {
            seed,
            baseline: String::new(),
            lasted: Duration::ZERO,
            was_stopped: false,
            kinds: BTreeMap::new(),
            left_out: Vec::new(),
            gone: BTreeSet::new(),
        }
    }

    /// Notes how it is without faults.
    pub(crate) fn baseline(&mut self, met: &Met) {
        self.baseline = format!("p50 {}, p99 {}", shown(met.wait(500)), shown(met.wait(990)));
        println!("-- without faults: {} acked, waits {}", met.waits.len(), self.baseline);
    }

    /// A fault could not be done.
    pub(crate) const fn stopped(&mut self) {
        self.was_stopped = true;
    }

    /// There was no time for these.
    pub(crate) fn left_out<'a>(&mut self, kinds: impl Iterator<Item = &'a FaultKind>) {
        self.left_out.extend(kinds.map(|kind| kind.name()));
    }

    /// These nodes are not there, and nobody has killed them.
    pub(crate) fn found_gone(&mut self, names: Vec<String>) {
        self.gone.extend(names);
    }

    pub(crate) const fn lasted(&mut self, lasted: Duration) {
        self.lasted = lasted;
    }

    pub(crate) fn add(&mut self, done: Done) {
        let of_kind = self.kinds.entry((done.fault.kind, done.fault.role().map(str::to_owned))).or_default();
        of_kind.waits.push(done.met.wait(1000));
        of_kind.acked += done.met.waits.len();
        of_kind.refused += done.met.refused;
        of_kind.disconnected += done.met.disconnected;
        of_kind.offline = of_kind.offline.max(done.met.offline);
        of_kind.unsettled += usize::from(!done.settled);
    }

    /// Prints all. Returns whether every promise was kept, and what else was awaited came.
    pub(crate) fn print(&mut self, verdict: &Verdict, all_came: bool) -> bool {
        println!(
            "\n| fault | times | acked meanwhile | longest wait: median | worst | refused | connections ended | longest offline |"
        );
        println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
        let (mut unsettled, mut refused_in_order) = (0, 0);
        for ((kind, role), of_kind) in &mut self.kinds {
            of_kind.waits.sort_unstable();
            let middle = of_kind.waits.get(of_kind.waits.len() / 2).copied().unwrap_or_default();
            let worst = of_kind.waits.last().copied().unwrap_or_default();
            let role = role.as_ref().map(|role| format!(": {role}")).unwrap_or_default();
            println!(
                "| {}{role} | {} | {} | {} | {} | {} | {} | {} |",
                kind.what(),
                of_kind.waits.len(),
                of_kind.acked,
                shown(middle),
                shown(worst),
                of_kind.refused,
                of_kind.disconnected,
                shown(of_kind.offline)
            );
            unsettled += of_kind.unsettled;
            refused_in_order += if kind.is_in_order() { of_kind.refused } else { 0 };
        }
        let faults: usize = self.kinds.values().map(|of_kind| of_kind.waits.len()).sum();
        let lost = verdict.count(Promise::NothingLost) + verdict.count(Promise::AckedIsDurable);
        println!(
            "\nseed {}: {faults} faults in {:.0} min; {} acked, {} shown; lost {lost}, twice {}, disordered {}; \
             shown anew as Redis had forgotten it: {}; waits without faults: {}\n",
            self.seed,
            self.lasted.as_secs_f32() / 60.0,
            verdict.acked,
            verdict.shown,
            verdict.count(Promise::NothingTwice),
            verdict.count(Promise::InOrder) + verdict.count(Promise::OneOrder) + verdict.count(Promise::Causal),
            verdict.anew,
            self.baseline
        );
        println!("{verdict}");
        if !self.left_out.is_empty() {
            println!("there was no time for: {}", self.left_out.join(", "));
        }
        if refused_in_order > 0 {
            println!("refused while nodes were restarted in order: {refused_in_order}; it is to be none");
        }
        if !self.gone.is_empty() {
            println!(
                "not there, though nobody had killed them: {}",
                Vec::from_iter(self.gone.iter().map(String::as_str)).join(", ")
            );
        }
        if self.was_stopped {
            println!("a fault could not be done, so that there were no more");
        }
        let all_settled = verdict.settled && unsettled == 0 && all_came && !self.was_stopped;
        let is_good = verdict.is_clean() && all_settled && refused_in_order == 0 && self.gone.is_empty();
        println!("{} passed, {} failed", usize::from(is_good), usize::from(!is_good));
        is_good
    }
}

/// A time as people want to read it.
pub(crate) fn shown(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{} ms", time.as_millis())
    } else {
        format!("{:.1} s", time.as_secs_f32())
    }
}
