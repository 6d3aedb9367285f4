//! A collector of traces: a server that takes what comes over OTLP, and reads it as protobuf's own code does.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use prost::Message;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// `opentelemetry/proto/collector/trace/v1/trace_service.proto`, as far as it is looked at here.
#[derive(Clone, PartialEq, Message)]
struct ExportTraceServiceRequest {
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
    #[prost(enumeration = "Kind", tag = "6")]
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
    #[prost(oneof = "Value", tags = "1, 3")]
    value: Option<Value>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Value {
    #[prost(string, tag = "1")]
    String(String),
    #[prost(int64, tag = "3")]
    Int(i64),
}

/// What a span is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum Kind {
    Unspecified = 0,
    Internal = 1,
    Server = 2,
    Client = 3,
    Producer = 4,
    Consumer = 5,
}

/// A span as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) trace: String,
    pub(crate) span: String,
    /// Empty where there is nothing above it.
    pub(crate) parent: String,
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) notes: BTreeMap<String, String>,
    pub(crate) failure: Option<String>,
    pub(crate) between_ns: (u64, u64),
    pub(crate) service: String,
}

impl Told {
    /// Something that is noted at it; empty where it is not.
    pub(crate) fn note(&self, name: &str) -> &str {
        self.notes.get(name).map_or("", String::as_str)
    }
}

/// How it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// It takes everything.
    Takes,
    /// It answers with this status.
    Refuses(u16),
    /// It reads, and never answers.
    Hangs,
}

/// A collector, which ends with its test.
pub(crate) struct Collector {
    port: u16,
    seen: Arc<Mutex<Seen>>,
    accepting: AbortHandle,
}

struct Seen {
    mood: Mood,
    heads: Vec<String>,
    spans: Vec<Told>,
}

impl Collector {
    pub(crate) async fn start(mood: Mood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Seen { mood, heads: Vec::new(), spans: Vec::new() }));
        let shared = Arc::clone(&seen);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { port, seen, accepting: accepting.abort_handle() }
    }

    /// Answers otherwise from now on.
    pub(crate) fn turn(&self, mood: Mood) {
        self.seen.lock().unwrap().mood = mood;
    }

    /// Its section of the configuration, with more keys.
    pub(crate) fn section(&self, more: &str) -> String {
        format!("\n[telemetry.otlp]\nendpoint = \"http://127.0.0.1:{}\"\n{more}\n", self.port)
    }

    /// What it took so far.
    pub(crate) fn spans(&self) -> Vec<Told> {
        self.seen.lock().unwrap().spans.clone()
    }

    /// The heads of requests so far.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.seen.lock().unwrap().heads.clone()
    }

    /// The attempts of a job, in their order.
    pub(crate) fn attempts(&self, id: &str) -> Vec<Told> {
        let is_of = |span: &Told| span.kind == Kind::Consumer && span.note("messaging.message.id") == id;
        let mut spans: Vec<Told> = self.spans().into_iter().filter(is_of).collect();
        spans.sort_by_key(|span| span.between_ns);
        spans
    }

    /// The spans right below another.
    pub(crate) fn below(&self, parent: &Told) -> Vec<Told> {
        let is_below = |span: &Told| span.trace == parent.trace && span.parent == parent.span;
        self.spans().into_iter().filter(is_below).collect()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(mut stream: TcpStream, seen: Arc<Mutex<Seen>>) {
    let Some((head, body)) = read(&mut stream).await else { return };
    let mood = {
        let mut seen = seen.lock().unwrap();
        seen.heads.push(head);
        if seen.mood == Mood::Takes {
            seen.spans.extend(decode(&body));
        }
        seen.mood
    };
    let status = match mood {
        Mood::Takes => 200,
        Mood::Refuses(status) => status,
        Mood::Hangs => return std::future::pending().await,
    };
    let answer = format!("HTTP/1.1 {status} So\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    drop(stream.write_all(answer.as_bytes()).await);
}

async fn read(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut chunk).await.ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&chunk[..read]);
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let length = head.lines().find_map(|line| {
            line.to_lowercase()
                .strip_prefix("content-length: ")
                .map(|length| length.parse::<usize>().unwrap())
        });
        if bytes.len() >= end + 4 + length.unwrap() {
            return Some((head, bytes.split_off(end + 4)));
        }
    }
}

fn decode(body: &[u8]) -> Vec<Told> {
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    let mut told = Vec::new();
    for of_resource in request.resource_spans {
        let resource = notes(&of_resource.resource.unwrap().attributes);
        for of_scope in of_resource.scope_spans {
            assert_eq!(of_scope.scope.unwrap().name, "brasa-shared");
            told.extend(of_scope.spans.iter().map(|span| read_span(span, &resource)));
        }
    }
    told
}

fn read_span(span: &Span, resource: &BTreeMap<String, String>) -> Told {
    let hex = |bytes: &[u8]| bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    assert_eq!((span.trace.len(), span.place.len(), span.flags & 1), (16, 8, 1));
    assert!(span.start_time_unix_nano > 0 && span.start_time_unix_nano <= span.end_time_unix_nano);
    let status = span.status.as_ref();
    assert!(status.is_none_or(|status| status.code == 2), "{status:?}");
    Told {
        trace: hex(&span.trace),
        span: hex(&span.place),
        parent: hex(&span.parent),
        name: span.name.clone(),
        kind: span.kind(),
        notes: notes(&span.attributes),
        failure: status.map(|status| status.message.clone()),
        between_ns: (span.start_time_unix_nano, span.end_time_unix_nano),
        service: resource["service.name"].clone(),
    }
}

fn notes(pairs: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &AnyValue| match value.value.as_ref().unwrap() {
        Value::String(text) => text.clone(),
        Value::Int(number) => number.to_string(),
    };
    pairs.iter().map(|pair| (pair.key.clone(), text(pair.value.as_ref().unwrap()))).collect()
}
