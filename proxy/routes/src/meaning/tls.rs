//! How an upstream is reached: `tls` and `http2`.

use super::target::Scheme;
use super::{Told, host};
use crate::problem::{Draft, Problems};
use crate::table::{ClientFiles, Target, UpstreamTls};
use crate::written::reader::{Field, Located};
use crate::written::upstream::TlsTable;
use crate::written::word::Http2Word;

/// That of all targets: a request must not be readable on the wire by luck. `None` when no target was good, or after a
/// problem.
pub(super) fn scheme(targets: &[Located<(Scheme, Target)>], problems: &mut Problems) -> Option<Scheme> {
    let first = targets.first()?;
    let Some(other) = targets.iter().find(|target| target.value.0 != first.value.0) else {
        return Some(first.value.0);
    };
    let draft =
        Draft::error("mixed-schemes", other.spot, "targets of one upstream are all `http` or all `https`");
    problems.push(draft.related(first.spot, "the first one says otherwise"));
    None
}

/// `None` without TLS.
pub(super) fn make(
    field: &Field<TlsTable>,
    scheme: Option<Scheme>,
    problems: &mut Problems,
) -> Result<Option<UpstreamTls>, Told> {
    let table = match field {
        Field::Absent => return Ok((scheme == Some(Scheme::Https)).then(UpstreamTls::default)),
        Field::Bad(_) => return Err(Told),
        Field::Good(table) => table,
    };
    let tls = read(table, problems);
    if scheme == Some(Scheme::Http) {
        let draft = Draft::error("tls-without-https", table.spot, "`tls` needs targets with `https://`");
        problems.push(draft.hint("write `https://` in `targets`, or leave `tls` out"));
    }
    tls.map(Some)
}

fn read(table: &Located<TlsTable>, problems: &mut Problems) -> Result<UpstreamTls, Told> {
    let TlsTable { ca_file, client_certificate_file, client_key_file, server_name, verify } = &table.value;
    let verifies = verify.value().copied().unwrap_or(true);
    if let (false, Some(spot)) = (verifies, verify.spot()) {
        check_unverified(ca_file, spot, problems);
    }
    let certificate = file("client_certificate_file", client_certificate_file, problems)?;
    let key = file("client_key_file", client_key_file, problems)?;
    let client = match (certificate, key) {
        (Some(certificate), Some(key)) => Some(ClientFiles { certificate, key }),
        (None, None) => None,
        _ => {
            let message = "`client_certificate_file` and `client_key_file` need each other";
            problems.push(Draft::error("half-a-certificate", table.spot, message));
            return Err(Told);
        }
    };
    let ca_file = file("ca_file", ca_file, problems)?;
    Ok(UpstreamTls { ca_file, client, server_name: self::server_name(server_name, problems)?, verifies })
}

fn check_unverified(ca_file: &Field<String>, spot: crate::source::Spot, problems: &mut Problems) {
    if let Some(ca) = ca_file.spot() {
        let draft = Draft::error("unused-authority", ca, "`ca_file` says nothing with `verify = false`");
        problems.push(draft.related(spot, "believes any certificate"));
        return;
    }
    let message = "`verify = false` believes whoever answers at this address";
    let draft = Draft::warning("tls-unverified", spot, message);
    problems.push(draft.hint("name the authority that signed its certificate: `ca_file = \"ca.pem\"`"));
}

/// `None` when absent.
fn file(key: &str, field: &Field<String>, problems: &mut Problems) -> Result<Option<Box<str>>, Told> {
    let written = match field {
        Field::Absent => return Ok(None),
        Field::Bad(_) => return Err(Told),
        Field::Good(written) => written,
    };
    if written.value.is_empty() {
        problems.push(Draft::error("no-file", written.spot, format!("`{key}` names no file")));
        return Err(Told);
    }
    Ok(Some(written.value.as_str().into()))
}

/// `None` when absent.
fn server_name(field: &Field<String>, problems: &mut Problems) -> Result<Option<Box<str>>, Told> {
    let written = match field {
        Field::Absent => return Ok(None),
        Field::Bad(_) => return Err(Told),
        Field::Good(written) => written,
    };
    let name = written.value.to_ascii_lowercase();
    if host::is_name(&name) || name.parse::<std::net::IpAddr>().is_ok() {
        return Ok(Some(name.into()));
    }
    let message = format!("`{}` is no name of a server", written.value);
    problems
        .push(Draft::error("bad-server-name", written.spot, message).hint("write it like `orders.internal`"));
    Err(Told)
}

/// Whether HTTP/2 is offered with TLS, or spoken without. `None` has left a problem behind.
pub(super) fn http2(
    field: &Field<Http2Word>,
    scheme: Option<Scheme>,
    problems: &mut Problems,
) -> Option<bool> {
    let written = match field {
        Field::Absent => return Some(scheme == Some(Scheme::Https)),
        Field::Bad(_) => return None,
        Field::Good(written) => written,
    };
    let wrong = match (written.value, scheme) {
        (Http2Word::Off, _) => return Some(false),
        (Http2Word::Alpn, Some(Scheme::Http)) => Draft::error(
            "http2-without-tls",
            written.spot,
            "`alpn` is a part of TLS: it needs targets with `https://`",
        )
        .hint("a target that speaks HTTP/2 without TLS has `http2 = \"prior-knowledge\"`"),
        (Http2Word::PriorKnowledge, Some(Scheme::Https)) => Draft::error(
            "http2-with-tls",
            written.spot,
            "`prior-knowledge` is for targets with `http://`: with TLS both sides agree in the handshake",
        )
        .hint("leave `http2` out"),
        (Http2Word::Alpn | Http2Word::PriorKnowledge, _) => return Some(true),
    };
    problems.push(wrong);
    None
}
