//! `[web]`: where the dashboard is, what a token may be told, and what makes no sense.

use std::time::Duration;

use super::{EXAMPLE, assert_problems, parse};
use crate::config::{Role, Token};

fn token(more: &str) -> String {
    format!("[web.tokens.shop]\nhash = \"{}\"\n{more}", Token::spell(&Token::hash_of("a token")))
}

#[test]
fn a_token_may_have_a_rate() {
    let text = token("role = \"viewer\"\nrate = { requests = 100, per = \"2s\" }");
    let config = parse(&text).unwrap();
    let shop = &config.web.tokens["shop"];
    assert_eq!((shop.role, shop.rate), (Role::Viewer, Some((100, Duration::from_secs(2)))));
    assert_eq!(parse(&token("role = \"viewer\"")).unwrap().web.tokens["shop"].rate, None);
}

#[test]
fn what_makes_no_sense_of_a_token() {
    let viewer = |rate: &str| token(&format!("role = \"viewer\"\nrate = {rate}"));
    let path = "web.tokens.shop.rate";
    assert_problems(&viewer("{ per = \"1s\" }"), &[(4, path, "`requests` is missing", "requests = 100")]);
    assert_problems(&viewer("{ requests = 1 }"), &[(4, path, "`per` is missing", "in which time")]);
    assert_problems(
        &viewer("{ requests = 0, per = \"1s\" }"),
        &[(4, "web.tokens.shop.rate.requests", "0 is out of range", "from 1")],
    );
    let path = "web.tokens.shop";
    assert_problems(&token("role = \"enqueue\""), &[(1, path, "needs `kinds`", "mail.send")]);
    let path = "web.tokens.shop.kinds";
    let none = token("role = \"enqueue\"\nkinds = []");
    assert_problems(&none, &[(4, path, "may enqueue nothing", "mail.send")]);
}

#[test]
fn the_dashboard_is_where_the_file_says() {
    let web = parse(EXAMPLE).unwrap().web;
    assert!(web.is_written && web.behind_proxy && web.listen_explicit);
    assert_eq!(web.listen.unwrap().to_string(), "127.0.0.1:9701");
    assert_eq!(web.hosts, ["brasa.example.com", "brasa.internal:8443"]);
    assert_eq!(web.session, Duration::from_hours(8));
    let shop = &web.tokens["shop"];
    assert_eq!((shop.role, shop.kinds.as_slice()), (Role::Enqueue, &["http.post".to_owned()][..]));
    assert_eq!(shop.expires.unwrap().to_string(), "2027-06-30T00:00:00Z");

    let web = parse("").unwrap().web;
    assert!(!web.is_written && web.tokens.is_empty());
    assert_eq!(web.listen.unwrap().to_string(), "127.0.0.1:9700");
}

#[test]
fn what_makes_no_sense_of_a_dashboard() {
    let open = "[web]\nlisten = \"0.0.0.0:9700\"";
    assert_problems(open, &[(2, "web.listen", "there is no token", "brasa tokens new")]);
    let half = "[web]\ntls = { key_file = \"k\" }";
    assert_problems(half, &[(2, "web.tls", "needs both", "certificate_file")]);
    assert_problems("[web]\nhosts = [\"a b\"]", &[(2, "web.hosts", "is not the name of a host", "hosts = ")]);
    let none = "[web.tokens.ann]\nrole = \"viewer\"";
    assert_problems(none, &[(1, "web.tokens.ann", "needs one of `hash`, `token`", "brasa tokens new")]);
    let plain = "[web.tokens.ann]\nrole = \"viewer\"\ntoken = \"in-the-file-in-the-file-in-the-file\"";
    assert_problems(plain, &[(3, "web.tokens.ann.token", "does not belong into the file", "sha256")]);
    let wrong = "[web.tokens.ann]\nrole = \"viewer\"\nhash = \"sha256:abc\"";
    assert_problems(wrong, &[(3, "web.tokens.ann.hash", "not a hash of SHA-256", "brasa tokens new")]);
    let role = "[web.tokens.ann]\nrole = \"viewr\"\nhash = \"sha256:5f0c6e3fdb1a0a8fbd4f4c2b9a9d3b9f1c0d7a3e6b5c4d2e1f0a9b8c7d6e5f40\"";
    assert_problems(role, &[(2, "web.tokens.ann.role", "viewr", "viewer")]);
}
