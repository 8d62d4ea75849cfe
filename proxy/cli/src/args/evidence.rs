//! The flags of `mismatches`, `record` and `replay`.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

use super::words::{Base, Ratio, Size, Time, parse_header};

/// `mismatches`
#[derive(Debug, Args)]
#[command(after_help = "Samples are kept without secrets: see docs/evidence.md.

Examples:
  banyan mismatches                        all routes, one line each
  banyan mismatches orders                 what differs, place by place
  banyan mismatches orders --sample 17     both answers side by side
  banyan mismatches orders --suggest       rules for what looks like noise")]
pub(crate) struct MismatchesArgs {
    /// Route [default: all of them, in short]
    pub(crate) route: Option<String>,
    /// Show a request and both its answers side by side
    #[arg(long, value_name = "ID", requires = "route")]
    pub(crate) sample: Option<u64>,
    /// Print rules for routes.toml for what looks like noise, to be reviewed before they are pasted
    #[arg(long, requires = "route", conflicts_with = "sample")]
    pub(crate) suggest: bool,
    /// Forget what was found, such as after a new build of the candidate
    #[arg(long, requires = "route", conflicts_with_all = ["sample", "suggest"])]
    pub(crate) reset: bool,
    /// For programs
    #[arg(long)]
    pub(crate) json: bool,
}

/// `record`
#[derive(Debug, Args)]
#[command(after_help = "One JSON object per line, without secrets. Exit code 6 when no request came in time.

Example: banyan record orders --out orders.jsonl --count 500 --for 10m")]
pub(crate) struct RecordArgs {
    /// Route [default: all that shadow]
    pub(crate) route: Option<String>,
    /// File to write, readable by you alone [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Most requests
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    pub(crate) count: usize,
    /// Longest time
    #[arg(long = "for", default_value = "60s", value_name = "TIME")]
    pub(crate) time: Time,
}

/// `replay`
#[derive(Debug, Args)]
#[command(
    after_help = "Asks both, one request after the other, and compares. Exit code 1 when mismatches and requests that
the candidate did not answer are more than RATIO of all, and when nothing could be compared.
A request that is not safe is left out unless --writes is given: BOTH do it then. It is not safe
by its method, by its route (`side_effects`: of --route, or noted down in a recording or sample),
or by a field such as X-HTTP-Method-Override.

Examples:
  banyan replay --legacy http://old:3000 --candidate http://new:4001 --jsonl orders.jsonl
  banyan replay --legacy https://old --candidate https://new --har shop.har --fail-over 0.01
  banyan replay --legacy http://old:3000 --candidate http://new:4001 --stored orders \\
      --routes routes.toml --route orders -H 'authorization: Bearer ...'"
)]
#[command(group(ArgGroup::new("requests").required(true).args(["har", "jsonl", "stored"])))]
pub(crate) struct ReplayArgs {
    /// Where legacy is
    #[arg(long, value_name = "URL")]
    pub(crate) legacy: Base,
    /// Where the candidate is
    #[arg(long, value_name = "URL")]
    pub(crate) candidate: Base,
    /// Ask what a browser or a proxy noted down (HAR 1.2)
    #[arg(long, value_name = "FILE")]
    pub(crate) har: Option<PathBuf>,
    /// Ask what `banyan record` wrote
    #[arg(long, value_name = "FILE")]
    pub(crate) jsonl: Option<PathBuf>,
    /// Ask the samples that a running proxy keeps of this route
    #[arg(long, value_name = "ROUTE")]
    pub(crate) stored: Option<String>,
    /// Compare by the rules of this route of --routes; it also says whether requests have effects
    #[arg(long, value_name = "NAME")]
    pub(crate) route: Option<String>,
    /// Largest ratio that is no failure, 0 to 1
    #[arg(long, default_value = "0", value_name = "RATIO")]
    pub(crate) fail_over: Ratio,
    /// Also requests that are not safe: each is done by both
    #[arg(long)]
    pub(crate) writes: bool,
    /// Field of every request, in place of its own; can be repeated
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = parse_header)]
    pub(crate) headers: Vec<(String, String)>,
    /// Longest wait for one answer
    #[arg(long, default_value = "10s", value_name = "TIME")]
    pub(crate) timeout: Time,
    /// Largest body that is compared
    #[arg(long, default_value = "256KiB", value_name = "SIZE")]
    pub(crate) max_body: Size,
    /// Authorities (PEM) that both certificates are verified by [default: those of the system]
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// For programs
    #[arg(long)]
    pub(crate) json: bool,
}
