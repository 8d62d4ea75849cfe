//! Tables from text and requests in one line, through the public door.

use std::net::{IpAddr, Ipv4Addr};

use banyan_routes::{
    Decision, Explanation, FileSet, RequestParts, RouteTable, Severity, SourceFile, Variables,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

/// Upstreams `monolith` (legacy), `orders` and `catalog`; stores `shared`, `kept` and `cut`.
const HEAD: &str = r#"
version = 1
[defaults]
legacy = "monolith"
sticky = ["header:x-user-id"]
[upstreams.monolith]
targets = ["http://127.0.0.1:3000"]
[upstreams.orders]
targets = ["http://127.0.0.1:4001"]
[upstreams.catalog]
targets = ["http://127.0.0.1:4002"]
[stores.shared]
mode = "shared"
[stores.kept]
mode = "separate"
writer = "legacy"
[stores.cut]
mode = "separate"
writer = "candidate"
"#;

/// The table of these routes behind the usual head.
#[track_caller]
pub(crate) fn table(routes: &str) -> RouteTable {
    whole_table(&format!("{HEAD}{routes}"))
}

/// The table of a whole file; warnings are fine.
#[track_caller]
pub(crate) fn whole_table(text: &str) -> RouteTable {
    let main = SourceFile { name: "routes.toml".to_owned(), text: text.to_owned() };
    let (table, report) = RouteTable::parse(&FileSet { main, included: Vec::new() }, &Variables::new());
    let errors: Vec<_> = report.problems.iter().filter(|it| it.severity == Severity::Error).collect();
    table.unwrap_or_else(|| panic!("{errors:#?} in {text}"))
}

/// Codes and messages of the warnings about these routes.
#[track_caller]
pub(crate) fn warnings(routes: &str) -> Vec<(&'static str, String)> {
    let main = SourceFile { name: "routes.toml".to_owned(), text: format!("{HEAD}{routes}") };
    let (table, report) = RouteTable::parse(&FileSet { main, included: Vec::new() }, &Variables::new());
    assert!(table.is_some(), "{report:?}");
    report.problems.into_iter().map(|it| (it.code, it.message)).collect()
}

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) host: String,
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) client: IpAddr,
    pub(crate) fresh_id: u64,
}

impl Ask {
    /// `GET` of this target.
    pub(crate) fn get(target: &str) -> Self {
        let client = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let (host, headers) = (String::new(), HeaderMap::new());
        Self { method: Method::GET, host, target: target.to_owned(), headers, client, fresh_id: 7 }
    }

    pub(crate) fn method(mut self, method: &str) -> Self {
        self.method = method.parse().unwrap();
        self
    }

    pub(crate) fn host(mut self, host: &str) -> Self {
        host.clone_into(&mut self.host);
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        self
    }

    pub(crate) fn client(mut self, client: &str) -> Self {
        self.client = client.parse().unwrap();
        self
    }

    pub(crate) fn parts(&self) -> RequestParts<'_> {
        let Self { method, host, target, headers, client, fresh_id } = self;
        RequestParts { method, host, target, headers, client: *client, fresh_id: *fresh_id }
    }

    pub(crate) fn decide(&self, table: &RouteTable) -> Decision {
        table.decide(&self.parts())
    }

    pub(crate) fn explain(&self, table: &RouteTable) -> Explanation {
        table.explain(&self.parts())
    }

    /// Name of the route, or `default`.
    pub(crate) fn route(&self, table: &RouteTable) -> String {
        let route = self.decide(table).route;
        route.map_or_else(|| "default".to_owned(), |index| table.route(index).name.clone())
    }

    /// `route arm upstream reason`.
    pub(crate) fn told(&self, table: &RouteTable) -> String {
        let decision = self.decide(table);
        let upstream = decision.upstream.map_or("-", |it| table.upstream(it).name.as_str());
        format!("{} {} {upstream} {}", self.route(table), decision.arm.as_str(), decision.reason.as_str())
    }
}
