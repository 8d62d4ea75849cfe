//! The index against a matcher that tries every route, on random tables and requests.

use std::fmt::Write as _;

use proptest::prelude::*;

use crate::world::{Ask, table, warnings};

/// A route as the test knows it: each flag is one key of the file.
#[allow(clippy::struct_excessive_bools)]
#[derive(Debug, Clone)]
struct Spec {
    host: Option<&'static str>,
    path: PathSpec,
    loose_case: bool,
    loose_slash: bool,
    method: Option<&'static str>,
    header: Option<&'static str>,
    cookie: bool,
    query: bool,
}

#[derive(Debug, Clone)]
enum PathSpec {
    /// Segments; `*` is a variable; the last may be empty.
    Exact(Vec<&'static str>),
    Prefix(Vec<&'static str>),
    Regex(&'static str),
}

/// What an expression means, by hand.
type Meaning = fn(&[&str]) -> bool;

const EXPRESSIONS: [(&str, Meaning); 3] = [
    ("/a/.*", |parts| parts.len() > 1 && parts[0] == "a"),
    ("/[ab]+", |parts| {
        parts.len() == 1 && !parts[0].is_empty() && parts[0].chars().all(|it| "ab".contains(it))
    }),
    ("/.*b", |parts| parts.last().is_some_and(|last| last.ends_with('b'))),
];

fn segment() -> impl Strategy<Value = &'static str> {
    prop_oneof![3 => Just("a"), 3 => Just("b"), 1 => Just("A"), 1 => Just("ab")]
}

fn host() -> impl Strategy<Value = Option<&'static str>> {
    let names = ["x.example.com", "*.example.com", "*.com", "y.com"];
    prop_oneof![3 => Just(None), 2 => prop::sample::select(names.to_vec()).prop_map(Some)]
}

fn path() -> impl Strategy<Value = PathSpec> {
    let part = prop_oneof![3 => segment(), 1 => Just("*")];
    let exact =
        (prop::collection::vec(part, 1..4), prop::bool::weighted(0.2)).prop_map(|(mut parts, slash)| {
            if slash {
                parts.push("");
            }
            PathSpec::Exact(parts)
        });
    prop_oneof![
        5 => exact,
        4 => prop::collection::vec(segment(), 0..4).prop_map(PathSpec::Prefix),
        1 => (0..EXPRESSIONS.len()).prop_map(|at| PathSpec::Regex(EXPRESSIONS[at].0)),
    ]
}

fn spec() -> impl Strategy<Value = Spec> {
    let method = prop::option::weighted(0.3, prop::sample::select(vec!["GET", "POST"]));
    let header = prop::option::weighted(0.2, prop::sample::select(vec!["1", "2"]));
    let flag = || prop::bool::weighted(0.2);
    (host(), path(), flag(), flag(), method, header, flag(), flag()).prop_map(
        |(host, path, loose_case, loose_slash, method, header, cookie, query)| {
            // What an expression ignores is another matter: it has its own tests.
            let plain = matches!(path, PathSpec::Regex(_));
            let (loose_case, loose_slash) = (loose_case && !plain, loose_slash && !plain);
            Spec { host, path, loose_case, loose_slash, method, header, cookie, query }
        },
    )
}

fn specs() -> impl Strategy<Value = Vec<Spec>> {
    prop::collection::vec(spec(), 1..24)
}

/// A request: host, segments, method, header, cookie, query.
#[derive(Debug, Clone)]
struct Wish {
    host: &'static str,
    parts: Vec<&'static str>,
    method: &'static str,
    header: Option<&'static str>,
    cookie: bool,
    query: bool,
    /// Spelled with `//`, `/./` and `%61`.
    odd: bool,
}

fn wish() -> impl Strategy<Value = Wish> {
    let parts = (prop::collection::vec(segment(), 0..4), any::<bool>()).prop_map(|(mut parts, slash)| {
        if slash || parts.is_empty() {
            parts.push("");
        }
        parts
    });
    let host = prop::sample::select(vec!["", "x.example.com", "z.example.com", "y.com", "com"]);
    let method = prop::sample::select(vec!["GET", "HEAD", "POST"]);
    let header = prop::option::of(prop::sample::select(vec!["1", "2"]));
    (host, parts, method, header, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |(host, parts, method, header, cookie, query, odd)| Wish {
            host,
            parts,
            method,
            header,
            cookie,
            query,
            odd,
        },
    )
}

fn toml(specs: &[(usize, Spec)]) -> String {
    let mut text = String::new();
    for (name, spec) in specs {
        write!(text, "[[route]]\nname = \"r{name}\"\n").unwrap();
        if let Some(host) = spec.host {
            writeln!(text, "host = \"{host}\"").unwrap();
        }
        let joined = |parts: &[&str]| format!("/{}", parts.join("/"));
        match &spec.path {
            PathSpec::Exact(parts) => {
                let variable = |(at, part): (usize, &&str)| match *part {
                    "*" => format!("{{v{at}}}"),
                    literal => literal.to_owned(),
                };
                let parts: Vec<String> = parts.iter().enumerate().map(variable).collect();
                writeln!(text, "path = \"/{}\"", parts.join("/")).unwrap();
            }
            PathSpec::Prefix(parts) if parts.is_empty() => text.push_str("path = \"/*\"\n"),
            PathSpec::Prefix(parts) => writeln!(text, "path = \"{}/*\"", joined(parts)).unwrap(),
            PathSpec::Regex(regex) => writeln!(text, "path_regex = '{regex}'").unwrap(),
        }
        if spec.loose_case {
            text.push_str("path_case = \"insensitive\"\n");
        }
        if spec.loose_slash {
            text.push_str("trailing_slash = \"ignore\"\n");
        }
        if let Some(method) = spec.method {
            writeln!(text, "methods = [\"{method}\"]").unwrap();
        }
        let header = spec.header.map(|value| format!("{{ header = \"x-h\", equals = \"{value}\" }}"));
        let cookie = spec.cookie.then(|| "{ cookie = \"c\", equals = \"1\" }".to_owned());
        let query = spec.query.then(|| "{ query = \"q\", present = true }".to_owned());
        let when: Vec<_> = [header, cookie, query].into_iter().flatten().collect();
        if !when.is_empty() {
            writeln!(text, "when = [{}]", when.join(", ")).unwrap();
        }
    }
    text
}

fn numbered(specs: &[Spec]) -> Vec<(usize, Spec)> {
    specs.iter().cloned().enumerate().collect()
}

impl Wish {
    fn ask(&self) -> Ask {
        let path = format!("/{}", self.parts.join("/"));
        let path = if self.odd { path.replace('/', "//.//").replace('a', "%61") } else { path };
        let target = format!("{path}{}", if self.query { "?x=1&q" } else { "" });
        let mut ask = Ask::get(&target).host(self.host).method(self.method);
        if let Some(value) = self.header {
            ask = ask.header("x-h", value);
        }
        if self.cookie {
            ask = ask.header("cookie", "b=2; c=1");
        }
        ask
    }
}

impl Spec {
    fn takes(&self, wish: &Wish) -> bool {
        self.takes_host(wish.host)
            && self.takes_path(&wish.parts)
            && self.method.is_none_or(|it| it == wish.method || (it == "GET" && wish.method == "HEAD"))
            && self.header.is_none_or(|value| wish.header == Some(value))
            && (!self.cookie || wish.cookie)
            && (!self.query || wish.query)
    }

