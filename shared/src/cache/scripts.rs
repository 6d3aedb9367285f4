//! The table of scripts. A script is a file in `lua/`; its header is its contract. Keys that all values of a warmer
//! share have names; those of single values come behind, as `EACH`.

use crate::script::scripts;

scripts! {
    rest EACH;
    COUNT       = "count",       oom_allowed, ["sample"];
    DESCRIBE    = "describe",    oom_refused, [];
    DUE         = "due",         oom_allowed, [];
    EPOCH       = "epoch",       oom_allowed, ["mark"];
    EXTEND      = "extend",      oom_allowed, ["note"];
    FILL        = "fill",        oom_refused, ["mark", "whole"];
    FORGET_TAGS = "forget_tags", oom_allowed, [];
    INVALIDATE  = "invalidate",  oom_allowed, ["mark"];
    READ        = "read",        oom_allowed, ["mark", "note", "sample"];
    SWEEP       = "sweep",       oom_allowed, ["note"];
    TAKE        = "take",        oom_refused, ["mark", "whole"];
}

/// The text of the script that readers in other languages send.
pub fn read_script() -> &'static str {
    READ.code()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::cache::keys::{CacheKeys, WarmerKeys};
    use crate::script::contract::{files, named, says_oom};

    #[test]
    fn every_script_file_is_in_the_table() {
        let known: BTreeSet<_> = ALL.iter().map(|(lua, _, _)| lua.name.to_owned()).collect();
        assert_eq!(files("src/cache/lua"), known);
    }

    #[test]
    fn every_header_names_its_file_and_states_its_contract() {
        for (lua, body, oom) in ALL {
            assert!(body.starts_with(&format!("-- {}: ", lua.name)), "{}: first line", lua.name);
            for part in ["-- KEYS ", "-- EACH ", "-- ARGV", "-- RETURN", "-- LIMIT", "-- OOM"] {
                assert!(body.contains(part), "{}: header lacks {part}", lua.name);
            }
            assert!(says_oom(body, oom), "{}: the OOM line and the table differ", lua.name);
        }
    }

    #[test]
    fn every_key_that_a_script_uses_is_in_its_header_and_is_one() {
        let (cache, warmer) = (CacheKeys::new("p"), WarmerKeys::new("p", "w"));
        for (lua, body, _) in ALL {
            let listed: BTreeSet<_> = lua.keys().iter().copied().collect();
            for key in named(body) {
                assert!(listed.contains(key), "{}: k.{key} is not in its header", lua.name);
            }
            for key in &listed {
                assert!(cache.named(key).or(warmer.named(key)).is_some(), "{}: no key {key}", lua.name);
                assert!(lua.code().contains(&format!("k.{key}")), "{}: {key} is idle", lua.name);
            }
        }
    }

    /// What docs/cache.md promises to readers in other languages. Another order is another protocol.
    #[test]
    fn readers_in_other_languages_pass_these_keys_in_this_order() {
        assert_eq!(READ.keys(), ["clock", "tags", "asks", "asked", "stats", "hot"]);
    }

    #[test]
    fn no_script_builds_a_key_or_reads_json() {
        for (lua, _, _) in ALL {
            for banned in ["cjson", "cmsgpack", "loadstring", "'KEYS'", "SCAN"] {
                assert!(!lua.code().contains(banned), "{} uses {banned}", lua.name);
            }
        }
    }
}
