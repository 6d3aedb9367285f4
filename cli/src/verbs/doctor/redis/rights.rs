//! May this user do what the processes do? Redis itself is asked, in a script (which is how the queue engine
//! works anyway) that runs none of the commands.

use std::collections::BTreeSet;

use brasa_shared::cache::{CacheKeys, EntryKeys};
use brasa_shared::finding::Finding;
use brasa_shared::queue::{FleetKeys, QueueKeys};
use brasa_shared::store::Fault;
use redis::{Script, cmd};

use super::facts::Facts;
use crate::app::App;
use crate::failure::chain;

const CODE: &str = include_str!("rights.lua");

/// What is done to keys of a queue, by scripts and beside them.
const ON_QUEUES: &[&str] = &[
    "DECRBY",
    "DEL",
    "EXISTS",
    "GET",
    "HDEL",
    "HEXISTS",
    "HGET",
    "HGETALL",
    "HINCRBY",
    "HKEYS",
    "HLEN",
    "HMGET",
    "HRANDFIELD",
    "HSCAN",
    "HSET",
    "HSETNX",
    "HSTRLEN",
    "HVALS",
    "INCRBY",
    "LINDEX",
    "LLEN",
    "LPOP",
    "LPUSH",
    "LRANGE",
    "LTRIM",
    "RPUSH",
    "SADD",
    "SET",
    "SMEMBERS",
    "SREM",
    "SSCAN",
    "XADD",
    "XDEL",
    "XLEN",
    "XRANGE",
    "ZADD",
    "ZCARD",
    "ZPOPMIN",
    "ZRANGE",
    "ZRANGEBYLEX",
    "ZRANGEBYSCORE",
    "ZREM",
    "ZREVRANGE",
    "ZREVRANGEBYSCORE",
    "ZSCORE",
];
/// What is done to the keys that all processes share.
const ON_FLEET: &[&str] = &[
    "DEL",
    "GET",
    "HDEL",
    "HEXISTS",
    "HGET",
    "HGETALL",
    "HINCRBY",
    "HLEN",
    "HSET",
    "HVALS",
    "PEXPIRE",
    "SADD",
    "SET",
    "SMEMBERS",
    "ZADD",
    "ZRANGEBYSCORE",
    "ZREM",
];
/// What is done to the keys that all warmers share, and to those of one.
const ON_CACHE: &[&str] = &[
    "DEL",
    "EXISTS",
    "GET",
    "HDEL",
    "HGET",
    "HGETALL",
    "HINCRBY",
    "HMGET",
    "HSET",
    "INCR",
    "LLEN",
    "LPOP",
    "PEXPIRE",
    "RPUSH",
    "SET",
    "ZADD",
    "ZCARD",
    "ZCOUNT",
    "ZINCRBY",
    "ZPOPMIN",
    "ZRANGE",
    "ZRANGEBYSCORE",
    "ZREM",
    "ZREMRANGEBYSCORE",
    "ZREVRANGE",
    "ZSCAN",
    "ZSCORE",
    "ZUNIONSTORE",
];
/// What is done to a value and to its note.
const ON_VALUES: &[&str] = &["GET", "MGET", "OBJECT", "PEXPIRE", "PTTL", "SET", "STRLEN", "UNLINK"];
/// What is done to the guard of a value.
const ON_GUARDS: &[&str] = &["DEL", "EXISTS", "HDEL", "HGET", "HMGET", "HSET", "PEXPIRE", "PTTL"];
/// What is done to no key.
const ON_NOTHING: &[&str] = &["INFO", "PING", "TIME"];

/// What this user may do.
#[derive(Debug, Default)]
pub(super) enum Rights {
    /// Nobody could be asked.
    #[default]
    Unknown,
    /// Scripts themselves are refused, as Redis says it.
    NoScripts(String),
    /// These commands are refused, with what they would be done to.
    Refused(BTreeSet<(String, String)>),
}

