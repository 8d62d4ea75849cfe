//! The `rewrite` of a route, and whether its answers are made to fit.

use http::HeaderValue;
use regex_syntax::hir::literal::{Extractor, Literal};

use super::{Told, host, target};
use crate::path::{NormalPath, PathProblem};
use crate::pattern::{PathPattern, Segment, rest_below, written};
use crate::problem::{Draft, Problems};
use crate::rewrite::PrefixRewrite;
use crate::table::{PathOptions, Rewrite, RewriteHost};
use crate::written::reader::{Field, Located};
use crate::written::route::{RewriteTable, RouteEntry};

/// `path` is what the route takes, when that is known. `None` has left a problem behind.
pub(super) fn make(
    route: &Located<RouteEntry>,
    path: Option<&PathPattern>,
    options: PathOptions,
    answers: bool,
    problems: &mut Problems,
) -> Option<Rewrite> {
    let entry = &route.value;
    let answers = entry.rewrite_answers.value().copied().unwrap_or(answers);
    let none = RewriteTable::default();
    let table = entry.rewrite.value().unwrap_or(&none);
    let host = host(&table.host, problems);
    require_to(route, table, problems);
    let strip = prefix("strip_prefix", &table.strip_prefix, problems);
    let add = prefix("add_prefix", &table.add_prefix, problems);
    if let (Ok(_), Some(strip), Some(path)) = (&strip, table.strip_prefix.good(), path)
        && !all_below(path, &strip.value, options)
    {
        problems.push(misses(strip, path, entry));
    }
    let (strip, add) = (strip.ok()?, add.ok()?);
    let prefix = (!strip.is_empty() || !add.is_empty()).then_some(PrefixRewrite {
        strip,
        add,
        ignore_case: options.ignore_case,
    });
    Some(Rewrite { host: host?, prefix, answers })
}

fn host(field: &Field<String>, problems: &mut Problems) -> Option<RewriteHost> {
    Some(match field {
        Field::Absent => RewriteHost::Keep,
        Field::Bad(_) => return None,
        Field::Good(word) => match word.value.as_str() {
            "keep" => RewriteHost::Keep,
            "upstream" => RewriteHost::Upstream,
            _ => RewriteHost::Fixed(fixed_host(word, problems)?),
        },
    })
}

/// A name, or a name with a port.
fn fixed_host(word: &Located<String>, problems: &mut Problems) -> Option<HeaderValue> {
    let (name, port) = word.value.split_once(':').map_or((word.value.as_str(), None), |(n, p)| (n, Some(p)));
    let good = host::is_name(name) && port.is_none_or(|port| target::port(port).is_some());
    if good {
        return HeaderValue::try_from(word.value.to_ascii_lowercase()).ok();
    }
    let message = format!("`{}` is no host", word.value);
    let draft = Draft::error("bad-host", word.spot, message);
    problems.push(draft.hint("`keep`, `upstream`, or a name like `legacy.internal`"));
    None
}

/// Legacy is asked for the public path, so without a candidate nothing would be rewritten.
fn require_to(route: &Located<RouteEntry>, table: &RewriteTable, problems: &mut Problems) {
    if !route.value.to.is_absent() || problems.is_misspelt(route.spot, &["to"]) {
        return;
    }
    let keys = [("strip_prefix", table.strip_prefix.spot()), ("add_prefix", table.add_prefix.spot())];
    if let Some((key, Some(spot))) = keys.into_iter().find(|(_, spot)| spot.is_some()) {
        let message = format!("`{key}` says nothing without `to`: legacy is asked for the public path");
        problems.push(Draft::error("prefix-without-to", spot, message));
    }
}

/// Empty when absent.
fn prefix(key: &str, field: &Field<String>, problems: &mut Problems) -> Result<Box<str>, Told> {
    let written = match field {
        Field::Absent => return Ok(Box::default()),
        Field::Bad(_) => return Err(Told),
        Field::Good(written) => written,
    };
    read(&written.value).map_err(|wrong| {
        let (message, hint) = wrong.words(key, &written.value);
        problems.push(Draft::error("bad-prefix", written.spot, message).maybe_hint(hint));
        Told
    })
}

enum Wrong {
    NotAbsolute,
    Nothing,
    TrailingSlash,
    Star,
    Variable,
    Query,
    ReadTwoWays,
    Path(PathProblem),
    NotNormal(String),
}

