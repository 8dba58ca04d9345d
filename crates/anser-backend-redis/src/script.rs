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
    /// `choice` is where a server notes that it is the primary that was chosen, if one has to be.
    pub(crate) fn new(choice: Option<&[u8]>) -> Self {
        let first = first_line(choice);
        let script = |name, text: &str| NamedScript::new(name, format!("{first}{text}"));
        // The few bytes of a lease are written where there is no memory left for anything else: a full server must not make all
        // nodes vanish.
        let small = |name, text: &str| NamedScript::new(name, format!("#!lua flags=allow-oom\n{first}{text}"));
        Self {
            apply: script("apply", text!("anew", "raise", "apply")),
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

/// The line that tells a script of the choice. It has the key in itself, byte by byte: whatever the prefix is, it is no code.
fn first_line(choice: Option<&[u8]>) -> String {
    let Some(key) = choice else {
        return "local CHOICE = nil\n".to_owned();
    };
    let mut line = "local CHOICE = '".to_owned();
    for byte in key {
        // A text takes whatever is written to it.
        write!(line, "\\{byte:03}").ok();
    }
    line + "'\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_no_code() {
        assert_eq!(first_line(None), "local CHOICE = nil\n");
        assert_eq!(first_line(Some(b"a'\n")), "local CHOICE = '\\097\\039\\010'\n");
    }
}
