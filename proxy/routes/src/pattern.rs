//! What the path of a route can be, and which paths it takes.

use std::fmt;

use regex::{Regex, RegexBuilder};

use crate::path::{NormalPath, PathProblem};
use crate::table::PathOptions;

/// What the path of a route can be. Literal parts are in normal form (see [`NormalPath`]).
#[derive(Debug, Clone)]
pub enum PathPattern {
    /// `/a`
    Exact(Box<str>),
    /// `/a/{id}/pdf`
    Template(Box<[Segment]>),
    /// `/a/*`, kept without the `/*`: `/a` and everything below it.
    Prefix(Box<str>),
    /// `path_regex`, anchored at both ends.
    Regex(Regex),
}

/// One segment of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// Must be equal.
    Literal(Box<str>),
    /// Any one segment that is not empty.
    Variable(Box<str>),
}

/// Why a text is not the path of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PatternProblem {
    /// It does not begin with `/`.
    NotAbsolute,
    /// `?`: a query is matched by conditions.
    Query,
    /// `*` stands elsewhere than in a last segment of its own.
    MisplacedStar,
    /// `/a/{id}/*`: a prefix with variables.
    VariableInPrefix,
    /// `{` without `}` or the other way round, in this segment.
    UnclosedVariable {
        /// The segment.
        segment: String,
    },
    /// `{id}.pdf`: a variable is a whole segment.
    PartialVariable {
        /// The segment.
        segment: String,
    },
    /// `{}`
    EmptyVariable,
    /// A name of other characters than letters, digits, `_` and `-`.
    VariableName {
        /// The name.
        name: String,
    },
    /// One name twice.
    DuplicateVariable {
        /// The name.
        name: String,
    },
    /// `%2F`, `%5C`, `\` or `;`: requests with these are read in two ways, so none would match.
    ReadTwoWays,
    /// No request path could look like this.
    Path(PathProblem),
    /// Not in the form that matching sees.
    NotNormal {
        /// What to write instead.
        normal: String,
    },
    /// Not a regular expression.
    Regex {
        /// What the parser of expressions says, on several lines.
        message: String,
    },
}

impl fmt::Display for PatternProblem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAbsolute => out.write_str("a path begins with `/`"),
            Self::Query => out.write_str("a path has no `?`: a query is matched by conditions"),
            Self::MisplacedStar => out.write_str("`*` can only be the whole last segment, as in `/a/*`"),
            Self::VariableInPrefix => out.write_str("variables and `/*` cannot be mixed"),
            Self::UnclosedVariable { segment } => write!(out, "a brace is not closed in `{segment}`"),
            Self::PartialVariable { segment } => {
                write!(out, "a variable is a whole segment, not part of `{segment}`")
            }
            Self::EmptyVariable => out.write_str("a variable needs a name, as in `{id}`"),
            Self::VariableName { name } => {
                write!(out, "a variable's name has letters, digits, `_` and `-` only, not `{name}`")
            }
            Self::DuplicateVariable { name } => write!(out, "two variables have the name `{name}`"),
            Self::ReadTwoWays => {
                out.write_str("`%2F`, `%5C`, `\\` and `;` are read in two ways and can never match for sure")
            }
            Self::Path(problem) => problem.fmt(out),
            Self::NotNormal { normal } => {
                write!(out, "requests never look like this after normalisation, but like `{normal}`")
            }
            Self::Regex { message } => write!(out, "not a regular expression: {message}"),
        }
    }
}

impl std::error::Error for PatternProblem {}

