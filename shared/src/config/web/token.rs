//! `[web.tokens.NAME]`: who gets in, and what they may do there.
//!
//! The file holds no token but its hash, so that whoever reads the file gets in nowhere.

use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::super::complaint::{Complaint, clip};
use super::super::outside::Outside;
use super::super::queues::read_rate;
use super::super::section::Section;
use crate::hash::{bytes_of_hex, hex};
use crate::name::check_name;

/// A shorter token can be guessed: `brasa tokens new` makes them of 256 bits.
const TOKEN_BYTES_MIN: usize = 32;
/// What a hash begins with.
const HASH: &str = "sha256:";

const TOKEN: Outside = Outside {
    noun: "token",
    key: "token",
    file_key: "token_file",
    help: r#"write hash = "sha256:…", or where the token is, as in token = "${BRASA_TOKEN}""#,
};
const HELP_HASH: &str = "`brasa tokens new` makes a token, and prints its hash";

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Enqueue jobs of some kinds, and follow those; nothing else.
    Enqueue,
    /// Look at everything but the arguments, the results and the logs of jobs.
    Viewer,
    /// Look at everything; enqueue, retry, cancel, pause, warm, invalidate.
    Operator,
    /// All of it: delete dead jobs, too, and decide about the database.
    Admin,
}

/// The words for roles.
const ROLES: &[(&str, Role)] = &[
    ("enqueue", Role::Enqueue),
    ("viewer", Role::Viewer),
    ("operator", Role::Operator),
    ("admin", Role::Admin),
];

impl Role {
    /// The word for it.
    pub fn word(self) -> &'static str {
        ROLES.iter().find(|(_, role)| *role == self).map_or("viewer", |(word, _)| word)
    }

    /// The role of a word.
    pub fn of(word: &str) -> Option<Self> {
        ROLES.iter().find(|(known, _)| *known == word).map(|(_, role)| *role)
    }
}

/// Somebody who gets in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// SHA-256 of the token. It has 256 bits of chance, so there is nothing to gain from a slower hash.
    pub hash: [u8; 32],
    /// What they may do.
    pub role: Role,
    /// The kinds that may be enqueued with it; empty where all may.
    pub kinds: Vec<String>,
    /// The queues into which; empty where all may.
    pub queues: Vec<String>,
    /// From when on it opens nothing any more.
    pub expires: Option<Timestamp>,
    /// How many requests of it each process answers in a time, and the time; any number by default.
    pub rate: Option<(u32, Duration)>,
}

impl Token {
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        let hash = read_hash(section);
        let role = section.choice("role", ROLES);
        if role.is_none() && !section.has("role") {
            section
                .report_missing("needs `role`", r#"write role = "viewer", "operator", "admin" or "enqueue""#);
        }
        let (has_kinds, kinds) = (section.has("kinds"), section.parsed_each("kinds", name));
        let help = r#"write which it may enqueue, as in kinds = ["mail.send"]"#;
        match (role, &kinds) {
            (Some(Role::Enqueue), _) if !has_kinds => {
                section.report_missing("a token for enqueuing needs `kinds`", help);
            }
            (Some(Role::Enqueue), Some(kinds)) if kinds.is_empty() => {
                section.report("kinds", "a token for enqueuing may enqueue nothing with these", help);
            }
            _ => {}
        }
        Some(Self {
            role: role?,
            kinds: kinds.unwrap_or_default(),
            queues: section.parsed_each("queues", name).unwrap_or_default(),
            expires: section.parsed("expires", instant),
            rate: read_rate(section, "requests", "how many requests are answered"),
            hash: hash?,
        })
    }

    /// The hash of a token.
    pub fn hash_of(token: &str) -> [u8; 32] {
        Sha256::digest(token.as_bytes()).into()
    }

    /// Whether two hashes are the same. Each is compared to its end, so that the time that it takes says nothing.
    pub fn is_same(one: &[u8; 32], other: &[u8; 32]) -> bool {
        one.ct_eq(other).into()
    }

    /// A hash as it stands in the file.
    pub fn spell(hash: &[u8; 32]) -> String {
        format!("{HASH}{}", hex(hash))
    }
}

fn name(text: &str) -> Result<String, Complaint> {
    check_name(text).map(|()| text.to_owned()).map_err(Complaint::from)
}

fn instant(text: &str) -> Result<Timestamp, Complaint> {
    let help = r#"write an instant with its zone, as in "2027-01-01T00:00:00Z""#;
    text.parse().map_err(|_| Complaint::new(format!("`{}` is not an instant", clip(text)), help))
}

/// The hash, from where it or the token is said.
fn read_hash(section: &mut Section<'_>) -> Option<[u8; 32]> {
    let (hash, said) = (section.parsed("hash", unspell), TOKEN.said(section));
    let written = ["hash", TOKEN.key, TOKEN.file_key].into_iter().filter(|key| section.has(key)).count();
    if written != 1 {
        section.report_missing("needs one of `hash`, `token` and `token_file`", HELP_HASH);
        return None;
    }
    let Some(said) = said else { return hash };
    let (key, token) = TOKEN.read(section, said)?;
    if token.len() < TOKEN_BYTES_MIN {
        let message = format!("a token of less than {TOKEN_BYTES_MIN} characters can be guessed");
        section.report(key, message, HELP_HASH);
        return None;
    }
    Some(Token::hash_of(&token))
}

fn unspell(text: &str) -> Result<[u8; 32], Complaint> {
    let complain = || Complaint::new("that is not a hash of SHA-256, which begins with `sha256:`", HELP_HASH);
    text.trim().strip_prefix(HASH).and_then(bytes_of_hex).ok_or_else(complain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_read_as_it_is_spelt() {
        let hash = Token::hash_of("a token");
        assert_eq!(unspell(&Token::spell(&hash)).ok(), Some(hash));
        for wrong in ["", "sha256:", "sha256:zz", "sha512:00", &format!("sha256:{}", "é".repeat(32))] {
            assert!(unspell(wrong).is_err(), "{wrong}");
        }
    }
}
