//! TLS on the way to an upstream: rustls with ring, verification and SNI unless the configuration says otherwise.
//!
//! Files are read when an upstream comes into force, and again when they change: what a renewal wrote is used for the next
//! handshake, what cannot be used changes nothing and is logged.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use banyan_routes::{ClientFiles, Origin, RouteTable, Upstream, UpstreamTls};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Stamp, TlsError, pem_certificates, stamp_of};
use crate::upstream_io::UpstreamIo;

/// A stream to an upstream, with TLS.
pub(crate) type SecureStream = TlsStream<UpstreamIo>;

/// An upstream whose TLS cannot be used.
#[derive(Debug)]
pub struct UnusableUpstream {
    /// Its name.
    pub name: String,
    /// Where it was written.
    pub origin: Origin,
    /// What is wrong.
    pub error: TlsError,
}

impl fmt::Display for UnusableUpstream {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "upstream `{}`: {}", self.name, self.error)
    }
}

/// Reads every file that the upstreams of a table name: a table for which this is not empty must not come into force.
pub fn unusable_upstreams(table: &RouteTable) -> Vec<UnusableUpstream> {
    let unusable = |upstream: &Upstream| {
        let secure = Secure::of(upstream)?;
        let error = secure.read().err().or_else(|| secure.unnamed(upstream))?;
        Some(UnusableUpstream { name: upstream.name.clone(), origin: upstream.origin.clone(), error })
    };
    table.upstreams().iter().filter_map(unusable).collect()
}

/// TLS of one upstream.
pub(crate) struct Secure {
    settings: UpstreamTls,
    offers_http2: bool,
    /// Of the file in which the upstream is written.
    folder: PathBuf,
    /// `None` while the files cannot be used.
    in_use: ArcSwapOption<Connectors>,
    /// Of the files that are in use.
    seen: Mutex<Option<Vec<Stamp>>>,
}

/// The name that a target is asked for and verified by.
#[derive(Clone)]
pub(crate) struct Name(ServerName<'static>);

struct Connectors {
    any: TlsConnector,
    http1: TlsConnector,
}

impl Secure {
    /// `None` without TLS. Nothing is read yet.
    pub(crate) fn of(upstream: &Upstream) -> Option<Self> {
        Some(Self {
            settings: upstream.tls.clone()?,
            offers_http2: upstream.http2,
            folder: Path::new(&*upstream.origin.file).parent().unwrap_or(Path::new("")).to_owned(),
            in_use: ArcSwapOption::empty(),
            seen: Mutex::default(),
        })
    }

    /// `None` when no certificate can name the host.
    pub(crate) fn name_of(&self, host: &str) -> Option<Name> {
        let name = self.settings.server_name.as_deref().unwrap_or(host);
        ServerName::try_from(name.to_owned()).ok().map(Name)
    }

    /// Shakes hands, and says whether both sides chose HTTP/2.
    pub(crate) async fn shake_hands(
        &self,
        name: &Name,
        stream: UpstreamIo,
        only_http1: bool,
    ) -> io::Result<(SecureStream, bool)> {
        let unusable = || io::Error::other("its files cannot be used");
        let connector = self.connector(only_http1).ok_or_else(unusable)?;
        let stream = connector.connect(name.0.clone(), stream).await?;
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok((stream, is_http2))
    }

    /// A target that no certificate can name.
    fn unnamed(&self, upstream: &Upstream) -> Option<TlsError> {
        let unnamed = upstream.targets.iter().find(|target| self.name_of(&target.host).is_none())?;
        Some(TlsError::ServerName { host: unnamed.host.clone() })
    }

    /// `None` while the files cannot be used.
    fn connector(&self, only_http1: bool) -> Option<TlsConnector> {
        let in_use = self.in_use.load();
        let connectors = in_use.as_ref()?;
        Some(if only_http1 { connectors.http1.clone() } else { connectors.any.clone() })
    }

    /// Reads the files again if any of them is another than when they were last used. `None` when none is. Files that
    /// cannot be used are tried again the next time.
    pub(crate) fn refresh(&self) -> Option<Result<(), TlsError>> {
        let now = Some(self.files().iter().map(|path| stamp_of(path)).collect());
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == now {
            return None;
        }
        let read = self.read().map(|read| self.in_use.store(Some(Arc::new(read))));
        if read.is_ok() {
            *seen = now;
        }
        Some(read)
    }

    fn files(&self) -> Vec<PathBuf> {
        let client = self.settings.client.iter().flat_map(|client| [&client.certificate, &client.key]);
        self.settings.ca_file.iter().chain(client).map(|file| self.folder.join(&**file)).collect()
    }

    fn read(&self) -> Result<Connectors, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let versions = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Setup)?;
        let verified = if self.settings.verifies {
            versions.with_root_certificates(self.authorities()?)
        } else {
            versions.dangerous().with_custom_certificate_verifier(Arc::new(Believing(provider)))
        };
        let mut http1 = match &self.settings.client {
            None => verified.with_no_client_auth(),
            Some(files) => {
                let (certificate, key) = self.client_files(files);
                let (chain, private) = client_certificate(&certificate, &key)?;
                let wrong = |error| TlsError::Key { certificate, key, error };
                verified.with_client_auth_cert(chain, private).map_err(wrong)?
            }
        };
        http1.alpn_protocols = vec![b"http/1.1".to_vec()];
        let mut any = http1.clone();
        if self.offers_http2 {
            any.alpn_protocols.insert(0, b"h2".to_vec());
        }
        Ok(Connectors { any: Arc::new(any).into(), http1: Arc::new(http1).into() })
    }

    fn client_files(&self, files: &ClientFiles) -> (PathBuf, PathBuf) {
        (self.folder.join(&*files.certificate), self.folder.join(&*files.key))
    }

    fn authorities(&self) -> Result<RootCertStore, TlsError> {
        let mut roots = RootCertStore::empty();
        let Some(file) = &self.settings.ca_file else {
            let (good, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            return if good == 0 { Err(TlsError::NoAuthority) } else { Ok(roots) };
        };
        let path = self.folder.join(&**file);
        for certificate in pem_certificates(&path)? {
            let added = roots.add(certificate);
            added.map_err(|error| TlsError::Authority { path: path.clone(), error })?;
        }
        Ok(roots)
    }
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn client_certificate(certificate: &PathBuf, key: &PathBuf) -> Result<Identity, TlsError> {
    let chain = pem_certificates(certificate)?;
    let private = PrivateKeyDer::from_pem_file(key);
    Ok((chain, private.map_err(|error| TlsError::Pem { path: key.clone(), error })?))
}

/// Believes any certificate, as `verify = false` asks for. Whoever shows it must still hold its key.
#[derive(Debug)]
struct Believing(Arc<CryptoProvider>);

impl ServerCertVerifier for Believing {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
