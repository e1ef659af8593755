//! TLS with a certificate of one's own.

use std::sync::Arc;

use rustls::{ClientConfig, NamedGroup, RootCertStore, crypto::aws_lc_rs, pki_types::ServerName};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use vereda_protocol::{Credential, Goodbye, Up};
use vereda_sync::people::Person;

use super::{
    relay::{RelayProcess, data, run},
    wire::Wire,
};

/// Connects with these key exchanges, in this order.
async fn connect(relay: &RelayProcess, roots: &RootCertStore, groups: &[NamedGroup]) -> TlsStream<TcpStream> {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups.retain(|group| groups.contains(&group.name()));
    provider.kx_groups.sort_by_key(|group| groups.iter().position(|name| *name == group.name()));
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots.clone())
        .with_no_client_auth();
    let tcp = TcpStream::connect(&relay.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap()
}

#[tokio::test]
async fn whoever_can_do_the_hybrid_key_exchange_does_it_whatever_he_prefers_and_others_get_in_too() {
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
    let check = async |groups: &[NamedGroup], expected: NamedGroup| {
        let tls = connect(&relay, &roots, groups).await;
        let session = tls.get_ref().1;
        assert_eq!(session.negotiated_key_exchange_group().unwrap().name(), expected, "{groups:?}");
        assert_eq!(session.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
        tls
    };
    check(&[NamedGroup::X25519, NamedGroup::X25519MLKEM768], NamedGroup::X25519MLKEM768).await;
    check(&[NamedGroup::X25519], NamedGroup::X25519).await;
    let tls = check(&[NamedGroup::X25519MLKEM768, NamedGroup::X25519], NamedGroup::X25519MLKEM768).await;
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
