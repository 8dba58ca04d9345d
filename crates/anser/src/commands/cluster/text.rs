//! A cluster in words.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anser_node::{ClusterView, NodeView};

/// The whole of it; each partition only where that is asked for.
pub(crate) fn of(view: &ClusterView, each_partition: bool) -> String {
    let mut text = String::new();
    // Writing to a text cannot fail.
    write(&mut text, view, each_partition).ok();
    text
}

fn write(text: &mut String, view: &ClusterView, each_partition: bool) -> std::fmt::Result {
    let log = view.log.as_deref().unwrap_or("not known");
    writeln!(text, "cluster {log}\n")?;
    nodes(text, view)?;
    writeln!(text)?;
    partitions(text, view)?;
    if each_partition {
        for one in &view.partitions {
            let is_closed = one.stopped || one.held_back;
            let (owners, stopped) = (one.owners.join(" and "), if is_closed { "  takes nothing in" } else { "" });
            writeln!(
                text,
                "  {:>3}  {owners}  {} to deliver, {} to archive{stopped}",
                one.partition, one.to_apply, one.to_archive
            )?;
        }
    }
    if !view.remarks.is_empty() {
        writeln!(text, "\nto be noted")?;
        view.remarks.iter().try_for_each(|line| writeln!(text, "  {line}"))?;
    }
    if view.is_well() {
        return writeln!(text, "\nall is well");
    }
    writeln!(text, "\nwrong")?;
    view.problems.iter().try_for_each(|line| writeln!(text, "  {line}"))
}

fn nodes(text: &mut String, view: &ClusterView) -> std::fmt::Result {
    if view.nodes.is_empty() {
        return writeln!(text, "no node is alive");
    }
    let width = view.nodes.iter().map(|node| node.name.len()).max().unwrap_or(0);
    let roles = |node: &NodeView| node.roles.join(",");
    let roles_width = view.nodes.iter().map(|node| roles(node).len()).max().unwrap_or(0);
    writeln!(text, "{} nodes", view.nodes.len())?;
    for node in &view.nodes {
        writeln!(
            text,
            "  {:width$}  {:10}  {:roles_width$}  {}  {} terminals  version {}  said so {:.1} s ago",
            node.name,
            state(node),
            roles(node),
            node.address,
            node.connections,
            node.version,
            // Precise enough for a tenth of a second.
            std::time::Duration::from_millis(node.said_ms_ago.max(0).unsigned_abs()).as_secs_f64(),
        )?;
        let cut = node.status.iter().flat_map(|status| &status.peers).filter(|peer| !peer.reached);
        for peer in cut {
            writeln!(text, "  {:width$}  does not reach {}", "", peer.name)?;
        }
    }
    Ok(())
}

fn state(node: &NodeView) -> &'static str {
    match &node.status {
        _ if node.draining => "draining",
        None => "up",
        Some(status) if status.ready => "ready",
        Some(_) => "not ready",
    }
}

fn partitions(text: &mut String, view: &ClusterView) -> std::fmt::Result {
    let (to_apply, to_archive) = view.lag();
    let total = view.partitions_total.map_or_else(|| "?".to_owned(), |total| total.to_string());
    writeln!(
        text,
        "{} of {total} partitions served; {to_apply} records to deliver, {to_archive} to archive",
        view.partitions.len()
    )?;
    let mut shares: BTreeMap<&str, usize> = BTreeMap::new();
    for owner in view.partitions.iter().flat_map(|one| &one.owners) {
        *shares.entry(owner).or_default() += 1;
    }
    shares.into_iter().try_for_each(|(owner, count)| writeln!(text, "  {owner}  {count}"))
}
