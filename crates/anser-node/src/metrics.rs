//! The metrics of a node: those of its roles under one roof, and what is known of the process itself.

use std::fmt;

use anser_runtime::metrics::{Gauges, Looked, Looks, Registry};
use parking_lot::RwLock;

/// What all metrics of this program begin with.
const PREFIX: &str = "anser";

/// See the module.
pub(crate) struct Metrics(RwLock<Registry>);

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// Those that every node has.
    pub(crate) fn new() -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Looked(process)));
        let ours = registry.sub_registry_with_prefix(PREFIX);
        let build = Gauges::default();
        build.get_or_create(&[("version", env!("CARGO_PKG_VERSION"))]).set(1);
        ours.register("build_info", "The program that runs", build);
        Self(RwLock::new(registry))
    }

    /// Adds those of a part. Their names get the prefix.
    pub(crate) fn add(&self, register: impl FnOnce(&mut Registry)) {
        register(self.0.write().sub_registry_with_prefix(PREFIX));
    }

    /// All of them, as Prometheus reads them.
    pub(crate) fn text(&self) -> Result<String, fmt::Error> {
        anser_runtime::metrics::text(&self.0.read())
    }
}

/// What the system says of the process, under the names that exporters use.
fn process(looks: &mut Looks<'_>) -> fmt::Result {
    if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
        looks.gauge("process_open_fds", "Files and sockets that are open", count(files.count()))?;
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if let Some(kilobytes) = kilobytes(&status, "VmRSS:") {
        looks.gauge("process_resident_memory_bytes", "Memory in use", kilobytes * 1024.0)?;
    }
    Ok(())
}

fn kilobytes(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// A number of things as a metric has it.
pub(crate) fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use anser_runtime::metrics::Counter;

    use super::*;

    #[test]
    fn metrics_of_parts_stand_beside_those_of_the_process() {
        let metrics = Metrics::new();
        let counted: Counter = Counter::default();
        metrics.add(|registry| registry.register("things", "Things", counted.clone()));
        counted.inc_by(3);
        let text = metrics.text().unwrap();
        for line in
            ["anser_things_total 3", "process_open_fds ", "anser_build_info{version=", "process_resident_memory_bytes "]
        {
            assert!(text.lines().any(|one| one.starts_with(line)), "{line} is missing in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