/// Asks for every command that processes with this configuration send.
pub(super) async fn ask(app: &App) -> Rights {
    let commands = needed(app);
    let script = Script::new(CODE);
    let mut call = cmd("EVALSHA");
    call.arg(script.get_hash()).arg(0);
    for words in &commands {
        call.arg(words.join("\n"));
    }
    match app.store.run_script::<Vec<usize>>("say what this user may do", &call, CODE).await {
        Ok(places) => {
            let words = places.iter().filter_map(|place| commands.get(place - 1));
            let shown = |words: &Vec<String>| match words.as_slice() {
                [name, kind, key] if name == "OBJECT" => (format!("{name} {kind}"), key.clone()),
                [name, key, ..] => (name.clone(), key.clone()),
                some => (some.concat(), String::new()),
            };
            Rights::Refused(words.map(shown).collect())
        }
        Err(error) if error.fault == Fault::Denied => Rights::NoScripts(chain(&error.source)),
        Err(_) => Rights::Unknown,
    }
}

/// The commands, each with as many words as it needs to be one.
fn needed(app: &App) -> Vec<Vec<String>> {
    let prefix = &app.config.redis.prefix;
    let mut commands: Vec<Vec<String>> = ON_NOTHING.iter().map(|name| vec![(*name).to_owned()]).collect();
    let mut on = |key: &str, names: &[&str]| {
        commands.extend(names.iter().map(|name| command(name, key)));
    };
    on(&FleetKeys::new(prefix).queues, ON_FLEET);
    for queue in app.config.known_queues() {
        let keys = QueueKeys::new(prefix, queue);
        on(&keys.jobs, ON_QUEUES);
        for channel in [&keys.wake, &keys.control, &keys.ended, &keys.hand("some-worker")] {
            on(channel, &["PUBLISH", "SUBSCRIBE"]);
        }
    }
    if !app.config.warm.is_empty() {
        let keys = CacheKeys::new(prefix);
        on(&keys.clock, ON_CACHE);
        on(&keys.asked, &["PUBLISH", "SUBSCRIBE"]);
    }
    for warmer in app.config.warm.values() {
        let keys = EntryKeys::new(prefix, &warmer.key.render(&|_| Some("x")).unwrap_or_default());
        on(&keys.value, ON_VALUES);
        on(&keys.note, ON_VALUES);
        on(&keys.guard, ON_GUARDS);
    }
    commands
}

fn command(name: &str, key: &str) -> Vec<String> {
    // Those whose key does not come first.
    match name {
        "OBJECT" => return ["OBJECT", "IDLETIME", key].map(ToOwned::to_owned).to_vec(),
        "ZUNIONSTORE" => return [name, key, "1", key].map(ToOwned::to_owned).to_vec(),
        _ => {}
    }
    let more = match name {
        "INCR" | "MGET" | "PTTL" | "STRLEN" | "UNLINK" | "DEL" | "EXISTS" | "GET" | "HGETALL" | "HKEYS"
        | "HLEN" | "HRANDFIELD" | "HVALS" | "LLEN" | "LPOP" | "SMEMBERS" | "SUBSCRIBE" | "XLEN" | "ZCARD"
        | "ZPOPMIN" => 0,
        "DECRBY" | "HDEL" | "HEXISTS" | "HGET" | "HMGET" | "HSTRLEN" | "INCRBY" | "LINDEX" | "LPUSH"
        | "HSCAN" | "PEXPIRE" | "PUBLISH" | "RPUSH" | "SADD" | "SET" | "SREM" | "SSCAN" | "XDEL" | "ZREM"
        | "ZSCORE" => 1,
        "XADD" => 3,
        _ => 2,
    };
    let words = [name, key].into_iter().chain(std::iter::repeat_n("1", more));
    words.map(ToOwned::to_owned).collect()
}

