//! Rules about the text of source files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::tools;

const LINES_MAX: usize = 500;

/// A source file, split where its tests begin.
struct Source {
    path: PathBuf,
    code: String,
    tests: String,
}

/// All Rust files of the project.
fn sources() -> anyhow::Result<Vec<Source>> {
    let mut texts = Vec::new();
    for path in tools::files(&tools::root(), "rs")? {
        texts.push((path.clone(), std::fs::read_to_string(path)?));
    }
    let tests: BTreeSet<PathBuf> = texts.iter().flat_map(|(path, text)| test_modules(path, text)).collect();
    Ok(texts.into_iter().map(|(path, text)| split(tests.contains(&path), path, text)).collect())
}

/// The files that a file declares as modules for tests alone.
fn test_modules(path: &Path, text: &str) -> Vec<PathBuf> {
    let lib = path.file_name().is_some_and(|name| name == "lib.rs" || name == "main.rs");
    let folder = if lib { path.with_file_name("") } else { path.with_extension("") };
    let declared = text.split("#[cfg(test)]\n").skip(1).filter_map(|rest| {
        let line = rest.lines().next()?.trim_start_matches("pub(crate) ").trim_start_matches("pub(super) ");
        line.strip_prefix("mod ")?.strip_suffix(';')
    });
    declared.map(|name| folder.join(format!("{name}.rs"))).collect()
}

fn split(test: bool, path: PathBuf, text: String) -> Source {
    if test || is_test(&path) {
        return Source { path, code: String::new(), tests: text };
    }
    match text.find("\n#[cfg(test)]\nmod tests {") {
        Some(at) => {
            let (code, tests) = text.split_at(at);
            Source { path, code: code.to_owned(), tests: tests.to_owned() }
        }
        None => Source { path, code: text, tests: String::new() },
    }
}

/// Whether a file holds tests alone.
fn is_test(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "tests.rs") || path.components().any(|part| part.as_os_str() == "tests")
}

/// Files without `//!` at their beginning.
pub(super) fn undocumented() -> anyhow::Result<Vec<String>> {
    let without = |source: &Source| !format!("{}{}", source.code, source.tests).trim_start().starts_with("//!");
    Ok(sources()?.iter().filter(|source| without(source)).map(|source| tools::shown(&source.path)).collect())
}

/// Files that are too long.
pub(super) fn long() -> anyhow::Result<Vec<String>> {
    let lines = |source: &Source| source.code.lines().count();
    let too_long = |source: &Source| lines(source) > LINES_MAX;
    let said = |source: &Source| format!("{}: {} lines", tools::shown(&source.path), lines(source));
    Ok(sources()?.iter().filter(|source| too_long(source)).map(said).collect())
}

/// Calls of unwrap in code that is not a test.
pub(super) fn unwraps() -> anyhow::Result<Vec<String>> {
    Ok(sources()?
        .iter()
        .flat_map(|source| places(source, &source.code, 0, |line| line.contains(concat!(".unwrap", "()"))))
        .collect())
}

/// What has no place in tests, or anywhere.
pub(super) fn forbidden() -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for source in sources()? {
        let first = source.code.lines().count();
        found.extend(places(&source, &source.tests, first, |line| {
            line.contains(concat!("#[", "ignore"))
                || line.contains(concat!("thread::", "sleep("))
                || line.contains(concat!("time::", "sleep("))
        }));
        let everywhere = |line: &str| {
            [
                concat!("TO", "DO"),
                concat!("FIX", "ME"),
                concat!("to", "do!("),
                concat!("unimple", "mented!("),
                concat!("#[", "allow("),
                concat!("#![", "allow("),
            ]
            .iter()
            .any(|mark| line.contains(mark))
        };
        found.extend(places(&source, &source.code, 0, everywhere));
        found.extend(places(&source, &source.tests, first, everywhere));
    }
    Ok(found)
}

fn places(source: &Source, text: &str, before: usize, wrong: impl Fn(&str) -> bool) -> Vec<String> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//") && wrong(line));
    lines.map(|(at, line)| format!("{}:{}: {}", tools::shown(&source.path), before + at + 1, line.trim())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_told_from_code() {
        let text = "//! A.\nfn a() {}\n\n#[cfg(test)]\nmod tests {\n    fn b() { c.unwrap() }\n}\n";
        let source = split(false, PathBuf::from("src/a.rs"), text.to_owned());
        assert_eq!(source.code, "//! A.\nfn a() {}\n");
        assert!(places(&source, &source.tests, 2, |line| line.contains("unwrap"))[0].starts_with("src/a.rs:6:"));
        assert_eq!(split(false, PathBuf::from("src/a/tests.rs"), text.to_owned()).code, "");
        let parent = "mod b;\n#[cfg(test)]\nmod fake;\n";
        assert_eq!(test_modules(Path::new("src/a.rs"), parent), [PathBuf::from("src/a/fake.rs")]);
        assert_eq!(test_modules(Path::new("src/lib.rs"), parent), [PathBuf::from("src/fake.rs")]);
    }
}
