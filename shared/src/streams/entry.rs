//! An entry of a stream, as Redis gives it.

use redis::Value;

use crate::place::Place;

/// The field that holds a row.
const ROW: &[u8] = b"d";
/// The fields that say who sent it, and which number that one gave it.
const PRODUCER: &[u8] = b"p";
const NUMBER: &[u8] = b"n";
/// The longest name of a producer, in bytes.
const PRODUCER_MAX: usize = 64;

/// An entry of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place.
    pub place: Place,
    /// The row, as it came; none where there is no field `d`.
    pub row: Option<Vec<u8>>,
    /// Who sent it, and which number that one gave it; none where it was not numbered.
    pub number: Option<(String, i64)>,
}

impl Entry {
    /// An id, and fields with their values in turns, which are taken and not copied: there are many of them. Of a field
    /// that is there twice the first counts.
    pub(super) fn of(value: Value) -> Option<Self> {
        let mut parts = array(value).into_iter();
        let place = std::str::from_utf8(&bytes(parts.next()?)?).ok()?.parse().ok()?;
        let mut fields = parts.next().map(array).unwrap_or_default().into_iter();
        let (mut row, mut producer, mut number) = (None, None, None);
        while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
            let field = match bytes(name)?.as_slice() {
                ROW => &mut row,
                PRODUCER => &mut producer,
                NUMBER => &mut number,
                _ => continue,
            };
            if field.is_none() {
                *field = bytes(value);
            }
        }
        let text = |bytes: Option<Vec<u8>>| String::from_utf8(bytes?).ok();
        let number = text(number).and_then(|number| number.parse::<i64>().ok());
        let number = text(producer).filter(|name| is_producer(name)).zip(number.filter(|number| *number > 0));
        Some(Self { place, row, number })
    }
}

fn array(value: Value) -> Vec<Value> {
    match value {
        Value::Array(values) => values,
        _ => Vec::new(),
    }
}

fn bytes(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        _ => None,
    }
}

/// Whether a text can be the name of a producer; rows of others count as not numbered.
fn is_producer(name: &str) -> bool {
    (1..=PRODUCER_MAX).contains(&name.len()) && !name.contains('\0')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(fields: &[&str]) -> Entry {
        let text = |text: &&str| Value::BulkString(text.as_bytes().to_vec());
        let fields = Value::Array(fields.iter().map(text).collect());
        Entry::of(Value::Array(vec![text(&"7-3"), fields])).unwrap()
    }

    #[test]
    fn an_entry_has_its_row_and_its_number_wherever_they_stand() {
        let place = Place { ms: 7, seq: 3 };
        let row = Some(b"{}".to_vec());
        let numbered = Some(("me".to_owned(), 4));
        for (fields, row, number) in [
            (&["d", "{}"][..], row.clone(), None),
            (&["n", "4", "x", "y", "p", "me", "d", "{}"], row.clone(), numbered.clone()),
            (&["d", "{}", "d", "[]", "p", "me", "p", "you", "n", "4"], row.clone(), numbered),
            (&["p", "me", "n", "0", "d", "{}"], row.clone(), None),
            (&["p", "", "n", "1", "d", "{}"], row, None),
            (&["D", "{}"], None, None),
            (&[], None, None),
        ] {
            assert_eq!(entry(fields), Entry { place, row, number }, "{fields:?}");
        }
    }
}
