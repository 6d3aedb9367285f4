//! Variables of the environment inside a text: `${NAME}` and `${NAME:-default}`; `$${` stands for `${`.

use super::complaint::{Complaint, clip};

/// Puts the variables in, or says everything that is wrong with them.
///
/// As in a shell, `:-` also takes the default where the variable is set to nothing.
pub(super) fn interpolate(
    text: &str,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<String, Vec<Complaint>> {
    let mut filled = String::new();
    let mut complaints = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, from) = rest.split_at(start);
        if let Some(literal) = before.strip_suffix('$') {
            filled.push_str(literal);
            filled.push_str("${");
            rest = &from[2..];
            continue;
        }
        filled.push_str(before);
        let Some((inside, after)) = from[2..].split_once('}') else {
            complaints.push(Complaint::new(
                "`${` is not closed by `}`",
                "write `${NAME}`, or `$${` for the two characters",
            ));
            return Err(complaints);
        };
        match resolve(inside, variable) {
            Ok(value) => filled.push_str(&value),
            Err(complaint) => complaints.push(complaint),
        }
        rest = after;
    }
    filled.push_str(rest);
    if complaints.is_empty() { Ok(filled) } else { Err(complaints) }
}

fn resolve(inside: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<String, Complaint> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let is_inner = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(is_inner) {
        let message = format!("`{}` is not the name of a variable", clip(name));
        return Err(Complaint::new(message, "write `${NAME}` or `${NAME:-default}`"));
    }
    if default.is_some_and(|default| default.contains("${")) {
        let message = format!("the default of `{name}` holds another variable");
        return Err(Complaint::new(message, "a default is plain text"));
    }
    let value = variable(name).filter(|value| !(value.is_empty() && default.is_some()));
    value.or_else(|| default.map(str::to_owned)).ok_or_else(|| {
        let help = format!("set it in the environment, or give a default: `${{{name}:-…}}`");
        Complaint::new(format!("the variable `{name}` is not set"), help)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> Result<String, String> {
        let variable = |name: &str| match name {
            "HOST" => Some("cache".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        interpolate(text, &variable)
            .map_err(|complaints| complaints.into_iter().map(|c| c.message).collect::<Vec<_>>().join("; "))
    }

    #[test]
    fn variables_and_their_defaults_are_put_in() {
        let cases = [
            ("plain", "plain"),
            ("redis://${HOST}:6379", "redis://cache:6379"),
            ("${HOST}${HOST}", "cachecache"),
            ("${NOPE:-here}", "here"),
            ("${EMPTY:-here}", "here"),
            ("${EMPTY}", ""),
            ("${NOPE:-}", ""),
            ("${HOST:-here}", "cache"),
            ("pa$$word$", "pa$$word$"),
            ("$${HOST}", "${HOST}"),
        ];
        for (text, expected) in cases {
            assert_eq!(filled(text), Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn every_bad_variable_is_named() {
        let cases = [
            ("${A}-${B}", "the variable `A` is not set; the variable `B` is not set"),
            ("${A", "`${` is not closed by `}`"),
            ("${}", "`` is not the name of a variable"),
            ("${A B}", "`A B` is not the name of a variable"),
            ("${1A}", "`1A` is not the name of a variable"),
            ("${A:-${B}}", "the default of `A` holds another variable"),
        ];
        for (text, expected) in cases {
            assert_eq!(filled(text), Err(expected.to_owned()), "{text}");
        }
    }
}
