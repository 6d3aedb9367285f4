//! `http.post`: endpoints of the application on real sockets, and places that must never be called.

mod answering;
mod calling;
mod encrypted;
mod forbidden;
mod hiding;
pub(crate) mod server;
mod verifying;

use std::path::Path;

use brasa_jobs::catalog;
use brasa_jobs::testing::Inline;
use brasa_shared::config::{Config, Problems};

const SECRET: &str = "a-secret-of-the-test";
const OLDER: &str = "an-older-one-of-them";
const TOKEN: &str = "a-token-of-the-test";

/// A configuration in an environment that has the secrets.
fn parse(text: &str) -> Result<Config, Problems> {
    let variable = |name: &str| match name {
        "SECRET" => Some(SECRET.to_owned()),
        "OLDER" => Some(OLDER.to_owned()),
        "TOKEN" => Some(TOKEN.to_owned()),
        _ => None,
    };
    Config::parse(text, Path::new("brasa.toml"), &variable)
}

/// Handlers that know the endpoint `orders`, with these keys beside its url.
fn inline(url: &str, more: &str) -> Inline {
    let text = format!("[http.orders]\nurl = \"{url}\"\n{more}\n");
    Inline::new(catalog()).config(parse(&text).unwrap())
}

/// The same for an endpoint of our own.
fn inside(url: &str, more: &str) -> Inline {
    inline(url, &format!("private = true\n{more}"))
}