    fn takes_host(&self, host: &str) -> bool {
        match self.host {
            None => true,
            Some(name) => match name.strip_prefix('*') {
                Some(suffix) => host.len() > suffix.len() && host.ends_with(suffix),
                None => host == name,
            },
        }
    }

    fn takes_path(&self, parts: &[&str]) -> bool {
        let same = |wanted: &str, part: &str| {
            wanted == part || (self.loose_case && wanted.to_lowercase() == part.to_lowercase())
        };
        match &self.path {
            PathSpec::Regex(regex) => EXPRESSIONS.iter().any(|(text, takes)| text == regex && takes(parts)),
            PathSpec::Prefix(prefix) => {
                prefix.len() <= parts.len()
                    && prefix.iter().zip(parts).all(|(wanted, part)| same(wanted, part))
            }
            PathSpec::Exact(wanted) => {
                let trim = |parts: &[&'static str]| match parts {
                    [rest @ .., ""] if self.loose_slash => rest.to_vec(),
                    all => all.to_vec(),
                };
                let parts: Vec<&str> = match parts {
                    [rest @ .., ""] if self.loose_slash => rest.to_vec(),
                    all => all.to_vec(),
                };
                let wanted = trim(wanted);
                wanted.len() == parts.len()
                    && wanted.iter().zip(&parts).all(|(wanted, part)| match *wanted {
                        "*" => !part.is_empty(),
                        literal => same(literal, part),
                    })
            }
        }
    }

    /// Smaller is more specific.
    fn key(&self) -> impl Ord + PartialEq + Clone + use<> {
        let host = match self.host {
            None => (2, 0),
            Some(name) if name.starts_with('*') => (1, usize::MAX - name.len()),
            Some(_) => (0, 0),
        };
        let path = match &self.path {
            PathSpec::Exact(parts) if !parts.contains(&"*") => (0, Vec::new(), 0),
            PathSpec::Exact(parts) => (1, parts.iter().map(|part| *part == "*").collect(), 0),
            PathSpec::Prefix(parts) => {
                (2, Vec::new(), usize::MAX - parts.iter().map(|part| part.len() + 1).sum::<usize>())
            }
            PathSpec::Regex(_) => (3, Vec::new(), 0),
        };
        let headers = 2 - usize::from(self.header.is_some()) - usize::from(self.cookie);
        (host, path, self.method.is_none(), headers, !self.query)
    }
}

/// The best route that takes the request; the first of equals.
fn naive<'s>(specs: &'s [(usize, Spec)], wish: &Wish) -> Option<&'s (usize, Spec)> {
    specs.iter().filter(|(_, spec)| spec.takes(wish)).min_by_key(|(_, spec)| spec.key())
}

