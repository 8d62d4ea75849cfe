//! From what was written to what it means: defaults filled in, names looked up, rules across keys.
//!
//! Every problem of every file is collected; a table is made only when there is no error.
//!
//! - `catalog`: names of one kind, and who uses them.
//! - `defaults`, `upstream`, `store`, `cohort`, `route`, `split`: the parts.
//! - `target`, `tls`, `host`, `method`, `network`, `path`, `rewrite`, `condition`, `end`: values with rules of their own.
//! - `shadow`, `compare`: copies, and how their answers are compared. `headers`, `place`, `list`: what their rules are made of.
//! - `failing`: fallback and breaker. `hashing`: one namespace of hash names. `safety`: who may write where, and which
//!   client keeps its arm.

mod catalog;
mod cohort;
mod compare;
mod condition;
mod defaults;
mod end;
mod failing;
mod hashing;
mod headers;
mod host;
mod list;
mod method;
mod network;
mod path;
mod place;
mod rewrite;
mod route;
mod safety;
mod shadow;
mod split;
mod store;
mod target;
mod tls;
mod upstream;

use crate::assemble::{Assembled, Parts, Unreachable};
use crate::problem::{Draft, Problems, Report};
use crate::source::{FileSet, SourceFile, Sources, Spot, Variables};
use crate::table::{Origin, RouteTable, UpstreamIndex};
use crate::written;
use crate::written::cohort::CohortTable;
use crate::written::defaults::DefaultsTable;
use crate::written::file::MainFile;
use crate::written::reader::{Field, Located, Named};
use crate::written::route::RouteEntry;
use crate::written::store::StoreTable;
use crate::written::upstream::UpstreamTable;

use catalog::Catalog;
use route::{Placed, Surroundings};

/// See [`RouteTable::parse`].
pub(crate) fn parse(files: &FileSet, variables: &Variables) -> (Option<RouteTable>, Report) {
    let sources = Sources::new(std::iter::once(&files.main).chain(&files.included));
    let mut problems = Problems::default();
    let written = Written::read(files, variables, &mut problems);
    let table = mean(&written, &sources, &mut problems);
    let report = problems.report(&sources);
    (table.filter(|_| !report.has_errors()), report)
}

/// See [`RouteTable::legacy_only`].
pub(crate) fn legacy_only(url: &str) -> (Option<RouteTable>, Report) {
    let file = SourceFile { name: "--legacy".to_owned(), text: url.to_owned() };
    let spot = Spot { file: 0, start: 0, end: url.len() };
    let mut problems = Problems::default();
    let target = target::parse(&Located { value: url.to_owned(), spot }, &mut problems);
    let table = target.map(|target| {
        let origin = Origin { file: file.name.as_str().into(), line: 1 };
        RouteTable::assemble(Parts {
            legacy: UpstreamIndex(0),
            timeouts: defaults::timeouts(&DefaultsTable::default()),
            max_body: None,
            trusted_proxies: Vec::new(),
            allow_empty: true,
            rewrite_answers: true,
            routes: Vec::new(),
            upstreams: vec![upstream::plain("legacy", target, origin)],
            stores: Vec::new(),
            cohorts: Vec::new(),
        })
        .table
    });
    (table, problems.report(&Sources::new([&file])))
}

/// Something is wrong, and its problem is told already.
pub(super) struct Told;

/// All files of a set, key by key.
struct Written {
    main: MainFile,
    upstreams: Vec<(Located<String>, Option<UpstreamTable>)>,
    stores: Vec<(Located<String>, Option<StoreTable>)>,
    cohorts: Vec<(Located<String>, Option<CohortTable>)>,
    routes: Vec<Located<RouteEntry>>,
    main_is_toml: bool,
    /// False when something could not be read, so that an unknown name may only be one not seen.
    complete: bool,
}

impl Written {
    fn read(files: &FileSet, variables: &Variables, problems: &mut Problems) -> Self {
        let main = written::main_file(&files.main.text, variables, problems);
        let mut written = Self {
            complete: main.is_some(),
            main_is_toml: main.is_some(),
            main: MainFile::default(),
            upstreams: Vec::new(),
            stores: Vec::new(),
            cohorts: Vec::new(),
            routes: Vec::new(),
        };
        if let Some(mut main) = main {
            written.main.version = std::mem::take(&mut main.version);
            written.main.defaults = std::mem::take(&mut main.defaults);
            written::check_patterns(main.include.value(), problems);
            written.add(main.upstreams, main.stores, main.cohorts, main.route);
        }
        for (place, file) in files.included.iter().enumerate() {
            match written::included_file(place + 1, &file.text, variables, problems) {
                Some(file) => written.add(file.upstreams, file.stores, file.cohorts, file.route),
                None => written.complete = false,
            }
        }
        written
    }

