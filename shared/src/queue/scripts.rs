//! The table of scripts. A script is a file in `lua/`; its header is its contract. The keys that the header
//! lists are the keys that the script gets, under the names that they have in `keys.rs`; the tests below hold
//! the file to the rest.

use std::fmt::Write as _;
use std::sync::LazyLock;

use redis::Script;

/// A script, put together from its parts.
pub(crate) struct Lua {
    /// Its file.
    pub(crate) name: &'static str,
    /// What is being done, where it fails.
    pub(crate) action: &'static str,
    built: LazyLock<Built>,
}

/// What scripts say most often, looked up once: in the loops over jobs the look-ups would cost more than the work.
const SHORT: &str = "local call, sub, byte, match, find =\n  redis.call, string.sub, string.byte, string.match, string.find\n";

/// What a script is to the server.
struct Built {
    code: String,
    hash: String,
    keys: Vec<&'static str>,
}

impl Lua {
    /// Its text.
    pub(crate) fn code(&self) -> &str {
        &self.built.code
    }

    /// The name that the server knows it by once it is loaded.
    pub(crate) fn hash(&self) -> &str {
        &self.built.hash
    }

    /// The names of the keys that it takes before its lanes, in their order.
    pub(crate) fn keys(&self) -> &[&'static str] {
        &self.built.keys
    }
}

/// Gives the keys their names: `k.jobs` is the key `jobs`, and `LANES` are those behind.
fn build(flags: &str, parts: &[&str], body: &'static str) -> Built {
    let keys = keys_of(body);
    let mut code = format!("{flags}local k = {{ ");
    for (place, key) in keys.iter().enumerate() {
        // Writing into a String cannot fail.
        let _written = write!(code, "{key} = KEYS[{}], ", place + 1);
    }
    let _written = write!(
        code,
        "}}\n{SHORT}local LANES = {{}}\nfor i = {0} + 1, #KEYS do LANES[i - {0}] = KEYS[i] end\n",
        keys.len()
    );
    for part in parts {
        code.push_str(part);
    }
    code.push_str(body);
    let hash = Script::new(&code).get_hash().to_owned();
    Built { code, hash, keys }
}

/// The names behind `-- KEYS` and in the lines that go on with it.
fn keys_of(body: &'static str) -> Vec<&'static str> {
    let lines = body.lines().skip_while(|line| !line.starts_with("-- KEYS"));
    let mut keys = Vec::new();
    for (n, line) in lines.enumerate() {
        let rest = line.strip_prefix(if n == 0 { "-- KEYS " } else { "--         " });
        let Some(rest) = rest else { break };
        keys.extend(rest.split_whitespace());
    }
    keys
}

/// `NAME = "file", allowed or refused when Redis is at its memory limit, [parts it uses];`
macro_rules! scripts {
    (@flag oom_allowed) => { "#!lua flags=allow-oom\n" };
    (@flag oom_refused) => { "#!lua\n" };
    ($($name:ident = $file:literal, $oom:ident, [$($part:literal),*];)*) => {
        $(pub(crate) static $name: Lua = Lua {
            name: $file,
            action: concat!("run the script `", $file, "`"),
            built: LazyLock::new(|| build(
                scripts!(@flag $oom),
                &[$(include_str!(concat!("lua/parts/", $part, ".lua"))),*],
                include_str!(concat!("lua/", $file, ".lua")),
            )),
        };)*
        /// The name of the script that the server knows by this hash, for those who read its slow log.
        pub fn script_named(hash: &str) -> Option<&'static str> {
            [$(&$name),*].into_iter().find(|lua: &&Lua| lua.hash() == hash).map(|lua| lua.name)
        }

        #[cfg(test)]
        const ALL: &[(&Lua, &str, &str)] = &[
            $((&$name, include_str!(concat!("lua/", $file, ".lua")), stringify!($oom)),)*
        ];
    };
}

scripts! {
    BURY      = "bury",      oom_allowed, ["clock", "claim", "lane", "settle", "keep", "link"];
    CANCEL    = "cancel",    oom_allowed, ["clock", "claim", "lane", "settle", "keep", "link"];
    CLAIM     = "claim",     oom_allowed, ["clock", "claim", "lane", "settle", "limit", "hand_out"];
    COUNT     = "count",     oom_allowed, [];
    DUE       = "due",       oom_allowed, ["clock", "claim"];
    ENQUEUE   = "enqueue",   oom_refused, ["clock", "claim", "lane", "put", "hand_out"];
    FINISH    = "finish",    oom_allowed, ["clock", "claim", "lane", "settle", "keep", "link"];
    FOLLOW    = "follow",    oom_allowed, [];
    FORGET    = "forget",    oom_allowed, ["keep"];
    HAND_BACK = "hand_back", oom_allowed, ["clock", "claim", "lane", "settle"];
    INTAKE    = "intake",    oom_refused, ["clock", "claim", "lane", "put", "keep"];
    LOST      = "lost",      oom_allowed, ["clock", "settle"];
    NOTE      = "note",      oom_allowed, ["settle"];
    PARK      = "park",      oom_allowed, ["clock", "keep"];
    PAUSE     = "pause",     oom_allowed, [];
    PROMOTE   = "promote",   oom_allowed, ["clock", "claim", "lane"];
    RECLAIM   = "reclaim",   oom_allowed, ["clock", "claim", "lane", "settle", "keep", "link"];
    RENEW     = "renew",     oom_allowed, ["clock", "settle"];
    REPORT    = "report",    oom_allowed, ["clock"];
    RETRY     = "retry",     oom_allowed, ["clock", "claim", "settle"];
    REVIVE    = "revive",    oom_allowed, ["clock", "lane", "keep"];
    SWEEP     = "sweep",     oom_allowed, ["clock", "keep"];
    TICK      = "tick",      oom_refused, ["clock", "claim", "lane", "put", "keep"];
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;
    use crate::queue::{FleetKeys, QueueKeys};

    fn files() -> BTreeSet<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/queue/lua");
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let scripts = entries.filter(|path| path.is_file());
        scripts.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
    }

    /// The keys that a text names as `k.name`.
    fn named(text: &str) -> BTreeSet<&str> {
        let lines = text.lines().filter(|line| !line.trim_start().starts_with("--"));
        let uses =
            lines.flat_map(|line| line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.'));
        uses.filter_map(|word| word.strip_prefix("k.")).collect()
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
            for part in ["-- KEYS ", "-- LANES ", "-- ARGV", "-- RETURN", "-- LIMIT", "-- OOM"] {
                assert!(body.contains(part), "{}: header lacks {part}", lua.name);
            }
            let said = if body.contains("-- OOM     refused") { "oom_refused" } else { "oom_allowed" };
            assert_eq!(said, *oom, "{}: the OOM line and the table differ", lua.name);
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
