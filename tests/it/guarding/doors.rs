//! What whoever is not known is answered, and who may do what.

use std::collections::BTreeSet;

use brasa_web::{Need, Route, routes};

use super::{Scene, TOKENS, status};

/// The methods that are tried, one of them made up.
const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"];

/// What is for everybody.
const OPEN: [(&str, &str); 7] = [
    ("GET", "/login"),
    ("POST", "/login"),
    ("POST", "/logout"),
    ("GET", "/live"),
    ("GET", "/assets/brasa.css"),
    ("GET", "/assets/brasa.js"),
    ("GET", "/assets/brasa.svg"),
];

/// A path that there may be: with something in the place of each name.
fn filled(route: &Route) -> String {
    let part = |part: &str| if part.starts_with('{') { "x".to_owned() } else { part.to_owned() };
    route.path.split('/').map(part).collect::<Vec<_>>().join("/")
}

/// Ways to write a path, some of which a careless door might take for the same, and others for another one.
fn spellings(path: &str) -> Vec<String> {
    let inner = path.get(1..).unwrap_or_default();
    let letter = |place: usize| {
        let byte = *path.as_bytes().get(place)?;
        let (before, behind) = (path.get(..place)?, path.get(place + 1..)?);
        byte.is_ascii_alphanumeric().then(|| format!("{before}%{byte:02X}{behind}"))
    };
    let mut spellings = vec![
        path.to_owned(),
        format!("{path}/"),
        format!("/{path}"),
        format!("{path}%20"),
        format!("{path}%00"),
        format!("{path}?x=1"),
        format!("/{}", inner.replace('/', "%2F")),
        format!("/{}", inner.replace('/', "%2f")),
        format!("/{}", inner.replace('/', "%5C")),
    ];
    spellings.extend([1, path.len() / 2, path.len().saturating_sub(1)].into_iter().filter_map(letter));
    let upper = inner.to_uppercase();
    if upper != inner {
        spellings.push(format!("/{upper}"));
    }
    // Of `/` there are few.
    let mut known = BTreeSet::new();
    spellings.into_iter().filter(|spelling| known.insert(spelling.clone())).collect()
}

/// All that changes something, and the least role that may. A route that is not here fails.
const MUTATIONS: [(&str, &str, &str); 42] = [
    ("POST", "/api/v1/jobs", "enqueue"),
    ("POST", "/api/v1/jobs/bulk", "enqueue"),
    ("POST", "/api/v1/jobs/{queue}/{id}/cancel", "operator"),
    ("POST", "/api/v1/jobs/{queue}/{id}/retry", "operator"),
    ("POST", "/api/v1/cache/invalidate", "operator"),
    ("POST", "/api/v1/cache/warm", "operator"),
    ("POST", "/api/v1/queues/{queue}/pause", "operator"),
    ("POST", "/api/v1/queues/{queue}/resume", "operator"),
    ("POST", "/api/v1/queues/{queue}/close", "operator"),
    ("POST", "/api/v1/queues/{queue}/open", "operator"),
    ("POST", "/api/v1/dead/{group}/retry", "operator"),
    ("POST", "/api/v1/schedules/{name}/run", "operator"),
    ("POST", "/api/v1/schedules/{name}/pause", "operator"),
    ("POST", "/api/v1/schedules/{name}/resume", "operator"),
    ("POST", "/cache/{name}/warm", "operator"),
    ("POST", "/cache/{name}/invalidate", "operator"),
    ("POST", "/recommendations/review", "operator"),
    ("POST", "/writes/{name}/pause", "operator"),
    ("POST", "/writes/{name}/resume", "operator"),
    ("POST", "/writes/{name}/replay", "operator"),
    ("POST", "/writes/dead/{id}/replay", "operator"),
    ("POST", "/queues/{queue}/pause", "operator"),
    ("POST", "/queues/{queue}/resume", "operator"),
    ("POST", "/queues/{queue}/close", "operator"),
    ("POST", "/queues/{queue}/open", "operator"),
    ("POST", "/jobs/{queue}/{id}/retry", "operator"),
    ("POST", "/jobs/{queue}/{id}/cancel", "operator"),
    ("POST", "/aggregates/{name}/refresh", "operator"),
    ("POST", "/aggregates/{name}/check", "operator"),
    ("POST", "/dead/{group}/canary", "operator"),
    ("POST", "/dead/{group}/retry", "operator"),
    ("POST", "/schedules/{name}/run", "operator"),
    ("POST", "/schedules/{name}/pause", "operator"),
    ("POST", "/schedules/{name}/resume", "operator"),
    ("POST", "/api/v1/recommendations/{fingerprint}/dismiss", "admin"),
    ("POST", "/api/v1/recommendations/{fingerprint}/reopen", "admin"),
    ("POST", "/api/v1/dead/{group}/delete", "admin"),
    ("POST", "/database/run/{what}", "admin"),
    ("POST", "/recommendations/{fingerprint}/dismiss", "admin"),
    ("POST", "/recommendations/{fingerprint}/reopen", "admin"),
    ("POST", "/writes/dead/{id}/delete", "admin"),
    ("POST", "/dead/{group}/delete", "admin"),
];

