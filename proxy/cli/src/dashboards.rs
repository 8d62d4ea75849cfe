//! Three dashboards of Grafana, made from the list of metrics.
//!
//! - `query`: `PromQL` from the names in the list. `panel`: a panel, and what it shows. `grid`: where panels stand.
//! - `frame`: what every dashboard has: variables, links, changes of the configuration as annotations.
//! - `migration`, `route`, `proxy`: the dashboards themselves, as lists of panels.
//!
//! Panels ask raw metrics, not what `deploy/prometheus/rules.yml` records: so they need nothing but a scrape, follow the
//! zoom (`$__rate_interval`), and can be narrowed down to one replica, which recorded sums have forgotten.

mod frame;
mod grid;
mod migration;
mod panel;
mod proxy;
mod query;
mod route;

use serde_json::Value;

use frame::Frame;

/// A dashboard as a file for Grafana's provisioning.
pub(crate) struct Dashboard {
    /// Name of its file, and its fixed `uid` with `.json`.
    pub(crate) file: &'static str,
    /// What the file says.
    pub(crate) json: Value,
}

/// All of them.
pub(crate) fn all() -> [Dashboard; 3] {
    [
        Dashboard { file: "banyan-migration.json", json: migration::dashboard() },
        Dashboard { file: "banyan-route.json", json: route::dashboard() },
        Dashboard { file: "banyan-proxy.json", json: proxy::dashboard() },
    ]
}
