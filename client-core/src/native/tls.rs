//! TLS to relays: rustls with aws-lc-rs, which offers X25519MLKEM768, so that recorded metadata stays sealed too.

use std::{io, path::Path, sync::Arc};

pub use rustls::ClientConfig;
use rustls::{
    RootCertStore,
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
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|source| TlsError::Provider { source })?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
