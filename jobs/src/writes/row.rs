//! A row as applications hand it over, and what can be wrong with it before the database is asked.

use std::collections::BTreeMap;

use brasa_shared::config::{Mode, Write};
use serde_json::value::RawValue;

use crate::writes::table::{Shape, Table};

/// Why a row cannot be written. It is no fault of the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poison {
    /// As Postgres calls it.
    pub sqlstate: Option<String>,
    /// The column or the constraint, where it is known.
    pub at_fault: Option<String>,
    /// What is wrong.
    pub message: String,
}

/// A row: its columns by name, each with its value as text; none is NULL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row(pub BTreeMap<String, Option<String>>);

impl Row {
    /// Reads a row, and checks what can be checked without the database.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn read(payload: &[u8], table: &Table) -> Result<Self, Poison> {
        let text = std::str::from_utf8(payload)
            .map_err(|error| poison("22021", None, format!("no UTF-8: {error}")))?;
        let fields: BTreeMap<String, &RawValue> = serde_json::from_str(text)
            .map_err(|error| poison("22032", None, format!("no JSON object of columns: {error}")))?;
        if fields.is_empty() {
            return Err(poison("22032", None, "the row names no column".to_owned()));
        }
        let mut row = BTreeMap::new();
        for (name, value) in fields {
            let Some(shape) = table.columns.get(&name) else {
                let known: Vec<&str> = table.columns.keys().map(String::as_str).collect();
                let message =
                    format!("the table has no column `{}`; it has: {}", clip(&name), known.join(", "));
                return Err(poison("42703", Some(&name), message));
            };
            if shape.is_made {
                let message = format!("column `{name}` is made by the database and cannot be written");
                return Err(poison("428C9", Some(&name), message));
            }
            let value =
                text_of(value.get(), shape).map_err(|message| poison("22P02", Some(&name), message))?;
            if value.as_deref().is_some_and(|text| text.contains('\0')) {
                let message =
                    format!("the text for column `{name}` has a NUL byte, which Postgres cannot store");
                return Err(poison("22021", Some(&name), message));
            }
            if value.is_none() && shape.is_needed {
                return Err(poison("23502", Some(&name), format!("column `{name}` must not be NULL")));
            }
            row.insert(name, value);
        }
        for (name, shape) in &table.columns {
            if !row.contains_key(name) && shape.is_needed && !shape.has_default {
                return Err(poison(
                    "23502",
                    Some(name),
                    format!("column `{name}` is missing, and has no default"),
                ));
            }
        }
        Ok(Self(row))
    }

    /// The same, where the row also has to say which one it is.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn of(payload: &[u8], write: &Write, table: &Table) -> Result<Self, Poison> {
        let row = Self::read(payload, table)?;
        if let Mode::Upsert(merging) = &write.mode
            && row.key(&merging.key).is_none()
        {
            let message =
                format!("a part of the key is missing or NULL: it takes {}", merging.key.join(", "));
            return Err(poison("23502", None, message));
        }
        Ok(row)
    }

    /// The values of these columns; none where one of them is missing or NULL.
    pub fn key(&self, columns: &[String]) -> Option<Vec<&str>> {
        columns.iter().map(|column| self.0.get(column)?.as_deref()).collect()
    }
}

/// A value of JSON as the text that Postgres reads.
fn text_of(json: &str, shape: &Shape) -> Result<Option<String>, String> {
    match json.as_bytes().first() {
        Some(b'n') => Ok(None),
        _ if shape.is_json => Ok(Some(json.to_owned())),
        Some(b'"') => serde_json::from_str(json).map(Some).map_err(|error| error.to_string()),
        Some(b'[') if shape.is_array => array_of(json).map(Some),
        Some(b'[' | b'{') => Err(format!("expected {}, found {}", shape.kind, clip(json))),
        _ => Ok(Some(json.to_owned())),
    }
}

