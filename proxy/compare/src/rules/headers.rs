//! Which header fields are compared.
//!
//! All but a list of fields that say something of a server, a connection or a moment rather than of the resource:
//! a new field that a candidate forgets is found, which a list of chosen names would not do.

use std::fmt;

use http::HeaderName;

/// Fields that are left out unless `also` or `only` names them. What ends in `*` is the beginning of names.
pub const DEFAULT_EXCEPT: [(&str, &str); 46] = [
    // Of one connection (RFC 9110, 7.6.1), and how the body travels: what it says is compared after decoding.
    ("connection", "of one connection"),
    ("keep-alive", "of one connection"),
    ("proxy-connection", "of one connection"),
    ("te", "of one connection"),
    ("trailer", "of one connection"),
    ("transfer-encoding", "of one connection"),
    ("upgrade", "of one connection"),
    ("alt-svc", "of one server's listeners"),
    ("content-length", "follows from the body, which is compared itself"),
    ("content-encoding", "undone before comparing"),
    ("content-md5", "follows from the body as sent"),
    ("content-digest", "follows from the body as sent"),
    ("repr-digest", "follows from the body as sent"),
    ("digest", "follows from the body as sent"),
    // Of one moment.
    ("date", "when it was answered"),
    ("age", "how long a cache held it"),
    ("expires", "counted from now; cache-control says the same and is compared"),
    ("server-timing", "how long it took"),
    ("x-response-time", "how long it took"),
    ("x-runtime", "how long it took"),
    ("x-ratelimit-remaining", "counts down"),
    ("x-ratelimit-reset", "counts down"),
    ("ratelimit", "counts down"),
    ("ratelimit-remaining", "counts down"),
    ("ratelimit-reset", "counts down"),
    // Of one server.
    ("server", "which program answered"),
    ("via", "which proxies it went through"),
    ("x-powered-by", "which program answered"),
    ("x-aspnet-version", "which program answered"),
    ("x-aspnetmvc-version", "which program answered"),
    ("x-generator", "which program answered"),
    ("x-served-by", "which server answered"),
    ("x-backend-server", "which server answered"),
    ("x-cache", "what a cache did"),
    ("x-cache-hits", "what a cache did"),
    ("x-envoy-*", "of a mesh on the way"),
    ("banyan-*", "our own"),
    // Of one request.
    ("x-request-id", "of one request"),
    ("request-id", "of one request"),
    ("x-correlation-id", "of one request"),
    ("x-amzn-*", "of one request"),
    ("x-trace-id", "of one request"),
    ("x-b3-*", "of one request"),
    ("traceparent", "of one request"),
    ("tracestate", "of one request"),
    // Opaque: every implementation makes its own. The body is compared.
    ("etag", "opaque, made by each implementation in its own way"),
];

/// Which header fields are compared. `set-cookie` is compared as cookies, whatever stands here, unless `except` names
/// it or `only` does not.
#[derive(Debug, Clone, Default)]
pub enum HeaderRules {
    /// All but [`DEFAULT_EXCEPT`].
    #[default]
    Default,
    /// The default list made longer or shorter.
    Changed {
        /// Left out, too.
        except: Vec<HeaderName>,
        /// Compared although the default list has it.
        also: Vec<HeaderName>,
    },
    /// These alone.
    Only(Vec<HeaderName>),
}

/// Why lists of names are no rules for headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeadersProblem {
    /// `only` beside another list.
    OnlyAndOthers,
    /// No header field has such a name.
    Name {
        /// The name.
        name: String,
    },
    /// Left out and compared.
    Both {
        /// The name.
        name: HeaderName,
    },
    /// Too many names in all.
    TooMany {
        /// How many there are.
        count: usize,
        /// How many there can be.
        most: usize,
    },
}

impl fmt::Display for HeadersProblem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OnlyAndOthers => out.write_str("`only` stands alone: it already says what is compared"),
            Self::Name { name } => write!(out, "no header field has the name `{name}`"),
            Self::Both { name } => write!(out, "`{name}` stands in `except` and in `also`"),
            Self::TooMany { count, most } => write!(out, "at most {most} header fields, not {count}"),
        }
    }
}

impl std::error::Error for HeadersProblem {}

impl HeaderRules {
    /// From the lists of a configuration.
    pub fn parse(only: Option<&[&str]>, except: &[&str], also: &[&str]) -> Result<Self, HeadersProblem> {
        let count = only.map_or(0, <[_]>::len) + except.len() + also.len();
        if count > super::RULES_MAX {
            return Err(HeadersProblem::TooMany { count, most: super::RULES_MAX });
        }
        let (except, also) = (names(except)?, names(also)?);
        if let Some(only) = only {
            let alone = except.is_empty() && also.is_empty();
            return if alone { names(only).map(Self::Only) } else { Err(HeadersProblem::OnlyAndOthers) };
        }
        match except.iter().find(|name| also.contains(name)) {
            Some(name) => Err(HeadersProblem::Both { name: name.clone() }),
            None if except.is_empty() && also.is_empty() => Ok(Self::Default),
            None => Ok(Self::Changed { except, also }),
        }
    }

    pub(crate) fn compares(&self, name: &HeaderName) -> bool {
        match self {
            Self::Default => !is_left_out(name),
            Self::Changed { except, also } => {
                also.contains(name) || (!except.contains(name) && !is_left_out(name))
            }
            Self::Only(only) => only.contains(name),
        }
    }
}

fn names(texts: &[&str]) -> Result<Vec<HeaderName>, HeadersProblem> {
    let name = |text: &&str| {
        HeaderName::from_bytes(text.as_bytes()).map_err(|_| HeadersProblem::Name { name: (*text).to_owned() })
    };
    texts.iter().map(name).collect()
}

fn is_left_out(name: &HeaderName) -> bool {
    DEFAULT_EXCEPT.iter().any(|(listed, _)| match listed.strip_suffix('*') {
        Some(start) => name.as_str().starts_with(start),
        None => name.as_str() == *listed,
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::{HeaderRules, HeadersProblem};

    #[test]
    fn lists_change_the_default_or_replace_it() {
        let compares = |rules: &HeaderRules, name| rules.compares(&HeaderName::from_static(name));
        let changed = HeaderRules::parse(None, &["x-shard"], &["ETag"]).unwrap();
        assert!(compares(&changed, "etag") && compares(&changed, "location"));
        assert!(!compares(&changed, "x-shard") && !compares(&changed, "date"));
        let only = HeaderRules::parse(Some(&["date"]), &[], &[]).unwrap();
        assert!(compares(&only, "date") && !compares(&only, "location"));
        let default = HeaderRules::default();
        assert!(!compares(&default, "banyan-build") && compares(&default, "x-envoyer"));
    }

    #[test]
    fn contradictions_are_refused() {
        let problem = |only, except: &[_], also: &[_]| HeaderRules::parse(only, except, also).unwrap_err();
        assert_eq!(problem(Some(&["a"][..]), &["b"], &[]), HeadersProblem::OnlyAndOthers);
        assert_eq!(problem(None, &["a b"], &[]), HeadersProblem::Name { name: "a b".to_owned() });
        let name = HeaderName::from_static("a");
        assert_eq!(problem(None, &["a"], &["A"]), HeadersProblem::Both { name });
    }
}
