//! The routes of a table arranged so that a match does not slow down with their number.
//!
//! Per host there is a tree of path segments for exact paths, templates and prefixes, and a list of what must be
//! tried one by one (regular expressions). Every route has a rank, its place in the order of precedence; a
//! search goes down the tree and keeps the best rank that fits. It visits no more nodes than the path has
//! prefixes in the tree, and allocates nothing.

use std::collections::HashMap;

use rustc_hash::FxBuildHasher;

use crate::path::split_at;
use crate::pattern::{PathPattern, Segment};
use crate::precedence;
use crate::table::{HostPattern, Route, RouteIndex};

/// Keys come from the configuration: what clients send is looked up and never kept, so that a quick hash does no harm.
type Map<V> = HashMap<Box<str>, V, FxBuildHasher>;

/// Longest literal segment that is looked up without regard to case; longer ones are tried one by one.
const LONGEST_FOLDED: usize = 128;

/// A route's place in the order of precedence: 0 is the most specific.
type Rank = u32;

/// See the module's description.
#[derive(Debug, Default)]
pub(crate) struct Index {
    by_rank: Box<[RouteIndex]>,
    exact_hosts: Map<Paths>,
    host_suffixes: Map<Paths>,
    any_host: Paths,
}

impl Index {
    /// Arranges routes that stand in file order.
    pub(crate) fn new(routes: &[Route]) -> Self {
        let mut order: Vec<usize> = (0..routes.len()).collect();
        order.sort_by(|&one, &other| precedence::order(&routes[one], &routes[other]));
        let mut index = Self::default();
        for (rank, &position) in order.iter().enumerate() {
            let route = &routes[position];
            index.host(&route.host).add(route, number(rank));
        }
        index.by_rank = order.into_iter().map(|position| RouteIndex(number(position))).collect();
        index
    }

    /// Routes from the most specific to the least.
    pub(crate) fn by_rank(&self) -> &[RouteIndex] {
        &self.by_rank
    }

    /// The most specific route for a host (as [`plain_host`] gives it) and a path in normal form that
    /// `accepts` the rest of the request.
    pub(crate) fn find(
        &self,
        routes: &[Route],
        host: &str,
        path: &str,
        accepts: impl Fn(&Route) -> bool,
    ) -> Option<RouteIndex> {
        let mut search = Search { index: self, routes, path, accepts, best: None };
        self.hosts(host).find_map(|paths| search.within(paths))
    }

    /// The paths of every host pattern that holds, the most specific first.
    fn hosts<'i>(&'i self, host: &'i str) -> impl Iterator<Item = &'i Paths> {
        let exact = self.exact_hosts.get(host);
        let dots = if self.host_suffixes.is_empty() { "" } else { host }.match_indices('.');
        let suffixes =
            dots.filter(|(at, _)| *at > 0).filter_map(|(at, _)| self.host_suffixes.get(&host[at..]));
        exact.into_iter().chain(suffixes).chain([&self.any_host])
    }

    fn host(&mut self, host: &HostPattern) -> &mut Paths {
        match host {
            HostPattern::Exact(name) => self.exact_hosts.entry(name.clone()).or_default(),
            HostPattern::Suffix(suffix) => self.host_suffixes.entry(suffix.clone()).or_default(),
            HostPattern::Any => &mut self.any_host,
        }
    }
}

/// A host as routes are matched by: lower case, no port, no dot at the end (RFC 9110, section 4.2.3).
///
/// The buffer is used only when there are capitals. A host longer than any name can be is like none.
pub(crate) fn plain_host<'h>(host: &'h str, buffer: &'h mut [u8; 256]) -> &'h str {
    let colon = host.bytes().rposition(|byte| byte == b':').filter(|_| !host.ends_with(']'));
    let name = colon.map_or(host, |colon| &host[..colon]);
    let name = name.strip_suffix('.').unwrap_or(name);
    if !name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return name;
    }
    fold(name, buffer).unwrap_or_default()
}

/// The text in lower case, if it fits.
fn fold<'b>(text: &str, buffer: &'b mut [u8]) -> Option<&'b str> {
    let folded = buffer.get_mut(..text.len())?;
    folded.copy_from_slice(text.as_bytes());
    folded.make_ascii_lowercase();
    str::from_utf8(folded).ok()
}

/// The routes of one host.
#[derive(Debug, Default)]
struct Paths {
    /// Compared as they are.
    strict: Tree,
    /// Those with options: without regard to case and trailing slash, then checked one by one.
    loose: Tree,
    /// Tried one by one.
    others: Vec<Rank>,
}

impl Paths {
    fn add(&mut self, route: &Route, rank: Rank) {
        let options = route.path_options;
        let loose = options.ignore_case || options.ignore_trailing_slash;
        let too_long = |name: &&str| loose && name.len() > LONGEST_FOLDED;
        let (steps, is_prefix) = match &route.path {
            PathPattern::Regex(_) => return self.others.push(rank),
            PathPattern::Exact(path) => (literals(path), false),
            PathPattern::Prefix(prefix) => (literals(prefix), true),
            PathPattern::Template(segments) => (segments.iter().map(step).collect(), false),
        };
        if steps.iter().flatten().any(too_long) {
            return self.others.push(rank);
        }
        let tree = if loose { &mut self.loose } else { &mut self.strict };
        tree.add(&steps, loose, is_prefix, rank);
    }
}

