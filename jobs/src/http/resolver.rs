//! Names, looked up so that a connection gets no address that it must not have.

use std::fmt;
use std::net::SocketAddr;

use brasa_shared::config::{HELP_PRIVATE, forbidden};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Looks names up as the machine does, and leaves out what must not be called.
#[derive(Debug, Clone, Copy)]
pub(super) struct Resolver {
    /// Whether addresses that are one's own may be called.
    pub(super) private: bool,
}

/// None of the addresses may be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused(String);

impl Refused {
    /// Why an address must not be called; nothing where it may be.
    pub(super) fn of(address: std::net::IpAddr, private: bool) -> Option<Self> {
        let why = forbidden(address, private)?;
        // What is never called is so with it, too.
        let may_help = !private && forbidden(address, true).is_none();
        Some(Self(if may_help { format!("{why}; {HELP_PRIVATE}") } else { why }))
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let private = self.private;
        Box::pin(async move {
            // The port is that of the url; reqwest puts it in.
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let (mut fit, mut refused) = (Vec::new(), None);
            for address in found {
                match Refused::of(address.ip(), private) {
                    None => fit.push(address),
                    Some(why) => refused = refused.or(Some(why)),
                }
            }
            match refused {
                Some(why) if fit.is_empty() => Err(why.into()),
                _ => Ok(Box::new(fit.into_iter()) as Addrs),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn look_up(private: bool) -> Result<Vec<SocketAddr>, String> {
        let found = Resolver { private }.resolve("localhost".parse().unwrap()).await;
        found.map(Iterator::collect).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_name_of_ones_own_is_found_only_where_that_is_allowed() {
        let why = look_up(false).await.unwrap_err();
        assert!(why.contains("loopback") && why.contains("private = true"), "{why}");
        let found = look_up(true).await.unwrap();
        assert!(!found.is_empty() && found.iter().all(|address| address.ip().is_loopback()), "{found:?}");
    }

    #[test]
    fn what_would_not_help_is_not_proposed() {
        let why = Refused::of([169, 254, 169, 254].into(), false).unwrap().to_string();
        assert!(why.contains("link-local") && !why.contains("private = true"), "{why}");
        assert!(Refused::of([169, 254, 169, 254].into(), true).is_some());
    }
}
