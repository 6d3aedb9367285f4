//! A row as applications hand it over, and what can be wrong with it before the database is asked.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use brasa_shared::config::{Mode, Write};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
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

/// A row: the columns that it names, in the order of their names, each with its value as text; none is NULL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    cells: Vec<Cell>,
    /// All texts, one behind the other.
    texts: String,
}

/// A column of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cell {
    /// Which one of the table's.
    column: usize,
    text: Option<Range<usize>>,
}

impl Row {
    /// Reads a row, and checks what can be checked without the database.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn read(payload: &[u8], table: &Table) -> Result<Self, Poison> {
        let text = std::str::from_utf8(payload)
            .map_err(|error| poison("22021", None, format!("no UTF-8: {error}")))?;
        let fields = Fields::read(text, table)
            .map_err(|error| poison("22032", None, format!("no JSON object of columns: {error}")))?;
        if fields.count == 0 {
            return Err(poison("22032", None, "the row names no column".to_owned()));
        }
        if let Some(name) = fields.unknown {
            let known: Vec<&str> = table.columns.keys().map(String::as_str).collect();
            let message = format!("the table has no column `{}`; it has: {}", clip(&name), known.join(", "));
            return Err(poison("42703", Some(&name), message));
        }
        let mut row =
            Self { cells: Vec::with_capacity(fields.count), texts: String::with_capacity(text.len()) };
        for ((name, shape), value) in table.columns.iter().zip(fields.values) {
            match value {
                Some(value) => row.push(name, shape, value.get())?,
                None if shape.is_needed && !shape.has_default => {
                    let message = format!("column `{name}` is missing, and has no default");
                    return Err(poison("23502", Some(name), message));
                }
                None => {}
            }
        }
        Ok(row)
    }

    fn push(&mut self, name: &str, shape: &Shape, json: &str) -> Result<(), Poison> {
        if shape.is_made {
            let message = format!("column `{name}` is made by the database and cannot be written");
            return Err(poison("428C9", Some(name), message));
        }
        let begin = self.texts.len();
        let has_value = push_text(&mut self.texts, json, shape)
            .map_err(|message| poison("22P02", Some(name), message))?;
        let text = begin..self.texts.len();
        if self.texts[text.clone()].contains('\0') {
            let message = format!("the text for column `{name}` has a NUL byte, which Postgres cannot store");
            return Err(poison("22021", Some(name), message));
        }
        if !has_value && shape.is_needed {
            return Err(poison("23502", Some(name), format!("column `{name}` must not be NULL")));
        }
        self.cells.push(Cell { column: shape.place, text: has_value.then_some(text) });
        Ok(())
    }

    /// The same, where the row also has to say which one it is.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn of(payload: &[u8], write: &Write, table: &Table) -> Result<Self, Poison> {
        let row = Self::read(payload, table)?;
        if let Mode::Upsert(merging) = &write.mode
            && table.places(&merging.key).and_then(|key| row.key(&key)).is_none()
        {
            let message =
                format!("a part of the key is missing or NULL: it takes {}", merging.key.join(", "));
            return Err(poison("23502", None, message));
        }
        Ok(row)
    }

    /// The columns that it names, by their places in the table.
    pub(super) fn columns(&self) -> impl Iterator<Item = usize> {
        self.cells.iter().map(|cell| cell.column)
    }

    /// The value of the column that it names as its nth.
    pub(super) fn value(&self, nth: usize) -> Option<&str> {
        Some(&self.texts[self.cells.get(nth)?.text.clone()?])
    }

    /// The values of the columns at these places of the table; none where one of them is missing or NULL.
    pub fn key(&self, columns: &[usize]) -> Option<Vec<&str>> {
        let value = |column| self.value(self.cells.binary_search_by_key(column, |cell| cell.column).ok()?);
        columns.iter().map(value).collect()
    }
}

