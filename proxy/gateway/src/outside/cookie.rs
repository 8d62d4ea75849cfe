//! A line of `Set-Cookie`, as browsers read it (RFC 6265, section 5.2).

use std::fmt;

/// One cookie as an upstream sets it. Its value is never kept and never shown.
pub(super) struct Cookie<'l> {
    line: &'l [u8],
    name: &'l [u8],
    value: &'l [u8],
}

/// Attributes that say where a cookie goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    Domain,
    Path,
    Secure,
    HttpOnly,
    SameSite,
    MaxAge,
}

/// What becomes of an attribute.
pub(super) enum Change {
    None,
    /// It goes.
    Leave,
    /// Another value.
    To(String),
}

/// Where a cookie goes, as far as two cookies of one name can differ in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Scope {
    path: Option<Box<str>>,
    domain: Option<Box<str>>,
    same_site: Option<Box<str>>,
    secure: bool,
    http_only: bool,
}

impl<'l> Cookie<'l> {
    /// `None` for a line without a name.
    pub(super) fn read(line: &'l [u8]) -> Option<Self> {
        let pair = line.split(|&byte| byte == b';').next()?;
        let at = pair.iter().position(|&byte| byte == b'=')?;
        let (name, value) = (pair[..at].trim_ascii(), pair[at + 1..].trim_ascii());
        (!name.is_empty()).then_some(Self { line, name, value })
    }

    pub(super) fn name(&self) -> &'l [u8] {
        self.name
    }

    pub(super) fn is_bound_to_host(&self) -> bool {
        self.name.get(..7).is_some_and(|start| start.eq_ignore_ascii_case(b"__host-"))
    }

    /// Whether it is taken back: frameworks leave attributes out then that say nothing any more.
    pub(super) fn is_deleted(&self) -> bool {
        let is_over = |value: &[u8]| value.starts_with(b"-") || value == b"0";
        self.value.is_empty() || self.attributes().any(|(name, value)| name == Name::MaxAge && is_over(value))
    }

    /// The last of each attribute counts. `None` when one is longer than `longest`.
    pub(super) fn scope(&self, longest: usize) -> Option<Scope> {
        let mut scope = Scope::default();
        for (name, value) in self.attributes() {
            let text = || str::from_utf8(value).ok().filter(|text| text.len() <= longest);
            match name {
                Name::Path => scope.path = Some(text()?.into()),
                Name::Domain => {
                    let domain = text()?.to_ascii_lowercase();
                    scope.domain = Some(domain.strip_prefix('.').unwrap_or(&domain).into());
                }
                Name::SameSite => scope.same_site = Some(text()?.to_ascii_lowercase().into()),
                Name::Secure => scope.secure = true,
                Name::HttpOnly => scope.http_only = true,
                Name::MaxAge => {}
            }
        }
        Some(scope)
    }

    /// The line with its attributes changed; `None` when none is.
    pub(super) fn changed(&self, change: impl Fn(Name, &[u8]) -> Change) -> Option<Vec<u8>> {
        let mut parts = self.line.split(|&byte| byte == b';');
        let mut line = parts.next()?.to_vec();
        let mut is_changed = false;
        for part in parts {
            let (name, value) = name_and_value(part);
            match name.map_or(Change::None, |name| change(name, value)) {
                Change::None => {
                    line.push(b';');
                    line.extend_from_slice(part);
                }
                Change::Leave => is_changed = true,
                Change::To(value) => {
                    is_changed = true;
                    let key = part.split_inclusive(|&byte| byte == b'=').next().unwrap_or_default();
                    line.push(b';');
                    line.extend_from_slice(key);
                    line.extend_from_slice(value.as_bytes());
                }
            }
        }
        is_changed.then_some(line)
    }

    fn attributes(&self) -> impl Iterator<Item = (Name, &'l [u8])> {
        let parts = self.line.split(|&byte| byte == b';').skip(1);
        parts.map(name_and_value).filter_map(|(name, value)| Some((name?, value)))
    }
}

fn name_and_value(part: &[u8]) -> (Option<Name>, &[u8]) {
    let at = part.iter().position(|&byte| byte == b'=');
    let (name, value) = at.map_or((part, &part[part.len()..]), |at| (&part[..at], &part[at + 1..]));
    let name = name.trim_ascii();
    let known: [(&[u8], Name); 6] = [
        (b"domain", Name::Domain),
        (b"path", Name::Path),
        (b"secure", Name::Secure),
        (b"httponly", Name::HttpOnly),
        (b"samesite", Name::SameSite),
        (b"max-age", Name::MaxAge),
    ];
    let known = known.into_iter().find(|(spelling, _)| name.eq_ignore_ascii_case(spelling));
    (known.map(|(_, name)| name), value.trim_ascii())
}

/// As in a `Set-Cookie` line.
impl fmt::Display for Scope {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts = [("Path", &self.path), ("Domain", &self.domain), ("SameSite", &self.same_site)];
        let words = texts.iter().filter_map(|(name, text)| Some(format!("{name}={}", text.as_deref()?)));
        let flags = [("Secure", self.secure), ("HttpOnly", self.http_only)];
        let flags = flags.iter().filter(|(_, is_set)| *is_set).map(|(name, _)| (*name).to_owned());
        let words: Vec<String> = words.chain(flags).collect();
        out.write_str(if words.is_empty() { "no attributes" } else { "" })?;
        out.write_str(&words.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::{Change, Cookie, Name};

    fn scope(line: &str) -> String {
        Cookie::read(line.as_bytes()).expect("a cookie").scope(64).expect("short").to_string()
    }

    #[test]
    fn attributes_are_read_as_browsers_do() {
        assert_eq!(scope("a=b"), "no attributes");
        assert_eq!(
            scope("a=b; path=/x ;DOMAIN=.Shop.Test; Secure; httponly=1; SameSite=LAX; Max-Age=5"),
            "Path=/x; Domain=shop.test; SameSite=lax; Secure; HttpOnly"
        );
        assert_eq!(scope("a=b; Path=/x; Path=/y"), "Path=/y", "the last one counts");
        assert!(Cookie::read(b"flag").is_none() && Cookie::read(b"=x").is_none());
        assert!(Cookie::read(b"a=b; Path=/long").expect("a cookie").scope(3).is_none());
    }

    #[test]
    fn cookies_taken_back_are_known() {
        let is_deleted = |line: &str| Cookie::read(line.as_bytes()).expect("a cookie").is_deleted();
        assert!(is_deleted("a=; Path=/") && is_deleted("a=x; Max-Age=0") && is_deleted("a=x; max-age=-1"));
        assert!(!is_deleted("a=x; Max-Age=10") && !is_deleted("a=x"));
    }

    #[test]
    fn only_what_changes_is_touched() {
        let cookie = Cookie::read(b"a=b=\xff\"; x=;Domain=in ; PATH = /; Secure").expect("a cookie");
        let line = cookie.changed(|name, _| match name {
            Name::Domain => Change::Leave,
            Name::Path => Change::To("/p".to_owned()),
            _ => Change::None,
        });
        assert_eq!(line.as_deref(), Some(&b"a=b=\xff\"; x=; PATH =/p; Secure"[..]));
        assert!(cookie.changed(|_, _| Change::None).is_none());
    }
}
