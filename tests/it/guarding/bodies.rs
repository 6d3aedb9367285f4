//! What is sent too large, too slowly, or too much of.

use std::time::Duration;

use brasa_tests::process::within;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Scene, status, token};

/// What a process holds of memory, in KiB.
fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_somebody_who_is_not_known_is_not_read() {
    let scene = Scene::new().await;
    let before = resident_kib(scene.brasa.pid());
    let mut stream = TcpStream::connect(scene.address).await.unwrap();
    let head = format!(
        "POST /queues/default/pause HTTP/1.1\r\nhost: {}\r\ncontent-length: 1000000000\r\n\r\n",
        scene.address
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 401");
    // Whatever is sent on is not kept.
    let chunk = vec![b'x'; 1 << 20];
    for _ in 0..200 {
        if stream.write_all(&chunk).await.is_err() {
            break;
        }
    }
    let grown = resident_kib(scene.brasa.pid()).saturating_sub(before);
    assert!(grown < 32 << 10, "{grown} KiB");
}

/// The first words of the answer to a form of so many bytes. It comes while the form is still being sent, which clients
/// for people take for a broken connection now and then.
async fn told_while_sending(scene: &Scene, bytes: usize) -> String {
    let mut stream = TcpStream::connect(scene.address).await.unwrap();
    let head = format!(
        "POST /queues/default/pause HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {bytes}\r\n\r\n",
        scene.address,
        token("operator")
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut reading, mut writing) = stream.split();
    let sending = async {
        // Whoever has refused it need not read all of it.
        let _cut_off = writing.write_all(&vec![b'x'; bytes]).await;
        std::future::pending::<()>().await;
    };
    let mut answer = [0; 12];
    tokio::select! {
        read = reading.read_exact(&mut answer) => drop(read.unwrap()),
        () = sending => {}
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_large_or_packed_is_refused() {
    let scene = Scene::new().await;
    let form = "application/x-www-form-urlencoded";
    let pause = || scene.as_role("operator", "POST", "/queues/default/pause").header("content-type", form);
    assert_eq!(told_while_sending(&scene, 2 << 20).await, "HTTP/1.1 413");
    assert_eq!(status(pause().header("content-encoding", "gzip").body(vec![0x1f, 0x8b, 8, 0])).await, 415);
    let json =
        scene.as_role("operator", "POST", "/queues/default/pause").header("content-type", "application/json");
    assert_eq!(status(json.body("{}")).await, 415);
    assert!(scene.world.queue("default").paused().await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_sends_a_byte_now_and_then_keeps_nobody_else_waiting_and_is_cut_off() {
    let scene = Scene::new().await;
    let before = resident_kib(scene.brasa.pid());
    let mut slow = Vec::new();
    for place in 0..600 {
        let mut stream = TcpStream::connect(scene.address).await.unwrap();
        let head = if place % 2 == 0 {
            "GET / HTTP/1.1\r\nhost: ".to_owned()
        } else {
            let host = scene.address;
            let head = "content-type: application/x-www-form-urlencoded\r\ncontent-length: 100";
            let token = token("operator");
            format!(
                "POST /queues/default/pause HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\n{head}\r\n\r\n"
            )
        };
        stream.write_all(head.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    assert_eq!(status(scene.as_role("viewer", "GET", "/queues")).await, 200);
    let grown = resident_kib(scene.brasa.pid()).saturating_sub(before);
    assert!(grown < 64 << 10, "{grown} KiB");
    // Each is told that it was too slow, or is cut off.
    within(Duration::from_mins(1), "all of the slow ones are cut off", async || {
        let mut buffer = [0; 4_096];
        slow.retain_mut(|stream| match stream.try_read(&mut buffer) {
            Ok(0) => false,
            Ok(_) => true,
            Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
        });
        slow.is_empty().then_some(())
    })
    .await;
    assert!(scene.world.queue("default").paused().await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_have_bounds() {
    let scene = Scene::new().await;
    for path in [
        "/jobs?limit=1000000000",
        "/jobs?limit=0",
        "/jobs?limit=-1",
        "/jobs?limit=1&limit=2",
        "/jobs?state=nowhere",
        "/jobs?days=1000000000",
        "/audit?before=99999999999999999999999",
        "/audit?before=x",
    ] {
        assert_eq!(status(scene.as_role("viewer", "GET", path)).await, 400, "{path}");
    }
    let long = format!("/jobs?q={}", "x".repeat(300));
    assert_eq!(status(scene.as_role("viewer", "GET", &long)).await, 400);
}
