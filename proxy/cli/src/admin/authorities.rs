//! Whose certificates an admin listener with TLS may show.

use std::error::Error;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use crate::failure::{Exit, Failure};

/// Trusts the authorities of the file (PEM), or those of the system. Plain HTTP reads neither.
pub(crate) fn tls(ca: Option<&Path>, is_https: bool) -> Result<TlsConfig, Failure> {
    let provider = Arc::new(ring::default_provider());
    let certificates = match ca {
        _ if !is_https => Vec::new(),
        Some(path) => in_file(path)?,
        None => of_the_system()?,
    };
    Ok(TlsConfig::builder()
        .unversioned_rustls_crypto_provider(provider)
        .root_certs(RootCerts::new_with_certs(&certificates))
        .build())
}

/// True when the other side was there, and was not believed.
pub(super) fn refuse(error: &io::Error) -> bool {
    error.get_ref().is_some_and(<dyn Error + Send + Sync>::is::<rustls::Error>)
}

fn in_file(path: &Path) -> Result<Vec<Certificate<'static>>, Failure> {
    let unusable = |error: String| {
        Failure::new(Exit::Failed, format!("cannot use authority {}: {error}", path.display()))
            .hint("name a PEM file with authorities in it")
    };
    let pem = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
    let mut certificates = Vec::new();
    for item in parse_pem(&pem) {
        if let PemItem::Certificate(certificate) = item.map_err(|error| unusable(error.to_string()))? {
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() { Err(unusable("no certificate in it".to_owned())) } else { Ok(certificates) }
}

fn of_the_system() -> Result<Vec<Certificate<'static>>, Failure> {
    let found = rustls_native_certs::load_native_certs().certs;
    if found.is_empty() {
        return Err(Failure::new(Exit::Failed, "the system knows no authority")
            .hint("install `ca-certificates`, or name one"));
    }
    Ok(found.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect())
}
