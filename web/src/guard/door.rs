//! Who it is, and whether they may.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Redirect, Response};

use crate::auth::{Entry, Identity, Keys};
use crate::error::Refused;
use crate::routes::{Need, Needs};

/// What the door knows.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) keys: Arc<Keys>,
    pub(crate) needs: Arc<Needs>,
    /// Whether what is in front of us says who called.
    pub(crate) behind_proxy: bool,
    /// The name of the one cookie that counts.
    pub(crate) cookie: &'static str,
}

/// The other end of the connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Lets in who may.
pub(crate) async fn door(State(door): State<Door>, mut request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let need = door.needs.of(path, request.method().as_str());
    let who = match door.identify(&request) {
        Ok(who) => who,
        Err(refused) if need != Need::Nobody => return refused.into_response(),
        Err(_) => None,
    };
    // Pages are not counted: they draw themselves again, whatever a program does with the same token.
    if let Some(who) = who.as_ref().filter(|who| !who.is_session || is_api(request.uri()))
        && let Err(seconds) = door.keys.count(who)
    {
        let message = format!("`{}` asks too often", who.name);
        let help = "ask less often, or whoever keeps [web.tokens] for another `rate`";
        return Refused::new(StatusCode::TOO_MANY_REQUESTS, message, help).again_in(seconds).into_response();
    }
    if let Need::Role(least) = need {
        let Some(who) = &who else { return stranger(request.uri(), request.method()) };
        if who.is_session && is_foreign(request.method(), request.headers()) {
            let help = "open the page here, and do it from there";
            return Refused::new(StatusCode::FORBIDDEN, "another site asked for this", help).into_response();
        }
        // What needs the least is for whoever is known; a token for enqueuing is told so by name.
        if !who.may(least) {
            let message = format!("`{}` is {}, and this takes {}", who.name, who.role.word(), least.word());
            let help = "ask whoever keeps [web.tokens] for another role";
            return Refused::new(StatusCode::FORBIDDEN, message, help).into_response();
        }
    }
    if let Some(who) = who {
        request.extensions_mut().insert(who);
    }
    next.run(request).await
}

impl Door {
    /// Who a request comes from, if it says so.
    fn identify(&self, request: &Request) -> Result<Option<Identity>, Refused> {
        let headers = request.headers();
        if let Some(token) = bearer(headers) {
            return match self.keys.enter(token, client(request, self.behind_proxy)) {
                Entry::Opened(who) => Ok(Some(who)),
                Entry::Wrong => {
                    let help = "`brasa tokens new` makes one that is";
                    Err(Refused::new(
                        StatusCode::UNAUTHORIZED,
                        "this token is not known, or has expired",
                        help,
                    ))
                }
                Entry::Blocked(seconds) => {
                    let message = "there were too many wrong tokens";
                    Err(Refused::new(StatusCode::TOO_MANY_REQUESTS, message, "").again_in(seconds))
                }
            };
        }
        Ok(cookies(headers, self.cookie).find_map(|cookie| self.keys.recall(cookie)))
    }
}

/// The address of whoever calls. What a proxy says counts where there is one, and only what it wrote itself, last.
pub(crate) fn client(request: &Request, behind_proxy: bool) -> IpAddr {
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0.ip());
    let told = || {
        let told = request.headers().get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
        told.rsplit(',').next()?.trim().parse().ok()
    };
    let told = if behind_proxy { told() } else { None };
    told.or(peer).unwrap_or(IpAddr::from([0, 0, 0, 0]))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn cookies<'h>(headers: &'h HeaderMap, counts: &'static str) -> impl Iterator<Item = &'h str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = all.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(move |(name, _)| *name == counts).map(|(_, value)| value)
}

/// Whether another site may have made a browser send this. Looking changes nothing, so anybody may make it look.
pub(crate) fn is_foreign(method: &Method, headers: &HeaderMap) -> bool {
    if matches!(*method, Method::GET | Method::HEAD) {
        return false;
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text("sec-fetch-site") {
        return site != "same-origin";
    }
    // Older browsers say only where it came from.
    let origin = text("origin").and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    origin.is_none() || origin != text("host")
}

fn is_api(uri: &Uri) -> bool {
    uri.path().starts_with("/api/")
}

/// Programs are told that they need a token; people are shown where to write it.
fn stranger(uri: &Uri, method: &Method) -> Response {
    if is_api(uri) || *method != Method::GET {
        let help = "send a token: `authorization: Bearer TOKEN`; `brasa tokens new` makes one";
        let refused = Refused::new(StatusCode::UNAUTHORIZED, "who is asking?", help);
        return ([(header::WWW_AUTHENTICATE, "Bearer")], refused).into_response();
    }
    Redirect::to("/login").into_response()
}
