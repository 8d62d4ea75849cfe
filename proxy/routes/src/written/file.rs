//! The top level of the main file and of included ones.

use super::cohort::CohortTable;
use super::defaults::DefaultsTable;
use super::reader::{Located, Named};
use super::route::RouteEntry;
use super::store::StoreTable;
use super::table::table;
use super::upstream::UpstreamTable;

table! {
    /// The main file, `routes.toml`.
    MainFile in "the main file" {
        /// Format of this file: 1.
        must version: u32,
        /// Glob patterns of files that hold more upstreams, stores, cohorts and routes, relative to this file.
        may include: Vec<Located<String>>,
        /// What holds wherever a route or upstream does not say otherwise.
        may defaults: DefaultsTable,
        /// Where answers come from, by name.
        may upstreams: Named<UpstreamTable>,
        /// Databases behind routes, by name.
        may stores: Named<StoreTable>,
        /// Routes that share one percentage and one bucket assignment, by name.
        may cohorts: Named<CohortTable>,
        /// Named slices of the HTTP surface, and where they go.
        may route: Vec<Located<RouteEntry>>,
    }
    later ["shadow", "compare"]
    hints [
        "version" => "write `version = 1` at the top",
        "legacy" => "`legacy` belongs in `[defaults]`",
        "sticky" => "`sticky` belongs in `[defaults]`",
        "timeout" => "`timeout` belongs in `[defaults]`",
        "idle_timeout" => "`idle_timeout` belongs in `[defaults]`",
        "trusted_proxies" => "`trusted_proxies` belongs in `[defaults]`",
        "listen" => "`listen` belongs to the process: a flag, `BANYAN_LISTEN` or `banyan.toml`",
        "admin" => "`admin` belongs to the process: a flag, `BANYAN_ADMIN` or `banyan.toml`",
        "threads" => "`threads` belongs to the process: a flag, `BANYAN_THREADS` or `banyan.toml`",
        "routes" => "routes are written as `[[route]]`, each with its `name`",
        "rules" => "routes are written as `[[route]]`, each with its `name`",
        "backends" => "did you mean `upstreams`?",
        "services" => "did you mean `upstreams`?",
    ]
}

table! {
    /// A file named by `include`.
    IncludedFile in "an included file" {
        /// Where answers come from, by name.
        may upstreams: Named<UpstreamTable>,
        /// Databases behind routes, by name.
        may stores: Named<StoreTable>,
        /// Routes that share one percentage and one bucket assignment, by name.
        may cohorts: Named<CohortTable>,
        /// Named slices of the HTTP surface, and where they go.
        may route: Vec<Located<RouteEntry>>,
    }
    later []
    hints [
        "version" => "`version` belongs in the main file only",
        "include" => "`include` belongs in the main file only: included files include nothing",
        "defaults" => "`[defaults]` belongs in the main file only",
    ]
}
