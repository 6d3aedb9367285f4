//! Who collects spans of traces.

use super::{assert_problems, parse};

#[test]
fn spans_are_sent_below_the_address_of_the_collector_wherever_that_is() {
    for (written, sent) in [
        ("http://collector:4318", "http://collector:4318/v1/traces"),
        ("https://collector.example.com/otel/", "https://collector.example.com/otel/v1/traces"),
        ("http://10.0.0.7:4318/v1/traces", "http://10.0.0.7:4318/v1/traces"),
        ("${COLLECTOR:-http://127.0.0.1:4318}", "http://127.0.0.1:4318/v1/traces"),
    ] {
        let telemetry = parse(&format!("[telemetry.otlp]\nendpoint = \"{written}\"\n")).unwrap().telemetry;
        let otlp = telemetry.otlp.unwrap();
        assert_eq!((otlp.endpoint.expose(), otlp.service_name.as_str()), (sent, "brasa"));
        assert!(otlp.sample >= 1.0 && otlp.headers.is_empty() && !telemetry.sql_comments);
    }
}

#[test]
fn nobody_collects_where_nothing_or_an_empty_address_is_written() {
    for text in ["", "[telemetry.otlp]\nendpoint = \"${COLLECTOR:-}\"\n"] {
        assert_eq!(parse(text).unwrap().telemetry.otlp, None, "{text}");
    }
}

#[test]
fn what_makes_no_sense_is_told_with_what_to_write() {
    let at = "telemetry.otlp.";
    for (body, key, message, help) in [
        ("endpoint = \"collector:4318\"", "endpoint", "does not say its kind", "http://host:port"),
        ("endpoint = \"http://a:b@c\"", "endpoint", "a name or a password", "collector:4318"),
        ("endpoint = \"http://c\"\nsample = 2", "sample", "not a share", "from 0 to 1"),
        ("endpoint = \"http://c\"\nsample = \"all\"", "sample", "expected a share", "0.1"),
        ("endpoint = \"http://c\"\nservice_name = \"\"", "service_name", "not a name", "255"),
        ("endpoint = \"http://c\"\nheaders = { a = 1 }", "headers", "is not a text", "write texts"),
        ("endpoint = \"http://c\"\nsampel = 1", "sampel", "unknown key", "`sample`?"),
    ] {
        let line = u32::try_from(body.lines().count()).unwrap() + 1;
        let path = format!("{at}{key}");
        assert_problems(&format!("[telemetry.otlp]\n{body}\n"), &[(line, &path, message, help)]);
    }
    let missing = "[telemetry.otlp]\nsample = 0.5\n";
    assert_problems(missing, &[(1, "telemetry.otlp", "needs `endpoint`", "http://collector:4318")]);
}
