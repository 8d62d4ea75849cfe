//! `[defaults]`

use super::duration::Span;
use super::reader::Located;
use super::size::MostBytes;
use super::sticky::StickyWord;
use super::table::table;
use super::word::{PathCase, TrailingSlash};

table! {
    /// What holds wherever a route or upstream does not say otherwise.
    DefaultsTable in "`[defaults]`" {
        /// Name of the upstream that answers whatever no route has taken.
        must legacy: String,
        /// What identifies a client; the first one present wins: `header:NAME`, `cookie:NAME`, `client-ip`.
        may sticky: Vec<Located<StickyWord>>,
        /// From the end of a request to the head of its answer, `60s` when absent.
        may timeout: Span,
        /// Longest silence within a body or an upgraded stream, `60s` when absent.
        may idle_timeout: Span,
        /// Longest wait for a TCP connection to an upstream, `5s` when absent.
        may connect_timeout: Span,
        /// Longest body of a request, `unlimited` when absent.
        may max_body: MostBytes,
        /// Peers whose `X-Forwarded-*` and `Forwarded` fields are believed: addresses or networks, none when absent.
        may trusted_proxies: Vec<Located<String>>,
        /// Whether upper and lower case differ in paths, `sensitive` when absent.
        may path_case: PathCase,
        /// Whether a slash at the end of a path counts, `strict` when absent.
        may trailing_slash: TrailingSlash,
        /// Whether a reload may leave no route at all, `false` when absent.
        may allow_empty: bool,
        /// Whether addresses and cookies in answers are made to fit the public ones, `true` when absent.
        may rewrite_answers: bool,
    }
    later ["collision", "fallback", "retry", "breaker"]
    hints [
        "" => "write `[defaults]`, and `legacy = \"NAME\"` below it",
        "legacy" => "name the upstream that answers what no route has taken: `legacy = \"NAME\"`",
        "shadow" => "`shadow` belongs to a route with `to`",
        "compare" => "`compare` belongs to a route with `to`",
        "percent" => "a share belongs to a route or a cohort",
        "upstream" => "did you mean `legacy`?",
        "route" => "routes are written as `[[route]]`",
    ]
}
