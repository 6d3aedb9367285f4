//! Who gets in, and what is not even listened to.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::client::exchange;
use super::{ADMIN, CLERK, OPERATOR, Scene, VIEWER, scene};

const PATH: &str = "/api/v1/jobs";

/// All that the document says can be called: method, path, and for whom.
async fn operations(scene: &Scene) -> Vec<(String, String, String)> {
    let document = scene.get(CLERK, "/api/v1/openapi.json").await.with(200).body;
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, told) in methods.as_object().unwrap() {
            let whom = told["description"].as_str().unwrap().rsplit("For ").next().unwrap().to_owned();
            let path = path.replace(['{', '}'], "");
            all.push((method.to_uppercase(), path, whom));
        }
    }
    assert!(all.len() > 20, "{all:?}");
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn each_route_is_for_its_role_and_those_above_it() {
    let scene = scene().await;
    let tokens = [("enqueue", CLERK), ("viewer", VIEWER), ("operator", OPERATOR), ("admin", ADMIN)];
    for (method, path, whom) in operations(&scene).await {
        let ask = async |token: &str| {
            let head = format!("{method} {path} HTTP/1.1\r\n{}", scene.who(token));
            scene.send(&head, "").await
        };
        let stranger = ask("").await.with(401);
        assert_eq!(stranger.header("www-authenticate").as_deref(), Some("Bearer"), "{method} {path}");
        let least =
            tokens.iter().position(|(role, _)| whom.contains(&format!("the role {role} "))).unwrap_or(0);
        for (place, (role, token)) in tokens.iter().enumerate() {
            // Whoever may is told something else: that it is not there, say.
            let status = ask(token).await.status;
            let is_about_role = place < least;
            assert_eq!(status == 403, is_about_role, "{role}: {method} {path}: {status}");
        }
    }
    let said = scene.get("wrong", PATH).await.with(401).problem();
    assert!(said.contains("this token is not known"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_told_as_json_and_to_those_who_are_known() {
    let scene = scene().await;
    let _stranger = scene.get("", "/api/v1/absent").await.with(401);
    let absent = scene.get(CLERK, "/api/v1/absent").await.with(404);
    assert!(absent.problem().contains("nothing under this address"));
    assert_eq!(absent.header("x-request-id").as_deref(), absent.body["error"]["request"].as_str());
    let head = format!("DELETE {PATH} HTTP/1.1\r\n{}", scene.who(CLERK));
    let wrong = scene.send(&head, "").await.with(405);
    assert!(wrong.problem().contains("cannot be done there"), "{wrong:?}");
    let allowed = wrong.header("allow").unwrap();
    assert!(allowed.contains("GET") && allowed.contains("POST"), "{wrong:?}");
    let other = format!(
        "GET {PATH} HTTP/1.1\r\nhost: evil.example\r\nauthorization: Bearer {ADMIN}\r\nconnection: close\r\n"
    );
    let _other = scene.send(&other, "").await.with(421);
}

#[tokio::test(flavor = "multi_thread")]
async fn json_that_readers_differ_about_is_refused() {
    let scene = scene().await;
    let nested = format!(
        r#"{{"kind":"sql.run","args":{{"name":"tick","a":{}{}}}}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    for (body, why) in [
        (r#"{"kind":"sql.run","kind":"http.post","args":{"name":"tick"}}"#, "`kind` stands twice"),
        (r#"{"kind":"sql.run","args":{"name":"tick","name":"tock"}}"#, "`name` stands twice"),
        (r#"{"kind":"sql.run","args":{"name":"tick","n\u0061me":"tock"}}"#, "`name` stands twice"),
        (r#"{"kind":"sql.run","args":{"name":"tick","a":"\ud800"}}"#, "hex escape"),
        (r#"{"kind":"sql.run","args":{"name":"tick","a":NaN}}"#, "expected value"),
        (r#"{"kind":"sql.run","args":{"name":"tick"}} {}"#, "trailing characters"),
        (r#"{"kind":"sql.run","args":{"name":"tick"},"else":1}"#, "unknown field `else`"),
        (r#"{"args":{"name":"tick"}}"#, "missing field `kind`"),
        ("", "EOF"),
        ("[]", "the body is a list"),
        (r#" ["sql.run", {"name":"tick"}]"#, "the body is a list"),
        ("1", "invalid type"),
        ("null", "invalid type"),
        ("\u{0}", "expected value"),
        (nested.as_str(), "deeper than 64 levels"),
    ] {
        let said = scene.post_text(OPERATOR, PATH, "", body).await.with(400).problem();
        assert!(said.contains(why), "{why}: {said}");
    }
    let mut bytes = scene.who(OPERATOR).into_bytes();
    let head = format!("POST {PATH} HTTP/1.1\r\n").into_bytes();
    bytes.splice(0..0, head);
    bytes.extend(b"content-type: application/json\r\ncontent-length: 17\r\n\r\n{\"kind\":\"sql.\xff\xfe\"}");
    let said = exchange(scene.address, &bytes).await.with(400).problem();
    assert!(said.contains("cannot be understood"), "{said}");
    assert_eq!(scene.world.counts().await.waiting, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_plain_json_of_a_bearable_size_is_not_read() {
    let scene = scene().await;
    let body = json!({ "kind": "sql.run", "args": { "name": "tick" } }).to_string();
    let who = scene.who(OPERATOR);
    let packed = scene.post_text(OPERATOR, PATH, "content-encoding: gzip\r\n", &body).await.with(415);
    assert!(packed.problem().contains("a packed body is not unpacked"));
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
        let head = format!(
            "POST {PATH} HTTP/1.1\r\n{who}content-type: {kind}\r\ncontent-length: {}\r\n",
            body.len()
        );
        let _unmarked = scene.send(&head, &body).await.with(415);
    }

    // It says that it is a gigabyte: it is refused before a byte of it comes.
    let head = format!(
        "POST {PATH} HTTP/1.1\r\n{who}content-type: application/json\r\ncontent-length: 1073741824\r\n"
    );
    let large = scene.send(&head, "").await.with(413);
    assert!(large.problem().contains("the body is too large"), "{large:?}");

    // It does not say how much it is: it is cut off after the first that is too much.
    let mut stream = TcpStream::connect(scene.address).await.unwrap();
    let head = format!(
        "POST {PATH} HTTP/1.1\r\n{who}content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    let mut sent = 0_usize;
    while sent < 1 << 30 && stream.write_all(chunk.as_bytes()).await.is_ok() {
        sent += chunk.len();
    }
    assert!(sent < 64 << 20, "{sent} bytes of it were taken");
    assert_eq!(scene.world.counts().await.waiting, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_trickles_is_cut_off() {
    let scene = scene().await;
    let mut stream = TcpStream::connect(scene.address).await.unwrap();
    let who = scene.who(OPERATOR);
    let head = format!(
        "POST {PATH} HTTP/1.1\r\n{who}content-type: application/json\r\ncontent-length: 100000\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut reader, mut writer) = stream.split();
    let begun = Instant::now();
    let trickle = async {
        loop {
            if writer.write_all(b" ").await.is_err() {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let mut answer = vec![0; 4_096];
    let read = tokio::select! {
        read = reader.read(&mut answer) => read.unwrap(),
        () = trickle => unreachable!(),
        () = tokio::time::sleep(Duration::from_mins(1)) => panic!("it is still listened to"),
    };
    let text = String::from_utf8_lossy(&answer[..read]);
    assert!(text.starts_with("HTTP/1.1 408 "), "{text}");
    assert!(begun.elapsed() >= Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_site_makes_a_browser_send_is_refused() {
    let scene = scene().await;
    let login = format!("token={ADMIN}");
    let head = format!(
        "POST /login HTTP/1.1\r\n{}sec-fetch-site: same-origin\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n",
        scene.who(""),
        login.len()
    );
    let cookie = scene.send(&head, &login).await.header("set-cookie").unwrap();
    let cookie = cookie.split(';').next().unwrap();
    let body = json!({ "kind": "sql.run", "args": { "name": "tick" } }).to_string();
    let ask = async |site: &str| {
        let more = format!("cookie: {cookie}\r\nsec-fetch-site: {site}\r\n");
        scene.post_text("", PATH, &more, &body).await
    };
    let said = ask("cross-site").await.with(403).problem();
    assert!(said.contains("another site asked for this"), "{said}");
    let _made = ask("same-origin").await.with(201);
    let ended: Value = scene.get("", "/api/v1/queues").await.with(401).body;
    assert!(ended["error"]["help"].as_str().unwrap().contains("Bearer"));
}