fn name(found: Option<&(usize, Spec)>) -> String {
    found.map_or_else(|| "default".to_owned(), |(name, _)| format!("r{name}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_index_finds_what_trying_every_route_finds(
        specs in specs(),
        wishes in prop::collection::vec(wish(), 1..40),
    ) {
        let specs = numbered(&specs);
        let table = table(&toml(&specs));
        for wish in wishes {
            let expected = name(naive(&specs, &wish));
            prop_assert_eq!(wish.ask().route(&table), expected, "{:?} in {}", wish, toml(&specs));
        }
    }

    #[test]
    fn file_order_decides_between_equals_only(specs in specs(), wish in wish(), turn in 0..24_usize) {
        let specs = numbered(&specs);
        let mut turned = specs.clone();
        turned.reverse();
        turned.rotate_left(turn % specs.len());
        let (one, other) = (naive(&specs, &wish), naive(&turned, &wish));
        prop_assert_eq!(wish.ask().route(&table(&toml(&specs))), name(one));
        prop_assert_eq!(wish.ask().route(&table(&toml(&turned))), name(other));
        prop_assert!(one.map(|it| it.1.key()) == other.map(|it| it.1.key()));
    }

    #[test]
    fn a_less_specific_route_changes_no_match(specs in specs(), wish in wish(), more in specs()) {
        let specs = numbered(&specs);
        let before = wish.ask().route(&table(&toml(&specs)));
        prop_assume!(before != "default");
        let winner = naive(&specs, &wish).map(|it| it.1.key());
        let weaker = more.into_iter().filter(|spec| Some(spec.key()) > winner);
        let weaker: Vec<_> = weaker.enumerate().map(|(at, spec)| (100 + at, spec)).collect();
        let first: Vec<_> = weaker.into_iter().chain(specs).collect();
        prop_assert_eq!(wish.ask().route(&table(&toml(&first))), before);
    }

    #[test]
    fn a_route_called_unreachable_never_matches(specs in specs(), wishes in prop::collection::vec(wish(), 1..40)) {
        let specs = numbered(&specs);
        let text = toml(&specs);
        let (table, warnings) = (table(&text), warnings(&text));
        for wish in wishes {
            let route = wish.ask().route(&table);
            let named = |message: &String| message.split('`').nth(1) == Some(&route);
            let lost = warnings.iter().any(|(code, message)| *code == "unreachable-route" && named(message));
            prop_assert!(!lost, "{} takes {:?} in {}", route, wish, text);
        }
    }

    #[test]
    fn explain_says_what_decide_says(specs in specs(), wish in wish()) {
        let table = table(&toml(&numbered(&specs)));
        let explanation = wish.ask().explain(&table);
        prop_assert_eq!(explanation.decision, wish.ask().decide(&table));
        let losers: Vec<_> = explanation.losers.iter().map(|it| Some(it.route)).collect();
        prop_assert!(!losers.contains(&explanation.decision.route));
    }
}

#[test]
fn routes_that_can_never_match_are_named() {
    let unreachable = |first: &str, second: &str| {
        let text = format!("[[route]]\nname = \"one\"\n{first}\n[[route]]\nname = \"two\"\n{second}\n");
        warnings(&text).iter().any(|(code, _)| *code == "unreachable-route")
    };
    let get = "methods = [\"GET\"]";
    let beta = "when = [{ header = \"x-beta\", equals = \"yes\" }]";
    for (first, second, expected) in [
        ("path = \"/a\"", "path = \"/a\"", true),
        ("path = \"/a\"", "path = \"/a/\"", false),
        ("path = \"/a\"\ntrailing_slash = \"ignore\"", "path = \"/a/\"", true),
        ("path = \"/a\"\npath_case = \"insensitive\"", "path = \"/A\"", true),
        ("path = \"/a\"", "path = \"/A\"\npath_case = \"insensitive\"", false),
        ("path = \"/a/{x}\"", "path = \"/a/{y}\"", true),
        ("path = \"/a/{x}\"", "path = \"/a/b\"", false),
        ("path_regex = '/\\d'", "path_regex = '/\\D'", false),
        (&format!("path = \"/a\"\n{get}"), &format!("path = \"/a\"\n{}", get.replace("GET", "HEAD")), true),
        (&format!("path = \"/a\"\n{get}"), "path = \"/a\"", false),
        (&format!("path = \"/a\"\n{beta}"), "path = \"/a\"", false),
        (&format!("path = \"/a\"\n{beta}"), &format!("path = \"/a\"\n{beta}"), true),
        ("path = \"/a\"\nhost = \"x.com\"", "path = \"/a\"", false),
    ] {
        assert_eq!(unreachable(first, second), expected, "{first}\n{second}");
    }
}
