//! What is measured: latencies as histograms, and what happened in each second.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use hdrhistogram::Histogram;

/// The longest latency that is told apart: ten minutes, in microseconds.
const LATENCY_MAX_US: u64 = 600_000_000;

/// A histogram of microseconds with three digits.
pub(crate) fn new_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_MAX_US, 3).expect("the bounds are fixed and valid")
}

/// Counts since the start; read by the progress line while they grow.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) connected: AtomicU64,
    pub(crate) sent: AtomicU64,
    pub(crate) acked: AtomicU64,
    pub(crate) delivered: AtomicU64,
    /// Failed for good, or without anybody knowing.
    pub(crate) refused: AtomicU64,
    /// Connections that were lost while they were wanted.
    pub(crate) dropped: AtomicU64,
}

impl Counts {
    pub(crate) fn bump(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn get(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }
}

/// A latency and its distribution, over the whole measured time and over the current second.
#[derive(Debug)]
pub(crate) struct Latency {
    pub(crate) all: Histogram<u64>,
    second: Histogram<u64>,
}

impl Latency {
    fn new() -> Self {
        Self { all: new_histogram(), second: new_histogram() }
    }

    fn record(&mut self, us: u64, counts: bool) {
        let us = us.clamp(1, LATENCY_MAX_US);
        self.second.saturating_record(us);
        if counts {
            self.all.saturating_record(us);
        }
    }

    fn take_second(&mut self) -> [f64; 2] {
        let p = [quantile_ms(&self.second, 0.5), quantile_ms(&self.second, 0.99)];
        self.second.reset();
        p
    }
}

/// What happened in one second.
#[derive(Debug, Clone, Copy, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Second {
    pub(crate) sent: u64,
    pub(crate) acked: u64,
    pub(crate) delivered: u64,
    pub(crate) ack_p50_ms: f64,
    pub(crate) ack_p99_ms: f64,
    pub(crate) delivery_p50_ms: f64,
    pub(crate) delivery_p99_ms: f64,
}

impl Second {
    /// Adds the same second of another process. Latencies cannot be added; the worse ones stand.
    pub(crate) const fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.acked += other.acked;
        self.delivered += other.delivered;
        self.ack_p50_ms = self.ack_p50_ms.max(other.ack_p50_ms);
        self.ack_p99_ms = self.ack_p99_ms.max(other.ack_p99_ms);
        self.delivery_p50_ms = self.delivery_p50_ms.max(other.delivery_p50_ms);
        self.delivery_p99_ms = self.delivery_p99_ms.max(other.delivery_p99_ms);
    }
}

/// Everything that the terminals of a process write to.
#[derive(Debug)]
pub(crate) struct Recorder {
    pub(crate) counts: Counts,
    latencies: Mutex<Latencies>,
    /// Latencies of messages due from here to there count.
    measured_from_us: AtomicU64,
    measured_to_us: AtomicU64,
}

#[derive(Debug)]
struct Latencies {
    ack: Latency,
    delivery: Latency,
    /// Of a message with many receivers: until the last of them had it.
    last: Latency,
}

/// The histograms of a run.
#[derive(Debug)]
pub(crate) struct Histograms {
    pub(crate) ack: Histogram<u64>,
    pub(crate) delivery: Histogram<u64>,
    pub(crate) last: Histogram<u64>,
}

impl Recorder {
    pub(crate) fn new() -> Self {
        let latencies = Latencies { ack: Latency::new(), delivery: Latency::new(), last: Latency::new() };
        Self {
            counts: Counts::default(),
            latencies: Mutex::new(latencies),
            measured_from_us: AtomicU64::new(0),
            measured_to_us: AtomicU64::new(u64::MAX),
        }
    }

    pub(crate) fn measure_between(&self, from_us: u64, to_us: u64) {
        self.measured_from_us.store(from_us, Ordering::Relaxed);
        self.measured_to_us.store(to_us, Ordering::Relaxed);
    }

    /// A message that was due then is acked now.
    pub(crate) fn acked(&self, due_us: u64, now_us: u64) {
        Counts::bump(&self.counts.acked);
        self.record(due_us, now_us, |latencies| &mut latencies.ack);
    }

    /// A message that was due then came to a receiver now.
    pub(crate) fn delivered(&self, due_us: u64, now_us: u64) {
        Counts::bump(&self.counts.delivered);
        self.record(due_us, now_us, |latencies| &mut latencies.delivery);
    }

    /// A message that was due then came to its last receiver now.
    pub(crate) fn delivered_to_all(&self, due_us: u64, now_us: u64) {
        self.record(due_us, now_us, |latencies| &mut latencies.last);
    }

    pub(crate) fn take_second(&self, before: &Second) -> Second {
        let Ok(mut latencies) = self.latencies.lock() else {
            return Second::default();
        };
        let [ack_p50_ms, ack_p99_ms] = latencies.ack.take_second();
        let [delivery_p50_ms, delivery_p99_ms] = latencies.delivery.take_second();
        latencies.last.take_second();
        let since = |counter, before: u64| Counts::get(counter).saturating_sub(before);
        Second {
            sent: since(&self.counts.sent, before.sent),
            acked: since(&self.counts.acked, before.acked),
            delivered: since(&self.counts.delivered, before.delivered),
            ack_p50_ms,
            ack_p99_ms,
            delivery_p50_ms,
            delivery_p99_ms,
        }
    }

    pub(crate) fn histograms(&self) -> Histograms {
        let Ok(latencies) = self.latencies.lock() else {
            return Histograms { ack: new_histogram(), delivery: new_histogram(), last: new_histogram() };
        };
        Histograms {
            ack: latencies.ack.all.clone(),
            delivery: latencies.delivery.all.clone(),
            last: latencies.last.all.clone(),
        }
    }

    fn record(&self, due_us: u64, now_us: u64, of: impl FnOnce(&mut Latencies) -> &mut Latency) {
        let from = self.measured_from_us.load(Ordering::Relaxed);
        let counts = due_us >= from && due_us < self.measured_to_us.load(Ordering::Relaxed);
        // A poisoned lock means that a thread panicked; the run is over anyway.
        if let Ok(mut latencies) = self.latencies.lock() {
            of(&mut latencies).record(now_us.saturating_sub(due_us), counts);
        }
    }
}

/// A quantile in milliseconds; 0 where nothing was measured.
#[expect(clippy::cast_precision_loss, reason = "a latency in microseconds is far below 2^52")]
pub(crate) fn quantile_ms(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    if histogram.is_empty() { 0.0 } else { histogram.value_at_quantile(quantile) as f64 / 1000.0 }
}
