//! Which crate may depend on which, and that each takes the workspace's lints.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use toml::{Table, Value};

use super::manifests;
use crate::tools;

/// Dependencies that the table does not allow, and crates that it does not know.
pub(super) fn dependencies() -> anyhow::Result<Vec<String>> {
    let path = tools::root().join("xtask/layers.toml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let allowed: BTreeMap<String, Vec<String>> = toml::from_str(&text)?;
    Ok(against(&allowed, &internal()?))
}

/// Each crate of this project, with those of the project that it depends on outside its tests.
fn internal() -> anyhow::Result<BTreeMap<String, BTreeSet<String>>> {
    let mut found = BTreeMap::new();
    for (_, manifest) in manifests()? {
        let Some(name) = name(&manifest) else {
            continue;
        };
        let needed = manifest.get("dependencies").and_then(Value::as_table);
        let ours = needed.into_iter().flat_map(Table::keys).filter(|key| key.starts_with("anser"));
        found.insert(name.to_owned(), ours.cloned().collect());
    }
    Ok(found)
}

fn against(allowed: &BTreeMap<String, Vec<String>>, found: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let mut broken = Vec::new();
    for (name, needed) in found {
        let Some(allowed) = allowed.get(name) else {
            broken.push(format!("{name} is not in xtask/layers.toml"));
            continue;
        };
        for other in needed.iter().filter(|other| !allowed.contains(other)) {
            broken.push(format!("{name} must not depend on {other}"));
        }
    }
    let gone = allowed.keys().filter(|name| !found.contains_key(*name));
    broken.extend(gone.map(|name| format!("{name} is in xtask/layers.toml and nowhere else")));
    broken
}

/// Crates without the workspace's lints.
pub(super) fn lints() -> anyhow::Result<Vec<String>> {
    let takes = |manifest: &Table| flag(manifest, "lints", "workspace").unwrap_or_default();
    let without = manifests()?.into_iter().filter(|(_, manifest)| !takes(manifest));
    Ok(without.map(|(path, _)| tools::shown(&path)).collect())
}

/// Examples in the documentation of crates that do not test them. Looking for some takes as long as a crate's other tests together.
pub(super) fn untested() -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for (path, _) in manifests()?.iter().filter(|(_, manifest)| flag(manifest, "lib", "doctest") == Some(false)) {
        for source in tools::files(&path.with_file_name("src"), "rs")? {
            if has_example(&std::fs::read_to_string(&source)?) {
                found.push(tools::shown(&source));
            }
        }
    }
    Ok(found)
}

/// Whether there is code in the documentation that could be run: in a block that is not said to be something else.
fn has_example(text: &str) -> bool {
    let fences = text.lines().filter_map(|line| {
        let documentation = line.trim_start().strip_prefix("//!").or_else(|| line.trim_start().strip_prefix("///"));
        documentation?.trim().strip_prefix("```")
    });
    fences.step_by(2).any(|kind| kind != "text")
}

fn flag(manifest: &Table, section: &str, name: &str) -> Option<bool> {
    manifest.get(section)?.get(name)?.as_bool()
}

fn name(manifest: &Table) -> Option<&str> {
    manifest.get("package")?.get("name")?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_is_told_from_a_drawing() {
        assert!(has_example("//! ```\n//! let a = 1;\n//! ```\n"));
        assert!(has_example("    /// ```text\n    /// a\n    /// ```\n    /// ```no_run\n"));
        assert!(!has_example("//! ```text\n//! a → b\n//! ```\nfn a() {}\n"));
    }

    #[test]
    fn an_arrow_that_points_up_is_found() {
        let allowed = BTreeMap::from([("role".to_owned(), vec!["types".to_owned()]), ("gone".to_owned(), vec![])]);
        let found = BTreeMap::from([
            ("role".to_owned(), BTreeSet::from(["types".to_owned(), "adapter".to_owned()])),
            ("new".to_owned(), BTreeSet::new()),
        ]);
        assert_eq!(
            against(&allowed, &found),
            [
                "new is not in xtask/layers.toml",
                "role must not depend on adapter",
                "gone is in xtask/layers.toml and nowhere else"
            ]
        );
    }
}