fn read(text: &str) -> Result<Box<str>, Wrong> {
    match text {
        "" | "/" => return Err(Wrong::Nothing),
        _ if !text.starts_with('/') => return Err(Wrong::NotAbsolute),
        _ if text.ends_with("/*") => return Err(Wrong::Star),
        _ if text.ends_with('/') => return Err(Wrong::TrailingSlash),
        _ if text.contains(['{', '}']) => return Err(Wrong::Variable),
        _ if text.contains('?') => return Err(Wrong::Query),
        _ => {}
    }
    let normal = NormalPath::read(text).map_err(Wrong::Path)?;
    if normal.is_odd() {
        return Err(Wrong::ReadTwoWays);
    }
    let normal = normal.as_str();
    if normal == text {
        Ok(text.into())
    } else {
        Err(Wrong::NotNormal(normal.trim_end_matches('/').to_owned()))
    }
}

impl Wrong {
    /// Message and hint.
    fn words(self, key: &str, text: &str) -> (String, Option<String>) {
        let write = |text: &str| Some(format!("write `{text}`"));
        match self {
            Self::NotAbsolute => (
                format!("`{key}` begins with `/`, found `{text}`"),
                Some(format!("did you mean `/{}`?", text.trim_end_matches('/'))),
            ),
            Self::Nothing => {
                (format!("`{key} = \"{text}\"` changes nothing"), Some("leave it out".to_owned()))
            }
            Self::TrailingSlash => {
                (format!("`{key}` ends on a whole segment, without `/`"), write(text.trim_end_matches('/')))
            }
            Self::Star => (
                format!("`{key}` is a plain path: everything below it is meant anyway"),
                write(text.trim_end_matches('*').trim_end_matches('/')),
            ),
            Self::Variable => (format!("`{key}` is a plain path, without variables"), None),
            Self::Query => (format!("`{key}` has no `?`: the query goes on as it came"), None),
            Self::ReadTwoWays => {
                (format!("`{key}` holds `%2F`, `%5C`, `\\` or `;`, which servers read in two ways"), None)
            }
            Self::Path(problem) => (format!("`{key}` is no path: {problem}"), None),
            Self::NotNormal(normal) => {
                let message = format!("paths never look like this after normalisation, but like `{normal}`");
                (message, (!normal.is_empty()).then(|| write(&normal)).flatten())
            }
        }
    }
}

/// Whether everything a path takes is known to lie below a prefix.
fn all_below(path: &PathPattern, prefix: &str, options: PathOptions) -> bool {
    match path {
        PathPattern::Regex(regex) => expression_is_below(written(regex), prefix, options.ignore_case),
        plain => rest_below(prefix, &head(plain), options.ignore_case).is_some(),
    }
}

/// What every path taken begins with, on a segment boundary.
fn head(path: &PathPattern) -> String {
    match path {
        PathPattern::Exact(literal) | PathPattern::Prefix(literal) => literal.to_string(),
        PathPattern::Template(segments) => {
            let literals = segments.iter().map_while(|segment| match segment {
                Segment::Literal(literal) => Some(literal),
                Segment::Variable(_) => None,
            });
            literals.fold(String::new(), |head, literal| head + "/" + literal)
        }
        PathPattern::Regex(_) => String::new(),
    }
}

/// By the literals that an expression can begin with, as far as they are finite and few. The expression is read as
/// written even where the route ignores case: what it takes differs in nothing else.
fn expression_is_below(text: &str, prefix: &str, ignore_case: bool) -> bool {
    let Ok(expression) = regex_syntax::parse(text) else { return false };
    let mut extractor = Extractor::new();
    extractor.limit_literal_len((prefix.len() + 1).max(100));
    let begins = extractor.extract(&expression);
    let is_below = |literal: &Literal| {
        let Ok(begin) = str::from_utf8(literal.as_bytes()) else { return false };
        rest_below(prefix, begin, ignore_case).is_some_and(|rest| !rest.is_empty() || literal.is_exact())
    };
    begins.literals().is_some_and(|literals| literals.iter().all(is_below))
}

fn misses(strip: &Located<String>, path: &PathPattern, entry: &RouteEntry) -> Draft {
    let prefix = &strip.value;
    let (message, hint) = if matches!(path, PathPattern::Regex(_)) {
        (
            format!("`path_regex` is not seen to take only paths below `{prefix}`"),
            format!("begin the expression with `{prefix}/`, or use `path`"),
        )
    } else {
        let head = head(path);
        let most = if head.is_empty() || head == "/" {
            "nothing can be stripped from all its paths".to_owned()
        } else {
            format!("at most `{}` can be stripped from all its paths", head.trim_end_matches('/'))
        };
        (format!("the route takes paths that are not below `{prefix}`"), most)
    };
    let draft = Draft::error("strip-prefix-misses", strip.spot, message).hint(hint);
    match entry.path.spot().or(entry.path_regex.spot()) {
        Some(spot) => draft.related(spot, "what the route takes"),
        None => draft,
    }
}
