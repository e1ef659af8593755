//! TLS to relays: version 1.3 only, the hybrid post-quantum key exchange X25519MLKEM768 offered first, so that recorded
//! metadata stays sealed too.

use std::{io, path::Path, sync::Arc};

pub use rustls::ClientConfig;
use rustls::{
    NamedGroup, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file of authorities cannot be read.
    #[error("the file of certificate authorities cannot be read: {source}")]
    Read {
        /// What the system says.
        source: io::Error,
    },
    /// The file is not PEM, or holds no certificate.
    #[error("the file of certificate authorities holds no certificate in PEM form")]
    NoCertificate,
    /// A certificate in the file is not usable as an authority.
    #[error("certificate {index} of the file of authorities is not usable: {source}")]
    Unusable {
        /// Counted from 1.
        index: usize,
        /// What rustls says.
        source: rustls::Error,
    },
    /// The provider has none of the protocol versions.
    #[error("TLS cannot be set up: {source}")]
    Provider {
        /// What rustls says.
        source: rustls::Error,
    },
}

/// Makes the client's TLS configuration: the public authorities, and those of `extra_authorities` (PEM) besides.
///
/// # Errors
/// The file cannot be read, holds no certificate, or one that is not usable.
pub fn make_client_config(extra_authorities: Option<&Path>) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    if let Some(path) = extra_authorities {
        let bytes = std::fs::read(path).map_err(|source| TlsError::Read { source })?;
        let before = roots.len();
        for (index, certificate) in CertificateDer::pem_slice_iter(&bytes).enumerate() {
            let certificate = certificate.map_err(|_| TlsError::NoCertificate)?;
            roots.add(certificate).map_err(|source| TlsError::Unusable { index: index + 1, source })?;
        }
        if roots.len() == before {
            return Err(TlsError::NoCertificate);
        }
    }
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.kx_groups.sort_by_key(|group| group.name() != NamedGroup::X25519MLKEM768);
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|source| TlsError::Provider { source })?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use rustls::{ClientConnection, HandshakeKind, ServerConfig, ServerConnection};

    use super::*;

    /// Shakes hands with a server that takes the client's first choice.
    fn shake_hands(client: &mut ClientConnection, server: &mut ServerConnection) {
        while client.is_handshaking() || server.is_handshaking() {
            let (mut up, mut down) = (Vec::new(), Vec::new());
            client.write_tls(&mut up).unwrap();
            server.read_tls(&mut up.as_slice()).unwrap();
            server.process_new_packets().unwrap();
            server.write_tls(&mut down).unwrap();
            client.read_tls(&mut down.as_slice()).unwrap();
            client.process_new_packets().unwrap();
        }
    }

    #[test]
    fn a_device_shakes_hands_with_a_hybrid_key_exchange_in_one_round_and_trusts_an_authority_of_its_own() {
        let issued = rcgen::generate_simple_self_signed(["relay.example.org".to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let authority = folder.path().join("authority.pem");
        std::fs::write(&authority, issued.cert.pem()).unwrap();
        let config = make_client_config(Some(&authority)).unwrap();
        let name = "relay.example.org".try_into().unwrap();
        let mut client = ClientConnection::new(config, name).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(issued.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![issued.cert.der().clone()], key)
            .unwrap();
        let mut server = ServerConnection::new(Arc::new(config)).unwrap();
        shake_hands(&mut client, &mut server);
        let group = client.negotiated_key_exchange_group().unwrap().name();
        assert_eq!(group, NamedGroup::X25519MLKEM768);
        assert_eq!(client.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
        assert_eq!(client.handshake_kind(), Some(HandshakeKind::Full), "no second hello was asked for");
    }
}
