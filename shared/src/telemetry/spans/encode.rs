//! Spans in the words of collectors: OTLP, as protobuf (`opentelemetry/proto/collector/trace/v1`).
//!
//! Written by hand, for it is one message of a dozen fields whose numbers never change. The tests read it with
//! OpenTelemetry's own code.

use super::{Span, SpanKind, Value};

/// The code of a status that says that something failed.
const FAILED: u64 = 2;
/// The bits of a span's flags that are those of its trace.
const TRACE_FLAGS: u32 = 0xff;

/// The body of a request that brings spans. `resource` says whose they are.
pub fn encode(resource: &[(&str, Value)], spans: &[Span]) -> Vec<u8> {
    let mut request = Message::default();
    request.inner(1, |of_resource| {
        of_resource
            .inner(1, |message| notes(message, 1, resource.iter().map(|(name, value)| (*name, value))));
        of_resource.inner(2, |of_scope| {
            of_scope.inner(1, |scope| {
                scope.text(1, env!("CARGO_PKG_NAME"));
                scope.text(2, env!("CARGO_PKG_VERSION"));
            });
            for span in spans {
                of_scope.inner(2, |message| write(message, span));
            }
        });
    });
    request.0
}

fn write(message: &mut Message, span: &Span) {
    message.bytes(1, &span.place.trace_bytes());
    message.bytes(2, &span.place.span_bytes());
    if let Some(parent) = span.parent {
        message.bytes(4, &parent.span_bytes());
    }
    message.text(5, &span.name);
    let kind = match span.kind {
        SpanKind::Client => 3,
        SpanKind::Producer => 4,
        SpanKind::Consumer => 5,
    };
    message.number(6, kind);
    message.fixed64(7, span.between_ns.0);
    message.fixed64(8, span.between_ns.1);
    notes(message, 9, span.notes.iter().map(|(name, value)| (*name, value)));
    if let Some(failure) = &span.failure {
        message.inner(15, |status| {
            status.text(2, failure);
            status.number(3, FAILED);
        });
    }
    message.fixed32(16, u32::from(span.place.flags()) & TRACE_FLAGS);
}

fn notes<'n>(message: &mut Message, field: u32, notes: impl Iterator<Item = (&'n str, &'n Value)>) {
    for (name, value) in notes {
        message.inner(field, |pair| {
            pair.text(1, name);
            pair.inner(2, |any| match value {
                Value::Text(text) => any.text(1, text),
                Value::Whole(number) => any.number(3, number.cast_unsigned()),
            });
        });
    }
}

/// A message of protobuf.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number.to_le_bytes()[0] | 0x80);
            number >>= 7;
        }
        self.0.push(number.to_le_bytes()[0]);
    }

    /// What field comes, and in which form.
    fn tag(&mut self, field: u32, form: u32) {
        self.varint(u64::from(field << 3 | form));
    }

    fn number(&mut self, field: u32, number: u64) {
        self.tag(field, 0);
        self.varint(number);
    }

    fn fixed64(&mut self, field: u32, number: u64) {
        self.tag(field, 1);
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn fixed32(&mut self, field: u32, number: u32) {
        self.tag(field, 5);
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn bytes(&mut self, field: u32, bytes: &[u8]) {
        self.tag(field, 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn text(&mut self, field: u32, text: &str) {
        self.bytes(field, text.as_bytes());
    }

    fn inner(&mut self, field: u32, write: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        write(&mut inner);
        self.bytes(field, &inner.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_texts_are_written_as_protobuf_says() {
        let mut message = Message::default();
        message.number(1, 150);
        message.text(2, "testing");
        message.fixed32(16, 1);
        // The examples of protobuf's own description, and a field whose tag takes two bytes.
        let expected = [&[0x08, 0x96, 0x01, 0x12, 0x07][..], b"testing", &[0x85, 0x01, 1, 0, 0, 0]].concat();
        assert_eq!(message.0, expected);
    }
}
