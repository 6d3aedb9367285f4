//! Spans in the words of collectors: OTLP, as protobuf (`opentelemetry/proto/collector/trace/v1`), as far as it is used.

use prost::{Message, Oneof};

use super::{SpanKind, Value};

/// The code of a status that says that something failed.
const FAILED: i32 = 2;
/// The bits of a span's flags that are those of its trace.
const TRACE_FLAGS: u32 = 0xff;

/// The body of a request that brings spans. `resource` says whose they are.
pub fn encode(resource: &[(&str, Value)], spans: &[super::Span]) -> Vec<u8> {
    let scope =
        Scope { name: env!("CARGO_PKG_NAME").to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() };
    let of_scope = ScopeSpans { scope: Some(scope), spans: spans.iter().map(Span::of).collect() };
    let resource =
        Resource { attributes: resource.iter().map(|(name, value)| KeyValue::of(name, value)).collect() };
    let of_resource = ResourceSpans { resource: Some(resource), scope_spans: vec![of_scope] };
    Request { resource_spans: vec![of_resource] }.encode_to_vec()
}

#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(message, repeated, tag = "1")]
    resource_spans: Vec<ResourceSpans>,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceSpans {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    scope_spans: Vec<ScopeSpans>,
}

#[derive(Clone, PartialEq, Message)]
struct Resource {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct ScopeSpans {
    #[prost(message, optional, tag = "1")]
    scope: Option<Scope>,
    #[prost(message, repeated, tag = "2")]
    spans: Vec<Span>,
}

#[derive(Clone, PartialEq, Message)]
struct Scope {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    version: String,
}

#[derive(Clone, PartialEq, Message)]
struct Span {
    #[prost(bytes = "vec", tag = "1")]
    trace: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    place: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    parent: Vec<u8>,
    #[prost(string, tag = "5")]
    name: String,
    #[prost(int32, tag = "6")]
    kind: i32,
    #[prost(fixed64, tag = "7")]
    start_time_unix_nano: u64,
    #[prost(fixed64, tag = "8")]
    end_time_unix_nano: u64,
    #[prost(message, repeated, tag = "9")]
    attributes: Vec<KeyValue>,
    #[prost(message, optional, tag = "15")]
    status: Option<Status>,
    #[prost(fixed32, tag = "16")]
    flags: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(string, tag = "2")]
    message: String,
    #[prost(int32, tag = "3")]
    code: i32,
}

#[derive(Clone, PartialEq, Message)]
struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct AnyValue {
    #[prost(oneof = "Any", tags = "1, 3")]
    value: Option<Any>,
}

#[derive(Clone, PartialEq, Oneof)]
enum Any {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(int64, tag = "3")]
    Whole(i64),
}

impl Span {
    fn of(span: &super::Span) -> Self {
        Self {
            trace: span.place.trace_bytes().to_vec(),
            place: span.place.span_bytes().to_vec(),
            parent: span.parent.map(|parent| parent.span_bytes().to_vec()).unwrap_or_default(),
            name: span.name.clone(),
            kind: match span.kind {
                SpanKind::Client => 3,
                SpanKind::Producer => 4,
                SpanKind::Consumer => 5,
            },
            start_time_unix_nano: span.between_ns.0,
            end_time_unix_nano: span.between_ns.1,
            attributes: span.notes.iter().map(|(name, value)| KeyValue::of(name, value)).collect(),
            status: span.failure.clone().map(|message| Status { message, code: FAILED }),
            flags: u32::from(span.place.flags()) & TRACE_FLAGS,
        }
    }
}

impl KeyValue {
    fn of(name: &str, value: &Value) -> Self {
        let value = match value {
            Value::Text(text) => Any::Text(text.clone()),
            Value::Whole(number) => Any::Whole(*number),
        };
        Self { key: name.to_owned(), value: Some(AnyValue { value: Some(value) }) }
    }
}