impl PathPattern {
    /// Reads `path = "..."`: exact, template or prefix.
    pub fn parse(text: &str) -> Result<Self, PatternProblem> {
        if !text.starts_with('/') {
            return Err(PatternProblem::NotAbsolute);
        }
        if text.contains('?') {
            return Err(PatternProblem::Query);
        }
        let (literal, is_prefix) = match text.strip_suffix("/*") {
            Some(prefix) => (prefix, true),
            None => (text, false),
        };
        if literal.contains('*') {
            return Err(PatternProblem::MisplacedStar);
        }
        let segments = segments(literal)?;
        let has_variables = segments.iter().any(|segment| matches!(segment, Segment::Variable(_)));
        check_normal(literal, is_prefix)?;
        match (is_prefix, has_variables) {
            (true, true) => Err(PatternProblem::VariableInPrefix),
            (true, false) => Ok(Self::Prefix(literal.into())),
            (false, true) => Ok(Self::Template(segments.into())),
            (false, false) => Ok(Self::Exact(literal.into())),
        }
    }

    /// Reads `path_regex = "..."`, which must match the whole normal form of a path.
    ///
    /// With `ignore_trailing_slash` one slash more or less at the end of the path makes no difference.
    pub fn regex(text: &str, options: PathOptions) -> Result<Self, PatternProblem> {
        let error = |error: regex::Error| PatternProblem::Regex { message: error.to_string() };
        // Alone first, so that `a)|(b` is not made valid by what is put around it.
        Regex::new(text).map_err(error)?;
        let text = if options.ignore_trailing_slash { without_slash(text) } else { text };
        let end = if options.ignore_trailing_slash { SLASH_END } else { END };
        RegexBuilder::new(&format!("{BEGIN}{text}{end}"))
            .case_insensitive(options.ignore_case)
            .build()
            .map(Self::Regex)
            .map_err(error)
    }

    /// Whether a path in normal form is taken.
    pub fn matches(&self, path: &str, options: PathOptions) -> bool {
        match self {
            Self::Exact(literal) => same(trim(literal, options), trim(path, options), options),
            Self::Prefix(prefix) => below(prefix, path, options),
            Self::Template(segments) => template_matches(segments, path, options),
            Self::Regex(regex) => regex.is_match(path),
        }
    }
}

/// As in the file, without the key.
impl fmt::Display for PathPattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(literal) => out.write_str(literal),
            Self::Prefix(prefix) => write!(out, "{prefix}/*"),
            Self::Template(segments) => segments.iter().try_for_each(|segment| match segment {
                Segment::Literal(literal) => write!(out, "/{literal}"),
                Segment::Variable(name) => write!(out, "/{{{name}}}"),
            }),
            Self::Regex(regex) => out.write_str(written(regex)),
        }
    }
}

const BEGIN: &str = r"\A(?:";
const END: &str = r")\z";
const SLASH_END: &str = r")/?\z";

/// Anchors the text of a condition's `regex` at both ends.
pub(crate) fn anchored(text: &str) -> Result<Regex, regex::Error> {
    Regex::new(text)?;
    Regex::new(&format!("{BEGIN}{text}{END}"))
}

/// An anchored expression as it was written.
pub(crate) fn written(regex: &Regex) -> &str {
    let whole = regex.as_str();
    let inner = whole.strip_prefix(BEGIN);
    inner.and_then(|it| it.strip_suffix(SLASH_END).or_else(|| it.strip_suffix(END))).unwrap_or(whole)
}

/// Without a slash at the end, escaped or not.
fn without_slash(text: &str) -> &str {
    text.strip_suffix("\\/").or_else(|| text.strip_suffix('/')).unwrap_or(text)
}

fn segments(literal: &str) -> Result<Vec<Segment>, PatternProblem> {
    let mut names = Vec::new();
    let mut segments = Vec::new();
    for text in literal.split('/').skip(1) {
        let segment = segment(text)?;
        if let Segment::Variable(name) = &segment {
            if names.contains(name) {
                return Err(PatternProblem::DuplicateVariable { name: name.to_string() });
            }
            names.push(name.clone());
        }
        segments.push(segment);
    }
    Ok(segments)
}

