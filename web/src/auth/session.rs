//! Logins: a cookie that says which token opened it, signed so that nobody else can make one.

use brasa_shared::config::{Token, Web};
use brasa_shared::hash::hex;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// The cookie over plain connections, which are those of this machine alone.
const COOKIE: &str = "brasa-session";
/// The cookie over TLS: browsers let nobody but this very host set it.
const SECURE_COOKIE: &str = "__Host-brasa-session";

/// The one cookie that counts where it is served so, and whether it is for TLS alone. Over TLS the other one does not
/// count, which neighbours and whoever sits on the line could set.
pub(crate) fn cookie_of(web: &Web) -> (&'static str, bool) {
    if web.tls.is_some() || web.behind_proxy { (SECURE_COOKIE, true) } else { (COOKIE, false) }
}

/// What signs logins; of this process alone, so that they end with it.
pub(super) struct Signer([u8; 32]);

impl Signer {
    pub(super) fn new() -> Self {
        Self(rand::random())
    }

    /// A login that this token opened, until `expires_ms`. Each has a number of its own, so that none is another again.
    pub(super) fn open(&self, name: &str, token: &Token, expires_ms: i64) -> String {
        let said = format!("{expires_ms}.{:032x}.{name}", rand::random::<u128>());
        format!("{}.{said}", hex(&self.sign(&said, token)))
    }

    /// Until when the login holds, ms since 1970, if it is one that this token opened.
    pub(super) fn check(&self, cookie: &str, token: &Token) -> Option<i64> {
        let (signature, said) = cookie.split_once('.')?;
        let mut mac = self.mac();
        mac.update(said.as_bytes());
        mac.update(&token.hash);
        mac.verify_slice(&unhex(signature)?).ok()?;
        said.split('.').next()?.parse().ok()
    }

    /// The token's hash is signed with the rest: another token of the same name does not go on with its logins.
    fn sign(&self, said: &str, token: &Token) -> Vec<u8> {
        let mut mac = self.mac();
        mac.update(said.as_bytes());
        mac.update(&token.hash);
        mac.finalize().into_bytes().to_vec()
    }

    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    fn mac(&self) -> Hmac<Sha256> {
        Hmac::new_from_slice(&self.0).expect("a key of any length")
    }
}

/// The name of the token that opened a login, as the cookie says.
pub(super) fn name_in(cookie: &str) -> Option<&str> {
    cookie.splitn(4, '.').nth(3)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let is_hex = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let byte = |place: usize| u8::from_str_radix(text.get(place..place + 2)?, 16).ok();
    if is_hex { (0..64).step_by(2).map(byte).collect() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use brasa_shared::config::Role;

    fn token(secret: &str) -> Token {
        let hash = Token::hash_of(secret);
        Token { hash, role: Role::Admin, kinds: Vec::new(), queues: Vec::new(), expires: None, rate: None }
    }

    #[test]
    fn a_login_is_known_again_and_nothing_that_was_made_up_is() {
        let signer = Signer::new();
        let cookie = signer.open("ann.smith", &token("one"), 5_000);
        assert_eq!(name_in(&cookie), Some("ann.smith"));
        assert_eq!(signer.check(&cookie, &token("one")), Some(5_000));
        assert_eq!(signer.check(&cookie, &token("another")), None);
        assert_eq!(Signer::new().check(&cookie, &token("one")), None);
        let later = cookie.replacen("5000", "9000", 1);
        let other = cookie.replace("ann.smith", "root");
        for wrong in [later.as_str(), &other, "", ".", "a.b.c.d", &cookie[1..]] {
            assert_eq!(signer.check(wrong, &token("one")), None, "{wrong}");
        }
        assert_ne!(cookie, signer.open("ann.smith", &token("one"), 5_000));
    }

    #[test]
    fn what_is_forged_with_a_known_key_is_a_login_only_where_that_is_the_key() {
        let known = Signer([0; 32]);
        let forged = known.open("root", &token("one"), 5_000);
        assert_eq!(known.check(&forged, &token("one")), Some(5_000));
        assert_eq!(Signer::new().check(&forged, &token("one")), None);
    }
}
