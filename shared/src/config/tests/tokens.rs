//! `[web.tokens]`: what a token may be told, and what makes no sense.

use std::time::Duration;

use super::{assert_problems, parse};
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
