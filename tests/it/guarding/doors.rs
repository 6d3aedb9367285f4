//! What whoever is not known is answered, and who may do what.

use std::collections::BTreeSet;

use brasa_shared::config::Role;
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
    let mut tried = 0;
    for route in routes() {
        let path = filled(&route);
        let spellings = [
            path.clone(),
            format!("{path}/"),
            format!("/{path}"),
            path.replace('/', "%2F"),
            format!("{path}?x=1"),
        ];
        for spelling in spellings.iter().filter(|spelling| spelling.starts_with('/')) {
            for method in METHODS {
                let named = spelling.split('?').next().unwrap();
                let read = if method == "HEAD" { "GET" } else { method };
                if OPEN.contains(&(read, named)) {
                    continue;
                }
                let answer = scene.request(method, spelling).send().await.unwrap();
                let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
                let shown = answer.text().await.unwrap();
                let is_sent_to_login = status == 303 && headers["location"] == "/login" && shown.is_empty();
                assert!(status == 401 || is_sent_to_login, "{method} {spelling}: {status} {shown}");
                // A path that there is answers like one that there is not.
                let nothing = scene.request(method, "/there-is-no-such-path").send().await.unwrap();
                if !spelling.starts_with("/api/") {
                    assert_eq!(nothing.status().as_u16(), status, "{method} {spelling}");
                }
                tried += 1;
            }
        }
    }
    assert!(tried > 500, "{tried}");
    for (method, path) in OPEN {
        let answer = status(scene.request(method, path)).await;
        assert!(![401, 404].contains(&answer) || path == "/login", "{method} {path}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_may_do_what_it_may_and_nothing_else() {
    let scene = Scene::new().await;
    for route in routes() {
        let Need::Role(least) = route.need else { continue };
        // What is never at an end would hold up the test.
        if route.path == "/events" {
            continue;
        }
        for (role, _) in TOKENS {
            let answer = status(scene.as_role(role, route.method, &filled(&route))).await;
            let may = Role::of(role).unwrap() >= least;
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
