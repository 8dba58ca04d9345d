//! The scripts, by their hashes: a server that does not know one is sent its text.

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
    pub(crate) text: &'static str,
    script: Script,
}

impl NamedScript {
    fn new(name: &'static str, text: &'static str) -> Self {
        Self { name, text, script: Script::new(text) }
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
    pub(crate) raise: NamedScript,
    pub(crate) birth: NamedScript,
    pub(crate) commit: NamedScript,
    pub(crate) rebuild: NamedScript,
    pub(crate) sweep: NamedScript,
    pub(crate) announce: NamedScript,
    pub(crate) members: NamedScript,
}

impl Scripts {
    pub(crate) fn new() -> Self {
        Self {
            apply: NamedScript::new("apply", text!("anew", "apply")),
            range: NamedScript::new("range", text!("range")),
            head: NamedScript::new("head", text!("head")),
            lift: NamedScript::new("lift", text!("lift")),
            list: NamedScript::new("list", text!("list")),
            online: NamedScript::new("online", text!("online")),
            raise: NamedScript::new("raise", text!("raise")),
            birth: NamedScript::new("birth", text!("birth")),
            commit: NamedScript::new("commit", text!("commit")),
            rebuild: NamedScript::new("rebuild", text!("rebuild")),
            sweep: NamedScript::new("sweep", text!("anew", "sweep")),
            announce: NamedScript::new("announce", text!("leases", "announce")),
            members: NamedScript::new("members", text!("leases", "members")),
        }
    }
}
