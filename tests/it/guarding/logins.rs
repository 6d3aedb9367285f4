//! Tokens and logins: what opens, for how long, and what another site can make of it.

use std::time::Duration;

use brasa_shared::config::Token;
use brasa_shared::hash::hex;
use brasa_tests::process::within;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{Scene, TOKENS, status, token, tokens};

/// What programs of others have been found to sign logins with, and what comes to mind.
const KNOWN_KEYS: [&str; 16] = [
    "",
    "temporary_key",
    "secret",
    "changeme",
    "change-me",
    "change_me_in_production",
    "password",
    "brasa",
    "brasa-session",
    "development",
    "test",
    "default",
    "insecure",
    "secret_key_base",
    "your-256-bit-secret",
    "keyboard cat",
];

/// A login of the admin as the program makes them, signed with this key.
fn forged(key: &[u8]) -> String {
    let said = format!("99999999999999.{}.admin", "0123456789abcdef".repeat(2));
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(said.as_bytes());
    mac.update(&Token::hash_of(token("admin")));
    format!("{}.{said}", hex(&mac.finalize().into_bytes()))
}

/// The parts of a login by their lengths, and the name at its end.
fn form_of(cookie: &str) -> (Vec<usize>, &str) {
    let (parts, name) = cookie.rsplit_once('.').unwrap();
    let mut lengths: Vec<_> = parts.split('.').map(str::len).collect();
    // When it ends is as long as it is.
    lengths.remove(1);
    (lengths, name)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_opens_what_its_token_does_and_nothing_that_was_made_up_does() {
    let scene = Scene::new().await;
    let cookie = scene.log_in("viewer").await;
    assert!(cookie.starts_with("brasa-session="), "{cookie}");
    assert_eq!(status(scene.request("GET", "/queues").header("cookie", &cookie)).await, 200);
    // Each login is another.
    assert_ne!(cookie, scene.log_in("viewer").await);

    let value = cookie.strip_prefix("brasa-session=").unwrap();
    let mut wrong =
        vec![String::new(), "x".to_owned(), value.replace("viewer", "admin"), value[1..].to_owned()];
    wrong.push(value.replacen(|c: char| c.is_ascii_digit(), "9", 3));
    for value in wrong {
        for name in ["brasa-session", "__Host-brasa-session"] {
            let request = scene.request("GET", "/queues").header("cookie", format!("{name}={value}"));
            assert_eq!(status(request).await, 303, "{name}={value}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_was_signed_with_a_key_that_everybody_knows_opens_nothing() {
    let scene = Scene::new().await;
    let real = scene.log_in("admin").await;
    let keys = KNOWN_KEYS.iter().map(|key| key.as_bytes().to_vec());
    let hashes = KNOWN_KEYS.iter().map(|key| Sha256::digest(key).to_vec());
    let plain = [0_u8, 1, b'0', b'a', 0xff].into_iter().flat_map(|byte| [vec![byte; 32], vec![byte; 64]]);
    let own = [Token::hash_of(token("admin")).to_vec(), token("admin").as_bytes().to_vec()];
    let mut tried = 0;
    for key in keys.chain(hashes).chain(plain).chain(own) {
        let value = forged(&key);
        // It fails for its key, and not for its form.
        assert_eq!(form_of(&value), form_of(real.strip_prefix("brasa-session=").unwrap()));
        let request = scene.request("GET", "/queues").header("cookie", format!("brasa-session={value}"));
        assert_eq!(status(request).await, 303, "{key:?}");
        tried += 1;
    }
    assert!(tried >= 40, "{tried}");
    assert_eq!(status(scene.request("GET", "/queues").header("cookie", &real)).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_browser_brings_to_the_login_is_not_what_opens_after_it() {
    let scene = Scene::new().await;
    let of_somebody_else = scene.log_in("viewer").await;
    let chosen = format!("brasa-session={}", forged(b"chosen by whoever lends his browser"));
    for brought in [chosen.as_str(), "brasa-session=fixed", &of_somebody_else] {
        let request = scene.request("POST", "/login").header("sec-fetch-site", "same-origin");
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let request = request.header("cookie", brought).body(format!("token={}", token("admin")));
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 303);
        let told = answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        assert_ne!(told, brought);
        let page = |cookie: &str| scene.request("GET", "/queues").header("cookie", cookie);
        assert_eq!(status(page(&told)).await, 200);
        // What was brought is worth what it was before, and not more.
        let worth = if brought == of_somebody_else { 200 } else { 303 };
        assert_eq!(status(page(brought)).await, worth, "{brought}");
        let delete = scene.request("POST", "/dead/x/delete").header("cookie", brought);
        let delete = delete.header("sec-fetch-site", "same-origin");
        let refused = if brought == of_somebody_else { 403 } else { 401 };
        assert_eq!(status(delete).await, refused, "{brought}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_cookie_of_the_way_it_is_served_counts() {
    for (text, name, other) in [
        ("", "brasa-session", "__Host-brasa-session"),
        ("[web]\nbehind_proxy = true\n", "__Host-brasa-session", "brasa-session"),
    ] {
        let scene = Scene::with(text).await;
        let cookie = scene.log_in("viewer").await;
        let value = cookie.strip_prefix(&format!("{name}=")).unwrap();
        for (cookie, wanted) in [
            (cookie.clone(), 200),
            (format!("{other}={value}"), 303),
            (format!("{}={value}", name.to_uppercase()), 303),
            (format!("{other}=fixed; {cookie}"), 200),
        ] {
            let request = scene.request("GET", "/queues").header("cookie", &cookie);
            assert_eq!(status(request).await, wanted, "{cookie}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cookie_is_for_this_server_alone() {
    let scene = Scene::new().await;
    let form = |scene: &Scene| {
        let request = scene.request("POST", "/login").header("sec-fetch-site", "same-origin");
        request
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("token={}", token("viewer")))
    };
    let told = form(&scene).send().await.unwrap().headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(told.contains("; Path=/; HttpOnly; SameSite=Strict; Max-Age=43200"), "{told}");

    let proxied = Scene::with("[web]\nbehind_proxy = true\nsession = \"1h\"\n").await;
    let told = form(&proxied).send().await.unwrap().headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(told.starts_with("__Host-brasa-session=") && told.ends_with("; Max-Age=3600; Secure"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_site_can_make_a_browser_do_nothing() {
    let scene = Scene::new().await;
    let cookie = scene.log_in("admin").await;
    let mutations: Vec<_> = brasa_web::routes().into_iter().filter(|route| route.method != "GET").collect();
    for route in &mutations {
        let path = route.path.replace(['{', '}'], "");
        let attack = || scene.request(route.method, &path).header("cookie", &cookie);
        let form = "application/x-www-form-urlencoded";
        let host = scene.address.to_string();
        let attacks = [
            attack().header("sec-fetch-site", "cross-site").header("content-type", form),
            attack()
                .header("sec-fetch-site", "same-site")
                .header("content-type", "text/plain")
                .body("{\"a\":1}"),
            attack().header("sec-fetch-site", "none"),
            attack().header("origin", "https://evil.example").header("content-type", form),
            attack().header("origin", "null"),
            attack().header("origin", format!("http://{host}.evil.example")),
            attack().header("referer", format!("http://{host}/queues")),
            attack(),
        ];
        for (place, attack) in attacks.into_iter().enumerate() {
            assert_eq!(status(attack).await, 403, "{} {path}, attack {place}", route.method);
        }
    }
    assert!(mutations.len() > 10);
    // From a page of ours it is done.
    let fine = scene.request("POST", "/queues/default/pause").header("cookie", &cookie);
    let fine = fine
        .header("sec-fetch-site", "same-origin")
        .header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(status(fine.body("reason=")).await, 303);
    assert!(scene.world.queue("default").paused().await.unwrap().is_some());
    let older = scene.request("POST", "/queues/default/resume").header("cookie", &cookie);
    assert_eq!(status(older.header("origin", format!("http://{}", scene.address))).await, 303);
    assert!(scene.world.queue("default").paused().await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_only_looked_at_changes_nothing_wherever_a_picture_points_to() {
    let scene = Scene::new().await;
    let cookie = scene.log_in("admin").await;
    let mut job = scene.world.job("mail.send", &json!({ "to": "ann" }));
    job.due = Some(scene.world.clock.now().as_millisecond() + 3_600_000);
    scene.world.queue("default").enqueue(&job).await.unwrap();
    let audited = "select count(*)::int as records from brasa.audit";
    let counts = async || serde_json::to_value(scene.world.counts().await).unwrap();
    let before = (counts().await, scene.world.rows(audited).await);
    let mut tried = 0;
    for route in brasa_web::routes().into_iter().filter(|route| route.method != "GET") {
        let path = route.path.replace("{queue}", "default").replace("{id}", &job.id);
        let path = path.replace("{what}", "db.analyze").replace(['{', '}'], "");
        for method in ["GET", "HEAD"] {
            for query in ["", "?reason=x&confirm=yes&name=default", "?_method=POST&method=delete"] {
                let picture = scene.request(method, &format!("{path}{query}")).header("cookie", &cookie);
                let picture =
                    picture.header("sec-fetch-site", "cross-site").header("sec-fetch-mode", "no-cors");
                let picture = picture.header("sec-fetch-dest", "image").header("accept", "image/*");
                let picture = picture.header("x-http-method-override", route.method);
                let answer = status(picture).await;
                // Some paths are a page, too: those to log in and of the jobs.
                assert!([200, 303, 400, 404, 405].contains(&answer), "{method} {path}{query}: {answer}");
                tried += 1;
            }
        }
        assert!(scene.world.queue("default").paused().await.unwrap().is_none(), "{path}");
    }
    assert!(tried > 250, "{tried}");
    assert_eq!((counts().await, scene.world.rows(audited).await), before);
    assert_eq!(scene.world.state(&job.id).await, Some(brasa_shared::queue::State::Delayed));
    // A picture of the way out logs nobody out.
    assert_eq!(status(scene.request("GET", "/queues").header("cookie", &cookie)).await, 200);
}

/// How many of these answers say that a token was looked at.
fn evaluated(answers: &[u16]) -> usize {
    assert!(answers.iter().all(|answer| [401, 429].contains(answer)), "{answers:?}");
    answers.iter().filter(|answer| **answer == 401).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_guesses_is_not_listened_to_for_a_while() {
    let scene = Scene::new().await;
    let begun = std::time::Instant::now();
    let mut answers = Vec::new();
    for number in 0..1_000 {
        // What nobody put in front of us writes counts for nothing.
        let from = format!("198.51.{}.{}", number / 250, number % 250);
        let guess = scene.request("GET", "/queues").bearer_auth(format!("{number:064}"));
        answers.push(status(guess.header("x-forwarded-for", from)).await);
    }
    assert!(begun.elapsed() < Duration::from_secs(50), "too slow to tell");
    assert_eq!(evaluated(&answers), 10, "{answers:?}");
    assert!(answers[10..].iter().all(|answer| *answer == 429), "{answers:?}");
    // Nor does the right one open then: otherwise its answer would tell.
    let answer = scene.as_role("viewer", "GET", "/queues").send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 429);
    let seconds: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=61).contains(&seconds), "{seconds}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_guesses_at_the_login_or_from_many_addresses_gets_no_further() {
    let scene = Scene::with("[web]\nbehind_proxy = true\n").await;
    let begun = std::time::Instant::now();
    let log_in = |from: &str, token: String| {
        let request = scene.request("POST", "/login").header("sec-fetch-site", "same-origin");
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        request.header("x-forwarded-for", from).body(format!("token={token}"))
    };
    let mut answers = Vec::new();
    for number in 0..1_000 {
        answers.push(status(log_in("203.0.113.1", format!("{number:064}"))).await);
    }
    assert_eq!(evaluated(&answers), 10, "{answers:?}");
    // Somebody else may still come in, and whoever guessed may not, at any door.
    assert_eq!(status(log_in("203.0.113.2", token("viewer").to_owned())).await, 303);
    assert_eq!(status(log_in("203.0.113.1", token("viewer").to_owned())).await, 429);
    let by_token = scene.as_role("viewer", "GET", "/queues").header("x-forwarded-for", "203.0.113.1");
    assert_eq!(status(by_token).await, 429);

    answers.clear();
    for number in 0..1_000 {
        // The last is what the proxy wrote, the first what was made up.
        let from = format!("203.0.113.2, 198.51.{}.{}", number / 250, number % 250);
        let guess = scene.request("GET", "/api/v1/queues").bearer_auth(format!("{number:064}"));
        answers.push(status(guess.header("x-forwarded-for", from)).await);
    }
    assert!(begun.elapsed() < Duration::from_secs(50), "too slow to tell");
    assert_eq!(evaluated(&answers), 190, "of all addresses 200 a minute");
    assert!(answers[190..].iter().all(|answer| *answer == 429), "{answers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_taken_out_of_the_file_opens_nothing_any_more_nor_do_its_logins() {
    let scene = Scene::new().await;
    let cookie = scene.log_in("operator").await;
    let by_cookie = || scene.request("GET", "/queues").header("cookie", &cookie);
    assert_eq!(status(by_cookie()).await, 200);

    let left = tokens().split("[web.tokens.operator]").next().unwrap().to_owned();
    // A mistake elsewhere in the file keeps nobody in.
    let left = format!("{left}[schedules.odd]\nno_such_key = 1\n");
    // The name under which the world wrote it.
    let path = std::fs::read_dir(scene.world.folder()).unwrap().map(|entry| entry.unwrap().path());
    let path = path.filter(|path| std::fs::read_to_string(path).is_ok_and(|text| text.contains("operator")));
    for path in path {
        std::fs::write(path, &left).unwrap();
    }

    within(Duration::from_secs(30), "the login is over", async || {
        (status(by_cookie()).await == 303).then_some(())
    })
    .await;
    assert_eq!(status(scene.as_role("operator", "GET", "/queues")).await, 401);
    assert_eq!(status(scene.as_role("viewer", "GET", "/queues")).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_has_expired_opens_nothing() {
    let hash = Token::spell(&Token::hash_of(&"e".repeat(64)));
    let text = format!(
        "[web.tokens.old]\nrole = \"admin\"\nhash = \"{hash}\"\nexpires = \"2020-01-01T00:00:00Z\"\n"
    );
    let scene = Scene::with(&text).await;
    assert_eq!(status(scene.request("GET", "/").bearer_auth("e".repeat(64))).await, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_token_is_in_what_the_program_says() {
    let scene = Scene::new().await;
    for (role, _) in TOKENS {
        let _answer = status(scene.as_role(role, "GET", "/")).await;
        drop(scene.log_in(role).await);
    }
    let _answer = status(scene.request("GET", "/").bearer_auth("wrong-canary-0123456789")).await;
    let log = scene.brasa.log();
    for canary in TOKENS.map(|(_, token)| token).into_iter().chain(["wrong-canary"]) {
        assert!(!log.contains(canary), "{log}");
    }
}
