//! The verdict: which promises were broken, by which events.

use std::collections::BTreeMap;
use std::fmt;

use super::table::Tables;

/// What is promised to whoever uses the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Promise {
    /// What was acked is in the log, whatever is killed afterwards.
    AckedIsDurable,
    /// What was acked reaches every timeline that it is for, and history.
    NothingLost,
    /// A resend is recognised, and nothing is shown twice.
    NothingTwice,
    /// Messages arrive in the order in which they were sent; sent times and positions rise.
    InOrder,
    /// Everybody sees one order of a conversation, and running numbers have no holes.
    OneOrder,
    /// A reply never sorts before what it answers.
    Causal,
    /// Nothing becomes visible at or below a cursor that a client may hold.
    NoGap,
    /// No two messages share a UID.
    UniqueIds,
    /// Nobody is shown what is not addressed to them.
    OneWayIn,
    /// Every request ends with an answer, and a refusal has a documented status.
    ToldWhy,
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AckedIsDurable => "acked-is-durable",
            Self::NothingLost => "nothing-lost",
            Self::NothingTwice => "nothing-twice",
            Self::InOrder => "in-order",
            Self::OneOrder => "one-order",
            Self::Causal => "causal",
            Self::NoGap => "no-gap",
            Self::UniqueIds => "unique-ids",
            Self::OneWayIn => "one-way-in",
            Self::ToldWhy => "told-why",
        })
    }
}

/// A broken promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which promise.
    pub promise: Promise,
    /// What happened, in words.
    pub what: String,
    /// The events that show it, by their places in the trace from 0.
    pub events: Vec<usize>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} (events {:?})", self.promise, self.what, self.events)
    }
}

/// The verdict on one trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The violations, by promise; of many of one promise only the first are here.
    pub violations: Vec<Violation>,
    /// How often each promise was broken.
    pub counts: BTreeMap<Promise, usize>,
    /// How many events were read.
    pub events: usize,
    /// How many messages were acked.
    pub acked: usize,
    /// How many times a message was shown.
    pub shown: usize,
    /// How many times a message was shown again, or after a newer one, and that was right: the store had forgotten something.
    pub anew: usize,
    /// Whether the trace said that everything had settled, so that what is missing was judged too.
    pub settled: bool,
}

impl Report {
    /// Whether no promise was broken.
    pub fn is_clean(&self) -> bool {
        self.counts.is_empty()
    }

    /// How often a promise was broken.
    pub fn count(&self, promise: Promise) -> usize {
        self.counts.get(&promise).copied().unwrap_or(0)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settled = if self.settled { "" } else { ", not settled" };
        write!(f, "{} events, {} acked, {} shown{settled}", self.events, self.acked, self.shown)?;
        for (promise, count) in &self.counts {
            write!(f, "\n{promise} broken {count} times")?;
        }
        self.violations.iter().try_for_each(|v| write!(f, "\n  {v}"))
    }
}

/// Collects violations, keeping only the first of each promise.
#[derive(Debug)]
pub(super) struct Violations {
    kept_max: usize,
    kept: BTreeMap<Promise, Vec<Violation>>,
    counts: BTreeMap<Promise, usize>,
}

impl Violations {
    pub(super) const fn new(kept_max: usize) -> Self {
        Self { kept_max, kept: BTreeMap::new(), counts: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, promise: Promise, events: &[usize], what: String) {
        *self.counts.entry(promise).or_default() += 1;
        let kept = self.kept.entry(promise).or_default();
        if kept.len() < self.kept_max {
            kept.push(Violation { promise, what, events: events.to_vec() });
        }
    }

    pub(super) fn report(self, events: usize, tables: &Tables) -> Report {
        Report {
            violations: self.kept.into_values().flatten().collect(),
            counts: self.counts,
            events,
            acked: tables.messages.iter().filter(|m| m.acked.is_some()).count(),
            shown: tables.shown,
            anew: tables.anew,
            settled: tables.quiet.is_some(),
        }
    }
}
