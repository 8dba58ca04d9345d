//! The result of a run.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::check::Breaches;
use crate::recorder::{Second, quantile_ms};

/// The result of a run, and its JSON form.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Report {
    /// Which scenario.
    pub scenario: String,
    /// What it connected over.
    pub transport: String,
    /// How long was measured, in seconds.
    pub seconds: f64,
    /// Connections that were held at the same time.
    pub connections: u64,
    /// Messages that were handed to sessions.
    pub sent: u64,
    /// Messages that were acked.
    pub acked: u64,
    /// Messages that came, counted at each receiver.
    pub delivered: u64,
    /// Messages that failed: refused, or without an answer through all resends.
    pub refused: u64,
    /// Connections that were lost while they were wanted.
    pub dropped_connections: u64,
    /// Acked messages a second, over the measured time.
    pub acked_per_second: f64,
    /// Delivered messages a second, over the measured time.
    pub delivered_per_second: f64,
    /// Sign-ins a second.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sign_ins_per_second: Option<f64>,
    /// From due to acked, or from connecting to signed in.
    pub ack_ms: Quantiles,
    /// From due to delivered.
    pub delivery_ms: Quantiles,
    /// From due to delivered to the last receiver of a group.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_delivery_ms: Option<Quantiles>,
    /// Acked messages that a receiver never got.
    pub lost: u64,
    /// Deliveries beyond the first.
    pub twice: u64,
    /// Deliveries after a later message of the same sender.
    pub disordered: u64,
    /// What the server used.
    pub server: ServerCost,
    /// What this tool used.
    pub client: ClientCost,
    /// What happened in each second.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(crate) timeline: Vec<Second>,
    /// The histograms, for putting parts together.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) raw: Option<Raw>,
}

/// Latencies in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Quantiles {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
    /// How many were measured.
    pub count: u64,
}

/// What the server used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct ServerCost {
    /// Its process, if it could be found.
    pub pid: Option<u32>,
    /// CPU time during the measured seconds.
    pub cpu_seconds: Option<f64>,
    /// Memory at the end; of an idle run with all connections there.
    pub rss_bytes: Option<u64>,
    /// Memory that the connections added, for each.
    pub rss_bytes_per_connection: Option<f64>,
}

/// What this tool used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct ClientCost {
    /// CPU time during the measured seconds, over all processes.
    pub cpu_seconds: f64,
}

/// Histograms as values and counts.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Raw {
    pub(crate) ack: Vec<(u64, u64)>,
    pub(crate) delivery: Vec<(u64, u64)>,
    pub(crate) last: Vec<(u64, u64)>,
}

impl Report {
    /// Whether the promises were kept.
    pub const fn is_good(&self) -> bool {
        self.lost == 0 && self.twice == 0 && self.disordered == 0
    }

    pub(crate) const fn set_breaches(&mut self, breaches: Breaches) {
        self.lost = breaches.lost;
        self.twice = breaches.twice;
        self.disordered = breaches.disordered;
    }

    /// The result in a few lines.
    pub fn summary(&self) -> String {
        let quantiles = |name: &str, q: &Quantiles| {
            format!(
                "{name:<14} p50 {:.2} ms   p90 {:.2}   p99 {:.2}   p99.9 {:.2}   max {:.2}\n",
                q.p50, q.p90, q.p99, q.p999, q.max
            )
        };
        let mut text = format!(
            "{} over {}, {:.1} s, {} connections\n",
            self.scenario, self.transport, self.seconds, self.connections
        );
        if let Some(rate) = self.sign_ins_per_second {
            text.push_str(&format!("sign-ins       {rate:.0}/s\n"));
        }
        if self.sent > 0 || self.delivered > 0 {
            text.push_str(&format!(
                "messages       {} sent, {} acked ({:.0}/s), {} delivered ({:.0}/s), {} failed\n",
                self.sent, self.acked, self.acked_per_second, self.delivered, self.delivered_per_second, self.refused
            ));
        }
        for (name, q) in [
            ("ack", Some(&self.ack_ms)),
            ("delivery", Some(&self.delivery_ms)),
            ("last delivery", self.last_delivery_ms.as_ref()),
        ] {
            if let Some(q) = q.filter(|q| q.count > 0) {
                text.push_str(&quantiles(name, q));
            }
        }
        let server = &self.server;
        if let (Some(cpu), Some(rss)) = (server.cpu_seconds, server.rss_bytes) {
            text.push_str(&format!("server         {cpu:.2} s of CPU, {} MB in memory", rss / 1_000_000));
            if let Some(each) = server.rss_bytes_per_connection {
                text.push_str(&format!(", {each:.0} bytes per connection"));
            }
            text.push('\n');
        }
        text.push_str(&format!("this tool      {:.2} s of CPU\n", self.client.cpu_seconds));
        if self.dropped_connections > 0 {
            text.push_str(&format!("connections    {} were lost on the way\n", self.dropped_connections));
        }
        let verdict = if self.is_good() { "nothing lost, nothing twice, all in order" } else { "PROMISES BROKEN" };
        text.push_str(&format!(
            "checker        {verdict}: {} lost, {} twice, {} disordered\n",
            self.lost, self.twice, self.disordered
        ));
        text
    }
}

impl Quantiles {
    pub(crate) fn of(histogram: &Histogram<u64>) -> Self {
        Self {
            p50: quantile_ms(histogram, 0.5),
            p90: quantile_ms(histogram, 0.9),
            p99: quantile_ms(histogram, 0.99),
            p999: quantile_ms(histogram, 0.999),
            max: quantile_ms(histogram, 1.0),
            count: histogram.len(),
        }
    }
}

/// A histogram as values and counts.
pub(crate) fn to_pairs(histogram: &Histogram<u64>) -> Vec<(u64, u64)> {
    histogram.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value())).collect()
}

pub(crate) fn add_pairs(histogram: &mut Histogram<u64>, pairs: &[(u64, u64)]) {
    for &(value, count) in pairs {
        histogram.saturating_record_n(value, count);
    }
}
