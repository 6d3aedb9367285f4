//! Scripts that Redis runs: files with a contract in their header, put together from parts and known by their
//! hash.
//!
//! The keys that the header lists are the keys that the script gets, as `k.name`; the keys of single things (a
//! lane, an entry) come behind. Each engine has a table of its own ([`scripts!`]), and tests that hold the
//! files to it.

use std::fmt::Write as _;
use std::sync::LazyLock;

use redis::{Cmd, Script, ToRedisArgs};

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

/// What time it is, for all of them.
const CLOCK: &str = include_str!("script/clock.lua");

/// What a script is to the server.
pub(crate) struct Built {
    code: String,
    hash: String,
    keys: Vec<&'static str>,
}

impl Lua {
    /// A script that is put together when it is first used.
    pub(crate) const fn new(name: &'static str, action: &'static str, build: fn() -> Built) -> Self {
        Self { name, action, built: LazyLock::new(build) }
    }

    /// Its text.
    pub(crate) fn code(&self) -> &str {
        &self.built.code
    }

    /// The name that the server knows it by once it is loaded.
    pub(crate) fn hash(&self) -> &str {
        &self.built.hash
    }

    /// The names of the keys that it takes before those of single things, in their order.
    pub(crate) fn keys(&self) -> &[&'static str] {
        &self.built.keys
    }
}

/// Gives the keys their names: `k.jobs` is the key `jobs`, and `rest` are those behind.
pub(crate) fn build(flags: &str, rest: &str, parts: &[&str], body: &'static str) -> Built {
    let keys = keys_of(body);
    let mut code = format!("{flags}local k = {{ ");
    for (place, key) in keys.iter().enumerate() {
        // Writing into a String cannot fail.
        let _written = write!(code, "{key} = KEYS[{}], ", place + 1);
    }
    let _written = write!(
        code,
        "}}\n{SHORT}local {rest}, all = {{}}, KEYS\nfor i = {0} + 1, #all do {rest}[i - {0}] = all[i] end\n",
        keys.len()
    );
    for part in [&CLOCK].into_iter().chain(parts) {
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

/// `rest NAME;` what the keys of single things are called, then for each script
/// `NAME = "file", allowed or refused when Redis is at its memory limit, [parts it uses];`
macro_rules! scripts {
    (@flag oom_allowed) => { "#!lua flags=allow-oom\n" };
    (@flag oom_refused) => { "#!lua\n" };
    (rest $rest:ident; $($name:ident = $file:literal, $oom:ident, [$($part:literal),*];)*) => {
        $(pub(crate) static $name: $crate::script::Lua = $crate::script::Lua::new(
            $file,
            concat!("run the script `", $file, "`"),
            || $crate::script::build(
                $crate::script::scripts!(@flag $oom),
                stringify!($rest),
                &[$(include_str!(concat!("lua/parts/", $part, ".lua"))),*],
                include_str!(concat!("lua/", $file, ".lua")),
            ),
        );)*
        /// The name of the script that the server knows by this hash, for those who read its slow log.
        pub fn script_named(hash: &str) -> Option<&'static str> {
            [$(&$name),*].into_iter().find(|lua: &&$crate::script::Lua| lua.hash() == hash).map(|lua| lua.name)
        }

        #[cfg(test)]
        const ALL: &[(&$crate::script::Lua, &str, &str)] = &[
            $((&$name, include_str!(concat!("lua/", $file, ".lua")), stringify!($oom)),)*
        ];
    };
}
pub(crate) use scripts;

/// One call of a script.
pub(crate) struct Call {
    pub(crate) lua: &'static Lua,
    pub(crate) command: Cmd,
}

impl Call {
    /// A call with the keys that its header lists, and those of single things.
    pub(crate) fn new<'k>(
        lua: &'static Lua,
        fixed: impl Iterator<Item = &'k str>,
        rest: impl ExactSizeIterator<Item = String>,
    ) -> Self {
        let mut command = redis::cmd("EVALSHA");
        command.arg(lua.hash()).arg(lua.keys().len() + rest.len());
        for key in fixed {
            command.arg(key);
        }
        for key in rest {
            command.arg(key);
        }
        Self { lua, command }
    }

    /// The same with one more argument.
    pub(crate) fn arg(mut self, value: impl ToRedisArgs) -> Self {
        self.push(value);
        self
    }

    /// One more argument.
    pub(crate) fn push(&mut self, value: impl ToRedisArgs) {
        self.command.arg(value);
    }
}

#[cfg(test)]
pub(crate) mod contract {
    //! What the tests of every table hold its files to.

    use std::collections::BTreeSet;
    use std::path::Path;

    /// The names of the scripts in a folder of this crate.
    pub(crate) fn files(folder: &str) -> BTreeSet<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let scripts = entries.filter(|path| path.is_file());
        scripts.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
    }

    /// The keys that a text names as `k.name`.
    pub(crate) fn named(text: &str) -> BTreeSet<&str> {
        let lines = text.lines().filter(|line| !line.trim_start().starts_with("--"));
        let uses =
            lines.flat_map(|line| line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.'));
        uses.filter_map(|word| word.strip_prefix("k.")).collect()
    }

    /// Whether the header says what the table says about a Redis at its memory limit.
    pub(crate) fn says_oom(body: &str, oom: &str) -> bool {
        (if body.contains("-- OOM     refused") { "oom_refused" } else { "oom_allowed" }) == oom
    }

    /// Holds a table of a few scripts to their files; `rest` is what they call the keys of single things.
    pub(crate) fn holds(folder: &str, rest: &str, all: &[(&super::Lua, &str, &str)]) {
        let known: BTreeSet<_> = all.iter().map(|(lua, _, _)| lua.name.to_owned()).collect();
        assert_eq!(files(folder), known);
        for (lua, body, oom) in all {
            assert!(body.starts_with(&format!("-- {}: ", lua.name)), "{}: first line", lua.name);
            for part in ["-- KEYS ", &format!("-- {rest} "), "-- ARGV", "-- RETURN", "-- LIMIT", "-- OOM"] {
                assert!(body.contains(part), "{}: header lacks {part}", lua.name);
            }
            assert!(says_oom(body, oom), "{}: the OOM line and the table differ", lua.name);
            let listed: BTreeSet<_> = lua.keys().iter().copied().collect();
            assert_eq!(named(body), listed, "{}: keys used, and keys in the header", lua.name);
        }
    }
}
