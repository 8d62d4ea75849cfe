//! What becomes of an address that an upstream names.

use banyan_routes::{PrefixRewrite, RewriteHost, Target};

use super::cookie::{self, Cookie};
use super::reference::{Authority, Host, Reference, default_port};
use crate::forwarding::Scheme;

/// One answer's upstream as it knows itself, and the address under which the client knows it.
pub(super) struct Fitting<'a> {
    pub(super) targets: &'a [Target],
    /// How they are reached.
    pub(super) scheme: Scheme,
    /// The Host that the upstream was shown.
    pub(super) shown: &'a RewriteHost,
    pub(super) public: Public<'a>,
    /// `Origin` of the request.
    pub(super) client_origin: Option<&'a [u8]>,
    /// Set when the path was rewritten for this upstream.
    pub(super) prefix: Option<&'a PrefixRewrite>,
    /// Path and query that the upstream was asked for, when they were rewritten.
    pub(super) asked: Option<&'a str>,
}

/// Scheme and host that the client used.
#[derive(Clone, Copy)]
pub(super) struct Public<'a> {
    scheme: Scheme,
    /// As the client wrote it; none when nobody said.
    host: Option<(&'a str, Authority<'a>)>,
}

impl<'a> Public<'a> {
    pub(super) fn new(scheme: Scheme, host: Option<&'a str>) -> Self {
        let read = |host: &'a str| Some((host, Authority::read(host)?));
        Self { scheme, host: host.and_then(read).filter(|(_, authority)| authority.user.is_empty()) }
    }

    #[cfg(test)]
    pub(super) fn is_known(&self) -> bool {
        self.host.is_some()
    }

    fn authority(&self) -> Option<&Authority<'a>> {
        self.host.as_ref().map(|(_, authority)| authority)
    }

    /// Whether this is the public host, at whatever port.
    fn is_host(&self, host: &Host<'_>) -> bool {
        self.authority().is_some_and(|public| match public.host {
            Host::Name(name) => host.is(name.strip_suffix('.').unwrap_or(name)),
            Host::V6(_) => *host == public.host,
        })
    }

    /// As browsers write an origin (RFC 6454, section 6.2): lower case, without a default port.
    fn origin(&self) -> Option<String> {
        let Authority { host, port, .. } = self.authority()?;
        let host = match host {
            Host::Name(name) => name.to_ascii_lowercase(),
            Host::V6(address) => format!("[{address}]"),
        };
        let port = port.filter(|port| *port != default_port(self.scheme));
        let port = port.map_or_else(String::new, |port| format!(":{port}"));
        Some(format!("{}://{host}{port}", self.scheme.as_str()))
    }
}

