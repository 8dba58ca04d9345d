//! What is measured. Each crate keeps its own metrics, in a file `metrics.rs`, and says there what they are called.
//!
//! A metric is made with the part that it belongs to and counts whether anybody looks or not: an atomic addition, or a short lock
//! that nobody else holds. Labels take few values, all of them known beforehand: never a user, a conversation or an app.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;

pub use prometheus_client::metrics::counter::Counter;
pub use prometheus_client::metrics::gauge::Gauge;
pub use prometheus_client::metrics::histogram::Histogram;
pub use prometheus_client::registry::Registry;

/// A label and its value.
pub type Label = [(&'static str, &'static str); 1];
/// One counter for each value of a label.
pub type Counters = Family<Label, Counter>;
/// One gauge for each value of a label.
pub type Gauges = Family<Label, Gauge>;

/// The bounds of durations, in seconds: from what memory takes to what a client waits for.
const DURATIONS: [f64; 14] = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 30.0];

/// A histogram of durations in seconds.
pub fn durations() -> Histogram {
    Histogram::new(DURATIONS)
}

/// All metrics of a registry, in the form that Prometheus reads.
pub fn text(registry: &Registry) -> Result<String, fmt::Error> {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, registry)?;
    Ok(text)
}

/// The type of an answer that holds it.
pub const TEXT_FORM: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A metric that somebody else keeps: it is read when somebody looks.
pub struct Looked<T: Fn(&mut Looks<'_>) -> fmt::Result>(pub T);

impl<T: Fn(&mut Looks<'_>) -> fmt::Result> fmt::Debug for Looked<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Looked")
    }
}

impl<T: Fn(&mut Looks<'_>) -> fmt::Result + Send + Sync + 'static> Collector for Looked<T> {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        (self.0)(&mut Looks(encoder))
    }
}

/// Where what was looked up is written.
pub struct Looks<'a>(DescriptorEncoder<'a>);

impl fmt::Debug for Looks<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Looks")
    }
}

impl Looks<'_> {
    /// What is so much now.
    pub fn gauge(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        let gauge = ConstGauge::new(value);
        let encoder = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        gauge.encode(encoder)
    }

    /// What is so much now, for each value of a label.
    pub fn gauges(
        &mut self,
        name: &str,
        help: &str,
        label: &'static str,
        values: impl IntoIterator<Item = (String, f64)>,
    ) -> fmt::Result {
        let mut encoder = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (value_of_label, value) in values {
            let label = [(label, value_of_label)];
            ConstGauge::new(value).encode(encoder.encode_family(&label)?)?;
        }
        Ok(())
    }

    /// What has happened so often since the start.
    pub fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let encoder = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        ConstCounter::new(value).encode(encoder)
    }
}
