//! TLS on the way in: rustls with ring, TLS 1.2 and 1.3, HTTP/2 by ALPN.
//!
//! pingora brings a TLS listener of its own; it panics on a bad file and reads certificates once. So the listener is
//! plain TCP, and the handshake is ours. Certificates are looked at again every few seconds: what a renewal
//! wrote is used for the next handshake, what cannot be used changes nothing and is logged.
//!
//! - `certificates`: files to keys, and which of them a server name gets. `secure`: TLS on the way out.

mod certificates;
mod secure;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use certificates::{Certificates, Stamp, stamp_of};
pub(crate) use secure::{Name, Secure, SecureStream};
pub use secure::{UnusableUpstream, unusable_upstreams};

/// How often the files of certificates are looked at.
const CERTIFICATE_CHECK: Duration = Duration::from_secs(5);

/// TLS of the process: its certificates, and whose clients it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSettings {
    /// At least one. The first is for clients that name no server, or one that no certificate holds.
    pub certificates: Vec<CertificateFiles>,
    /// Authorities of which every client must show a certificate (PEM); none asks for none.
    pub client_ca: Option<PathBuf>,
}

/// A certificate with its chain, and its key; both PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate first, then its chain.
    pub certificate: PathBuf,
    /// PKCS#8, PKCS#1 or SEC1, without a password.
    pub key: PathBuf,
}

/// Why TLS cannot be used.
#[derive(Debug)]
pub enum TlsError {
    /// A file cannot be read, or is not PEM.
    Pem {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        error: rustls::pki_types::pem::Error,
    },
    /// A file without any certificate.
    Empty {
        /// Which file.
        path: PathBuf,
    },
    /// A key that is of no use, or not that of the certificate.
    Key {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What rustls says.
        error: rustls::Error,
    },
    /// An authority that verifies nothing.
    ClientCa {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        error: String,
    },
    /// An authority that verifies no upstream.
    Authority {
        /// Which file.
        path: PathBuf,
        /// What rustls says.
        error: rustls::Error,
    },
    /// A target whose host no certificate can name.
    ServerName {
        /// The host.
        host: Box<str>,
    },
    /// The system knows no authority.
    NoAuthority,
    /// No certificate is named.
    NoCertificate,
    /// The cryptography lacks something.
    Setup(rustls::Error),
}

impl fmt::Display for TlsError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pem { path, error } => write!(out, "cannot use {}: {error}", path.display()),
            Self::Empty { path } => write!(out, "no certificate in {}", path.display()),
            Self::Key { certificate, key, error } => {
                write!(out, "cannot use key {} with {}: {error}", key.display(), certificate.display())
            }
            Self::ClientCa { path, error } => {
                write!(out, "cannot verify clients by {}: {error}", path.display())
            }
            Self::Authority { path, error } => {
                write!(out, "cannot verify upstreams by {}: {error}", path.display())
            }
            Self::ServerName { host } => {
                write!(out, "no certificate can name `{host}`: give a `server_name`")
            }
            Self::NoAuthority => {
                write!(out, "the system knows no authority: install `ca-certificates`, or name a `ca_file`")
            }
            Self::NoCertificate => write!(out, "TLS needs a certificate"),
            Self::Setup(error) => write!(out, "cannot set up TLS: {error}"),
        }
    }
}

impl std::error::Error for TlsError {}

/// The server's side of handshakes.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    certificates: Arc<Certificates>,
}

impl Tls {
    /// Reads every file. `offers_http2` says whether a client may choose it.
    pub fn new(settings: &TlsSettings, offers_http2: bool) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let certificates = Arc::new(Certificates::load(settings.certificates.clone())?);
        let versions = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Setup)?;
        let clients = match &settings.client_ca {
            Some(path) => versions.with_client_cert_verifier(verifier(path, &provider)?),
            None => versions.with_no_client_auth(),
        };
        let mut config = clients.with_cert_resolver(Arc::clone(&certificates) as _);
        let protocols: &[&[u8]] = if offers_http2 { &[b"h2", b"http/1.1"] } else { &[b"http/1.1"] };
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), certificates })
    }

    /// Shakes hands. How long that may take is the caller's to say.
    pub async fn accept<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.acceptor.accept(stream).await
    }

    /// Looks at the files every few seconds. Never ends.
    pub async fn keep_fresh(self) {
        let mut ticks = tokio::time::interval(CERTIFICATE_CHECK);
        loop {
            ticks.tick().await;
            self.refresh();
        }
    }

    /// Looks at the files now.
    pub fn refresh(&self) {
        match self.certificates.refresh() {
            Some(Ok(())) => tracing::info!("new certificates are in use"),
            Some(Err(error)) => tracing::error!(%error, "cannot use the new certificates: the old ones stay"),
            None => {}
        }
    }
}

fn verifier(path: &PathBuf, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let wrong = |error: String| TlsError::ClientCa { path: path.clone(), error };
    let mut roots = RootCertStore::empty();
    for certificate in pem_certificates(path)? {
        roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|error| wrong(error.to_string()))
}

/// All certificates of a PEM file, at least one.
pub(crate) fn pem_certificates(path: &PathBuf) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong = |error| TlsError::Pem { path: path.clone(), error };
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(wrong)?.collect();
    let certificates = certificates.map_err(wrong)?;
    if certificates.is_empty() { Err(TlsError::Empty { path: path.clone() }) } else { Ok(certificates) }
}
