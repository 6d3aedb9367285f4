//! Nobody gets into the dashboard and the API who should not: each test is an attack, and what should get in does.
#![expect(clippy::unwrap_used, reason = "clippy's allowance for tests does not reach what they share")]

mod addresses;
mod bodies;
mod doors;
mod logins;
mod records;

use std::net::SocketAddr;

use brasa_shared::config::Token;
use brasa_tests::World;
use brasa_tests::process::{Brasa, Running};
use reqwest::{Client, Method, RequestBuilder, StatusCode, redirect};
use tokio_rustls::rustls::crypto::ring;

/// The roles, and the token of each.
const TOKENS: [(&str, &str); 4] = [
    ("enqueue", "enqueue-0123456789abcdef0123456789abcdef"),
    ("viewer", "viewer-0123456789abcdef0123456789abcdef0"),
    ("operator", "operator-0123456789abcdef0123456789abcde"),
    ("admin", "admin-0123456789abcdef0123456789abcdef01"),
];

/// A dashboard that runs, in a world of its own.
struct Scene {
    world: World,
    brasa: Running,
    address: SocketAddr,
    client: Client,
}

/// The lines of the configuration for all tokens.
fn tokens() -> String {
    let lines = TOKENS.map(|(role, token)| {
        let hash = Token::spell(&Token::hash_of(token));
        let kinds = if role == "enqueue" { "kinds = [\"mail.send\"]\n" } else { "" };
        format!("[web.tokens.{role}]\nrole = \"{role}\"\nhash = \"{hash}\"\n{kinds}")
    });
    lines.concat()
}

/// The token of a role.
fn token(role: &str) -> &'static str {
    TOKENS.iter().find(|(known, _)| *known == role).unwrap().1
}

impl Scene {
    async fn new() -> Self {
        Self::with("").await
    }

    /// With more of a configuration before that of the tokens.
    async fn with(text: &str) -> Self {
        let world = World::new().await;
        drop(Brasa::configured(&world, "").run(["migrate"]).await.with_code(0));
        let brasa = Brasa::configured(&world, &format!("{text}\n{}", tokens()));
        let brasa = brasa.start(["web", "--listen", "127.0.0.1:0"]);
        let address = brasa.address().await;
        // Whoever asked first has chosen.
        let _chosen = ring::default_provider().install_default();
        let client = Client::builder().redirect(redirect::Policy::none()).no_proxy().build().unwrap();
        Self { world, brasa, address, client }
    }

    fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    /// The same with the token of a role.
    fn as_role(&self, role: &str, method: &str, path: &str) -> RequestBuilder {
        self.request(method, path).bearer_auth(token(role))
    }

    /// Logs in, and gives the cookie.
    async fn log_in(&self, role: &str) -> String {
        let form = format!("token={}", token(role));
        let request = self.request("POST", "/login").header("sec-fetch-site", "same-origin");
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(form);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        let cookie = answer.headers()["set-cookie"].to_str().unwrap();
        cookie.split(';').next().unwrap().to_owned()
    }
}

/// The status of an answer.
async fn status(request: RequestBuilder) -> u16 {
    request.send().await.unwrap().status().as_u16()
}
