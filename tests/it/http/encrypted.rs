//! Calls through TLS: whoever is not trusted by the machine is sent nothing.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::{fs, io};

use brasa_shared::queue::State;
use brasa_tests::World;
use brasa_tests::process::Brasa;
use serde_json::json;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::server::{Server, answer};

const EXTENSIONS: [&str; 2] = ["subjectAltName=DNS:localhost", "basicConstraints=critical,CA:FALSE"];

/// Makes a certificate for `localhost` that vouches for itself; none where there is no tool for it.
fn certify(folder: &Path) -> io::Result<TlsAcceptor> {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
        .args(["-days", "2", "-subj", "/CN=localhost", "-keyout", "key.pem", "-out", "cert.pem"])
        .args(EXTENSIONS.iter().flat_map(|extension| ["-addext", extension]))
        .current_dir(folder)
        .output()?;
    assert!(made.status.success(), "{made:?}");
    let chain = vec![CertificateDer::from_pem_file(folder.join("cert.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(folder.join("key.pem")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    Ok(TlsAcceptor::from(Arc::new(config)))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_behind_tls_is_called_where_the_machine_trusts_it() {
    let world = World::of_queues();
    let Ok(tls) = certify(world.folder()) else {
        return io::Write::write_all(&mut io::stderr(), b"SKIPPED: there is no openssl\n").unwrap();
    };
    let server = Server::speaking(Some(tls), |_| Some(answer(200, "", r#""here""#))).await;
    let text = format!(
        "[http.orders]\nurl = \"https://localhost:{}/\"\nprivate = true\n\
         [http.stranger]\nurl = \"https://127.0.0.1:{}/\"\nprivate = true",
        server.port(),
        server.port()
    );
    let brasa = Brasa::configured(&world, &text).without("DATABASE_URL");
    let enqueue = async |name: &str| {
        let mut job = world.job("http.post", &json!({ "name": name, "body": 1 }));
        job.attempts = Some(1);
        world.queue("default").enqueue(&job).await.unwrap();
        job.id
    };

    // Nobody knows it yet.
    let mut worker = brasa.start(["worker"]);
    let untrusted = enqueue("orders").await;
    let reason = world.buried(&untrusted).await;
    assert!(reason.contains("certificate"), "{reason}");
    worker.kill().await;
    assert_eq!(server.seen().len(), 0);

    let file = fs::canonicalize(world.folder().join("cert.pem")).unwrap();
    let _worker = brasa.env("SSL_CERT_FILE", file).start(["worker"]);
    let trusted = enqueue("orders").await;
    assert_eq!(world.result(&trusted).await, json!({ "status": 200, "body": "here" }));
    // It is trusted as `localhost`, and as nothing else.
    let other_name = enqueue("stranger").await;
    world.is(&other_name, State::Dead).await;
    assert!(world.buried(&other_name).await.contains("certificate"));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_trusts_nobody_says_so() {
    let world = World::of_queues();
    let text = "[http.orders]\nurl = \"https://localhost:1/\"\nprivate = true";
    let brasa = Brasa::configured(&world, text).without("DATABASE_URL");
    let _worker = brasa.env("SSL_CERT_FILE", "/nowhere/certificates.pem").start(["worker"]);
    let mut job = world.job("http.post", &json!({ "name": "orders" }));
    job.attempts = Some(1);
    world.queue("default").enqueue(&job).await.unwrap();
    let reason = world.buried(&job.id).await;
    for words in [
        "no trusted certificates on this machine",
        "/nowhere/certificates.pem",
        "ca-certificates",
        "SSL_CERT_FILE",
    ] {
        assert!(reason.contains(words), "{words}: {reason}");
    }
}