fn segment(text: &str) -> Result<Segment, PatternProblem> {
    let (opened, closed) = (text.matches('{').count(), text.matches('}').count());
    if opened == 0 && closed == 0 {
        return Ok(Segment::Literal(text.into()));
    }
    if opened != closed || text.find('}') < text.find('{') {
        return Err(PatternProblem::UnclosedVariable { segment: text.to_owned() });
    }
    let name = text.strip_prefix('{').and_then(|it| it.strip_suffix('}'));
    match name.filter(|_| opened == 1) {
        None => Err(PatternProblem::PartialVariable { segment: text.to_owned() }),
        Some("") => Err(PatternProblem::EmptyVariable),
        Some(name) if !name.chars().all(|it| it.is_ascii_alphanumeric() || it == '_' || it == '-') => {
            Err(PatternProblem::VariableName { name: name.to_owned() })
        }
        Some(name) => Ok(Segment::Variable(name.into())),
    }
}

/// A path that is not in normal form never matches, so it is refused with the form to write instead.
fn check_normal(literal: &str, is_prefix: bool) -> Result<(), PatternProblem> {
    if is_prefix && literal.is_empty() {
        return Ok(());
    }
    let normal = NormalPath::read(literal).map_err(PatternProblem::Path)?;
    if normal.is_odd() {
        return Err(PatternProblem::ReadTwoWays);
    }
    // Braces are encoded by normalisation; here they can only be those of variables.
    let mut normal = normal.as_str().replace("%7B", "{").replace("%7D", "}");
    if is_prefix && normal.ends_with('/') {
        normal.pop();
    }
    if normal == literal {
        return Ok(());
    }
    if is_prefix {
        normal.push_str("/*");
    }
    Err(PatternProblem::NotNormal { normal })
}

fn trim(path: &str, options: PathOptions) -> &str {
    if options.ignore_trailing_slash { path.strip_suffix('/').unwrap_or(path) } else { path }
}

fn same(one: &str, other: &str, options: PathOptions) -> bool {
    if options.ignore_case { one.eq_ignore_ascii_case(other) } else { one == other }
}

fn below(prefix: &str, path: &str, options: PathOptions) -> bool {
    rest_below(prefix, path, options.ignore_case).is_some()
}

/// What follows a prefix that ends on a segment boundary: nothing, or a text that begins with `/`.
pub(crate) fn rest_below<'p>(prefix: &str, path: &'p str, ignore_case: bool) -> Option<&'p str> {
    let (head, rest) = path.split_at_checked(prefix.len())?;
    let is_same = if ignore_case { prefix.eq_ignore_ascii_case(head) } else { prefix == head };
    (is_same && (rest.is_empty() || rest.starts_with('/'))).then_some(rest)
}