/// What is refused, once per command.
pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let why = "what needs it fails as soon as a process tries it";
    let finding = match &facts.rights {
        Rights::Unknown => Finding::note(
            "rights",
            "this server could not be asked what its user may do",
            "a right that is missing is found out only when a process needs it",
            "ACL WHOAMI and ACL GETUSER say what the user has",
        ),
        Rights::NoScripts(said) => Finding::problem(
            "rights",
            format!("scripts are refused: {said}"),
            "the queue engine is made of scripts",
            "ACL SETUSER this user with +evalsha +script|load",
        ),
        Rights::Refused(refused) if refused.is_empty() => {
            Finding::fine("rights", "this user may do everything that the processes do")
        }
        Rights::Refused(refused) => {
            let shown = refused.iter().take(SHOWN_MAX).map(|(name, on)| format!("{name} {on}"));
            let mut shown = shown.collect::<Vec<_>>().join(", ");
            if refused.len() > SHOWN_MAX {
                shown = format!("{shown} and {} more", refused.len() - SHOWN_MAX);
            }
            Finding::problem("rights", format!("refused to this user: {shown}"), why, grant(facts, refused))
        }
    };
    vec![finding]
}

/// How many refusals are told one by one.
const SHOWN_MAX: usize = 6;

/// The rule that grants it all.
fn grant(facts: &Facts, refused: &BTreeSet<(String, String)>) -> String {
    let names: BTreeSet<_> =
        refused.iter().map(|(name, _)| format!("+{}", name.to_ascii_lowercase().replace(' ', "|"))).collect();
    let names = names.into_iter().collect::<Vec<_>>().join(" ");
    let all = format!("{}:*", facts.prefix);
    format!("ACL SETUSER this user with ~{all} &{all} {names}, and the keys that the warmers write")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// What the scripts of an engine call.
    fn called(engine: &str) -> BTreeSet<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/src").join(engine).join("lua");
        let files = fs::read_dir(&folder).unwrap().chain(fs::read_dir(folder.join("parts")).unwrap());
        let files = files.map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
        files.flat_map(|path| words(&fs::read_to_string(path).unwrap(), "call('", '\'')).collect()
    }

    /// What an engine sends beside its scripts.
    fn sent(engine: &str) -> BTreeSet<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/src").join(engine);
        let files = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        let files = files.filter(|path| path.extension().is_some_and(|ending| ending == "rs"));
        files.flat_map(|path| words(&fs::read_to_string(path).unwrap(), "cmd(\"", '"')).collect()
    }

    /// The words that stand between two texts.
    fn words(text: &str, before: &str, after: char) -> Vec<String> {
        text.split(before).skip(1).map(|rest| rest.split(after).next().unwrap().to_owned()).collect()
    }

    fn missing(names: &BTreeSet<String>, lists: &[&[&str]]) -> Vec<String> {
        let is_known = |name: &&String| lists.iter().any(|known| known.contains(&name.as_str()));
        names.iter().filter(|name| !is_known(name)).cloned().collect()
    }

    #[test]
    fn every_command_of_the_scripts_is_asked_for() {
        let of_queues = called("queue");
        let lists: &[&[&str]] = &[ON_QUEUES, ON_FLEET, ON_NOTHING, &["PUBLISH"]];
        assert_eq!(missing(&of_queues, lists), Vec::<String>::new(), "add to ON_QUEUES");
        assert!(of_queues.len() > 10, "{of_queues:?}");

        let of_cache: BTreeSet<String> = called("cache").union(&sent("cache")).cloned().collect();
        let lists: &[&[&str]] = &[ON_CACHE, ON_VALUES, ON_GUARDS, ON_NOTHING, &["PUBLISH"]];
        assert_eq!(missing(&of_cache, lists), Vec::<String>::new(), "add to ON_CACHE");
        assert!(of_cache.len() > 20, "{of_cache:?}");
        // And nothing more than that.
        let all = [ON_CACHE, ON_VALUES, ON_GUARDS].concat();
        let idle: Vec<_> = all.iter().filter(|name| !of_cache.contains(**name)).collect();
        assert!(idle.is_empty(), "nobody sends {idle:?}");
    }
}
