//! Places that a call must not get to.

use brasa_jobs::Verdict;
use brasa_shared::config::Config;
use serde_json::json;

use super::server::{Server, answer};
use super::{inline, inside, parse};

/// What is said of places that no url may name, and they, in every spelling that has ever got somebody there.
const PLACES: &[(&str, &[&str])] = &[
    (
        "is loopback (RFC 1122), and not in the internet",
        &[
            "http://127.0.0.1:9600/",
            "http://127.0.0.1:9600",
            "https://127.0.0.1:9600/",
            "http://127.1.2.3:9600/",
            "http://127.255.255.254:9600/",
            "http://2130706433:9600/",
            "http://0x7f000001:9600/",
            "http://0X7F.0.0.1:9600/",
            "http://0x7f.1:9600/",
            "http://0177.0.0.1:9600/",
            "http://017700000001:9600/",
            "http://127.1:9600/",
            "http://127.0.1:9600/",
            "http://127.0.0.1.:9600/",
            "http://0x7f.0x0.0x0.0x1.:9600/",
            "http://127.0.0.01:9600/",
            "http://127.0.0.0x1:9600/",
            "http:///127.0.0.1:9600/",
            "http://\\\\127.0.0.1:9600/",
            "http://%31%32%37.0.0.1:9600/",
            "http://127.0.0.1%2e:9600/",
            "http://１２７.０.０.１:9600/",
            "http://①②⑦.⓪.⓪.①:9600/",
            "http://127。0。0。1:9600/",
            "http://12\\t7.0.0.1:9600/",
            "  http://127.0.0.1:9600/  ",
            "http://[::ffff:127.0.0.1]:9600/",
            "http://[::ffff:7f00:1]:9600/",
            "http://[::ffff:0:127.0.0.1]:9600/",
            "http://[::127.0.0.1]:9600/",
            "http://[64:ff9b::7f00:1]:9600/",
            "http://[2002:7f00:1::]:9600/",
        ],
    ),
    (
        "the address does not say its kind, as in `kind://`",
        &[
            "http:127.0.0.1:9600/",
            "data:application/json,{}",
            "javascript:alert(1)",
            "//127.0.0.1:9600/",
            "/etc/passwd",
            "127.0.0.1:9600",
        ],
    ),
    (
        "is this host (RFC 1122), and is never called",
        &["http://0.0.0.0:9600/", "http://0:9600/", "http://0x0:9600/", "http://0.1.2.3:9600/"],
    ),
    ("is unspecified (RFC 4291), and is never called", &["http://[::]:9600/"]),
    ("is reserved (RFC 1112), and is never called", &["http://255.255.255.255:9600/"]),
    ("is multicast (RFC 5771), and is never called", &["http://224.0.0.1:9600/"]),
    (
        "is loopback (RFC 4291), and not in the internet",
        &["http://[::1]:9600/", "http://[0:0:0:0:0:0:0:1]:9600/"],
    ),
    ("is a translator's own (RFC 8215), and is never called", &["http://[64:ff9b:1::7f00:1]:9600/"]),
    ("is for protocols (RFC 2928), and is never called", &["http://[2001:0:1::80ff:fffe]:9600/"]),
    (
        "is unique local (RFC 4193), and not in the internet",
        &["http://[fd00::1]:9600/", "http://[fc00::1]:9600/"],
    ),
    ("is link-local (RFC 4291), and is never called", &["http://[fe80::1]:9600/"]),
    ("is site-local (RFC 3879), and is never called", &["http://[fec0::1]:9600/"]),
    ("is multicast (RFC 4291), and is never called", &["http://[ff02::1]:9600/"]),
    (
        "is where a cloud tells machines who they are, and is never called",
        &[
            "http://[fd00:ec2::254]/latest/meta-data/",
            "http://100.100.100.200/latest/meta-data/",
            "http://168.63.129.16/machine",
        ],
    ),
    (
        "is private (RFC 1918), and not in the internet",
        &["http://10.0.0.1:9600/", "http://172.16.0.1:9600/", "http://192.168.0.1:9600/"],
    ),
    ("is a carrier's own (RFC 6598), and not in the internet", &["http://100.64.0.1:9600/"]),
    ("is for benchmarks (RFC 2544), and not in the internet", &["http://198.18.0.1:9600/"]),
    (
        "is link-local (RFC 3927), and is never called",
        &[
            "http://169.254.169.254/latest/meta-data/",
            "http://2852039166/latest/meta-data/",
            "http://0xa9fea9fe/latest/meta-data/",
            "http://[::ffff:a9fe:a9fe]/latest/meta-data/",
        ],
    ),
    (
        "there is a name or a password before its host",
        &[
            "http://app.example.com@127.0.0.1:9600/",
            "http://app.example.com:443@127.0.0.1:9600/",
            "http://user:password@localhost:9600/",
        ],
    ),
    ("what is behind `#` is never sent", &["http://app.example.com#@127.0.0.1:9600/"]),
    (
        "is not a kind of address that is known here",
        &[
            "gopher://127.0.0.1:9600/_x",
            "file:///etc/passwd",
            "ftp://127.0.0.1:9600/",
            "dict://127.0.0.1:9600/x",
            "ldap://127.0.0.1:9600/",
            "redis://127.0.0.1:9600/",
            "unix:///var/run/docker.sock",
        ],
    ),
    ("needs `url`", &[""]),
];