/// A literal segment, or `None` for a variable.
type Step<'p> = Option<&'p str>;

fn step(segment: &Segment) -> Step<'_> {
    match segment {
        Segment::Literal(name) => Some(name),
        Segment::Variable(_) => None,
    }
}

fn literals(path: &str) -> Vec<Step<'_>> {
    path.split('/').skip(1).map(Some).collect()
}

/// A tree of segments. A node's number is its place in the list; the root is 0.
#[derive(Debug)]
struct Tree {
    nodes: Vec<Node>,
}

impl Default for Tree {
    fn default() -> Self {
        Self { nodes: vec![Node::default()] }
    }
}

#[derive(Debug, Default)]
struct Node {
    literals: Map<u32>,
    variable: Option<u32>,
    /// Exact paths and templates that end here, best first.
    ends: Vec<Rank>,
    /// Prefixes that end here, best first.
    prefixes: Vec<Rank>,
}

impl Tree {
    fn add(&mut self, steps: &[Step<'_>], loose: bool, is_prefix: bool, rank: Rank) {
        let steps = match steps {
            [rest @ .., Some("")] if loose => rest,
            all => all,
        };
        let mut at = 0;
        for step in steps {
            at = self.child(at, *step, loose);
        }
        let node = &mut self.nodes[at];
        if is_prefix { node.prefixes.push(rank) } else { node.ends.push(rank) }
    }

    fn child(&mut self, parent: usize, step: Step<'_>, loose: bool) -> usize {
        let new = number(self.nodes.len());
        let node = &mut self.nodes[parent];
        let child = match step {
            Some(name) => {
                let key = if loose { name.to_ascii_lowercase() } else { name.to_owned() };
                *node.literals.entry(key.into()).or_insert(new)
            }
            None => *node.variable.get_or_insert(new),
        };
        if child == new {
            self.nodes.push(Node::default());
        }
        child as usize
    }
}

struct Search<'s, F> {
    index: &'s Index,
    routes: &'s [Route],
    path: &'s str,
    accepts: F,
    best: Option<Rank>,
}

impl<F: Fn(&Route) -> bool> Search<'_, F> {
    fn within(&mut self, paths: &Paths) -> Option<RouteIndex> {
        self.descend(&paths.strict, 0, self.path.strip_prefix('/'), false);
        if paths.loose.nodes.len() > 1 || !paths.loose.nodes[0].is_empty() {
            let path = self.path.strip_suffix('/').unwrap_or(self.path);
            self.descend(&paths.loose, 0, path.strip_prefix('/'), true);
        }
        self.offer(&paths.others, true);
        self.best.map(|rank| self.index.by_rank[rank as usize])
    }

    /// `rest` is what follows the slash after this node; `None` when the path ends here.
    fn descend(&mut self, tree: &Tree, at: u32, rest: Option<&str>, loose: bool) {
        let node = &tree.nodes[at as usize];
        match rest {
            None => self.offer(&node.ends, loose),
            Some(rest) => {
                let (segment, rest) = split_at(rest, b'/');
                if let Some(child) = node.literal(segment, loose) {
                    self.descend(tree, child, rest, loose);
                }
                if let Some(child) = node.variable.filter(|_| !segment.is_empty()) {
                    self.descend(tree, child, rest, loose);
                }
            }
        }
        self.offer(&node.prefixes, loose);
    }

    /// Takes the first of `ranks` that fits, if it is better than the best so far.
    fn offer(&mut self, ranks: &[Rank], check_path: bool) {
        let better = ranks.iter().take_while(|&&rank| self.best.is_none_or(|best| rank < best));
        let fitting = better.copied().find(|&rank| {
            let route = &self.routes[self.index.by_rank[rank as usize].0 as usize];
            (self.accepts)(route) && (!check_path || route.path.matches(self.path, route.path_options))
        });
        self.best = fitting.or(self.best);
    }
}

impl Node {
    fn literal(&self, segment: &str, loose: bool) -> Option<u32> {
        if self.literals.is_empty() {
            return None;
        }
        if !loose {
            return self.literals.get(segment).copied();
        }
        self.literals.get(fold(segment, &mut [0; LONGEST_FOLDED])?).copied()
    }

    fn is_empty(&self) -> bool {
        self.ends.is_empty() && self.prefixes.is_empty()
    }
}

fn number(position: usize) -> u32 {
    u32::try_from(position).expect("a configuration of four thousand million lines does not fit into memory")
}

#[cfg(test)]
mod tests {
    use super::plain_host;

    #[test]
    fn hosts_are_compared_without_port_case_and_last_dot() {
        for (sent, expected) in [
            ("", ""),
            ("Example.COM:8080", "example.com"),
            ("example.com.", "example.com"),
            ("example.com.:80", "example.com"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
            ("[2001:DB8::1]", "[2001:db8::1]"),
        ] {
            assert_eq!(plain_host(sent, &mut [0; 256]), expected, "{sent}");
        }
        assert_eq!(plain_host(&"A".repeat(300), &mut [0; 256]), "");
    }
}
