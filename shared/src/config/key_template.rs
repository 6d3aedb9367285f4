//! The template of a cache key: `board:{origin}`.

use std::fmt::{self, Display};

/// The placeholder that is no column: the version of the warmer's definition.
pub const VERSION: &str = "@version";

/// A text with placeholders, each of which takes a column of a row. Braces are written doubled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyTemplate {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Column(String),
}

/// Why a text is not a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// There is nothing in it.
    #[error("the key is empty")]
    Empty,
    /// A `{` without its `}`, or the other way round.
    #[error("`{0}` in the key has no partner")]
    Unpaired(char),
    /// What stands between braces cannot be a column.
    #[error("`{{{0}}}` in the key does not name a column")]
    Placeholder(String),
}

/// A row lacks a column that the key needs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the key `{template}` needs the column `{column}`, which the row does not have or which is null")]
pub struct MissingColumn {
    /// The template as it was written.
    pub template: String,
    /// The column.
    pub column: String,
}

impl KeyTemplate {
    /// Reads a template.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.is_empty() {
            return Err(TemplateError::Empty);
        }
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let (brace, after) = (&rest[at..=at], &rest[at + 1..]);
            if let Some(after) = after.strip_prefix(brace) {
                literal.push_str(brace);
                rest = after;
                continue;
            }
            let (column, after) = placeholder(brace, after)?;
            push_literal(&mut parts, &mut literal);
            parts.push(Part::Column(column));
            rest = after;
        }
        literal.push_str(rest);
        push_literal(&mut parts, &mut literal);
        Ok(Self { text: text.to_owned(), parts })
    }

    /// Whether the version of the warmer's definition is a part of the key.
    pub fn has_version(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Column(column) if column == VERSION))
    }

    /// The columns that the key needs, each once, in the order in which they first appear.
    pub fn placeholders(&self) -> Vec<&str> {
        let mut columns = Vec::new();
        for part in &self.parts {
            if let Part::Column(column) = part
                && column != VERSION
                && !columns.contains(&column.as_str())
            {
                columns.push(column.as_str());
            }
        }
        columns
    }

    /// What every key begins with; empty where it begins with a column.
    pub fn literal_start(&self) -> &str {
        match self.parts.first() {
            Some(Part::Literal(text)) => text,
            _ => "",
        }
    }

    /// The key of a row, whose columns `value_of` knows.
    pub fn render<'v>(&self, value_of: &dyn Fn(&str) -> Option<&'v str>) -> Result<String, MissingColumn> {
        let mut key = String::with_capacity(self.text.len());
        for part in &self.parts {
            let text = match part {
                Part::Literal(text) => Some(text.as_str()),
                Part::Column(column) => value_of(column),
            };
            key.push_str(text.ok_or_else(|| self.missing(part))?);
        }
        Ok(key)
    }

    /// The texts of the columns that make this key, in the order of [`Self::placeholders`]: the reverse of
    /// [`Self::render`]. None where no texts make it, or where several might, such as `board:{a}:{b}` of
    /// `board:x:y:z`.
    pub fn read_back<'k>(&self, key: &'k str, version: &str) -> Option<Vec<&'k str>> {
        let parts = self.parts_with(version)?;
        let first = cut(&parts, key, false)?;
        // Between the leftmost and the rightmost way to cut it lie all others.
        if cut(&parts, key, true)? != first {
            return None;
        }
        let mut texts: Vec<(&str, &str)> = Vec::new();
        for (column, text) in first {
            match texts.iter().find(|(known, _)| *known == column) {
                Some((_, before)) if *before != text => return None,
                Some(_) => {}
                None => texts.push((column, text)),
            }
        }
        Some(texts.into_iter().map(|(_, text)| text).collect())
    }

    /// Its parts with the version filled in; none where two columns touch, as nobody can tell them apart.
    fn parts_with(&self, version: &str) -> Option<Vec<Part>> {
        let mut parts: Vec<Part> = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            let text = match part {
                Part::Literal(text) => text.as_str(),
                Part::Column(column) if column == VERSION => version,
                Part::Column(_) if matches!(parts.last(), Some(Part::Column(_))) => return None,
                Part::Column(_) => {
                    parts.push(part.clone());
                    continue;
                }
            };
            match parts.last_mut() {
                Some(Part::Literal(before)) => before.push_str(text),
                _ => parts.push(Part::Literal(text.to_owned())),
            }
        }
        Some(parts)
    }

    fn missing(&self, part: &Part) -> MissingColumn {
        let (Part::Literal(column) | Part::Column(column)) = part;
        MissingColumn { template: self.text.clone(), column: column.clone() }
    }
}

