//! `[encryption]`: the keys that what jobs are given and return is sealed with.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::outside::Outside;
use super::section::Section;
use super::suggest::nearest;
use crate::seal::{Key, Keyring, KeyringError, NAME_MAX};

const KEY: Outside = Outside {
    noun: "key",
    key: "key",
    file_key: "key_file",
    help: r#"write where it is, as in key = "${BRASA_KEY_K1}"; `brasa encryption new-key` makes one"#,
};
const HELP_NEW: &str = "`brasa encryption new-key k1` makes a key, and says what to write";
const HELP_UNIQUE: &str = "write the one that it has been so far, as in unique = \"k1\": with another one the unique \
                           keys of jobs are others";

/// The section `[encryption]`.
#[derive(Debug, Clone, Default)]
pub struct Encryption {
    /// The keys, with what they are for; none where the section is not written, and nothing is sealed.
    pub keyring: Option<Arc<Keyring>>,
}

/// The section of the document.
pub(super) fn read(root: &mut Section<'_>) -> Encryption {
    let is_written = root.has_table("encryption");
    root.table("encryption", |section| {
        let keyring = read_keyring(section, is_written);
        Encryption { keyring: keyring.map(Arc::new) }
    })
}

fn read_keyring(section: &mut Section<'_>, is_written: bool) -> Option<Keyring> {
    // Those that cannot be read are there, too: it has been said what is wrong with them.
    let keys: BTreeMap<String, Option<Key>> = section.named("keys", |section| Some(read_key(section)));
    let (active, unique) = (read_name(section, "active", &keys), read_name(section, "unique", &keys));
    let is_required = section.flag("required").unwrap_or(false);
    if !is_written {
        return None;
    }
    let only = || Some(keys.keys().next().filter(|_| keys.len() == 1)?.clone());
    if keys.is_empty() {
        section.report_missing("needs a key", HELP_NEW);
    } else if keys.len() > 1 && active.is_none() && !section.has("active") {
        section.report_missing(
            "there is more than one key, and `active` says which one seals",
            "active = \"k1\"",
        );
    } else if keys.len() > 1 && unique.is_none() && !section.has("unique") {
        section.report_missing(
            "there is more than one key, and `unique` says which one hides unique keys",
            HELP_UNIQUE,
        );
    }
    let (active, unique) = (active.or_else(only)?, unique.or_else(only)?);
    let keys: Option<BTreeMap<String, Key>> =
        keys.into_iter().map(|(name, key)| Some((name, key?))).collect();
    match Keyring::new(keys?, &active, &unique) {
        Ok(keyring) => Some(keyring.required(is_required)),
        Err(error) => {
            let help = match &error {
                KeyringError::Name(_) => format!("a name of a key has at most {NAME_MAX} characters"),
                _ => HELP_NEW.to_owned(),
            };
            section.report("keys", error.to_string(), help);
            None
        }
    }
}

fn read_key(section: &mut Section<'_>) -> Option<Key> {
    section.at_most_one(KEY.key, KEY.file_key);
    let Some(said) = KEY.said(section) else {
        section.report_missing("needs `key` or `key_file`", HELP_NEW);
        return None;
    };
    let (from, text) = KEY.read(section, said)?;
    Key::read(&text).map_err(|error| section.report(from, error.to_string(), HELP_NEW)).ok()
}

/// The name of a key that is there.
fn read_name(
    section: &mut Section<'_>,
    what: &'static str,
    keys: &BTreeMap<String, Option<Key>>,
) -> Option<String> {
    let name = section.text(what)?;
    if keys.contains_key(&name) {
        return Some(name);
    }
    let known = keys.keys().map(String::as_str);
    let help = nearest(&name, known).map_or_else(
        || HELP_NEW.to_owned(),
        |known| format!("did you mean `{known}`? Else write [encryption.keys.…] for it"),
    );
    section.report(what, "there is no key of that name", help);
    None
}
