//! Puts the configuration together: defaults, then the file, then the environment, then flags. Whatever is not understood
//! is refused with the place where it stands. Opens no port and makes no folder.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::NodeConfig;

/// Variables that begin like settings but are not: they belong to the commands.
const COMMAND_VARIABLES: [&str; 2] = ["ANSER_CONFIG", "ANSER_LOG"];

/// Settings that have no default value, so that the defaults do not show them. All are texts.
const WITHOUT_DEFAULT: [&str; 5] = ["app.key", "app.secret", "tls.certificate", "tls.key", "cluster.redis.password"];

/// Where settings come from, weakest first.
#[derive(Debug, Default)]
pub struct Sources {
    /// The file, if one was named.
    pub file: Option<PathBuf>,
    /// The process's environment. Only names that begin with `ANSER_` count.
    pub environment: Vec<(String, String)>,
    /// What flags say: the setting's name (`tls.certificate`) and its text.
    pub flags: Vec<(String, String)>,
}

/// The configuration, and what looked like a setting but is none.
#[derive(Debug)]
pub struct Loaded {
    /// The checked configuration.
    pub config: NodeConfig,
    /// Variables that begin with `ANSER_` and name no setting. They are not refused, because cluster managers set such
    /// variables by themselves for a service of this name.
    pub unknown_variables: Vec<String>,
}

/// Why there is no configuration. Nothing was opened or written.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A line of the file is wrong.
    #[error("{}:{line}: {message}", path.display())]
    Line {
        /// Which file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        message: String,
    },
    /// A variable or a flag has a value that its setting cannot take.
    #[error("{place}: {message}")]
    Value {
        /// The variable or the setting.
        place: String,
        /// What is wrong with it.
        message: String,
    },
    /// The settings are well-formed but do not fit together.
    #[error("{0}")]
    Unfit(String),
}

impl Sources {
    /// Reads and checks everything. What is returned can be used as it is.
    pub fn load(&self) -> Result<Loaded, ConfigError> {
        let mut table = match &self.file {
            Some(path) => read_file(path)?,
            None => Table::new(),
        };
        let mut unknown_variables = Vec::new();
        for (name, text) in self.environment.iter().filter(|(name, _)| name.starts_with("ANSER_")) {
            if COMMAND_VARIABLES.contains(&name.as_str()) {
                continue;
            }
            match settings().into_iter().find(|setting| setting.variable() == *name) {
                Some(setting) => apply(&mut table, &setting, text, name)?,
                None => unknown_variables.push(name.clone()),
            }
        }
        for (name, text) in &self.flags {
            let setting = settings().into_iter().find(|setting| setting.name == *name);
            let unknown = || ConfigError::Value { place: name.clone(), message: "there is no such setting".to_owned() };
            apply(&mut table, &setting.ok_or_else(unknown)?, text, name)?;
        }
        let config: NodeConfig = Value::Table(table).try_into().map_err(|error: toml::de::Error| unfit(&error))?;
        config.check().map_err(ConfigError::Unfit)?;
        Ok(Loaded { config, unknown_variables })
    }
}

fn unfit(error: &toml::de::Error) -> ConfigError {
    ConfigError::Unfit(error.message().to_owned())
}

/// Reads a file and makes sure that it is a configuration by itself, while its lines are still known.
fn read_file(path: &Path) -> Result<Table, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    let at_line = |error: toml::de::Error| {
        let offset = error.span().map_or(0, |span| span.start);
        let line = 1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count();
        ConfigError::Line { path: path.to_owned(), line, message: error.message().to_owned() }
    };
    toml::from_str::<NodeConfig>(&text).map_err(at_line)?;
    toml::from_str(&text).map_err(at_line)
}

/// One setting: its dotted name, and a value of the kind that it takes.
struct Setting {
    name: String,
    like: Value,
}

impl Setting {
    fn variable(&self) -> String {
        format!("ANSER_{}", self.name.replace('.', "_").to_uppercase())
    }

    /// Reads a text as this setting's kind of value.
    fn parse(&self, text: &str) -> Result<Value, String> {
        let wrong = |kind: &str| format!("{text:?} is not {kind}");
        match &self.like {
            Value::Integer(_) => text.parse().map(Value::Integer).map_err(|_| wrong("a whole number")),
            Value::Boolean(_) => text.parse().map(Value::Boolean).map_err(|_| wrong("true or false")),
            Value::Float(_) => text.parse().map(Value::Float).map_err(|_| wrong("a number")),
            Value::Array(_) => {
                Ok(Value::Array(text.split(',').map(|item| Value::String(item.trim().to_owned())).collect()))
            }
            _ => Ok(Value::String(text.to_owned())),
        }
    }
}

/// All settings there are.
fn settings() -> Vec<Setting> {
    let mut found = Vec::new();
    if let Ok(Value::Table(table)) = Value::try_from(NodeConfig::default()) {
        collect("", &table, &mut found);
    }
    found.extend(
        WITHOUT_DEFAULT.iter().map(|name| Setting { name: (*name).to_owned(), like: Value::String(String::new()) }),
    );
    found
}

fn collect(prefix: &str, table: &Table, found: &mut Vec<Setting>) {
    for (key, value) in table {
        let name = format!("{prefix}{key}");
        match value {
            Value::Table(inner) => collect(&format!("{name}."), inner, found),
            like => found.push(Setting { name, like: like.clone() }),
        }
    }
}

/// Puts one setting into the table, and makes sure that the setting takes the value before it is mixed with the others.
fn apply(table: &mut Table, setting: &Setting, text: &str, place: &str) -> Result<(), ConfigError> {
    let refuse = |message: String| ConfigError::Value { place: place.to_owned(), message };
    let value = setting.parse(text).map_err(refuse)?;
    let mut alone = Table::new();
    insert(&mut alone, &setting.name, value.clone());
    Value::Table(alone).try_into::<NodeConfig>().map_err(|error| refuse(error.message().to_owned()))?;
    insert(table, &setting.name, value);
    Ok(())
}

fn insert(table: &mut Table, name: &str, value: Value) {
    match name.split_once('.') {
        None => {
            table.insert(name.to_owned(), value);
        }
        Some((section, rest)) => {
            let inner = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests;
