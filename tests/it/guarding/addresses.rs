//! Where it may be served, and under which names.

use brasa_tests::World;
use brasa_tests::process::Brasa;

use super::{Scene, status, tokens};

#[tokio::test(flavor = "multi_thread")]
async fn where_others_reach_it_there_must_be_a_token_and_something_that_encrypts() {
    let world = World::of_queues();
    let tls = "tls = { certificate_file = \"/nowhere.crt\", key_file = \"/nowhere.key\" }\n";
    let mut allowed = Vec::new();
    for place in 0..8 {
        let has = |bit: u8| place & (1 << bit) != 0;
        let mut text = String::from("[web]\nlisten = \"0.0.0.0:0\"\n");
        text += if has(1) { "behind_proxy = true\n" } else { "" };
        text += if has(2) { tls } else { "" };
        text += &if has(0) { tokens() } else { String::new() };
        let brasa = Brasa::configured(&world, &text);
        let checked = brasa.run(["check", "--offline"]).await;
        let said = format!("{}{}", checked.stdout, checked.stderr);
        let is_refused = said.contains("can be reached from elsewhere") && checked.code == Some(2);
        if !is_refused {
            allowed.push(place);
        }
    }
    assert_eq!(allowed, [0b011, 0b101, 0b111]);

    // The same where the address comes from elsewhere than the file.
    let brasa = Brasa::configured(&world, "");
    let said = brasa.run(["web", "--listen", "0.0.0.0:0"]).await.with_code(2).stderr;
    assert!(said.contains("can be reached from elsewhere, and there is no token"), "{said}");
    let said = brasa.env("BRASA_WEB_LISTEN", "0.0.0.0:0").run(["web"]).await.with_code(2).stderr;
    assert!(said.contains("can be reached from elsewhere"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn under_a_name_of_somebody_else_it_answers_nothing() {
    let scene = Scene::with("[web]\nhosts = [\"brasa.example.com\"]\n").await;
    let port = scene.address.port();
    let fine = [format!("localhost:{port}"), scene.address.to_string(), "brasa.example.com".to_owned()];
    for host in fine {
        assert_eq!(status(scene.as_role("viewer", "GET", "/").header("host", &host)).await, 200, "{host}");
    }
    for host in ["evil.example", "localhost", "127.0.0.1", "brasa.example.com.evil.example", "localhost:1"] {
        for path in ["/", "/login", "/live", "/api/v1/queues", "/nothing"] {
            let answer = scene.as_role("admin", "GET", path).header("host", host);
            assert_eq!(status(answer).await, 421, "{host} {path}");
        }
    }
}
