//! TLS in front of both protocols.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anser_access::AccessConfig;
use anser_rmtp::websocket::ConnectQuery;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::client::{Client, Stream};
use crate::world::{World, config};

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/sockets").join(name)
}

fn secured() -> AccessConfig {
    let any = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    AccessConfig {
        tcp_tls: any,
        websocket_tls: any,
        tls_certificate: Some(file("test-only-certificate.pem")),
        tls_key: Some(file("test-only-key.pem")),
        ..config()
    }
}

async fn secure(to: SocketAddr) -> Box<dyn Stream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(file("test-only-certificate.pem")).unwrap()).unwrap();
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let stream = TcpStream::connect(to).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    Box::new(TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap())
}

#[tokio::test]
async fn both_protocols_work_over_tls_and_beside_the_open_ones() {
    let world = World::with(secured());
    let query = ConnectQuery {
        app_key: "app".into(),
        token: world.token("alice"),
        sdk_version: "anser/1".into(),
        ..ConnectQuery::default()
    };
    let stream = secure(world.server.websocket_tls_addr().unwrap()).await;
    let mut alice = Client::websocket_over(stream, &query).await;
    assert_eq!(alice.accepted().await.0, "alice");
    let stream = secure(world.server.tcp_tls_addr().unwrap()).await;
    let mut bob = Client::tcp_over(stream, "app", &world.token("bob"), "d", "PC--5.46.1", 3).await;
    assert_eq!(bob.accepted().await.0, "bob");
    assert_eq!(alice.text("bob", &[b'x'; 100_000]).await, 0);
    assert_eq!(bob.push().await.topic.as_str(), "s_ntf");
    assert_eq!(bob.pull(0).await.0, [vec![b'x'; 100_000]]);
    world.native("carol", "phone").await.ping().await;
    world.server.reload_tls().unwrap();
    secure(world.server.tcp_tls_addr().unwrap()).await;
}

#[tokio::test]
#[should_panic(expected = "NotConfigured")]
async fn a_secured_port_without_a_certificate_does_not_start() {
    World::with(AccessConfig { tls_key: None, ..secured() });
}

#[tokio::test]
async fn slow_is_alone_half_a_tls_handshake_is_given_up() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let world = World::with(AccessConfig { handshake_timeout_seconds: 1, ..secured() });
    for address in [world.server.tcp_tls_addr().unwrap(), world.server.websocket_tls_addr().unwrap()] {
        for bytes in [&b""[..], b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\n\r\n"] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(bytes).await.unwrap();
            let mut rest = Vec::new();
            // A reset is as good as an end.
            tokio::time::timeout(crate::client::PATIENCE, stream.read_to_end(&mut rest)).await.expect("in time").ok();
        }
    }
    assert!(world.registry.is_empty());
}
