//! Binding JSON values to the parameters of a statement, as the types that Postgres says they have.
//!
//! Values travel beside the statement and never inside it. They are strict: a text that looks like a number
//! is not a number. What has no binding here can be passed as a text and cast in the statement.

use std::str::FromStr;

use jiff::civil;
use jiff::{Timestamp, Unit};
use serde_json::Value;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgTypeInfo, PgTypeKind};
use sqlx::{Encode, Postgres, Type, TypeInfo};

use crate::db::numeric;

/// A value in Postgres' binary form, with its type.
#[derive(Debug, Clone)]
pub struct Param {
    pub(crate) kind: PgTypeInfo,
    pub(crate) bytes: Option<Vec<u8>>,
}

/// A value cannot become what the statement needs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} ({kind}), found {found}")]
pub struct BindError {
    /// In words.
    pub expected: &'static str,
    /// The type's name in Postgres.
    pub kind: String,
    /// What sort of value it is. Not the value: whoever may not see what jobs are given sees what they died of.
    pub found: String,
}

impl Param {
    /// `value` as a parameter of type `kind`.
    ///
    /// # Errors
    /// It is of another type, or outside the type's range.
    pub fn of(value: &Value, kind: &PgTypeInfo) -> Result<Self, BindError> {
        let bytes = if value.is_null() { None } else { Some(encode(value, kind)?) };
        Ok(Self { kind: kind.clone(), bytes })
    }
}

impl Type<Postgres> for Param {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("text")
    }
}

impl Encode<'_, Postgres> for Param {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        match &self.bytes {
            None => Ok(IsNull::Yes),
            Some(bytes) => {
                buffer.extend_from_slice(bytes);
                Ok(IsNull::No)
            }
        }
    }

    fn produces(&self) -> Option<PgTypeInfo> {
        Some(self.kind.clone())
    }
}

/// True where [`Param::of`] knows what to do with values of this type.
pub(crate) fn is_bindable(kind: &PgTypeInfo) -> bool {
    match kind.kind() {
        PgTypeKind::Domain(base) => is_bindable(base),
        PgTypeKind::Array(element) => is_bindable(element),
        PgTypeKind::Enum(_) => true,
        _ => EXPECTED.iter().any(|(names, _)| names.contains(&name(kind).as_str())),
    }
}

/// Names of types, and what they want in words.
const EXPECTED: &[(&[&str], &str)] = &[
    (&["bool"], "true or false"),
    (&["int2", "int4", "int8", "oid"], "a whole number"),
    (&["float4", "float8"], "a number"),
    (&["numeric"], "a number, or a text with one"),
    (&["text", "varchar", "bpchar", "char", "\"char\"", "name", "unknown", "citext"], "a text"),
    (&["json", "jsonb"], "any JSON"),
    (&["uuid"], "a text with a UUID"),
    (&["timestamptz"], "a text with an instant such as 2026-01-31T08:00:00Z"),
    (&["timestamp"], "a text with a date and time such as 2026-01-31T08:00:00"),
    (&["date"], "a text with a date such as 2026-01-31"),
    (&["bytea"], "a text"),
];

fn name(kind: &PgTypeInfo) -> String {
    kind.name().to_ascii_lowercase()
}

