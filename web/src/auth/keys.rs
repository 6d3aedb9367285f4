//! Who gets in: the tokens of the configuration, as it stands in its file right now.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use brasa_jobs::Site;
use brasa_shared::clock::Clock;
use brasa_shared::config::{Role, Token};
use brasa_shared::hash::hex;

use super::Identity;
use super::attempts::Attempts;
use super::rates::Rates;
use super::session::{Signer, name_in};

/// The name of the token that is made where the configuration has none.
const MADE: &str = "local";

/// Who gets in.
pub(crate) struct Keys {
    tokens: RwLock<BTreeMap<String, Token>>,
    made: Option<String>,
    attempts: Attempts,
    rates: Rates,
    signer: Signer,
    session: Duration,
    clock: Clock,
}

/// What came of a token.
#[derive(Debug)]
pub(crate) enum Entry {
    /// It opens.
    Opened(Identity),
    /// It does not.
    Wrong,
    /// It was not looked at: there were too many wrong ones; in so many seconds it would be.
    Blocked(u64),
}

impl Keys {
    /// The tokens of an installation; where it has none, one that is made for this run.
    pub(crate) fn new(site: &Site) -> Self {
        let mut tokens = site.config.web.tokens.clone();
        let made = tokens.is_empty().then(|| hex(&rand::random::<[u8; 32]>()));
        tokens.extend(made.as_deref().map(made_of));
        Self {
            tokens: RwLock::new(tokens),
            made,
            attempts: Attempts::default(),
            rates: Rates::default(),
            signer: Signer::new(),
            session: site.config.web.session,
            clock: site.clock.clone(),
        }
    }

    /// The token that was made for this run, if one was.
    pub(crate) fn made(&self) -> Option<&str> {
        self.made.as_deref()
    }

    /// Puts other tokens in their place: those that are gone open nothing any more, nor do their logins.
    pub(crate) fn replace(&self, mut tokens: BTreeMap<String, Token>) {
        tokens.extend(self.made.as_deref().map(made_of));
        *self.tokens.write().unwrap_or_else(PoisonError::into_inner) = tokens;
    }

    /// Who comes with this token. Every one that is known is compared, and each in full, so that the time that it
    /// takes says nothing.
    pub(crate) fn enter(&self, token: &str, from: IpAddr) -> Entry {
        if let Some(seconds) = self.attempts.blocked(from, &self.clock) {
            return Entry::Blocked(seconds);
        }
        let hash = Token::hash_of(token);
        let tokens = self.tokens.read().unwrap_or_else(PoisonError::into_inner);
        let mut found = None;
        for (name, known) in tokens.iter() {
            if Token::is_same(&known.hash, &hash) {
                found = Some((name, known));
            }
        }
        if let Some((name, known)) = found.filter(|(_, known)| self.is_alive(known)) {
            return Entry::Opened(identity(name, known, false));
        }
        self.attempts.note(from, &self.clock);
        Entry::Wrong
    }

    /// Counts a request of somebody; or in how many seconds one will be answered, where there were too many.
    pub(crate) fn count(&self, who: &Identity) -> Result<(), u64> {
        who.rate.map_or(Ok(()), |rate| self.rates.take(&who.name, rate))
    }

    /// A cookie for whoever came with a token, and for how many seconds it holds.
    pub(crate) fn log_in(&self, who: &Identity) -> Option<(String, u64)> {
        let tokens = self.tokens.read().unwrap_or_else(PoisonError::into_inner);
        let token = tokens.get(&who.name)?;
        let lasts_ms = i64::try_from(self.session.as_millis()).unwrap_or(i64::MAX);
        let expires_ms = self.clock.now().as_millisecond().saturating_add(lasts_ms);
        Some((self.signer.open(&who.name, token, expires_ms), self.session.as_secs()))
    }

    /// Who comes with this cookie.
    pub(crate) fn recall(&self, cookie: &str) -> Option<Identity> {
        let name = name_in(cookie)?;
        let tokens = self.tokens.read().unwrap_or_else(PoisonError::into_inner);
        let token = tokens.get(name).filter(|token| self.is_alive(token))?;
        let expires_ms = self.signer.check(cookie, token)?;
        (expires_ms > self.clock.now().as_millisecond()).then(|| identity(name, token, true))
    }

    fn is_alive(&self, token: &Token) -> bool {
        token.expires.is_none_or(|expires| expires > self.clock.now())
    }
}

fn made_of(token: &str) -> (String, Token) {
    let hash = Token::hash_of(token);
    let (kinds, queues) = (Vec::new(), Vec::new());
    (MADE.to_owned(), Token { hash, role: Role::Admin, kinds, queues, expires: None, rate: None })
}

fn identity(name: &str, token: &Token, is_session: bool) -> Identity {
    let Token { role, kinds, queues, rate, .. } = token.clone();
    Identity { name: name.to_owned(), role, kinds, queues, rate, is_session }
}