impl Display for KeyTemplate {
    /// As it was written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Cuts a key into the columns of a template, whose parts alternate; where a literal is found several times, the first
/// one counts, or from the end the last one.
fn cut<'p, 'k>(parts: &'p [Part], key: &'k str, from_end: bool) -> Option<Vec<(&'p str, &'k str)>> {
    let mut texts = Vec::new();
    let (mut rest, mut open) = (key, None);
    let ordered: Vec<&Part> = if from_end { parts.iter().rev().collect() } else { parts.iter().collect() };
    for (place, part) in ordered.iter().enumerate() {
        match (part, open) {
            (Part::Column(column), _) => open = Some(column.as_str()),
            (Part::Literal(literal), None) => {
                let stripped =
                    if from_end { rest.strip_suffix(&**literal) } else { rest.strip_prefix(&**literal) };
                rest = stripped?;
            }
            // What comes last ends the key.
            (Part::Literal(literal), Some(column)) if place + 1 == ordered.len() => {
                let text =
                    if from_end { rest.strip_prefix(&**literal) } else { rest.strip_suffix(&**literal) };
                texts.push((column, text?));
                (rest, open) = ("", None);
            }
            (Part::Literal(literal), Some(column)) => {
                let (before, after) =
                    if from_end { rest.rsplit_once(&**literal)? } else { rest.split_once(&**literal)? };
                let (text, left) = if from_end { (after, before) } else { (before, after) };
                texts.push((column, text));
                (rest, open) = (left, None);
            }
        }
    }
    match open {
        Some(column) => texts.push((column, rest)),
        None if rest.is_empty() => {}
        None => return None,
    }
    if from_end {
        texts.reverse();
    }
    Some(texts)
}

fn push_literal(parts: &mut Vec<Part>, literal: &mut String) {
    if !literal.is_empty() {
        parts.push(Part::Literal(std::mem::take(literal)));
    }
}

fn placeholder<'a>(brace: &str, after: &'a str) -> Result<(String, &'a str), TemplateError> {
    if brace == "}" {
        return Err(TemplateError::Unpaired('}'));
    }
    let (column, after) = after.split_once('}').ok_or(TemplateError::Unpaired('{'))?;
    let is_inner = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if column != VERSION && (column.is_empty() || !column.chars().all(is_inner)) {
        return Err(TemplateError::Placeholder(column.to_owned()));
    }
    Ok((column.to_owned(), after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(template: &str) -> String {
        let value_of = |column: &str| match column {
            "origin" => Some("BOG"),
            "day" => Some("{1}"),
            _ => None,
        };
        KeyTemplate::parse(template).unwrap().render(&value_of).unwrap()
    }

    #[test]
    fn placeholders_take_the_columns_of_a_row() {
        assert_eq!(rendered("board"), "board");
        assert_eq!(rendered("board:{origin}"), "board:BOG");
        assert_eq!(rendered("{origin}{day}:{origin}"), "BOG{1}:BOG");
        assert_eq!(rendered("{{{origin}}}:x"), "{BOG}:x");
        assert_eq!(rendered("{{origin}}"), "{origin}");
        assert_eq!(rendered("größe:{origin}"), "größe:BOG");
    }

    #[test]
    fn placeholders_are_listed_once_and_in_order() {
        let template = KeyTemplate::parse("{b}:{a}:{{c}}:{b}").unwrap();
        assert_eq!(template.placeholders(), ["b", "a"]);
        let versioned = KeyTemplate::parse("board:{@version}:{a}").unwrap();
        assert_eq!((versioned.placeholders(), versioned.literal_start()), (vec!["a"], "board:"));
        assert!(versioned.has_version() && !template.has_version());
        assert_eq!(template.to_string(), "{b}:{a}:{{c}}:{b}");
        assert_eq!(template.literal_start(), "");
        assert_eq!(KeyTemplate::parse("{{x}}:{a}").unwrap().literal_start(), "{x}:");
    }

    #[test]
    fn a_key_is_read_back_where_only_one_row_makes_it() {
        let read = |template: &str, key: &str| {
            let template = KeyTemplate::parse(template).unwrap();
            let texts = template.read_back(key, "v1");
            texts.map(|texts| texts.join("|"))
        };
        for (template, key, texts) in [
            ("board", "board", Some("")),
            ("board", "boards", None),
            ("board:{a}", "board:x:y", Some("x:y")),
            ("board:{a}", "bored:x", None),
            ("board:{a}", "board:", Some("")),
            ("board:{a}:{b}", "board:x:y", Some("x|y")),
            ("board:{a}:{b}", "board:x:y:z", None),
            ("board:{a}:{b}", "board:x", None),
            ("{a}-{b}!", "ñ-y!", Some("ñ|y")),
            ("{a}-{b}!", "x-y", None),
            ("{a}{b}", "xy", None),
            ("{b}:{a}:{b}", "x:y:x", Some("x|y")),
            ("{b}:{a}:{b}", "x:y:z", None),
            ("{@version}:{a}", "v1:x", Some("x")),
            ("{@version}:{a}", "v2:x", None),
            ("{a}:{@version}", "x:v1:v1", Some("x:v1")),
            ("{a}:{@version}:{b}", "x:v1:v1:y", None),
            ("{{{a}}}:x", "{y}:x", Some("y")),
            ("a:{x}:a", "a:a", None),
        ] {
            assert_eq!(read(template, key).as_deref(), texts, "{template} of {key}");
        }
    }

    #[test]
    fn a_row_without_the_column_has_no_key() {
        let error = KeyTemplate::parse("board:{origin}").unwrap().render(&|_| None).unwrap_err();
        assert_eq!(error.column, "origin");
    }

    #[test]
    fn other_texts_are_refused_with_the_reason() {
        let cases = [
            ("", TemplateError::Empty),
            ("a{b", TemplateError::Unpaired('{')),
            ("a}b", TemplateError::Unpaired('}')),
            ("{a}}", TemplateError::Unpaired('}')),
            ("{}", TemplateError::Placeholder(String::new())),
            ("{@versions}", TemplateError::Placeholder("@versions".to_owned())),
            ("{a b}", TemplateError::Placeholder("a b".to_owned())),
            ("{a{b}", TemplateError::Placeholder("a{b".to_owned())),
        ];
        for (text, expected) in cases {
            assert_eq!(KeyTemplate::parse(text), Err(expected), "{text}");
        }
    }
}
