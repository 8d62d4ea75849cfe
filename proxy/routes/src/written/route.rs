//! `[[route]]`

use super::compare::CompareTable;
use super::condition::{ConditionTable, PinTable};
use super::date::DateText;
use super::duration::Span;
use super::failing::FallbackTable;
use super::reader::{Located, Named};
use super::shadow::ShadowTable;
use super::size::MostBytes;
use super::sticky::StickyWord;
use super::table::table;
use super::word::{PathCase, TrailingSlash};
use crate::table::Share;

table! {
    /// A named slice of the HTTP surface, and where it goes.
    RouteEntry in "a route" {
        /// Unique; also the metric label.
        must name: String,
        /// `api.example.com` or `*.example.com`; any host when absent.
        may host: String,
        /// `/a` exact, `/a/*` and everything below it, `/a/{id}/pdf` template.
        may path: String,
        /// A regular expression for the whole path, instead of `path`.
        may path_regex: String,
        /// Methods taken, `GET` implies `HEAD`; all when absent.
        may methods: Vec<Located<String>>,
        /// Conditions, all of which must hold.
        may when: Vec<Located<ConditionTable>>,
        /// Name of the upstream the route moves to; needs `percent` or `cohort`.
        may to: String,
        /// Percent of clients that `to` answers, 0 to 100, at most three decimals.
        may percent: Share,
        /// Name of the cohort that holds percentage and key, instead of `percent`.
        may cohort: String,
        /// What identifies a client, that of `[defaults]` when absent.
        may sticky: Vec<Located<StickyWord>>,
        /// Former name, so that clients keep their place after a rename.
        may hash_as: String,
        /// Gives clients that have no sticky value a random id in the cookie named in `sticky`.
        may issue_cookie: bool,
        /// Name of the store behind the route.
        may store: String,
        /// Safe methods of this route change something: treated as unsafe everywhere.
        may side_effects: bool,
        /// Conditions that choose an arm whatever the share; the first that holds wins.
        may pin: Vec<Located<PinTable>>,
        /// From the end of a request to the head of its answer, that of `[defaults]` when absent.
        may timeout: Span,
        /// Longest silence within a body or an upgraded stream, that of `[defaults]` when absent.
        may idle_timeout: Span,
        /// Longest body of a request, that of `[defaults]` when absent.
        may max_body: MostBytes,
        /// Name of the upstream of the legacy arm, that of `[defaults]` when absent.
        may legacy: String,
        /// What changes on the way to the upstream.
        may rewrite: RewriteTable,
        /// Whether addresses and cookies in answers are made to fit the public ones, as in `[defaults]` when absent.
        may rewrite_answers: bool,
        /// When a request that the candidate cannot answer goes to legacy.
        may fallback: FallbackTable,
        /// A copy of some requests goes to the arm that did not answer.
        may shadow: ShadowTable,
        /// How the two answers to a shadowed request are compared.
        may compare: CompareTable,
        /// Announced end of life (RFC 8594).
        may sunset: SunsetTable,
        /// 410 Gone for everybody.
        may retire: RetireTable,
        /// Free words for people: owner, ticket.
        may meta: Named<String>,
        /// Whether upper and lower case differ in paths, as in `[defaults]` when absent.
        may path_case: PathCase,
        /// Whether a slash at the end of a path counts, as in `[defaults]` when absent.
        may trailing_slash: TrailingSlash,
    }
    later ["ramp", "collision", "retry"]
    hints [
        "name" => "the name is the metric label, and what `banyan shift` is told",
        "version" => "`version` belongs at the top of the main file, before the first table",
        "include" => "`include` belongs at the top of the main file, before the first table",
        "share" => "did you mean `percent`?",
        "weight" => "did you mean `percent`?",
        "upstream" => "did you mean `to`?",
        "candidate" => "did you mean `to`?",
        "prefix" => "write `path = \"/a/*\"` for everything below `/a`",
        "regex" => "did you mean `path_regex`?",
        "match" => "did you mean `when`?",
        "conditions" => "did you mean `when`?",
        "header" => "write `when = [{ header = \"NAME\", equals = \"VALUE\" }]`",
        "headers" => "write `when = [{ header = \"NAME\", equals = \"VALUE\" }]`",
        "query" => "write `when = [{ query = \"NAME\", equals = \"VALUE\" }]`",
        "cookie" => "write `when = [{ cookie = \"NAME\", equals = \"VALUE\" }]`",
        "retired" => "did you mean `retire = {}`?",
        "strip_prefix" => "write `rewrite = { strip_prefix = \"/a\" }`",
        "add_prefix" => "write `rewrite = { add_prefix = \"/a\" }`",
        "breaker" => "`breaker` belongs to the upstream",
        "max_requests" => "`max_requests` belongs to the upstream",
        "connect_timeout" => "`connect_timeout` belongs to the upstream",
        "mirror" => "did you mean `shadow`?",
        "ignore" => "write `compare = { ignore = [...] }`",
    ]
}

table! {
    /// What changes on the way to the upstream.
    RewriteTable in "`rewrite`" {
        /// Which Host the upstream sees: `keep` (the client's), `upstream` (the target's own) or a name.
        may host: String,
        /// What the candidate's path lacks at its beginning: `/api/orders` makes `/api/orders/7` to `/7`.
        may strip_prefix: String,
        /// What the candidate's path begins with, after `strip_prefix`: `/v2` makes `/7` to `/v2/7`.
        may add_prefix: String,
    }
    later ["query"]
    hints [
        "" => "write it like `rewrite = { host = \"upstream\" }`",
        "path" => "write `strip_prefix`, `add_prefix` or both",
        "prefix" => "write `strip_prefix`, `add_prefix` or both",
        "answers" => "write `rewrite_answers = false` beside `rewrite`, not in it",
        "location" => "answers are made to fit unless the route says `rewrite_answers = false`",
        "cookies" => "answers are made to fit unless the route says `rewrite_answers = false`",
    ]
}

table! {
    /// Announced end of life (RFC 8594).
    SunsetTable in "`sunset`" {
        /// Last day, `2027-06-30`, or moment, `2027-06-30T12:00:00Z`.
        must date: DateText,
        /// Where to read more.
        may link: String,
    }
    later []
    hints [
        "" => "write it like `sunset = { date = \"2027-06-30\" }`",
        "date" => "write it like `date = \"2027-06-30\"`",
    ]
}

table! {
    /// 410 Gone.
    RetireTable in "`retire`" {
        /// Where to read more.
        may link: String,
    }
    later []
    hints [
        "" => "write `retire = {}`, or `retire = { link = \"https://example.com/v2\" }`",
        "date" => "`date` belongs in `sunset`: a retired route is gone now",
    ]
}
