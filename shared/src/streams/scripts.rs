//! The table of scripts. A script is a file in `lua/`; its header is its contract.

use crate::script::scripts;

scripts! {
    rest TOLD;
    ADD = "add", oom_refused, [];
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::script::contract::{files, named, says_oom};

    #[test]
    fn every_script_file_is_in_the_table_and_keeps_its_contract() {
        let known: BTreeSet<_> = ALL.iter().map(|(lua, _, _)| lua.name.to_owned()).collect();
        assert_eq!(files("src/streams/lua"), known);
        for (lua, body, oom) in ALL {
            assert!(body.starts_with(&format!("-- {}: ", lua.name)), "{}: first line", lua.name);
            for part in ["-- KEYS ", "-- TOLD ", "-- ARGV", "-- RETURN", "-- LIMIT", "-- OOM"] {
                assert!(body.contains(part), "{}: header lacks {part}", lua.name);
            }
            assert!(says_oom(body, oom), "{}: the OOM line and the table differ", lua.name);
            let listed: BTreeSet<_> = lua.keys().iter().copied().collect();
            assert_eq!(named(body), listed, "{}: keys used, and keys in the header", lua.name);
        }
    }
}
