//! Links between the project's documents.

use std::path::Path;

use crate::tools;

/// Links to files that are not there. Addresses of other sites are not looked at.
pub(super) fn dead() -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for path in tools::files(&tools::root(), "md")? {
        let text = std::fs::read_to_string(&path)?;
        let folder = path.parent().unwrap_or_else(|| Path::new("."));
        for (at, line) in text.lines().enumerate() {
            for link in links(line).filter(|link| !folder.join(link).exists()) {
                found.push(format!("{}:{}: {link}", tools::shown(&path), at + 1));
            }
        }
    }
    Ok(found)
}

/// The local targets of the `[text](target)` links of a line.
fn links(line: &str) -> impl Iterator<Item = &str> {
    let targets = line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
    let files = targets.map(|target| target.split('#').next().unwrap_or_default());
    files.filter(|target| !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_links_are_found_and_others_left_alone() {
        let line = "See [a](docs/a.md), [b](https://b.example/x) and [c](../c.md#there), [d](#here).";
        assert_eq!(links(line).collect::<Vec<_>>(), ["docs/a.md", "../c.md"]);
    }
}
