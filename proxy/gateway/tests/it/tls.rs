//! TLS on the way in.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use banyan_gateway::{CertificateFiles, Gateway, Settings, StartError, TlsSettings};
use http::{Request, Version};
use http_body_util::BodyExt;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::authority::Authority;
use crate::http2;
use crate::proxy::{Proxy, legacy_at, settings, table};
use crate::upstream::Upstream;

pub(crate) fn with_tls(certificates: Vec<CertificateFiles>, client_ca: Option<PathBuf>) -> Settings {
    Settings {
        listen_tls: vec!["127.0.0.1:0".parse().unwrap()],
        tls: Some(TlsSettings { certificates, client_ca }),
        ..settings()
    }
}

async fn connect(
    connector: &TlsConnector,
    address: SocketAddr,
    name: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    connector.connect(ServerName::try_from(name.to_owned()).unwrap(), stream).await
}

pub(crate) async fn ask(stream: &mut TlsStream<TcpStream>) -> std::io::Result<String> {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

fn certificate_of(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

fn der(files: &CertificateFiles) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(&files.certificate).unwrap()
}

#[tokio::test]
async fn both_versions_of_http_are_served_and_the_upstream_learns_of_tls() {
    let authority = Authority::new();
    let upstream = Upstream::named("ok").await;
    let settings = with_tls(vec![authority.sign("shop", &["shop.test"])], None);
    let proxy = Proxy::start_with(&legacy_at(&upstream.url()), settings);
    let address = proxy.gateway.tls_addresses()[0];

    let mut plain = connect(&authority.client(&[b"http/1.1"], None), address, "shop.test").await.unwrap();
    let answer = ask(&mut plain).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\nok"), "{answer}");

    let stream = connect(&authority.client(&[b"h2", b"http/1.1"], None), address, "shop.test").await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut sender, _) = http2::over(stream).await;
    let request = Request::get("https://shop.test/2").body(http2::empty()).unwrap();
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!(answer.version(), Version::HTTP_2);
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "ok");

    for seen in upstream.seen() {
        assert_eq!(seen.headers["x-forwarded-proto"], "https");
        assert!(seen.headers["forwarded"].to_str().unwrap().contains("proto=https"));
    }
    assert_eq!(crate::client::get(proxy.address, "/", "").await.text(), "ok");
    assert_eq!(upstream.seen()[2].headers["x-forwarded-proto"], "http");
}

#[tokio::test]
async fn each_name_gets_its_certificate_and_others_the_first() {
    let authority = Authority::new();
    let first = authority.sign("first", &["shop.test"]);
    let wild = authority.sign("wild", &["*.example.test"]);
    let upstream = Upstream::named("ok").await;
    let proxy =
        Proxy::start_with(&legacy_at(&upstream.url()), with_tls(vec![first.clone(), wild.clone()], None));
    let address = proxy.gateway.tls_addresses()[0];
    let client = authority.client(&[], None);
    for (name, expected) in [("shop.test", &first), ("a.example.test", &wild)] {
        let stream = connect(&client, address, name).await.unwrap();
        assert_eq!(certificate_of(&stream), der(expected), "{name}");
    }
    let error = connect(&client, address, "b.a.example.test").await.expect_err("a wildcard holds one label");
    assert!(error.to_string().contains("certificate not valid for name"), "{error}");
}

#[tokio::test]
async fn a_renewed_certificate_is_used_and_a_broken_one_changes_nothing() {
    let authority = Authority::new();
    let files = authority.sign("shop", &["shop.test"]);
    let upstream = Upstream::named("ok").await;
    let proxy = Proxy::start_with(&legacy_at(&upstream.url()), with_tls(vec![files.clone()], None));
    let address = proxy.gateway.tls_addresses()[0];
    let client = authority.client(&[b"http/1.1"], None);
    let mut old = connect(&client, address, "shop.test").await.unwrap();
    let before = der(&files);

    authority.sign("shop", &["shop.test"]);
    let renewed = der(&files);
    proxy.gateway.refresh_certificates();
    let stream = connect(&client, address, "shop.test").await.unwrap();
    assert_eq!(certificate_of(&stream), renewed);
    assert_ne!(before, renewed);

    std::fs::write(&files.certificate, "-----BEGIN CERTIFICATE-----\nhalf of it").unwrap();
    proxy.gateway.refresh_certificates();
    let stream = connect(&client, address, "shop.test").await.unwrap();
    assert_eq!(certificate_of(&stream), renewed);
    assert!(ask(&mut old).await.unwrap().ends_with("ok"), "a connection lives on");
}

#[tokio::test]
async fn clients_without_a_certificate_are_refused_where_one_is_asked_for() {
    let authority = Authority::new();
    let settings = with_tls(vec![authority.sign("shop", &["shop.test"])], Some(authority.root()));
    let upstream = Upstream::named("ok").await;
    let proxy = Proxy::start_with(&legacy_at(&upstream.url()), settings);
    let address = proxy.gateway.tls_addresses()[0];

    let other = Authority::new();
    let strangers = [None, Some(other.sign("stranger", &["me"]))];
    for stranger in &strangers {
        let connector = authority.client(&[], stranger.as_ref());
        let refused = match connect(&connector, address, "shop.test").await {
            Ok(mut stream) => ask(&mut stream).await,
            Err(error) => Err(error),
        };
        refused.expect_err("with TLS 1.3 the refusal comes with the first read");
    }
    assert_eq!(upstream.seen().len(), 0);

    let known = authority.sign("known", &["me"]);
    let mut stream = connect(&authority.client(&[], Some(&known)), address, "shop.test").await.unwrap();
    assert!(ask(&mut stream).await.unwrap().ends_with("ok"));
}

#[tokio::test]
async fn plain_http_on_a_tls_port_gets_no_answer_of_the_upstream() {
    let authority = Authority::new();
    let upstream = Upstream::named("ok").await;
    let settings = with_tls(vec![authority.sign("shop", &["shop.test"])], None);
    let proxy = Proxy::start_with(&legacy_at(&upstream.url()), settings);
    let mut stream = TcpStream::connect(proxy.gateway.tls_addresses()[0]).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "{answer:?}");
    assert_eq!(upstream.seen().len(), 0);
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let authority = Authority::new();
    let good = authority.sign("good", &["shop.test"]);
    let other = authority.sign("other", &["shop.test"]);
    let nothing = authority.path("nothing.pem");
    std::fs::write(&nothing, "no PEM at all\n").unwrap();
    let missing = Path::new("/nowhere/site.pem").to_path_buf();
    for (certificate, key, expected) in [
        (&missing, &good.key, "cannot use /nowhere/site.pem: "),
        (&nothing, &good.key, "no certificate in "),
        (&good.certificate, &nothing, "cannot use "),
        (&good.certificate, &other.key, "cannot use key "),
    ] {
        let files = CertificateFiles { certificate: certificate.clone(), key: key.clone() };
        let settings = with_tls(vec![files], None);
        let table = table(&legacy_at("http://127.0.0.1:1"));
        let started = Gateway::new(settings, table, 1, &prometheus::Registry::new());
        let Err(error @ StartError::Tls(_)) = started.map(|_| ()) else { panic!("it must not start") };
        assert!(error.to_string().starts_with(expected), "{error}");
    }
}