fn template_matches(segments: &[Segment], path: &str, options: PathOptions) -> bool {
    // The last empty segment of a template is its trailing slash.
    let segments = match segments {
        [rest @ .., Segment::Literal(last)] if options.ignore_trailing_slash && last.is_empty() => rest,
        all => all,
    };
    let mut parts = trim(path, options).split('/').skip(1);
    let all = segments.iter().all(|segment| {
        parts.next().is_some_and(|part| match segment {
            Segment::Literal(literal) => same(literal, part, options),
            Segment::Variable(_) => !part.is_empty(),
        })
    });
    all && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::{PathPattern, PatternProblem, written};
    use crate::table::PathOptions;

    const STRICT: PathOptions = PathOptions { ignore_case: false, ignore_trailing_slash: false };
    const LOOSE: PathOptions = PathOptions { ignore_case: true, ignore_trailing_slash: true };

    #[track_caller]
    fn check(pattern: &str, options: PathOptions, taken: &[&str], refused: &[&str]) {
        let pattern = PathPattern::parse(pattern).unwrap();
        for path in taken {
            assert!(pattern.matches(path, options), "{pattern} must take {path}");
        }
        for path in refused {
            assert!(!pattern.matches(path, options), "{pattern} must not take {path}");
        }
    }

    #[test]
    fn near_misses_are_refused() {
        check("/a", STRICT, &["/a"], &["/a/", "/A", "/ab", "/", "/a/b"]);
        check("/a", LOOSE, &["/a", "/a/", "/A/"], &["/ab", "/", "/a/b"]);
        check("/", LOOSE, &["/"], &["/a"]);
        check("/a/*", STRICT, &["/a", "/a/", "/a/b/c"], &["/ab", "/A", "/"]);
        check("/a/*", LOOSE, &["/A", "/a/B"], &["/AB"]);
        check("/*", STRICT, &["/", "/a", "/a/b/"], &[]);
        check("/a/{id}/pdf", STRICT, &["/a/1/pdf"], &["/a//pdf", "/a/1/2/pdf", "/a/1/pdf/", "/a/1"]);
        check("/a/{id}", STRICT, &["/a/1"], &["/a/", "/a", "/a/1/"]);
        check("/a/{id}", LOOSE, &["/A/1/", "/a/1"], &["/a/", "/a", "/a/1/2"]);
        check("/a/{id}/", LOOSE, &["/A/1/", "/a/1"], &["/a/", "/a/1/2"]);
    }

    #[test]
    fn expressions_take_the_whole_path() {
        let strict = PathPattern::regex("/a|/b", STRICT).unwrap();
        assert!(
            strict.matches("/b", STRICT) && !strict.matches("/bc", STRICT) && !strict.matches("/b/", STRICT)
        );
        let loose = PathPattern::regex(r"/a/\d+/", LOOSE).unwrap();
        assert!(
            loose.matches("/A/1", LOOSE) && loose.matches("/a/12/", LOOSE) && !loose.matches("/a/1//", LOOSE)
        );
        assert_eq!(strict.to_string(), "/a|/b");
        assert!(matches!(PathPattern::regex("/a)|(/b", STRICT), Err(PatternProblem::Regex { .. })));
        assert_eq!(written(&super::anchored("x+").unwrap()), "x+");
    }

    #[test]
    fn texts_that_are_no_paths_say_why() {
        let problem = |text: &str| PathPattern::parse(text).unwrap_err();
        assert_eq!(problem("a"), PatternProblem::NotAbsolute);
        assert_eq!(problem("/a?b"), PatternProblem::Query);
        assert_eq!(problem("/a*"), PatternProblem::MisplacedStar);
        assert_eq!(problem("/*/a"), PatternProblem::MisplacedStar);
        assert_eq!(problem("/a/{id}/*"), PatternProblem::VariableInPrefix);
        assert_eq!(problem("/a/{id"), PatternProblem::UnclosedVariable { segment: "{id".into() });
        assert_eq!(problem("/a/}id{"), PatternProblem::UnclosedVariable { segment: "}id{".into() });
        assert_eq!(problem("/a/{id}.pdf"), PatternProblem::PartialVariable { segment: "{id}.pdf".into() });
        assert_eq!(problem("/a/{}"), PatternProblem::EmptyVariable);
        assert_eq!(problem("/a/{i d}"), PatternProblem::VariableName { name: "i d".into() });
        assert_eq!(problem("/{id}/{id}"), PatternProblem::DuplicateVariable { name: "id".into() });
        assert_eq!(problem("/a%2fb"), PatternProblem::ReadTwoWays);
        assert_eq!(problem("/a;b"), PatternProblem::ReadTwoWays);
        assert_eq!(problem("/a//b/{id}"), PatternProblem::NotNormal { normal: "/a/b/{id}".into() });
        assert_eq!(problem("/%7euser/*"), PatternProblem::NotNormal { normal: "/~user/*".into() });
        assert_eq!(problem("/a//*"), PatternProblem::NotNormal { normal: "/a/*".into() });
        assert_eq!(problem("/é"), PatternProblem::NotNormal { normal: "/%C3%A9".into() });
    }
}