fn encode(value: &Value, kind: &PgTypeInfo) -> Result<Vec<u8>, BindError> {
    match kind.kind() {
        PgTypeKind::Domain(base) => return encode(value, base),
        PgTypeKind::Array(element) => return encode_array(value, kind, element),
        PgTypeKind::Enum(labels) => {
            let label = value.as_str().filter(|&label| labels.iter().any(|known| known == label));
            let found = label.map(|label| label.as_bytes().to_vec());
            return found.ok_or_else(|| refuse(value, kind, "one of the labels of the enum"));
        }
        _ => {}
    }
    let type_name = name(kind);
    let encoded = match type_name.as_str() {
        "bool" => value.as_bool().map(|truth| vec![u8::from(truth)]),
        "int2" => whole::<i16>(value).map(|n| n.to_be_bytes().to_vec()),
        "int4" => whole::<i32>(value).map(|n| n.to_be_bytes().to_vec()),
        "int8" => whole::<i64>(value).map(|n| n.to_be_bytes().to_vec()),
        "oid" => whole::<u32>(value).map(|n| n.to_be_bytes().to_vec()),
        #[expect(clippy::cast_possible_truncation, reason = "the column has that precision")]
        "float4" => value.as_f64().map(|n| (n as f32).to_be_bytes().to_vec()),
        "float8" => value.as_f64().map(|n| n.to_be_bytes().to_vec()),
        "numeric" => decimal(value).and_then(|text| numeric::encode(&text)),
        "text" | "varchar" | "bpchar" | "char" | "\"char\"" | "name" | "unknown" | "citext" | "bytea" => {
            value.as_str().map(|text| text.as_bytes().to_vec())
        }
        "json" => Some(value.to_string().into_bytes()),
        // The binary form of jsonb is its version, 1, and the text.
        "jsonb" => Some([&[1], value.to_string().as_bytes()].concat()),
        "uuid" => value.as_str().and_then(uuid),
        "timestamptz" => parsed::<Timestamp>(value).map(|instant| since_2000(instant).to_be_bytes().to_vec()),
        "timestamp" => parsed::<civil::DateTime>(value).and_then(|local| {
            let instant = local.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
            Some(since_2000(instant).to_be_bytes().to_vec())
        }),
        "date" => {
            parsed::<civil::Date>(value).and_then(days_since_2000).map(|days| days.to_be_bytes().to_vec())
        }
        _ => None,
    };
    let expected = EXPECTED.iter().find(|(names, _)| names.contains(&type_name.as_str()));
    encoded.ok_or_else(|| {
        refuse(
            value,
            kind,
            expected.map_or("a type that can be bound: pass a text and cast it", |known| known.1),
        )
    })
}

/// A one-dimensional array in binary: dimensions, has nulls, element type, length, lower bound, elements.
fn encode_array(value: &Value, kind: &PgTypeInfo, element: &PgTypeInfo) -> Result<Vec<u8>, BindError> {
    let values = value.as_array().ok_or_else(|| refuse(value, kind, "an array"))?;
    let elements =
        values.iter().map(|value| Ok(Param::of(value, element)?.bytes)).collect::<Result<Vec<_>, _>>()?;
    let oid = element.oid().unwrap_or(Oid(0));
    array_bytes(oid, elements).ok_or_else(|| refuse(value, kind, "a shorter array"))
}

/// The binary form of an array of elements that are in binary form already.
pub(crate) fn array_bytes<B: AsRef<[u8]>>(
    element: Oid,
    elements: impl IntoIterator<Item = Option<B>>,
) -> Option<Vec<u8>> {
    // Its dimensions, whether any of them is NULL, and their type; then how many there are, and where they begin.
    let mut bytes = [0; 8].to_vec();
    bytes.extend_from_slice(&element.0.to_be_bytes());
    bytes.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 1]);
    let mut length = 0_i32;
    for element in elements {
        length = length.checked_add(1)?;
        match element {
            None => {
                bytes[7] = 1;
                bytes.extend_from_slice(&(-1_i32).to_be_bytes());
            }
            Some(element) => {
                let element = element.as_ref();
                bytes.extend_from_slice(&i32::try_from(element.len()).ok()?.to_be_bytes());
                bytes.extend_from_slice(element);
            }
        }
    }
    if length == 0 {
        bytes.truncate(12);
        return Some(bytes);
    }
    bytes[3] = 1;
    bytes[12..16].copy_from_slice(&length.to_be_bytes());
    Some(bytes)
}

fn refuse(value: &Value, kind: &PgTypeInfo, expected: &'static str) -> BindError {
    let found = match value {
        Value::String(text) => {
            let length = text.chars().count();
            format!("a text of {length} character{}", if length == 1 { "" } else { "s" })
        }
        Value::Number(_) => "a number".to_owned(),
        Value::Bool(_) => "true or false".to_owned(),
        Value::Null => "null".to_owned(),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    };
    BindError { expected, kind: name(kind), found }
}

fn whole<T: TryFrom<i64>>(value: &Value) -> Option<T> {
    value.as_i64().and_then(|n| T::try_from(n).ok())
}

fn decimal(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        _ => None,
    }
}

fn parsed<T: FromStr>(value: &Value) -> Option<T> {
    value.as_str()?.parse().ok()
}

fn uuid(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b'-').collect();
    if digits.len() != 32 {
        return None;
    }
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.chunks_exact(2).map(pair).collect()
}

/// Microseconds since 2000-01-01 UTC, the epoch of Postgres.
fn since_2000(instant: Timestamp) -> i64 {
    const EPOCH_S: i64 = 946_684_800;
    instant.as_microsecond() - EPOCH_S * 1_000_000
}

fn days_since_2000(date: civil::Date) -> Option<i32> {
    civil::date(2000, 1, 1).until((Unit::Day, date)).ok().map(|span| span.get_days())
}