    fn add(
        &mut self,
        upstreams: Field<Named<UpstreamTable>>,
        stores: Field<Named<StoreTable>>,
        cohorts: Field<Named<CohortTable>>,
        routes: Field<Vec<Located<RouteEntry>>>,
    ) {
        self.complete &= !(upstreams.is_bad() || stores.is_bad() || cohorts.is_bad() || routes.is_bad());
        self.upstreams.extend(upstreams.into_value().map(|named| named.0).unwrap_or_default());
        self.stores.extend(stores.into_value().map(|named| named.0).unwrap_or_default());
        self.cohorts.extend(cohorts.into_value().map(|named| named.0).unwrap_or_default());
        self.routes.extend(routes.into_value().unwrap_or_default());
    }
}

fn mean(written: &Written, sources: &Sources<'_>, problems: &mut Problems) -> Option<RouteTable> {
    check_version(&written.main, problems);
    let complete = written.complete;
    let mut upstreams = Catalog::new("upstream", &written.upstreams, complete, problems);
    let mut stores = Catalog::new("store", &written.stores, complete, problems);
    let mut cohorts = Catalog::new("cohort", &written.cohorts, complete, problems);
    require_defaults(written, problems);
    let no_defaults = DefaultsTable::default();
    let defaults = written.main.defaults.value().unwrap_or(&no_defaults);
    let mut defaults = defaults::Defaults::of(defaults, &mut upstreams, problems);
    if let Some(spot) = written.main.defaults.spot()
        && problems.is_misspelt(spot, &["sticky"])
    {
        // Written after all: routes must not be told that they lack it.
        defaults.sticky = Field::Bad(spot);
    }

    let made_upstreams = upstreams.make(problems, |name, table, problems| {
        upstream::make(name, table, defaults.connect_timeout, sources, problems)
    });
    let made_stores = stores.make(problems, store::make);
    let shares = cohorts.make(problems, |name, table, problems| {
        Some(cohort::make(name, table, &defaults, sources, problems))
    });
    let surroundings = Surroundings {
        defaults: &defaults,
        upstreams: &mut upstreams,
        stores: &mut stores,
        cohorts: &mut cohorts,
        shares: &shares,
        sources,
    };
    let placed = route::make_all(&written.routes, surroundings, problems);
    hashing::check(&written.cohorts, &written.routes, problems);
    safety::check(&placed, &made_stores, problems);
    shadow::check(&placed, problems);
    failing::check(&placed, &made_stores, &made_upstreams, &written.upstreams, defaults.legacy, problems);
    if problems.has_errors() {
        // What is unused may only look so because of an error: a name misspelt where it is used.
        return None;
    }
    for unused in [upstreams.unused(), stores.unused(), cohorts.unused()] {
        for draft in unused {
            problems.push(draft);
        }
    }
    let spots: Vec<Spot> = placed.iter().map(|placed| placed.spots.name).collect();
    let assembled = RouteTable::assemble(Parts {
        legacy: defaults.legacy?,
        timeouts: defaults.timeouts,
        max_body: defaults.max_body,
        trusted_proxies: defaults.trusted_proxies,
        allow_empty: defaults.allow_empty,
        rewrite_answers: defaults.rewrite_answers,
        routes: placed.into_iter().map(|placed: Placed| placed.route).collect(),
        upstreams: made_upstreams.into_iter().collect::<Option<_>>()?,
        stores: made_stores.into_iter().collect::<Option<_>>()?,
        cohorts: shares.into_iter().map(|made| made?.cohort).collect::<Option<_>>()?,
    });
    Some(warn_unreachable(assembled, &spots, problems))
}

fn check_version(main: &MainFile, problems: &mut Problems) {
    if let Some(version) = main.version.good().filter(|version| version.value != 1) {
        let message = format!("`version` must be 1, found {}", version.value);
        problems.push(Draft::error("unknown-version", version.spot, message));
    }
}

fn require_defaults(written: &Written, problems: &mut Problems) {
    // A main file that is no TOML has had its problem.
    if written.main.defaults.is_absent() && written.main_is_toml {
        let spot = Spot { file: 0, start: 0, end: 0 };
        let draft = Draft::error("missing-legacy", spot, "`[defaults]` with `legacy` is missing");
        problems
            .push(draft.hint("name the upstream that answers what no route has taken: `legacy = \"NAME\"`"));
    }
}

fn warn_unreachable(assembled: Assembled, spots: &[Spot], problems: &mut Problems) -> RouteTable {
    let Assembled { table, unreachable } = assembled;
    for Unreachable { loser, winner } in unreachable {
        let (loses, wins) = (table.route(loser), table.route(winner));
        let message =
            format!("route `{}` can never match: `{}` takes all its requests", loses.name, wins.name);
        let draft = Draft::warning("unreachable-route", spots[loser.0 as usize], message);
        problems.push(draft.related(spots[winner.0 as usize], "takes all its requests"));
    }
    table
}