/// The fields of an object.
struct Fields<'j> {
    /// For each column of the table, as it stands there; the last one where it is there several times.
    values: Vec<Option<&'j RawValue>>,
    /// How many fields there are.
    count: usize,
    /// One that the table does not have.
    unknown: Option<String>,
}

impl<'j> Fields<'j> {
    fn read(text: &'j str, table: &Table) -> serde_json::Result<Self> {
        let mut json = serde_json::Deserializer::from_str(text);
        let fields = json.deserialize_map(Reading(table))?;
        json.end()?;
        Ok(fields)
    }
}

/// Reads fields by what the table has, and copies no names.
struct Reading<'t>(&'t Table);

impl<'j> Visitor<'j> for Reading<'_> {
    type Value = Fields<'j>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<M: MapAccess<'j>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut fields = Fields { values: vec![None; self.0.columns.len()], count: 0, unknown: None };
        while let Some(column) = map.next_key_seed(Name(self.0))? {
            let value = map.next_value()?;
            fields.count += 1;
            match column {
                Ok(column) => fields.values[column] = Some(value),
                Err(name) => fields.unknown = Some(name),
            }
        }
        Ok(fields)
    }
}

/// Reads the name of a field as the place of the column; as itself where there is no such column.
struct Name<'t>(&'t Table);

impl<'j> DeserializeSeed<'j> for Name<'_> {
    type Value = Result<usize, String>;

    fn deserialize<D: Deserializer<'j>>(self, name: D) -> Result<Self::Value, D::Error> {
        name.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Result<usize, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a column")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.columns.get(name).map(|shape| shape.place).ok_or_else(|| name.to_owned()))
    }
}

/// Adds a value of JSON as the text that Postgres reads; false where it is NULL.
fn push_text(texts: &mut String, json: &str, shape: &Shape) -> Result<bool, String> {
    match json.as_bytes().first() {
        Some(b'n') => return Ok(false),
        _ if shape.is_json => texts.push_str(json),
        Some(b'"') => texts.push_str(&string_of(json)?),
        Some(b'[') if shape.is_array => texts.push_str(&array_of(json)?),
        Some(b'[' | b'{') => return Err(format!("expected {}, found {}", shape.kind, clip(json))),
        _ => texts.push_str(json),
    }
    Ok(true)
}

/// What a text of JSON says: what stands in its quotes, where nothing of it is written in another way.
fn string_of(json: &str) -> Result<Cow<'_, str>, String> {
    match json.get(1..json.len() - 1) {
        Some(inner) if !inner.contains('\\') => Ok(Cow::Borrowed(inner)),
        _ => serde_json::from_str(json).map(Cow::Owned).map_err(|error| error.to_string()),
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
                push_quoted(&mut text, &string_of(item)?);
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
            place: 0,
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
        Table::new(columns.map(|(name, shape)| (name.to_owned(), shape)))
    }

    fn texts(json: &str) -> Vec<Option<String>> {
        let row = Row::read(json.as_bytes(), &table()).unwrap();
        (0..row.cells.len()).map(|nth| row.value(nth).map(ToOwned::to_owned)).collect()
    }

    #[test]
    fn values_become_what_postgres_reads() {
        let some = |texts: &[&str]| texts.iter().map(|text| Some((*text).to_owned())).collect::<Vec<_>>();
        assert_eq!(texts(r#"{"id": 12345678901234567890.10}"#), some(&["12345678901234567890.10"]));
        assert_eq!(texts(r#"{"id": true, "name": "a\"b\u00f1"}"#), some(&["true", "a\"bñ"]));
        assert_eq!(texts(r#"{"id": 1, "name": null}"#), [Some("1".to_owned()), None]);
        assert_eq!(
            texts(r#"{"na\u006de": "", "id": null, "id": 1}"#),
            some(&["1", ""]),
            "the last one counts"
        );
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
            (br#"{"id": 1} x"#, "22032", "no JSON object"),
            (b"{}", "22032", "names no column"),
            (br#"{"nam": 1, "id": "}"#, "22032", "no JSON object"),
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
