//! TLS with a certificate of one's own.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs, pki_types::ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use vereda_protocol::{Credential, Goodbye, Up};
use vereda_sync::people::Person;

use super::{
    relay::{RelayProcess, data, run},
    wire::Wire,
};

#[tokio::test]
async fn with_a_certificate_the_relay_speaks_tls_with_a_hybrid_key_exchange() {
    let (parent, data) = data();
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (cert, key) = (parent.path().join("cert.pem"), parent.path().join("key.pem"));
    std::fs::write(&cert, issued.cert.pem()).unwrap();
    std::fs::write(&key, issued.signing_key.serialize_pem()).unwrap();
    let files = ["--tls-cert", cert.to_str().unwrap(), "--tls-key", key.to_str().unwrap()];
    let relay = RelayProcess::start_with(&data, &files);
    assert!(relay.url.starts_with("wss://"));
    let mut roots = RootCertStore::empty();
    roots.add(issued.cert.der().clone()).unwrap();
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups.sort_by_key(|group| group.name() != rustls::NamedGroup::X25519MLKEM768);
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tcp = TcpStream::connect(&relay.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let tls = TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap();
    let group = tls.get_ref().1.negotiated_key_exchange_group().unwrap().name();
    assert_eq!(group, rustls::NamedGroup::X25519MLKEM768);
    let mut wire = Wire::open_over("wss://localhost/sync", Box::new(tls)).await;
    wire.send(Up::Auth(Person::new(9).auth(&wire.opening, Credential::Member))).await;
    assert_eq!(wire.goodbye().await, Some(Goodbye::UnknownDevice));
}

#[test]
fn a_certificate_that_is_none_is_told_at_once() {
    let (parent, data) = data();
    let file = parent.path().join("cert.pem");
    std::fs::write(&file, "nothing").unwrap();
    let path = file.to_str().unwrap();
    let serve = run(&["serve", "--data", data.to_str().unwrap(), "--tls-cert", path, "--tls-key", path]);
    assert_eq!(serve.status.code(), Some(1));
    assert!(String::from_utf8(serve.stderr).unwrap().contains("is not usable PEM"));
    assert!(!data.exists(), "nothing was made");
}