/// An array of JSON as an array of Postgres.
fn array_of(json: &str) -> Result<String, String> {
    let items: Vec<&RawValue> = serde_json::from_str(json).map_err(|error| error.to_string())?;
    let mut text = String::from("{");
    for (place, item) in items.iter().enumerate() {
        if place > 0 {
            text.push(',');
        }
        let item = item.get();
        match item.as_bytes().first() {
            Some(b'n') => text.push_str("NULL"),
            Some(b'[') => text.push_str(&array_of(item)?),
            Some(b'"') => {
                let value: String = serde_json::from_str(item).map_err(|error| error.to_string())?;
                push_quoted(&mut text, &value);
            }
            _ => push_quoted(&mut text, item),
        }
    }
    text.push('}');
    Ok(text)
}

fn push_quoted(text: &mut String, value: &str) {
    text.push('"');
    for c in value.chars() {
        if matches!(c, '"' | '\\') {
            text.push('\\');
        }
        text.push(c);
    }
    text.push('"');
}

fn poison(sqlstate: &str, at_fault: Option<&str>, message: String) -> Poison {
    Poison { sqlstate: Some(sqlstate.to_owned()), at_fault: at_fault.map(clip), message }
}

fn clip(text: &str) -> String {
    text.chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let shape = |kind: &str, is_needed| Shape {
            kind: kind.to_owned(),
            is_needed,
            has_default: false,
            is_made: false,
            is_array: kind.ends_with("[]"),
            is_json: kind == "jsonb",
            is_number: kind == "integer",
        };
        let columns = [
            ("id", shape("integer", true)),
            ("name", shape("text", false)),
            ("tags", shape("text[]", false)),
            ("more", shape("jsonb", false)),
            ("made", Shape { is_made: true, ..shape("integer", false) }),
        ];
        Table { columns: columns.into_iter().map(|(name, shape)| (name.to_owned(), shape)).collect() }
    }

    fn texts(json: &str) -> Vec<Option<String>> {
        Row::read(json.as_bytes(), &table()).unwrap().0.into_values().collect()
    }

    #[test]
    fn values_become_what_postgres_reads() {
        let some = |texts: &[&str]| texts.iter().map(|text| Some((*text).to_owned())).collect::<Vec<_>>();
        assert_eq!(texts(r#"{"id": 12345678901234567890.10}"#), some(&["12345678901234567890.10"]));
        assert_eq!(texts(r#"{"id": true, "name": "a\"b\u00f1"}"#), some(&["true", "a\"bñ"]));
        assert_eq!(texts(r#"{"id": 1, "name": null}"#), [Some("1".to_owned()), None]);
        let array = r#"{"id": 1, "tags": ["a", null, "b,\"c\\", 7, ["d"]]}"#;
        assert_eq!(texts(array)[1].as_deref(), Some(r#"{"a",NULL,"b,\"c\\","7",{"d"}}"#));
        assert_eq!(texts(r#"{"id": 1, "more": "text"}"#)[1].as_deref(), Some(r#""text""#));
        assert_eq!(texts(r#"{"id": 1, "more": {"a": [1, 2]}}"#)[1].as_deref(), Some(r#"{"a": [1, 2]}"#));
    }

    #[test]
    fn what_cannot_be_written_says_why() {
        for (payload, sqlstate, message) in [
            (&b"\xff"[..], "22021", "no UTF-8"),
            (b"[1]", "22032", "no JSON object"),
            (b"{\"id\": 1", "22032", "no JSON object"),
            (b"{}", "22032", "names no column"),
            (br#"{"id": 1, "nam": "x"}"#, "42703", "the table has no column `nam`; it has: id, made, more"),
            (br#"{"id": 1, "made": 7}"#, "428C9", "made by the database"),
            (br#"{"id": 1, "name": "a\u0000b"}"#, "22021", "has a NUL byte"),
            (br#"{"id": null}"#, "23502", "must not be NULL"),
            (br#"{"name": "x"}"#, "23502", "column `id` is missing"),
            (br#"{"id": [1]}"#, "22P02", "expected integer, found [1]"),
        ] {
            let poison = Row::read(payload, &table()).unwrap_err();
            assert_eq!(poison.sqlstate.as_deref(), Some(sqlstate), "{message}");
            assert!(poison.message.contains(message), "{}", poison.message);
        }
    }
}
