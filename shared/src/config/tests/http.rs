//! Endpoints: where calls may go, and what is never shown.

use std::path::Path;
use std::time::Duration;

use http::Method;

use super::{assert_problems, parse};
use crate::config::{Config, Endpoint, Problems};

const TOKEN: &str = "a-token-of-the-test";
const SECRETS: [&str; 2] = ["a-secret-of-the-test", "an-older-one-of-them"];

const WHOLE: &str = r#"
[http.orders]
url = "https://app.example.com/hooks/${TOKEN}"
method = "PUT"
timeout = "3s"
headers = { Authorization = "Bearer ${TOKEN}", x-tenant = "seven" }
secret = ["${NEW}", "${OLD}"]
private = true
max_response = "4KiB"
max_body = "8KiB"
"#;

fn read(text: &str) -> Result<Config, Problems> {
    let env = |name: &str| match name {
        "TOKEN" => Some(TOKEN.to_owned()),
        "NEW" => Some(SECRETS[0].to_owned()),
        "OLD" => Some(SECRETS[1].to_owned()),
        "SHORT" => Some("hunter2".to_owned()),
        _ => None,
    };
    Config::parse(text, Path::new("brasa.toml"), &env)
}

fn orders() -> Endpoint {
    read(WHOLE).unwrap().http["orders"].clone()
}

#[test]
fn every_key_of_an_endpoint_is_read() {
    let orders = orders();
    assert_eq!(orders.url.expose(), format!("https://app.example.com/hooks/{TOKEN}"));
    assert_eq!((orders.method.clone(), orders.timeout), (Method::PUT, Duration::from_secs(3)));
    let headers: Vec<_> =
        orders.headers.iter().map(|(name, value)| (name.as_str(), value.expose().to_owned())).collect();
    assert_eq!(headers, [("authorization", format!("Bearer {TOKEN}")), ("x-tenant", "seven".to_owned())]);
    assert_eq!(orders.secrets.iter().map(crate::config::Secret::expose).collect::<Vec<_>>(), SECRETS);
    assert!(orders.private);
    assert_eq!((orders.response_bytes_max, orders.body_bytes_max), (4 << 10, 8 << 10));
}

#[test]
fn an_endpoint_that_says_little_means_the_defaults() {
    let config = parse("[http.a]\nurl = \"https://app.example.com\"").unwrap();
    let plain = &config.http["a"];
    assert_eq!((plain.method.clone(), plain.timeout), (Method::POST, Duration::from_secs(10)));
    assert!(plain.headers.is_empty() && plain.secrets.is_empty() && !plain.private);
    assert_eq!((plain.response_bytes_max, plain.body_bytes_max), (64 << 10, 256 << 10));
}

#[test]
fn what_an_endpoint_holds_is_not_printed_and_taken_out_of_what_it_answers() {
    let orders = orders();
    let printed = format!("{orders:?} {orders:#?}");
    for secret in [TOKEN, SECRETS[0], SECRETS[1], "seven"] {
        assert!(!printed.contains(secret), "{printed}");
    }
    let echo = format!("no {TOKEN}, no {}, but seven", SECRETS[1]);
    assert_eq!(orders.hide(&echo), "no (hidden), no (hidden), but seven");
}

#[test]
fn problems_of_endpoints_show_no_secrets() {
    for body in [
        "url = \"https://hunter2:hunter2@app.example.com\"",
        "url = \"https://hunter2 /\"",
        "url = \"https://10.0.0.1/hunter2\"",
        "url = \"hunter2://x\"",
        "url = \"https://a.example\"\nsecret = \"${SHORT}\"",
        "url = \"https://a.example\"\nheaders = { x = \"hunter2\\n\" , y = \"hunter2\\u0001\" }",
    ] {
        let problems = read(&format!("[http.a]\n{body}")).unwrap_err().to_string();
        assert!(!problems.contains("hunter2"), "{body}: {problems}");
    }
}

#[test]
fn endpoints_that_cannot_be() {
    let url = "url = \"https://a.example\"";
    let cases: &[(&str, u32, &str, &str, &str)] = &[
        ("", 1, "http.a", "needs `url`", "https://"),
        ("url = \"\"", 1, "http.a", "needs `url`", "https://"),
        ("url = \"ftp://a.example\"", 2, "http.a.url", "`ftp://` is not", "`https://`, `http://`"),
        ("url = \"gopher://a.example\"", 2, "http.a.url", "`gopher://` is not", "`https://`"),
        ("url = \"file:///etc/passwd\"", 2, "http.a.url", "`file://` is not", "`https://`"),
        ("url = \"a.example\"", 2, "http.a.url", "does not say its kind", "https://"),
        ("url = \"https://\"", 2, "http.a.url", "it is no url", "https://"),
        ("url = \"https://a@b.example\"", 2, "http.a.url", "a name or a password", "headers"),
        ("url = \"https://a.example/#x\"", 2, "http.a.url", "never sent", "leave it out"),
        ("url = \"http://127.0.0.1/\"", 2, "http.a.url", "is loopback", "private = true"),
        ("url = \"http://0x7f.1/\"", 2, "http.a.url", "is loopback", "private = true"),
        ("url = \"http://[::ffff:10.0.0.1]/\"", 2, "http.a.url", "is private", "private = true"),
        ("url = \"http://169.254.169.254/\"", 2, "http.a.url", "is never called", ""),
        ("private = true\nurl = \"http://169.254.169.254/\"", 3, "http.a.url", "is never called", ""),
        (&format!("{url}\nmethod = \"GET\""), 3, "http.a.method", "`GET` is not a choice", "`POST`"),
        (&format!("{url}\nmethod = \"PSOT\""), 3, "http.a.method", "not a choice", "`POST`?"),
        (&format!("{url}\ntimeout = \"0s\""), 3, "http.a.timeout", "too short", ""),
        (&format!("{url}\nheaders = {{ host = \"b\" }}"), 3, "http.a.headers", "sets `host` itself", ""),
        (&format!("{url}\nheaders = {{ Brasa-X = \"b\" }}"), 3, "http.a.headers", "`brasa-x` itself", ""),
        (&format!("{url}\nheaders = {{ \"a b\" = \"c\" }}"), 3, "http.a.headers", "not the name", ""),
        (&format!("{url}\nheaders = {{ A = \"b\", a = \"b\" }}"), 3, "http.a.headers", "written twice", ""),
        (&format!("{url}\nheaders = {{ a = 5 }}"), 3, "http.a.headers", "is not a text", "${TOKEN}"),
        (&format!("{url}\nheaders = {{ a = \"${{NO}}\" }}"), 3, "http.a.headers", "`NO` is not set", ""),
        (&format!("{url}\nsecret = \"short\""), 3, "http.a.secret", "can be guessed", "openssl rand"),
        (&format!("{url}\nsecret = []"), 3, "http.a.secret", "there are 0 secrets", ""),
        (&format!("{url}\nmax_response = \"1GiB\""), 3, "http.a.max_response", "too much", "16384KiB"),
        (&format!("{url}\nmax_body = \"1MiB\""), 3, "http.a.max_body", "too much", "256KiB"),
        (&format!("{url}\nsecrets = \"x\""), 3, "http.a.secrets", "unknown key", "`secret`?"),
    ];
    for (body, line, path, message, help) in cases {
        assert_problems(&format!("[http.a]\n{body}\n"), &[(*line, path, message, help)]);
    }
}
