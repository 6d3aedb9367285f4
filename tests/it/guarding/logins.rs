//! Tokens and logins: what opens, for how long, and what another site can make of it.

use std::time::Duration;

use brasa_shared::config::Token;
use brasa_tests::process::within;

use super::{Scene, TOKENS, status, token, tokens};

#[tokio::test(flavor = "multi_thread")]
async fn a_login_opens_what_its_token_does_and_nothing_that_was_made_up_does() {
    let scene = Scene::new().await;
    let cookie = scene.log_in("viewer").await;
    assert!(cookie.starts_with("brasa-session="), "{cookie}");
    assert_eq!(status(scene.request("GET", "/queues").header("cookie", &cookie)).await, 200);
    // Each login is another.
    assert_ne!(cookie, scene.log_in("viewer").await);

    let value = cookie.strip_prefix("brasa-session=").unwrap();
    let mut forged =
        vec![String::new(), "x".to_owned(), value.replace("viewer", "admin"), value[1..].to_owned()];
    forged.push(value.replacen(|c: char| c.is_ascii_digit(), "9", 3));
    // Signed with what programs of others have used as a default.
    for known in ["", "temporary_key", "secret", "changeme"] {
        forged.push(format!("{}.99999999999999.0.admin", Token::spell(&Token::hash_of(known)).split_off(7)));
    }
    for value in forged {
        for name in ["brasa-session", "__Host-brasa-session"] {
            let request = scene.request("GET", "/queues").header("cookie", format!("{name}={value}"));
            assert_eq!(status(request).await, 303, "{name}={value}");
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
async fn whoever_guesses_is_not_listened_to_for_a_while() {
    let scene = Scene::new().await;
    let guess = |number: u32| scene.request("GET", "/queues").bearer_auth(format!("{number:064}"));
    let mut answers = Vec::new();
    for number in 0..40 {
        answers.push(status(guess(number)).await);
    }
    assert_eq!(answers.iter().filter(|answer| **answer == 401).count(), 10, "{answers:?}");
    assert!(answers[10..].iter().all(|answer| *answer == 429), "{answers:?}");
    // Nor does the right one open then: otherwise its answer would tell.
    let answer = scene.as_role("viewer", "GET", "/queues").send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 429);
    let seconds: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=61).contains(&seconds), "{seconds}");
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