impl Fitting<'_> {
    /// An address as the client knows it; `None` to leave it as it is.
    pub(super) fn reference(&self, text: &str) -> Option<String> {
        let reference = Reference::read(text)?;
        let Reference { path, rest, .. } = reference;
        match reference.authority {
            Some(authority) if self.is_mine(reference.scheme, &authority) => {
                let mapped = self.prefix.and_then(|prefix| prefix.back(path));
                self.public_address(
                    reference.scheme.is_some(),
                    authority.user,
                    mapped.as_deref().unwrap_or(path),
                    rest,
                )
            }
            Some(_) => None,
            None if path.starts_with('/') => Some(self.prefix?.back(path)? + rest),
            None if path.is_empty() => None,
            // A client would resolve it against the public path, where the same steps may lead elsewhere.
            None => Some(self.prefix?.resolve_back(self.asked?, path)? + rest),
        }
    }

    /// A value of `Access-Control-Allow-Origin`. The origin the client sent stays: it is what a browser looks for.
    pub(super) fn origin(&self, text: &str) -> Option<String> {
        let Reference { scheme: Some(scheme), authority: Some(authority), path: "", rest: "" } =
            Reference::read(text)?
        else {
            return None;
        };
        let is_reflected = self.client_origin == Some(text.as_bytes());
        let is_mine = authority.user.is_empty() && self.is_upstream(scheme, &authority);
        if is_mine && !is_reflected { self.public.origin() } else { None }
    }

    /// A line of `Set-Cookie`, without a `Domain` that only the upstream has, and with `Path` mapped back.
    pub(super) fn cookie(&self, line: &[u8]) -> Option<Vec<u8>> {
        let cookie = Cookie::read(line)?;
        // A browser takes a `__Host-` cookie with `Path=/` only.
        let prefix = self.prefix.filter(|_| !cookie.is_bound_to_host());
        let path = |written: &[u8]| prefix?.cookie_path_back(str::from_utf8(written).ok()?);
        cookie.changed(|name, value| match name {
            cookie::Name::Domain if self.is_own_name(value) => cookie::Change::Leave,
            cookie::Name::Path if value.starts_with(b"/") => {
                path(value).map_or(cookie::Change::None, cookie::Change::To)
            }
            _ => cookie::Change::None,
        })
    }

    fn public_address(&self, is_absolute: bool, user: &str, path: &str, rest: &str) -> Option<String> {
        let Some((host, _)) = self.public.host else {
            // Nobody said what the client calls us: relative to wherever it came.
            let path = if path.is_empty() { "/" } else { path };
            return (!path.starts_with("//")).then(|| format!("{path}{rest}"));
        };
        let scheme = if is_absolute { self.public.scheme.as_str() } else { "" };
        let colon = if is_absolute { ":" } else { "" };
        Some(format!("{scheme}{colon}//{user}{host}{path}{rest}"))
    }

    /// Whether an address is in the upstream's own world, where paths are those of the upstream.
    fn is_mine(&self, scheme: Option<Scheme>, authority: &Authority<'_>) -> bool {
        // An address without scheme takes over that of the page, which the upstream may or may not know.
        let schemes = [scheme.unwrap_or(self.public.scheme), scheme.unwrap_or(self.scheme)];
        schemes.into_iter().any(|scheme| {
            // An upstream that makes absolute addresses out of the public Host still writes its own paths.
            self.is_upstream(scheme, authority)
                || (self.prefix.is_some() && self.is_public(scheme, authority))
        })
    }

    fn is_upstream(&self, scheme: Scheme, authority: &Authority<'_>) -> bool {
        let port = authority.port_at(scheme);
        let is_target = |target: &Target| target.port == port && authority.host.is(&target.host);
        (scheme == self.scheme && self.targets.iter().any(is_target))
            || self.is_shown(scheme, authority)
            || self.is_shown_at_its_port(scheme, authority)
    }

    /// Whether an upstream made the address of the Host it was shown, and the scheme it was told.
    fn is_shown(&self, scheme: Scheme, authority: &Authority<'_>) -> bool {
        let is_known = scheme == self.public.scheme || scheme == self.scheme;
        let is_as_shown = |host: &str, port: Option<u16>| {
            authority.host.is(host) && port.unwrap_or(default_port(scheme)) == authority.port_at(scheme)
        };
        is_known
            && match self.shown {
                RewriteHost::Keep => false,
                RewriteHost::Upstream => self.targets.iter().any(|target| {
                    // The authority of a target has no default port.
                    is_as_shown(
                        &target.host,
                        Some(target.port).filter(|port| *port != default_port(self.scheme)),
                    )
                }),
                RewriteHost::Fixed(_) => {
                    self.fixed_host().is_some_and(|(host, port)| is_as_shown(host, port))
                }
            }
    }

    /// Whether an upstream joined the name it was shown and the port it listens on, as nginx and Apache do in
    /// redirects. Where the public scheme is another, the bare name is the public host at its other port.
    fn is_shown_at_its_port(&self, scheme: Scheme, authority: &Authority<'_>) -> bool {
        let port = authority.port_at(scheme);
        let is_told = authority.port.is_some() || self.public.scheme == scheme;
        let is_name = match self.shown {
            RewriteHost::Keep => self.public.is_host(&authority.host),
            RewriteHost::Upstream => false,
            RewriteHost::Fixed(_) => self.fixed_host().is_some_and(|(name, _)| authority.host.is(name)),
        };
        scheme == self.scheme && is_told && is_name && self.targets.iter().any(|target| target.port == port)
    }

    fn is_public(&self, scheme: Scheme, authority: &Authority<'_>) -> bool {
        let Some(public) = self.public.authority() else { return false };
        let is_same_port = public.port_at(scheme) == authority.port_at(scheme);
        scheme == self.public.scheme && is_same_port && self.public.is_host(&authority.host)
    }

    /// Whether a `Domain` names the upstream and not the public host: no browser takes such a cookie from us.
    fn is_own_name(&self, domain: &[u8]) -> bool {
        let Ok(domain) = str::from_utf8(domain) else { return false };
        let domain = domain.strip_prefix('.').unwrap_or(domain);
        let Some(Authority { user: "", host, port: None }) = Authority::read(domain) else { return false };
        let is_target = self.targets.iter().any(|target| host.is(&target.host));
        !self.public.is_host(&host) && (is_target || self.fixed_host().is_some_and(|(name, _)| host.is(name)))
    }

    fn fixed_host(&self) -> Option<(&str, Option<u16>)> {
        let RewriteHost::Fixed(host) = self.shown else { return None };
        let text = host.to_str().ok()?;
        Some(match text.split_once(':') {
            Some((name, port)) => (name, Some(port.parse().ok()?)),
            None => (text, None),
        })
    }
}
