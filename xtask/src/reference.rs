//! `cargo xtask reference`: the settings reference, made of the defaults as the server prints them and of the documentation
//! of the settings in the source. So it cannot say what the code does not.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;
use toml::{Table, Value};

use crate::tools;

const ROOT: &str = "NodeConfig";
const HEAD: &str = "\
# All settings of a node, with their defaults and what they mean. Every one may be left out.
# A setting is also the variable ANSER_ and its name in capitals: `http` is ANSER_HTTP, `tls.key` is ANSER_TLS_KEY.
# Flags of `anser serve` win over variables, variables over the file, the file over the defaults.
# This file is generated: change the documentation of the settings in the source, then `cargo xtask reference --write`.
";
const WIDTH: usize = 116;

/// The settings structs of all crates, by name.
type Structs = BTreeMap<String, Struct>;

/// A settings struct, as its source has it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Struct {
    docs: Vec<String>,
    fields: Vec<Field>,
}

#[derive(Debug, PartialEq, Eq)]
struct Field {
    name: String,
    /// The last name of its type, without what is around it.
    kind: String,
    docs: Vec<String>,
}

/// Whether the file is what would be generated.
pub(crate) fn check() -> anyhow::Result<bool> {
    let (path, wanted) = generate()?;
    let good = std::fs::read_to_string(&path).unwrap_or_default() == wanted;
    if !good {
        println!("{} is not what the code says; cargo xtask reference --write makes it so", tools::shown(&path));
    }
    Ok(good)
}

/// Generates the file.
pub(crate) fn write() -> anyhow::Result<bool> {
    let (path, wanted) = generate()?;
    std::fs::write(&path, wanted)?;
    println!("{} is written; build again for `anser config reference` to print it", tools::shown(&path));
    Ok(true)
}

fn generate() -> anyhow::Result<(PathBuf, String)> {
    let server = tools::build_server()?;
    let mut command = Command::new(server);
    let output = command.args(["config", "show"]).env_clear().output().context("cannot run the server")?;
    anyhow::ensure!(
        output.status.success(),
        "the server does not show its settings: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let defaults: Table = toml::from_str(std::str::from_utf8(&output.stdout)?)?;
    let mut structs = Structs::new();
    for path in tools::files(&tools::root().join("crates"), "rs")? {
        read_structs(&std::fs::read_to_string(path)?, &mut structs);
    }
    let mut text = HEAD.to_owned();
    section(&structs, ROOT, "", &defaults, &mut text)?;
    Ok((tools::root().join("config/reference.toml"), text))
}

/// Writes the settings of one struct, and after them those of its sections.
fn section(structs: &Structs, name: &str, path: &str, defaults: &Table, text: &mut String) -> anyhow::Result<()> {
    let found = structs.get(name).with_context(|| format!("no struct {name} in the source"))?;
    let mut sections = Vec::new();
    for field in &found.fields {
        match defaults.get(&field.name) {
            Some(Value::Table(inner)) => sections.push((field, inner)),
            default => setting(field, default, text),
        }
    }
    for (field, inner) in sections {
        let path = if path.is_empty() { field.name.clone() } else { format!("{path}.{}", field.name) };
        let docs = structs.get(&field.kind).map(|found| found.docs.as_slice()).unwrap_or_default();
        text.push('\n');
        comment(docs, text);
        text.push_str(&format!("[{path}]\n"));
        section(structs, &field.kind, &path, inner, text)?;
    }
    Ok(())
}

fn setting(field: &Field, default: Option<&Value>, text: &mut String) {
    text.push('\n');
    comment(&field.docs, text);
    match default {
        Some(value) => text.push_str(&format!("{} = {value}\n", field.name)),
        None => text.push_str(&format!("# {} = \"\"\n", field.name)),
    }
}

/// Writes documentation as a comment, wrapped anew.
fn comment(docs: &[String], text: &mut String) {
    let mut line = String::from("#");
    for word in docs.iter().flat_map(|line| line.split_whitespace()) {
        if line.len() + 1 + word.len() > WIDTH {
            text.push_str(&line);
            text.push('\n');
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    text.push_str(&line);
    text.push('\n');
}

/// Finds the settings structs of a source file: those whose name ends in `Config`.
fn read_structs(source: &str, structs: &mut Structs) {
    let mut docs = Vec::new();
    let mut skipped = false;
    let mut open: Option<(String, Struct)> = None;
    for line in source.lines().map(str::trim) {
        if let Some(doc) = line.strip_prefix("///") {
            docs.push(doc.trim().to_owned());
        } else if let Some((name, found)) = &mut open {
            if line == "}" {
                structs.insert(std::mem::take(name), std::mem::take(found));
                open = None;
            } else if line == "#[serde(skip)]" {
                skipped = true;
            } else if let Some((name, kind)) = line.strip_prefix("pub ").and_then(|rest| rest.split_once(": ")) {
                let docs = std::mem::take(&mut docs);
                // What is not read from the file is no setting.
                if !std::mem::take(&mut skipped) {
                    found.fields.push(Field { name: name.to_owned(), kind: last_name(kind), docs });
                }
            }
        } else if let Some(name) = line.strip_prefix("pub struct ").and_then(|rest| rest.strip_suffix(" {")) {
            let docs = std::mem::take(&mut docs);
            open = name.ends_with("Config").then(|| (name.to_owned(), Struct { docs, fields: Vec::new() }));
        } else if !line.starts_with("#[") {
            docs.clear();
        }
    }
}

fn last_name(kind: &str) -> String {
    let kind = kind.trim_end_matches(',');
    kind.rsplit("::").next().unwrap_or(kind).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "
/// Not about settings.
pub struct Other {
    pub a: u8,
}

/// All of it.
#[derive(Debug)]
pub struct NodeConfig {
    /// How many there
    /// are.
    pub count: usize,
    /// Given or not.
    #[serde(default)]
    pub name: Option<String>,
    /// A part.
    pub part: inner::PartConfig,
}

/// The part's settings.
pub struct PartConfig {
    /// On or off.
    pub on: bool,
    /// Of no concern to operators.
    #[serde(skip)]
    pub wired: usize,
}
";

    #[test]
    fn defaults_get_the_documentation_of_the_source() {
        let mut structs = Structs::new();
        read_structs(SOURCE, &mut structs);
        assert_eq!(structs.keys().collect::<Vec<_>>(), ["NodeConfig", "PartConfig"]);
        let defaults: Table = toml::from_str("count = 3\n[part]\non = true\n").unwrap();
        let mut text = String::new();
        section(&structs, ROOT, "", &defaults, &mut text).unwrap();
        let wanted = "\n# How many there are.\ncount = 3\n\n# Given or not.\n# name = \"\"\n\
                      \n# The part's settings.\n[part]\n\n# On or off.\non = true\n";
        assert_eq!(text, wanted);
    }

    #[test]
    fn long_documentation_is_wrapped() {
        let mut text = String::new();
        comment(&[vec!["word"; 40].join(" ")], &mut text);
        assert_eq!(text.lines().count(), 2);
        assert!(text.lines().all(|line| line.len() <= WIDTH && line.starts_with("# word")));
    }
}
