//! The table of scripts. A script is a file in `lua/`; its header is its contract. The keys that the header
//! lists are the keys that the script gets, under the names that they have in `keys.rs`; the tests below hold
//! the file to the rest.

use crate::script::scripts;

scripts! {
    rest LANES;
    BURY         = "bury",         oom_allowed, ["claim", "lane", "settle", "keep", "link", "history"];
    CANCEL       = "cancel",       oom_allowed, ["claim", "lane", "settle", "keep", "link", "history"];
    CLAIM        = "claim",        oom_allowed, ["claim", "lane", "settle", "limit", "hand_out"];
    COUNT        = "count",        oom_allowed, [];
    DUE          = "due",          oom_allowed, ["claim"];
    ENQUEUE      = "enqueue",      oom_refused, ["claim", "lane", "put", "hand_out"];
    FINISH       = "finish",       oom_allowed, ["claim", "lane", "settle", "keep", "link", "history"];
    FOLLOW       = "follow",       oom_allowed, [];
    FORGET       = "forget",       oom_allowed, ["keep"];
    HAND_BACK    = "hand_back",    oom_allowed, ["claim", "lane", "settle"];
    HISTORIAN    = "historian",    oom_allowed, [];
    INTAKE       = "intake",       oom_refused, ["claim", "lane", "put", "keep", "history"];
    LOST         = "lost",         oom_allowed, ["settle"];
    NOTE         = "note",         oom_allowed, ["settle"];
    PARK         = "park",         oom_allowed, ["keep", "history"];
    PAUSE        = "pause",        oom_allowed, [];
    PAUSE_TICKS  = "pause_ticks",  oom_allowed, [];
    PROMOTE      = "promote",      oom_allowed, ["claim", "lane"];
    RECLAIM      = "reclaim",      oom_allowed, ["claim", "lane", "settle", "keep", "link", "history"];
    RENEW        = "renew",        oom_allowed, ["settle"];
    REPORT       = "report",       oom_allowed, [];
    RESEAL       = "reseal",       oom_refused, ["claim"];
    RESUME_TICKS = "resume_ticks", oom_allowed, [];
    RETRY        = "retry",        oom_allowed, ["claim", "settle"];
    REVIVE       = "revive",       oom_allowed, ["lane", "keep"];
    SWEEP        = "sweep",        oom_allowed, ["keep"];
    TICK         = "tick",         oom_refused, ["claim", "lane", "put", "keep", "history"];
    WRITTEN      = "written",      oom_allowed, [];
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::queue::{FleetKeys, QueueKeys};
    use crate::script::contract::{files, named, says_oom};

    #[test]
    fn every_script_file_is_in_the_table() {
        let known: BTreeSet<_> = ALL.iter().map(|(lua, _, _)| lua.name.to_owned()).collect();
        assert_eq!(files("src/queue/lua"), known);
    }

    #[test]
    fn every_header_names_its_file_and_states_its_contract() {
        for (lua, body, oom) in ALL {
            assert!(body.starts_with(&format!("-- {}: ", lua.name)), "{}: first line", lua.name);
            for part in ["-- KEYS ", "-- LANES ", "-- ARGV", "-- RETURN", "-- LIMIT", "-- OOM"] {
                assert!(body.contains(part), "{}: header lacks {part}", lua.name);
            }
            assert!(says_oom(body, oom), "{}: the OOM line and the table differ", lua.name);
        }
    }

    #[test]
    fn every_key_that_a_script_uses_is_in_its_header_and_is_one() {
        let (queue, fleet) = (QueueKeys::new("p", "q"), FleetKeys::new("p"));
        for (lua, body, _) in ALL {
            let listed: BTreeSet<_> = lua.keys().iter().copied().collect();
            for key in named(body) {
                assert!(listed.contains(key) || key == "ended", "{}: k.{key} is not in its header", lua.name);
            }
            for key in &listed {
                assert!(
                    queue.named(key).or(fleet.named(key)).is_some(),
                    "{}: there is no key {key}",
                    lua.name
                );
                assert!(
                    lua.code().contains(&format!("k.{key}")) || lua.name == "pause",
                    "{}: {key} is idle",
                    lua.name
                );
            }
        }
    }

    #[test]
    fn no_script_builds_a_key_or_reads_json() {
        for (lua, _, _) in ALL {
            let body = lua.code();
            for banned in ["cjson", "cmsgpack", "loadstring", "'KEYS'", "SCAN"] {
                assert!(!body.contains(banned), "{} uses {banned}", lua.name);
            }
        }
    }
}
