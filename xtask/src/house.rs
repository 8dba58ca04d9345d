//! `cargo xtask house`: the rules of the house that no compiler checks. Each rule returns what speaks against it.

mod layers;
mod links;
mod sources;

use crate::tools;

/// A rule and the places where it is broken.
struct Rule {
    name: &'static str,
    broken: fn() -> anyhow::Result<Vec<String>>,
}

const RULES: [Rule; 8] = [
    Rule { name: "crates depend on each other only as xtask/layers.toml allows", broken: layers::dependencies },
    Rule { name: "every crate takes the lints of the workspace", broken: layers::lints },
    Rule { name: "every file says on top what it is for", broken: sources::undocumented },
    Rule { name: "no file has more than 500 lines, tests aside", broken: sources::long },
    Rule { name: "no unwrap outside tests", broken: sources::unwraps },
    Rule { name: "no ignored test, no sleep in a test, no unfinished mark, no bare allow", broken: sources::forbidden },
    Rule { name: "examples in documentation are tested", broken: layers::untested },
    Rule { name: "every link between documents leads somewhere", broken: links::dead },
];

/// Checks every rule and prints a summary.
pub(crate) fn run() -> anyhow::Result<bool> {
    let mut failed = 0;
    for rule in &RULES {
        let broken = (rule.broken)()?;
        println!("{} {}", if broken.is_empty() { "ok    " } else { "BROKEN" }, rule.name);
        for place in &broken {
            println!("         {place}");
        }
        failed += usize::from(!broken.is_empty());
    }
    println!("{} passed, {failed} failed", RULES.len() - failed);
    Ok(failed == 0)
}

/// The manifests of all crates, with their folders.
fn manifests() -> anyhow::Result<Vec<(std::path::PathBuf, toml::Table)>> {
    let mut found = Vec::new();
    for path in tools::files(&tools::root(), "toml")? {
        if path.file_name().is_some_and(|name| name == "Cargo.toml") {
            let table: toml::Table = toml::from_str(&std::fs::read_to_string(&path)?)?;
            if table.contains_key("package") {
                found.push((path, table));
            }
        }
    }
    Ok(found)
}
