//! Texts of statements as they may be kept: without literals, without comments, without secrets.
//!
//! `pg_stat_statements` replaces the literals of queries only, not those of other statements, of which
//! `create role … password '…'` is one. So all texts are read here again, and what may hold a secret is not kept at
//! all.

#[cfg(test)]
mod tests;

use brasa_shared::hash::fnv1a;

/// What statements carry that look at the system's own tables for us.
const OURS: &str = "/* brasa */";
/// How much of a text is kept.
const KEPT_BYTES: usize = 4_096;

/// Statements that hold credentials by their nature, by their second word.
const SECRETIVE: [&str; 8] =
    ["role", "user", "group", "server", "subscription", "foreign", "database", "system"];
/// Words that say so where they are in anything but a query.
const SECRET_WORDS: [&str; 5] = ["password", "secret", "token", "credential", "apikey"];
/// How queries begin, whose literals are values of columns.
const QUERIES: [&str; 8] = ["select", "insert", "update", "delete", "with", "merge", "values", "table"];

/// What keeps sessions going and does nothing for the application.
const NOISE: [&str; 12] = [
    "begin",
    "start",
    "set",
    "reset",
    "rollback",
    "savepoint",
    "release",
    "listen",
    "unlisten",
    "notify",
    "discard",
    "deallocate",
];
/// The same, as functions: settings, and words to others.
const NOISE_CALLS: [&str; 2] = ["set_config", "pg_notify"];

/// A statement, as it may be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The same for all that differ in literals, comments and white space only.
    pub fingerprint: String,
    /// Its text, or its kind where it may hold a secret.
    pub text: String,
    /// It touches tables of schema `brasa` only, or none at all and only keeps a session going.
    pub is_ours: bool,
}

impl Statement {
    /// What stands for statements whose text was gone before anybody read it.
    pub(super) fn gone() -> Self {
        let text = "(statements that were thrown out before their texts were read)";
        Self { fingerprint: "gone".to_owned(), text: text.to_owned(), is_ours: false }
    }
}