/// What whoever may only enqueue may look at.
const KNOWN: [&str; 3] =
    ["/api/v1/jobs/{queue}/{id}", "/api/v1/jobs/{queue}/{id}/wait", "/api/v1/openapi.json"];

/// The least role for a route, as it is written here.
fn least(route: &Route) -> Option<&'static str> {
    if OPEN.contains(&(route.method, route.path)) {
        return None;
    }
    if route.method == "GET" {
        return Some(if KNOWN.contains(&route.path) { "enqueue" } else { "viewer" });
    }
    let known = MUTATIONS.iter().find(|(method, path, _)| (*method, *path) == (route.method, route.path));
    Some(known.unwrap_or_else(|| panic!("write down who may: {} {}", route.method, route.path)).2)
}

#[test]
fn who_may_do_what_is_what_is_written_down() {
    let written: BTreeSet<_> = MUTATIONS.into_iter().collect();
    let of = |route: &Route| match route.need {
        Need::Role(role) => Some(role.word()),
        Need::Nobody => None,
    };
    let acts = routes().into_iter().filter(|route| route.method != "GET");
    let acts: BTreeSet<_> = acts.filter_map(|route| Some((route.method, route.path, of(&route)?))).collect();
    assert_eq!(acts, written);
    for route in routes() {
        assert_eq!(of(&route), least(&route), "{} {}", route.method, route.path);
    }
}

#[test]
fn what_is_for_everybody_is_a_list_that_does_not_grow_by_itself() {
    let open: BTreeSet<_> = routes()
        .iter()
        .filter(|route| route.need == Need::Nobody)
        .map(|route| (route.method, route.path))
        .collect();
    assert_eq!(open, BTreeSet::from(OPEN));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_nothing_answers_but_what_is_for_everybody() {
    let scene = Scene::new().await;
    let (mut tried, mut encoded) = (0, 0);
    let mut nothings = Vec::new();
    for method in METHODS {
        nothings.push((method, status(scene.request(method, "/there-is-no-such-path")).await));
    }
    for route in routes() {
        let path = filled(&route);
        for spelling in &spellings(&path) {
            encoded += usize::from(spelling.contains('%'));
            for (method, nothing) in &nothings {
                let named = spelling.split('?').next().unwrap();
                let read = if *method == "HEAD" { "GET" } else { method };
                if OPEN.contains(&(read, named)) {
                    continue;
                }
                let answer = scene.request(method, spelling).send().await.unwrap();
                let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
                let shown = answer.text().await.unwrap();
                let is_sent_to_login = status == 303 && headers["location"] == "/login" && shown.is_empty();
                assert!(status == 401 || is_sent_to_login, "{method} {spelling}: {status} {shown}");
                // A path that there is answers like one that there is not.
                if !spelling.starts_with("/api/") {
                    assert_eq!(*nothing, status, "{method} {spelling}");
                }
                tried += 1;
            }
        }
    }
    assert!(tried > 5_000 && encoded > 300, "{tried}, {encoded}");
    for (method, path) in OPEN {
        let answer = status(scene.request(method, path)).await;
        assert!(![401, 404].contains(&answer) || path == "/login", "{method} {path}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_may_do_what_it_may_and_nothing_else() {
    let scene = Scene::new().await;
    let rank = |role: &str| TOKENS.iter().position(|(known, _)| *known == role).unwrap();
    for route in routes() {
        let Some(least) = least(&route) else { continue };
        // What is never at an end would hold up the test.
        if route.path == "/events" {
            continue;
        }
        for (role, _) in TOKENS {
            let answer = status(scene.as_role(role, route.method, &filled(&route))).await;
            let may = rank(role) >= rank(least);
            assert_eq!(answer != 403, may, "{role}: {} {}: {answer}", route.method, route.path);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_tells_browsers_to_load_nothing_from_elsewhere() {
    let scene = Scene::new().await;
    for path in ["/", "/login", "/nothing", "/assets/brasa.js", "/jobs?limit=0", "/api/v1/nothing"] {
        let answer = scene.as_role("viewer", "GET", path).send().await.unwrap();
        let headers = answer.headers().clone();
        let policy = headers["content-security-policy"].to_str().unwrap().to_owned();
        for word in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
        ] {
            assert!(policy.contains(word), "{path}: {policy}");
        }
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        let page = answer.text().await.unwrap();
        assert!(!page.contains("<script>") && !page.contains(" style="), "{path}");
    }
}
