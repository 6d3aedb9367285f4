//! Secrets are taken out of what somebody answered, however they are spelt there.

use serde_json::{Number, Value};

use super::secret::Secret;

/// What stands where a secret stood.
const HIDDEN: &str = "(hidden)";

/// A text without these secrets, as they are or as JSON may write them: some escape `/`, and some all that is not ASCII.
/// Of secrets that hold one another the longer ones come first.
pub(super) fn hide(text: &str, secrets: &[Secret]) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some(length) = secrets.iter().find_map(|secret| spelt(rest, secret.expose())) {
            shown.push_str(HIDDEN);
            rest = &rest[length..];
        } else {
            shown.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    shown
}

/// The same of JSON, in texts, names and numbers.
pub(super) fn hide_in(value: Value, secrets: &[Secret]) -> Value {
    match value {
        Value::String(text) => Value::String(hide(&text, secrets)),
        Value::Number(number) if is_secret(&number, secrets) => Value::from(HIDDEN),
        Value::Array(values) => values.into_iter().map(|value| hide_in(value, secrets)).collect(),
        Value::Object(fields) => {
            let hidden = |(name, value): (String, Value)| (hide(&name, secrets), hide_in(value, secrets));
            Value::Object(fields.into_iter().map(hidden).collect())
        }
        other => other,
    }
}

/// How many bytes of a text are this secret, which it begins with; none where it does not.
fn spelt(text: &str, secret: &str) -> Option<usize> {
    if secret.is_empty() {
        return None;
    }
    if text.starts_with(secret) {
        return Some(secret.len());
    }
    let mut rest = text;
    for wanted in secret.chars() {
        let (found, length) = character(rest)?;
        if found != wanted {
            return None;
        }
        rest = &rest[length..];
    }
    Some(text.len() - rest.len())
}

/// The first character of what stands between the quotes of JSON, and how many bytes it is written with.
fn character(text: &str) -> Option<(char, usize)> {
    let first = text.chars().next()?;
    if first != '\\' {
        return Some((first, first.len_utf8()));
    }
    let plain = match text.as_bytes().get(1)? {
        b'u' => return unicode(text),
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        other @ (b'"' | b'\\' | b'/') => char::from(*other),
        _ => return None,
    };
    Some((plain, 2))
}

/// `\uXXXX`, or two of them where one is not enough.
fn unicode(text: &str) -> Option<(char, usize)> {
    let unit = |at: usize| {
        let digits = text.get(at..)?.strip_prefix("\\u")?.get(..4)?;
        u16::from_str_radix(digits, 16).ok()
    };
    let first = unit(0)?;
    let units = [first, unit(6).unwrap_or_default()];
    let used = if (0xd800..0xdc00).contains(&first) { 2 } else { 1 };
    let found = char::decode_utf16(units.into_iter().take(used)).next()?.ok()?;
    Some((found, used * 6))
}

/// A number is one where its digits hold it; one of many digits is no longer written as it came.
fn is_secret(number: &Number, secrets: &[Secret]) -> bool {
    let written = number.to_string();
    secrets.iter().map(Secret::expose).any(|secret| {
        let read = serde_json::from_str::<Number>(secret);
        written.contains(secret) || read.is_ok_and(|read| read == *number)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn secrets(texts: &[&str]) -> Vec<Secret> {
        texts.iter().map(|text| Secret::new(*text, "a test")).collect()
    }

    #[test]
    fn a_secret_is_hidden_however_json_writes_it() {
        let secrets = secrets(&["a/b\"ü\\😀z", "plain-token"]);
        for spelt in [
            "a/b\"ü\\😀z",
            r#"a/b\"ü\\😀z"#,
            r#"a\/b\"\u00fc\\\ud83d\ude00z"#,
            r"\u0061\u002F\u0062\u0022\u00FC\u005c\uD83D\uDE00\u007a",
            "plain-token",
            r"\u0070lain\u002dtoken",
        ] {
            assert_eq!(hide(&format!("<{spelt}> {spelt}"), &secrets), "<(hidden)> (hidden)", "{spelt}");
        }
        for other in ["a/b", r"\ud83dz", r"\u00", r"plain\-token", "\\", "plain-toke"] {
            assert_eq!(hide(other, &secrets), other);
        }
    }

    #[test]
    fn what_json_holds_is_hidden_and_stays_json() {
        let secrets = secrets(&["1234567", "31415926535897932384626433", "to/ken"]);
        let text = r#"{"to\/ken": ["\u0074o\/ken", 1234567, 91234567.5, 7, 31415926535897932384626433],
            "inner": "{\"of\": \"to\\/ken\"}", "n": null}"#;
        let hidden = hide_in(serde_json::from_str(text).unwrap(), &secrets);
        let expected = json!({
            "(hidden)": ["(hidden)", "(hidden)", "(hidden)", 7, "(hidden)"],
            "inner": "{\"of\": \"(hidden)\"}",
            "n": null,
        });
        assert_eq!(hidden, expected);
    }
}
