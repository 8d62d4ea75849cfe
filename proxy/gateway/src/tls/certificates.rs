//! Certificates from files, read again when they change.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use webpki::EndEntityCert;

use super::{CertificateFiles, TlsError, pem_certificates};

/// The certificates in use.
pub(crate) struct Certificates {
    files: Vec<CertificateFiles>,
    in_use: ArcSwap<Vec<Arc<CertifiedKey>>>,
    /// Of the files that are in use.
    seen: Mutex<Vec<[Stamp; 2]>>,
}

/// Tells a file from the one that was there before.
pub(super) type Stamp = Option<(SystemTime, u64)>;

impl Certificates {
    pub(super) fn load(files: Vec<CertificateFiles>) -> Result<Self, TlsError> {
        let seen = Mutex::new(files.iter().map(stamp).collect());
        let in_use = ArcSwap::from_pointee(read_all(&files)?);
        Ok(Self { files, in_use, seen })
    }

    /// Reads the files again if any of them is another than when they were last used. `None` when none is. Files that
    /// cannot be used are tried again the next time: their rights may change, and that leaves no other trace.
    pub(crate) fn refresh(&self) -> Option<Result<(), TlsError>> {
        let now: Vec<_> = self.files.iter().map(stamp).collect();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == now {
            return None;
        }
        let read = read_all(&self.files).map(|read| self.in_use.store(Arc::new(read)));
        if read.is_ok() {
            *seen = now;
        }
        Some(read)
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Certificates").field("files", &self.files).finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Certificates {
    /// The first certificate that holds the name the client asks for (RFC 6066 3), else the first of all.
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let in_use = self.in_use.load();
        let name = hello.server_name().and_then(|name| ServerName::try_from(name).ok());
        let fitting = name.and_then(|name| in_use.iter().find(|key| holds(key, &name)));
        fitting.or_else(|| in_use.first()).cloned()
    }
}

fn holds(key: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let certificate = key.cert.first().and_then(|der| EndEntityCert::try_from(der).ok());
    certificate.is_some_and(|certificate| certificate.verify_is_valid_for_subject_name(name).is_ok())
}

fn read_all(files: &[CertificateFiles]) -> Result<Vec<Arc<CertifiedKey>>, TlsError> {
    if files.is_empty() {
        return Err(TlsError::NoCertificate);
    }
    files.iter().map(|files| read(files).map(Arc::new)).collect()
}

fn read(files: &CertificateFiles) -> Result<CertifiedKey, TlsError> {
    let chain = pem_certificates(&files.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| TlsError::Pem { path: files.key.clone(), error })?;
    let wrong =
        |error| TlsError::Key { certificate: files.certificate.clone(), key: files.key.clone(), error };
    let certified = CertifiedKey::new(chain, any_supported_type(&key).map_err(wrong)?);
    certified.keys_match().map_err(wrong)?;
    Ok(certified)
}

fn stamp(files: &CertificateFiles) -> [Stamp; 2] {
    [&files.certificate, &files.key].map(|path| stamp_of(path))
}

pub(super) fn stamp_of(path: &Path) -> Stamp {
    let metadata = path.metadata().ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}
