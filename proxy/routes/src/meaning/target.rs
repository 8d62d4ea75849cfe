//! One server of an upstream: `http://host:port` or `https://host:port`.

use std::net::Ipv6Addr;

use http::HeaderValue;

use super::host;
use crate::problem::{Draft, Problems};
use crate::table::Target;
use crate::written::reader::Located;

/// How a target is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    Https,
}

impl Scheme {
    /// RFC 9110 4.2.1 and 4.2.2.
    fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// `None` has left a problem behind.
pub(super) fn parse(url: &Located<String>, problems: &mut Problems) -> Option<(Scheme, Target)> {
    split(&url.value).map_err(|wrong| problems.push(wrong.draft(url))).ok()
}

enum Wrong {
    Scheme,
    UserInfo,
    Path(usize),
    Host,
    Port(String),
}

impl Wrong {
    fn draft(self, url: &Located<String>) -> Draft {
        let text = &url.value;
        let error = |message: String| Draft::error("bad-target", url.spot, message);
        match self {
            Self::Scheme if text.contains("://") => {
                error(format!("`{text}` is no `http://` or `https://` address"))
            }
            Self::Scheme => {
                error(format!("`{text}` lacks `http://`")).hint(format!("did you mean `http://{text}`?"))
            }
            Self::UserInfo => error("a target holds no user name and no password".to_owned())
                .hint("write `http://host:port`: whoever must sign in does so with headers of its own"),
            Self::Path(end) => error(format!("`{text}` holds more than host and port"))
                .hint(format!("write `{}`: paths are sent as the client sent them", &text[..end])),
            Self::Host => error(format!("`{text}` names no host"))
                .hint("write it like `http://orders:8080` or `http://[::1]:8080`"),
            Self::Port(port) => error(format!("`{port}` is no port: expected 1 to 65535")),
        }
    }
}

fn split(text: &str) -> Result<(Scheme, Target), Wrong> {
    let (scheme, rest) = text.split_once("://").ok_or(Wrong::Scheme)?;
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        _ => return Err(Wrong::Scheme),
    };
    let authority_end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(authority_end);
    if authority.contains('@') {
        return Err(Wrong::UserInfo);
    }
    if !matches!(path, "" | "/") {
        return Err(Wrong::Path(text.len() - path.len()));
    }
    Ok((scheme, self::authority(authority, scheme.default_port())?))
}

fn authority(text: &str, default_port: u16) -> Result<Target, Wrong> {
    let bracketed = text.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (host, port) = if let Some((address, port)) = bracketed {
        let address: Ipv6Addr = address.parse().map_err(|_| Wrong::Host)?;
        (address.to_string(), port)
    } else {
        let (host, port) = text.split_at(text.find(':').unwrap_or(text.len()));
        let host = host.to_ascii_lowercase();
        host::is_name(&host).then_some((host, port)).ok_or(Wrong::Host)?
    };
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => default_port,
        None => return Err(Wrong::Host),
        Some(port) => self::port(port).ok_or_else(|| Wrong::Port(port.to_owned()))?,
    };
    let name = if host.contains(':') { format!("[{host}]") } else { host.clone() };
    let authority = if port == default_port { name } else { format!("{name}:{port}") };
    let authority = HeaderValue::try_from(authority).map_err(|_| Wrong::Host)?;
    Ok(Target { host: host.into(), port, authority })
}

/// 1 to 65535 in plain digits.
pub(super) fn port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port != 0)
}
