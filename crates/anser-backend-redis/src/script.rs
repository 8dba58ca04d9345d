//! The scripts, by their hashes: a server that does not know one is sent its text.

use std::fmt::Write as _;

use redis::Script;

macro_rules! text {
    ($($name:literal),+) => {
        concat!(include_str!("scripts/common.lua"), "\n", $(include_str!(concat!("scripts/", $name, ".lua"))),+)
    };
}

/// One script.
#[derive(Debug)]
pub(crate) struct NamedScript {
    pub(crate) name: &'static str,
    pub(crate) text: String,
    script: Script,
}

impl NamedScript {
    pub(crate) fn new(name: &'static str, text: String) -> Self {
        Self { name, script: Script::new(&text), text }
    }

    pub(crate) fn hash(&self) -> &str {
        self.script.get_hash()
    }
}

/// All scripts.
#[derive(Debug)]
pub(crate) struct Scripts {
    pub(crate) apply: NamedScript,
    pub(crate) range: NamedScript,
    pub(crate) head: NamedScript,
    pub(crate) lift: NamedScript,
    pub(crate) list: NamedScript,
    pub(crate) online: NamedScript,
    pub(crate) expire: NamedScript,
    pub(crate) birth: NamedScript,
    pub(crate) commit: NamedScript,
    pub(crate) rebuild: NamedScript,
    pub(crate) sweep: NamedScript,
    pub(crate) announce: NamedScript,
    pub(crate) members: NamedScript,
    pub(crate) leave: NamedScript,
    pub(crate) missing: NamedScript,
    pub(crate) forget: NamedScript,
}

impl Scripts {
    /// `chosen` is for where one of several servers is the primary.
    pub(crate) fn new(chosen: Option<Chosen<'_>>) -> Self {
        let first = first_line(chosen);
        let script = |name, text: &str| NamedScript::new(name, format!("{first}{text}"));
        // The few bytes of a lease are written where there is no memory left for anything else: a full server must not make all
        // nodes vanish.
        let small = |name, text: &str| NamedScript::new(name, format!("#!lua flags=allow-oom\n{first}{text}"));
        Self {
            apply: script("apply", text!("anew", "raise", "back", "apply")),
            range: script("range", text!("raise", "range")),
            head: script("head", text!("head")),
            lift: script("lift", text!("lift")),
            list: script("list", text!("list")),
            online: script("online", text!("online")),
            expire: script("expire", text!("expire")),
            birth: script("birth", text!("birth")),
            commit: script("commit", text!("commit")),
            rebuild: script("rebuild", text!("rebuild")),
            sweep: script("sweep", text!("anew", "sweep")),
            announce: small("announce", text!("leases", "names", "announce")),
            members: small("members", text!("leases", "members")),
            leave: script("leave", text!("leases", "names", "leave")),
            forget: script("forget", text!("leases", "names", "forget")),
            missing: script("missing", text!("leases", "names", "missing")),
        }
    }
}

/// The keys that all scripts know where one of several servers is the primary.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chosen<'a> {
    /// Where a server notes that it is the one that was chosen.
    pub(crate) choice: &'a [u8],
    /// From where partitions are replayed.
    pub(crate) places: &'a [u8],
}

/// The line that tells a script of the choice. It has the keys in itself, byte by byte: whatever the prefix is, it is no code.
fn first_line(chosen: Option<Chosen<'_>>) -> String {
    let Some(Chosen { choice, places }) = chosen else {
        return "local CHOICE, PLACES = nil, nil\n".to_owned();
    };
    let quoted = |key: &[u8]| {
        let mut text = "'".to_owned();
        for byte in key {
            // A text takes whatever is written to it.
            write!(text, "\\{byte:03}").ok();
        }
        text + "'"
    };
    format!("local CHOICE, PLACES = {}, {}\n", quoted(choice), quoted(places))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_no_code() {
        assert_eq!(first_line(None), "local CHOICE, PLACES = nil, nil\n");
        let chosen = Chosen { choice: b"a'\n", places: b"b" };
        assert_eq!(first_line(Some(chosen)), "local CHOICE, PLACES = '\\097\\039\\010', '\\098'\n");
    }
}