/// What is in the internet, in spellings of the same kinds.
const ELSEWHERE: &[&str] = &[
    "https://app.example.com/jobs",
    "http://app.example.com:9600/",
    "  https://app.example.com  ",
    "http://1.1.1.1:9600/",
    "http://0x01010101/",
    "http://16843009/",
    "http://1.1/",
    "http://[2606:4700::1111]:9600/",
    "http://[::ffff:1.1.1.1]/",
    "http://[64:ff9b::101:101]/",
];

/// The configuration of an endpoint, or all that is said against it.
fn read(url: &str, more: &str) -> Result<Config, String> {
    parse(&format!("[http.orders]\nurl = \"{url}\"\n{more}\n")).map_err(|problems| problems.to_string())
}

#[test]
fn places_that_are_not_in_the_internet_are_refused_in_every_spelling() {
    for (expected, places) in PLACES {
        for url in *places {
            let said = read(url, "").unwrap_err();
            assert!(said.contains(expected) && said.lines().count() == 2, "{url}: {said}");
        }
    }
}

/// Or what refuses them may refuse everything.
#[test]
fn places_in_the_internet_are_not_refused_nor_are_those_of_ones_own_where_that_is_said() {
    for url in ELSEWHERE {
        read(url, "").unwrap();
    }
    for (expected, places) in PLACES {
        for url in *places {
            let read = read(url, "private = true");
            assert_eq!(read.is_ok(), expected.ends_with("and not in the internet"), "{url}: {read:?}");
        }
    }
}

/// What no look at the text can tell: the resolver of the connection does.
#[tokio::test(flavor = "multi_thread")]
async fn names_that_lead_inside_are_refused_when_they_are_looked_up() {
    let canary = Server::answering(answer(200, "", "")).await;
    for name in ["localhost", "LOCALHOST", "localhost.", "loc%61lhost", "ｌｏｃａｌｈｏｓｔ"] {
        let handler = inline(&format!("http://{name}:{}/", canary.port()), "");
        let error = handler.run("http.post", json!({ "name": "orders" })).await.unwrap_err();
        let told = error.to_string();
        // Not every machine finds a name with a point behind it.
        if name.ends_with('.') && error.verdict == Verdict::Retry {
            assert!(told.contains("dns error"), "{told}");
            continue;
        }
        assert_eq!(error.verdict, Verdict::Bury, "{name}: {error}");
        assert!(told.starts_with("endpoint `orders` must not be called: its address "), "{told}");
        assert!(told.contains("is loopback") && told.contains("private = true"), "{told}");
    }
    assert_eq!(canary.connections(), 0);
}

/// The configuration refuses these, too; whoever gets past it is stopped before the call.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_a_number_is_looked_at_again_before_the_call() {
    let canary = Server::answering(answer(200, "", "")).await;
    let mut config = parse(&format!("[http.orders]\nurl = \"{}\"\nprivate = true", canary.url("/"))).unwrap();
    config.http.get_mut("orders").unwrap().private = false;
    let handler = inline("https://a.example", "").config(config);

    let error = handler.run("http.post", json!({ "name": "orders" })).await.unwrap_err();

    assert_eq!(error.verdict, Verdict::Bury);
    assert!(error.to_string().contains("is loopback (RFC 1122)"), "{error}");
    assert_eq!(canary.connections(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_of_ones_own_is_called_by_its_name_where_that_is_said() {
    let server = Server::answering(answer(200, "", "")).await;
    let handler = inside(&format!("http://localhost:{}/", server.port()), "");
    handler.run("http.post", json!({ "name": "orders" })).await.unwrap();
    assert_eq!(server.seen().len(), 1);
}
