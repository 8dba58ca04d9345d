//! Whether a Redis is set up as it has to be.

use std::collections::HashMap;

use redis::{Cmd, Value};

use crate::config::{RedisConfig, RedisDurability, RedisMode};
use crate::error::{CallError, RedisOpenError};
use crate::link::Link;
use crate::store::parse;

/// The oldest version that has all that is used.
const MAJOR_MIN: u32 = 7;

/// Checks each primary, and what may become one.
pub(crate) async fn servers(link: &Link, config: &RedisConfig) -> Result<(), RedisOpenError> {
    let mut info = redis::cmd("INFO");
    info.arg("server");
    for (place, answer) in of_all(link, "INFO", &info).await? {
        check_version(place, &parse::<String>("INFO", answer)?)?;
    }
    let mut settings = redis::cmd("CONFIG");
    settings.arg("GET").arg("appendonly").arg("save").arg("maxmemory-policy");
    for (place, answer) in of_all(link, "CONFIG", &settings).await? {
        let settings = parse("CONFIG", answer)?;
        check_settings(place, &settings, config)?;
    }
    Ok(())
}

async fn of_all(link: &Link, name: &'static str, command: &Cmd) -> Result<Vec<(String, Value)>, CallError> {
    let mut answers = link.on_primaries(name, command).await?;
    answers.extend(link.on_others(command).await);
    Ok(answers)
}

fn check_version(place: String, info: &str) -> Result<(), RedisOpenError> {
    let version = field(info, "redis_version").unwrap_or("unknown").to_owned();
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_some_and(|major| major >= MAJOR_MIN) {
        return Ok(());
    }
    Err(RedisOpenError::Version { place, version })
}

fn check_settings(
    place: String,
    settings: &HashMap<String, String>,
    config: &RedisConfig,
) -> Result<(), RedisOpenError> {
    let setting = |name: &str| settings.get(name).cloned().unwrap_or_default();
    let policy = setting("maxmemory-policy");
    if policy != "noeviction" {
        return Err(RedisOpenError::Evicts { place, policy });
    }
    let (appendonly, save) = (setting("appendonly"), setting("save"));
    // What one primary forgets, it forgets together with the place to replay from. In a cluster that place is elsewhere, and
    // snapshots are further apart than the time that is allowed for forgetting.
    let snapshots_do = config.mode != RedisMode::Cluster && !save.is_empty();
    let keeps = appendonly == "yes" || snapshots_do || config.durability == RedisDurability::MemoryOnly;
    if keeps { Ok(()) } else { Err(RedisOpenError::Forgets { place, appendonly, save }) }
}

/// The value of a field in the answer to INFO.
pub(crate) fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

/// The life of each primary, as the scripts know it.
pub(crate) fn lives(answers: Vec<(String, Value)>) -> Result<Vec<String>, CallError> {
    let mut lives = Vec::with_capacity(answers.len());
    for (place, answer) in answers {
        let info = parse::<String>("INFO", answer)?;
        match (field(&info, "role"), field(&info, "master_replid")) {
            (Some("master"), Some(life)) => lives.push(life.to_owned()),
            _ => return Err(CallError::new("INFO", &place, "it is no primary")),
        }
    }
    lives.sort_unstable();
    Ok(lives)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(appendonly: &str, save: &str, policy: &str) -> HashMap<String, String> {
        let pairs = [("appendonly", appendonly), ("save", save), ("maxmemory-policy", policy)];
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    #[test]
    fn old_versions_are_refused() {
        let version = |version: &str| check_version("here".into(), &format!("# Server\r\nredis_version:{version}\r\n"));
        assert!(version("7.0.15").is_ok() && version("10.1").is_ok());
        for old in ["6.2.14", "", "x"] {
            assert!(matches!(version(old), Err(RedisOpenError::Version { .. })), "{old}");
        }
    }

    #[test]
    fn a_store_that_forgets_or_evicts_is_refused() {
        let config = RedisConfig::default;
        let cluster = || RedisConfig { mode: RedisMode::Cluster, ..config() };
        let forgetful = || RedisConfig { durability: RedisDurability::MemoryOnly, ..config() };
        let check = |settings: &HashMap<String, String>, config: RedisConfig| {
            check_settings("here".into(), settings, &config).map_err(|error| error.to_string())
        };
        let aof = settings("yes", "", "noeviction");
        let snapshots = settings("no", "3600 1", "noeviction");
        let nothing = settings("no", "", "noeviction");
        assert!(check(&aof, config()).is_ok() && check(&aof, cluster()).is_ok());
        assert!(check(&snapshots, config()).is_ok() && check(&snapshots, cluster()).is_err());
        assert!(check(&nothing, config()).is_err() && check(&nothing, forgetful()).is_ok());
        assert!(check(&settings("yes", "", "allkeys-lru"), forgetful()).unwrap_err().contains("allkeys-lru"));
    }

    #[test]
    fn fields_are_found_by_their_whole_names() {
        let info = "role:master\r\nmaster_replid2:0\r\nmaster_replid:abc\r\n";
        assert_eq!((field(info, "master_replid"), field(info, "rol")), (Some("abc"), None));
    }
}