/// A piece of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'t> {
    Word(&'t str),
    Literal,
    Param(&'t str),
    Symbol(&'t str),
}

/// A piece, and whether there was something between it and the one before.
type Spaced<'t> = (bool, Token<'t>);

/// Reads the text of a statement.
pub fn read_text(text: &str) -> Statement {
    let read = read(text);
    Statement { is_ours: read.is_ours || text.contains(OURS), ..read }
}

fn read(text: &str) -> Statement {
    let (tokens, is_clear) = tokens(text);
    let words: Vec<String> = tokens.iter().filter_map(word).collect();
    if !is_clear {
        return kind_only(&words, &[]);
    }
    let is_secretive = is_secretive(&words);
    let tokens = until_value(&tokens, &words);
    if is_secretive {
        return kind_only(&words, tokens);
    }
    let mut kept = String::new();
    for (spaced, token) in tokens {
        if *spaced && !kept.is_empty() {
            kept.push(' ');
        }
        kept.push_str(match token {
            Token::Word(text) | Token::Param(text) | Token::Symbol(text) => text,
            Token::Literal => "?",
        });
    }
    let end = kept.floor_char_boundary(KEPT_BYTES);
    kept.truncate(end);
    Statement {
        fingerprint: fingerprint(tokens),
        text: kept,
        is_ours: is_noise(&words, tokens) || is_ours(tokens),
    }
}

fn is_noise(words: &[String], tokens: &[Spaced<'_>]) -> bool {
    let first = words.first().map_or("", String::as_str);
    let is_call = first == "select"
        && words.get(1).is_some_and(|word| NOISE_CALLS.contains(&word.as_str()))
        && matches!(tokens.get(2), Some((_, Token::Symbol("("))))
        && !words.iter().any(|word| word == "from");
    is_call || NOISE.contains(&first)
}

fn word((_, token): &Spaced<'_>) -> Option<String> {
    if let Token::Word(text) = token { Some(text.to_ascii_lowercase()) } else { None }
}

fn fingerprint(tokens: &[Spaced<'_>]) -> String {
    let plain = |(_, token): &Spaced<'_>| match token {
        Token::Word(text) | Token::Symbol(text) => (*text).to_owned(),
        Token::Literal | Token::Param(_) => "?".to_owned(),
    };
    format!("{:016x}", fnv1a(&tokens.iter().map(plain).collect::<Vec<_>>().join(" ")))
}

/// Only what kind of statement it is, and that all of the same kind and shape are the same.
fn kind_only(words: &[String], tokens: &[Spaced<'_>]) -> Statement {
    let kind = words.iter().take(2).map(|word| word.to_ascii_uppercase()).collect::<Vec<_>>().join(" ");
    let text = format!("{kind} (its text may hold a secret and is not kept)");
    let fingerprint = if tokens.is_empty() { format!("{:016x}", fnv1a(&text)) } else { fingerprint(tokens) };
    Statement { fingerprint, text, is_ours: false }
}

fn is_secretive(words: &[String]) -> bool {
    let Some(first) = words.first() else { return false };
    if QUERIES.contains(&first.as_str()) {
        return false;
    }
    let of_credentials = matches!(first.as_str(), "create" | "alter")
        && words.get(1).is_some_and(|second| SECRETIVE.contains(&second.as_str()));
    of_credentials || words.iter().any(|word| SECRET_WORDS.iter().any(|secret| word.contains(secret)))
}

/// What `set` sets may be a word as well as a literal, wherever it stands: in a function that is made, too. So all but
/// queries end before the first such value, and those that name a channel end before that.
fn until_value<'a, 't>(tokens: &'a [Spaced<'t>], words: &[String]) -> &'a [Spaced<'t>] {
    let first = words.first().map_or("", String::as_str);
    if QUERIES.contains(&first) {
        return tokens;
    }
    if ["listen", "unlisten", "notify"].contains(&first) {
        return &tokens[..tokens.len().min(1)];
    }
    let is_word = |token: &Spaced<'_>, text: &str| word(token).is_some_and(|word| word == text);
    let is_assignment = |token: &Spaced<'_>| token.1 == Token::Symbol("=") || is_word(token, "to");
    let is_of_a_name =
        |token: &&Spaced<'_>| !is_assignment(token) && matches!(token.1, Token::Word(_) | Token::Symbol("."));
    for place in 0..tokens.len() {
        if is_word(&tokens[place], "set") {
            let end = place + 1 + tokens[place + 1..].iter().take_while(is_of_a_name).count();
            if tokens.get(end).is_some_and(is_assignment) {
                return &tokens[..=end];
            }
        }
    }
    tokens
}

/// Whether all tables that it names are in schema `brasa`. In doubt they are not.
fn is_ours(tokens: &[Spaced<'_>]) -> bool {
    let is = |place: usize, text: &str| match tokens.get(place) {
        Some((_, Token::Word(word))) => word.trim_matches('"').eq_ignore_ascii_case(text),
        Some((_, Token::Symbol(symbol))) => *symbol == text,
        _ => false,
    };
    let named_here = |name: &str| {
        (0..tokens.len())
            .any(|place| is(place, name) && is(place + 1, "as") && !is(place.wrapping_sub(1), "."))
    };
    let mut found = false;
    for place in 0..tokens.len() {
        let leads = ["from", "join", "into", "update", "table"].iter().any(|lead| is(place, lead));
        let before = place.wrapping_sub(1);
        let of_an_instant = is(place.wrapping_sub(3), "extract");
        if !leads || of_an_instant || is(before, "for") || is(before, "do") || is(before, "distinct") {
            continue;
        }
        let skipped = ["only", "if", "not", "exists"];
        let is_skipped = |at: &usize| skipped.iter().any(|word| is(*at, word));
        let at = (place + 1..=tokens.len()).find(|at| !is_skipped(at)).unwrap_or(place + 1);
        let Some((_, Token::Word(name))) = tokens.get(at) else { continue };
        if is(at, "brasa") && is(at + 1, ".") {
            found = true;
        } else if !is(at + 1, "(") && !is(at, "lateral") && !named_here(name) {
            return false;
        }
    }
    found
}

/// Takes a text apart; says whether it is clear where its literals end.
fn tokens(text: &str) -> (Vec<Spaced<'_>>, bool) {
    let (mut found, mut rest, mut spaced, mut is_clear) = (Vec::new(), text, false, true);
    while let Some(first) = rest.chars().next() {
        if first.is_whitespace() {
            (rest, spaced) = (rest.trim_start(), true);
            continue;
        }
        if let Some(comment) = comment(rest) {
            (rest, spaced) = (&rest[comment..], true);
            continue;
        }
        let (token, length) = if let Some((length, is_sure)) = literal(rest) {
            is_clear &= is_sure;
            (Token::Literal, length)
        } else if first == '$' && rest[1..].starts_with(|c: char| c.is_ascii_digit()) {
            let length = 1 + run(&rest[1..], |c| c.is_ascii_digit());
            (Token::Param(&rest[..length]), length)
        } else if first == '"' {
            let length = quoted(rest, '"', false).0;
            (Token::Word(&rest[..length]), length)
        } else if is_of_a_word(first) {
            let length = run(rest, |c| is_of_a_word(c) || c == '$');
            (Token::Word(&rest[..length]), length)
        } else {
            (Token::Symbol(&rest[..first.len_utf8()]), first.len_utf8())
        };
        found.push((spaced, token));
        (rest, spaced) = (&rest[length..], false);
    }
    (found, is_clear)
}

fn is_of_a_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// How long the begin of a text is whose characters are all like this.
fn run(text: &str, is_like: impl Fn(char) -> bool) -> usize {
    text.find(|c| !is_like(c)).unwrap_or(text.len())
}

/// How long the comment is that a text begins with.
fn comment(text: &str) -> Option<usize> {
    if text.starts_with("--") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if !text.starts_with("/*") {
        return None;
    }
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if text[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return Some(at);
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    Some(text.len())
}

/// How long the literal is that a text begins with, and whether it surely ends there.
fn literal(text: &str) -> Option<(usize, bool)> {
    let first = text.chars().next()?;
    if first.is_ascii_digit() {
        // With exponents, fractions, underscores, and hexadecimal ones.
        return Some((run(text, |c| c.is_ascii_alphanumeric() || c == '.' || c == '_'), true));
    }
    if first == '$' {
        let tag = 1 + run(&text[1..], is_of_a_word);
        if !text[tag..].starts_with('$') || text[1..].starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let mark = &text[..=tag];
        let end = text[mark.len()..].find(mark).map_or(text.len(), |at| at + 2 * mark.len());
        return Some((end, true));
    }
    let prefix = ["e", "E", "n", "N", "b", "B", "x", "X", "u&", "U&", ""].into_iter();
    let prefix = prefix.filter(|prefix| text.starts_with(prefix));
    let prefix = prefix.into_iter().find(|prefix| text[prefix.len()..].starts_with('\''))?;
    let escapes = prefix.eq_ignore_ascii_case("e");
    let (length, is_sure) = quoted(&text[prefix.len()..], '\'', escapes);
    Some((prefix.len() + length, is_sure))
}

/// How long something in quotes is. Whether a backslash before a quote means that quote depends on a setting, unless
/// the literal says that it does: then nobody can be sure.
fn quoted(text: &str, quote: char, escapes: bool) -> (usize, bool) {
    let mut chars = text.char_indices().skip(1).peekable();
    let mut is_sure = true;
    while let Some((at, c)) = chars.next() {
        let next = chars.peek().map(|(_, next)| *next);
        if c == '\\' && quote == '\'' && escapes {
            chars.next();
        } else if c == '\\' && quote == '\'' && next == Some(quote) {
            is_sure = false;
        } else if c == quote && next == Some(quote) {
            chars.next();
        } else if c == quote {
            return (at + quote.len_utf8(), is_sure);
        }
    }
    (text.len(), is_sure)
}
