//! The table of scripts. A script is a file in `lua/`; its header is its contract, and the tests below
//! hold the file to it.

use std::sync::LazyLock;

use redis::Script;

/// A script, put together from its parts.
pub(crate) struct Lua {
    #[cfg(test)]
    pub(crate) name: &'static str,
    /// What is being done, where it fails.
    pub(crate) action: &'static str,
    pub(crate) code: &'static str,
    hash: LazyLock<String>,
}

impl Lua {
    /// The name that the server knows it by once it is loaded.
    pub(crate) fn hash(&self) -> &str {
        &self.hash
    }
}

/// `NAME = "file", allowed or refused when Redis is at its memory limit, [parts it uses];`
macro_rules! scripts {
    (@flag oom_allowed) => { "#!lua flags=allow-oom\n" };
    (@flag oom_refused) => { "#!lua\n" };
    ($($name:ident = $file:literal, $oom:ident, [$($part:literal),*];)*) => {
        $(pub(crate) static $name: Lua = Lua {
            #[cfg(test)]
            name: $file,
            action: concat!("run the script `", $file, "`"),
            code: concat!(
                scripts!(@flag $oom),
                $(include_str!(concat!("lua/parts/", $part, ".lua")),)*
                include_str!(concat!("lua/", $file, ".lua")),
            ),
            hash: LazyLock::new(|| Script::new($name.code).get_hash().to_owned()),
        };)*
        #[cfg(test)]
        const ALL: &[(&Lua, &str, &str)] = &[
            $((&$name, include_str!(concat!("lua/", $file, ".lua")), stringify!($oom)),)*
        ];
    };
}

scripts! {
    BURY      = "bury",      oom_allowed, ["clock", "claim", "settle", "trim"];
    CANCEL    = "cancel",    oom_allowed, ["clock", "settle"];
    CLAIM     = "claim",     oom_allowed, ["clock", "claim"];
    COUNT     = "count",     oom_allowed, [];
    DUE       = "due",       oom_allowed, ["clock"];
    ENQUEUE   = "enqueue",   oom_refused, ["clock", "put"];
    FINISH    = "finish",    oom_allowed, ["clock", "claim", "settle", "trim"];
    FOLLOW    = "follow",    oom_allowed, [];
    FORGET    = "forget",    oom_allowed, [];
    HAND_BACK = "hand_back", oom_allowed, ["claim", "settle"];
    INTAKE    = "intake",    oom_refused, ["clock", "put"];
    PARK      = "park",      oom_allowed, ["clock"];
    PAUSE     = "pause",     oom_allowed, [];
    PROMOTE   = "promote",   oom_allowed, ["clock", "claim"];
    RECLAIM   = "reclaim",   oom_allowed, ["clock", "claim", "settle"];
    RENEW     = "renew",     oom_allowed, ["clock", "claim", "settle"];
    REPORT    = "report",    oom_allowed, ["clock"];
    RETRY     = "retry",     oom_allowed, ["clock", "claim", "settle"];
    REVIVE    = "revive",    oom_allowed, ["clock"];
    SWEEP     = "sweep",     oom_allowed, ["clock", "trim"];
    TICK      = "tick",      oom_refused, ["clock", "put"];
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    fn files() -> BTreeSet<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/queue/lua");
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let scripts = entries.filter(|path| path.is_file());
        scripts.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn every_script_file_is_in_the_table() {
        let known: BTreeSet<_> = ALL.iter().map(|(lua, _, _)| lua.name.to_owned()).collect();
        assert_eq!(files(), known);
    }

    #[test]
    fn every_header_names_its_file_and_states_its_contract() {
        for (lua, body, oom) in ALL {
            assert!(body.starts_with(&format!("-- {}: ", lua.name)), "{}: first line", lua.name);
            for part in ["-- KEYS[1]", "-- ARGV", "-- RETURN", "-- LIMIT", "-- OOM"] {
                assert!(body.contains(part), "{}: header lacks {part}", lua.name);
            }
            let said = if body.contains("-- OOM     refused") { "oom_refused" } else { "oom_allowed" };
            assert_eq!(said, *oom, "{}: the OOM line and the table differ", lua.name);
        }
    }

    #[test]
    fn every_key_that_a_script_uses_is_in_its_header() {
        for (lua, body, _) in ALL {
            let (header, code): (Vec<_>, Vec<_>) = body.lines().partition(|line| line.starts_with("--"));
            let (header, code) = (header.join("\n"), code.join("\n"));
            for n in 1..20 {
                if code.contains(&format!("KEYS[{n}]")) {
                    let listed = header.contains(&format!("KEYS[{n}]"));
                    assert!(listed, "{}: KEYS[{n}] is used and not documented", lua.name);
                }
            }
        }
    }

    #[test]
    fn no_script_builds_a_key_or_reads_json() {
        for (lua, _, _) in ALL {
            for banned in ["cjson", "cmsgpack", "loadstring", "KEYS[1] ..", "'KEYS'", "SCAN"] {
                assert!(!lua.code.contains(banned), "{} uses {banned}", lua.name);
            }
        }
    }
}
