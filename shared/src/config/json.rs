//! Free content of the configuration as JSON, as it travels in the envelope of a job.

use serde_json::{Map, Number, Value};
use toml::Spanned;
use toml::de::{DeFloat, DeInteger, DeString, DeTable, DeValue};

use super::complaint::{Complaint, clip};
use super::problem::{join, quoted};

/// Records what JSON cannot hold: the value, its dotted path, what is wrong.
pub(super) type Report<'a> = &'a dyn Fn(&Spanned<DeValue<'_>>, &str, Complaint);

/// A table as an object. The parser limits how deep tables nest, so this may recurse.
pub(super) fn object(table: &DeTable<'_>, path: &str, report: Report<'_>) -> Map<String, Value> {
    let entry = |(key, item): (&Spanned<DeString<'_>>, &Spanned<DeValue<'_>>)| {
        let path = join(path, &quoted(key.get_ref()));
        (key.get_ref().to_string(), value(item, &path, report))
    };
    table.iter().map(entry).collect()
}

fn value(spanned: &Spanned<DeValue<'_>>, path: &str, report: Report<'_>) -> Value {
    let read = match spanned.get_ref() {
        DeValue::String(text) => Ok(Value::String(text.to_string())),
        DeValue::Boolean(flag) => Ok(Value::Bool(*flag)),
        DeValue::Datetime(date) => Ok(Value::String(date.to_string())),
        DeValue::Integer(written) => integer(written),
        DeValue::Float(written) => float(written),
        DeValue::Table(table) => Ok(Value::Object(object(table, path, report))),
        DeValue::Array(items) => Ok(items.iter().map(|item| value(item, path, report)).collect()),
    };
    read.unwrap_or_else(|complaint| {
        report(spanned, path, complaint);
        Value::Null
    })
}

fn integer(written: &DeInteger<'_>) -> Result<Value, Complaint> {
    let (digits, radix) = (written.as_str(), written.radix());
    let signed = i64::from_str_radix(digits, radix).map(Value::from);
    signed.or_else(|_| u64::from_str_radix(digits, radix).map(Value::from)).map_err(|_| {
        let message = format!("the number {} is too large", clip(&written.to_string()));
        Complaint::new(message, "write it as a text, in double quotes")
    })
}

fn float(written: &DeFloat<'_>) -> Result<Value, Complaint> {
    let number = written.as_str().parse().ok().and_then(Number::from_f64);
    number.map(Value::Number).ok_or_else(|| {
        let message = format!("the number {} does not exist in JSON", clip(written.as_str()));
        Complaint::new(message, "write it as a text, in double quotes")
    })
}
