//! Places that a call must not get to, in every spelling that has ever got somebody there.

use brasa_jobs::Verdict;
use serde_json::json;

use super::server::{Server, answer};
use super::{inline, inside, parse};

/// Where `{port}` is that of a canary, which listens on all addresses of this machine.
const PLACES: &[&str] = &[
    // Loopback, as people write it.
    "http://127.0.0.1:{port}/",
    "http://127.0.0.1:{port}",
    "https://127.0.0.1:{port}/",
    "http://127.1.2.3:{port}/",
    "http://127.255.255.254:{port}/",
    // And as they do not.
    "http://2130706433:{port}/",
    "http://0x7f000001:{port}/",
    "http://0X7F.0.0.1:{port}/",
    "http://0x7f.1:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://017700000001:{port}/",
    "http://127.1:{port}/",
    "http://127.0.1:{port}/",
    "http://127.0.0.1.:{port}/",
    "http://0x7f.0x0.0x0.0x1.:{port}/",
    "http://127.0.0.01:{port}/",
    "http://127.0.0.0x1:{port}/",
    "http:127.0.0.1:{port}/",
    "http:///127.0.0.1:{port}/",
    "http://\\\\127.0.0.1:{port}/",
    "http://%31%32%37.0.0.1:{port}/",
    "http://127.0.0.1%2e:{port}/",
    "http://１２７.０.０.１:{port}/",
    "http://①②⑦.⓪.⓪.①:{port}/",
    "http://127。0。0。1:{port}/",
    "http://12\\t7.0.0.1:{port}/",
    "  http://127.0.0.1:{port}/  ",
    // Everything and nothing.
    "http://0.0.0.0:{port}/",
    "http://0:{port}/",
    "http://0x0:{port}/",
    "http://0.1.2.3:{port}/",
    "http://[::]:{port}/",
    "http://255.255.255.255:{port}/",
    "http://224.0.0.1:{port}/",
    // The same in IPv6, and what carries it inside.
    "http://[::1]:{port}/",
    "http://[0:0:0:0:0:0:0:1]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::ffff:7f00:1]:{port}/",
    "http://[::ffff:0:127.0.0.1]:{port}/",
    "http://[::127.0.0.1]:{port}/",
    "http://[64:ff9b::7f00:1]:{port}/",
    "http://[64:ff9b:1::7f00:1]:{port}/",
    "http://[2002:7f00:1::]:{port}/",
    "http://[2001:0:1::80ff:fffe]:{port}/",
    "http://[fd00::1]:{port}/",
    "http://[fc00::1]:{port}/",
    "http://[fe80::1]:{port}/",
    "http://[fec0::1]:{port}/",
    "http://[ff02::1]:{port}/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    // Inside the house, and where clouds keep their keys.
    "http://10.0.0.1:{port}/",
    "http://172.16.0.1:{port}/",
    "http://192.168.0.1:{port}/",
    "http://100.64.0.1:{port}/",
    "http://198.18.0.1:{port}/",
    "http://169.254.169.254/latest/meta-data/",
    "http://2852039166/latest/meta-data/",
    "http://0xa9fea9fe/latest/meta-data/",
    "http://[::ffff:a9fe:a9fe]/latest/meta-data/",
    "http://100.100.100.200/latest/meta-data/",
    "http://168.63.129.16/machine",
    // Names before the host, which make it look like another one.
    "http://app.example.com@127.0.0.1:{port}/",
    "http://app.example.com:443@127.0.0.1:{port}/",
    "http://user:password@localhost:{port}/",
    "http://app.example.com#@127.0.0.1:{port}/",
    // Other ways to speak.
    "gopher://127.0.0.1:{port}/_x",
    "file:///etc/passwd",
    "ftp://127.0.0.1:{port}/",
    "dict://127.0.0.1:{port}/x",
    "ldap://127.0.0.1:{port}/",
    "redis://127.0.0.1:{port}/",
    "unix:///var/run/docker.sock",
    "data:application/json,{}",
    "javascript:alert(1)",
    "//127.0.0.1:{port}/",
    "/etc/passwd",
    "127.0.0.1:{port}",
    "",
];

#[tokio::test(flavor = "multi_thread")]
async fn places_that_are_not_in_the_internet_are_refused_in_every_spelling() {
    let canary = Server::answering(answer(200, "", "")).await;
    for place in PLACES {
        let url = place.replace("{port}", &canary.port().to_string());
        let read = parse(&format!("[http.orders]\nurl = \"{url}\"\n"));
        assert!(read.is_err(), "{url}: {read:?}");
    }
    assert_eq!(canary.connections(), 0);
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
