//! Every key that the cache engine uses, and what it holds.
//!
//! The values themselves stand under the keys that the configuration names, so that any client reads them with
//! a plain `GET`. What is known about a value stands beside it, under a key with the same hash tag.

macro_rules! keys {
    ($(#[doc = $about:literal])+ $owner:ident;
     $($(#[doc = $help:literal])+ $name:ident = $key:literal,)*) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone)]
        pub struct $owner {
            $($(#[doc = $help])+ pub $name: String,)*
        }

        impl $owner {
            fn at(base: &str) -> Self {
                let key = |name: &str| format!("{base}{name}");
                Self { $($name: key($key),)* }
            }

            /// The key that scripts call `name`.
            pub(crate) fn named(&self, name: &str) -> Option<&str> {
                match name {
                    $(stringify!($name) => Some(&self.$name),)*
                    _ => None,
                }
            }
        }
    };
}

keys! {
    /// The keys that all warmers share.
    CacheKeys;
    /// string: counts invalidations, from the microsecond in which it was made; orders leases and marks.
    clock = "clock",
    /// hash: tag -> mark (see `lua/parts/mark.lua`); under the empty tag, the epoch: its count, the run id of
    /// the server, and the first transaction that was not over when it began.
    tags = "tags",
    /// zset: tag -> when its mark may be forgotten, ms.
    tag_ends = "tag-ends",
    /// string: the count of the last invalidation that concerns values which still stand.
    dirty = "dirty",
    /// hash: warmer -> what readers need to know about it, JSON.
    warmers = "warmers",
    /// string: the text of the script that readers in other languages send.
    script = "script",
    /// hash: id of a dictionary -> the dictionary.
    dictionaries = "dictionaries",
    /// hash: warmer -> id of the dictionary that its values are packed with.
    packed_with = "packed-with",
    /// string: the worker that looks after change log, marks and epoch at present.
    attendant = "attendant",
    /// hash: warmer -> the changes that it is told of at present, and the values that they concern, as a text.
    carried = "carried",
    /// channel: told the name of a warmer when somebody asked for a value.
    asked = "asked",
}

keys! {
    /// The keys of one warmer.
    WarmerKeys;
    /// list: token, key, parameters, of values that readers asked for.
    asks = "asks",
    /// zset: parameters -> when the value is to be loaded again, ms.
    due = "due",
    /// zset: parameters -> when the value ends, ms, of values that are not kept warm.
    once = "once",
    /// zset: parameters -> when an entry that says "there is nothing" ends, ms.
    negatives = "negatives",
    /// zset: parameters -> how often they were read, in samples; at most 1,024 (see `lua/parts/sample.lua`).
    hot = "hot",
    /// hash: counter -> value.
    stats = "stats",
}

impl CacheKeys {
    /// The keys under `prefix`.
    pub fn new(prefix: &str) -> Self {
        Self::at(&format!("{prefix}:cache:"))
    }
}

impl WarmerKeys {
    /// The keys of the warmer `name` under `prefix`.
    pub fn new(prefix: &str, name: &str) -> Self {
        Self::at(&format!("{prefix}:cache:{name}:"))
    }
}

/// The keys of one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryKeys {
    /// string: the value, as the application wants it.
    pub value: String,
    /// string: what is known about it (see [`Note`](super::Note)); lives a little longer than the value.
    pub note: String,
    /// hash: the lease of whoever loads it, and the mark of what invalidated it; there for as long as either
    /// matters.
    pub guard: String,
}

impl EntryKeys {
    /// The keys of the value at `key`.
    pub fn new(prefix: &str, key: &str) -> Self {
        let beside = tagged(key);
        Self {
            value: key.to_owned(),
            note: format!("{prefix}:note:{beside}"),
            guard: format!("{prefix}:guard:{beside}"),
        }
    }
}

/// What the notes begin with of all values whose keys begin with `key`, whether a key has a hash tag further on or
/// not.
pub(crate) fn note_prefixes(prefix: &str, key: &str) -> [String; 2] {
    [format!("{prefix}:note:{key}"), format!("{prefix}:note:{{{key}")]
}

/// `key` such that what is put before it leaves it in the slot that it has by itself: as it is where it has a
/// hash tag, else as the hash tag. A key with a lone `}` and no tag is the one that cannot be kept together.
fn tagged(key: &str) -> String {
    let inside = key.split_once('{').and_then(|(_, rest)| rest.split_once('}'));
    if inside.is_some_and(|(tag, _)| !tag.is_empty()) { key.to_owned() } else { format!("{{{key}}}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_about_a_value_shares_its_slot() {
        let note = |key: &str| EntryKeys::new("p", key).note;
        assert_eq!(note("board:JFK"), "p:note:{board:JFK}");
        assert_eq!(note("{JFK}:board"), "p:note:{JFK}:board");
        assert_eq!(note("{}:board"), "p:note:{{}:board}");
    }

    #[test]
    fn notes_begin_with_what_the_keys_of_their_values_begin_with() {
        for (key, begin) in
            [("board:JFK", "board:"), ("board:{JFK}", "board:"), ("{a}:b", "{a}:"), ("{", "{")]
        {
            let note = EntryKeys::new("p", key).note;
            assert!(note_prefixes("p", begin).iter().any(|begin| note.starts_with(begin)), "{note}");
        }
    }
}
