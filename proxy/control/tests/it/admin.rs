//! Who may ask the admin listener, and what it says of itself.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use banyan_control::api::{Explained, Refusal, Routes};
use banyan_control::{AdminError, AdminOptions, LoadError, Proxy, Registry, RunError};

use crate::site::{Answer, Site, ask, options, refused, routes};

fn get(site: &Site, path: &str, fields: &str) -> Answer {
    ask(site.admin, &format!("GET {path} HTTP/1.1\r\n{fields}"), "")
}

/// Status and code of a refusal, which is JSON always.
fn refusal(answer: &Answer) -> (u16, String) {
    let refusal: Refusal = serde_json::from_str(&answer.body).expect(&answer.body);
    assert_eq!(refusal.version, 1);
    (answer.status, refusal.code)
}

#[test]
fn a_foreign_host_is_refused() {
    let site = Site::start(&routes(0));
    let bound = site.admin.to_string();
    for host in ["localhost", "LOCALHOST:1", "127.0.0.1", "127.8.8.8:80", "[::1]:9900", &bound] {
        assert_eq!(get(&site, "/api/v1/config", &format!("Host: {host}\r\n")).status, 200, "{host}");
    }
    let foreign = ["evil.example", "localhost.evil.example", "10.0.0.1", "a@localhost", "", "127.0.0.1.evil"];
    for host in foreign {
        let answer = get(&site, "/api/v1/config", &format!("Host: {host}\r\n"));
        assert_eq!(refusal(&answer), (403, "foreign-host".to_owned()), "{host}");
    }
    let twice = get(&site, "/metrics", "Host: localhost\r\nHost: localhost\r\n");
    assert_eq!(refusal(&twice).0, 403);
    assert_eq!(refusal(&get(&site, "/metrics", "")).0, 403);
}

#[test]
fn a_name_may_be_added() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("routes.toml"), routes(0)).unwrap();
    let mut options = options(folder.path());
    options.admin.hosts = vec!["banyan.internal".to_owned()];
    let proxy = Proxy::start(options, &Registry::new()).unwrap();
    let head = "GET /healthz HTTP/1.1\r\nHost: Banyan.internal:9900\r\n";
    assert_eq!(ask(proxy.addresses().admin, head, "").status, 200);
}

#[test]
fn a_foreign_origin_is_refused() {
    let site = Site::start(&routes(0));
    let with = |origin: &str| {
        get(&site, "/api/v1/config", &format!("Host: localhost:7\r\nOrigin: {origin}\r\n")).status
    };
    assert_eq!(with("http://localhost:7"), 200);
    for foreign in
        ["http://evil.example", "http://localhost", "http://localhost:8", "null", "localhost:7", ""]
    {
        assert_eq!(with(foreign), 403, "{foreign}");
    }
}

#[test]
fn posts_are_json_of_bounded_length() {
    let site = Site::start(&routes(0));
    let post = |kind: &str, body: &str| {
        let head = format!("POST /api/v1/reload HTTP/1.1\r\nHost: localhost\r\n{kind}");
        ask(site.admin, &head, body)
    };
    assert_eq!(refusal(&post("", "{}")).0, 415);
    assert_eq!(refusal(&post("Content-Type: text/plain\r\n", "{}")).0, 415);
    assert_eq!(post("Content-Type: application/json; charset=utf-8\r\n", "").status, 200);
    assert_eq!(refusal(&site.post("/api/v1/reload", "{\"x\":1}")), (400, "json".to_owned()));
    assert_eq!(refusal(&site.post("/api/v1/announce", &" ".repeat(70_000))), (413, "body".to_owned()));
    assert_eq!(refusal(&get(&site, "/nothing", "Host: localhost\r\n")), (404, "not-found".to_owned()));
    assert_eq!(refusal(&get(&site, "/api/v1/reload", "Host: localhost\r\n")), (405, "method".to_owned()));
    assert_eq!(refusal(&get(&site, "/api/v1/history?limit=x", "Host: localhost\r\n")).0, 400);
}

#[test]
fn a_public_listener_wants_a_token() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("routes.toml"), routes(0)).unwrap();
    let with = |address: [u8; 4], token: Option<&str>| {
        let admin = AdminOptions {
            address: SocketAddr::from((address, 0)),
            token: token.map(str::to_owned),
            read_token: None,
            read_only: false,
            hosts: Vec::new(),
            certificate: None,
        };
        banyan_control::RunOptions { admin, ..options(folder.path()) }
    };
    let public = refused(with([0, 0, 0, 0], None));
    assert!(matches!(public, RunError::Admin(AdminError::PublicWithoutToken { .. })), "{public}");
    let empty = refused(with([127, 0, 0, 1], Some(" ")));
    assert!(matches!(empty, RunError::Admin(AdminError::EmptyToken)), "{empty}");

    let proxy = Proxy::start(with([0, 0, 0, 0], Some("s3cret")), &Registry::new()).unwrap();
    let admin = SocketAddr::from(([127, 0, 0, 1], proxy.addresses().admin.port()));
    let get = |path: &str, token: &str| {
        ask(admin, &format!("GET {path} HTTP/1.1\r\nHost: 10.1.2.3\r\n{token}"), "")
    };
    for path in ["/healthz", "/readyz"] {
        assert_eq!(get(path, "").status, 200);
    }
    for path in ["/metrics", "/api/v1/config"] {
        let none = get(path, "");
        assert_eq!(refusal(&none), (401, "token".to_owned()));
        assert!(none.head.contains("www-authenticate: bearer"), "{}", none.head);
        assert_eq!(get(path, "Authorization: Bearer s3cre\r\n").status, 401);
        assert_eq!(get(path, "Authorization: Basic s3cret\r\n").status, 401);
        assert_eq!(get(path, "Authorization: bearer s3cret\r\n").status, 200);
    }
}

/// Status of a change and of two readings, with this token.
fn allowed(admin: SocketAddr, token: &str) -> (u16, u16, u16) {
    let with = |head: &str, body: &str| {
        let head = format!("{head} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{token}");
        ask(admin, &head, body).status
    };
    let question = "{\"method\":\"GET\",\"target\":\"/\"}";
    let change = with("POST /api/v1/reload", "{}");
    (change, with("POST /api/v1/explain", question), with("GET /api/v1/config", ""))
}

#[test]
fn the_read_token_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("routes.toml"), routes(0)).unwrap();
    let start = |token: Option<&str>, read: Option<&str>, read_only: bool| {
        let mut options = options(folder.path());
        options.state_dir = None;
        options.admin.token = token.map(str::to_owned);
        options.admin.read_token = read.map(str::to_owned);
        options.admin.read_only = read_only;
        Proxy::start(options, &Registry::new())
    };
    let (all, reads) = ("Authorization: Bearer all\r\n", "Authorization: Bearer reads\r\n");
    let asked = |proxy: &Proxy, token: &str| allowed(proxy.addresses().admin, token);

    let both = start(Some("all"), Some("reads"), false).unwrap();
    assert_eq!(asked(&both, all), (200, 200, 200));
    assert_eq!(asked(&both, reads), (403, 200, 200));
    assert_eq!(asked(&both, ""), (401, 401, 401));
    let without_change = start(None, Some("reads"), false).unwrap();
    assert_eq!(asked(&without_change, reads), (403, 200, 200));
    assert_eq!(asked(&without_change, ""), (401, 401, 401));
    let read_only = start(Some("all"), None, true).unwrap();
    assert_eq!(asked(&read_only, all), (403, 200, 200));
    let open = start(None, None, false).unwrap();
    assert_eq!(asked(&open, ""), (200, 200, 200));
    let open_to_read = start(None, None, true).unwrap();
    assert_eq!(asked(&open_to_read, ""), (403, 200, 200));

    let same = start(Some("all"), Some("all"), false).err().unwrap();
    assert!(matches!(same, RunError::Admin(AdminError::SameTokens)), "{same}");
    let debug = format!(
        "{:?}",
        AdminOptions { read_token: Some("reads".to_owned()), ..options(folder.path()).admin }
    );
    assert!(!debug.contains("reads\""), "{debug}");
}

/// So many requests on one connection, without waiting for answers.
fn asked_at_once(admin: SocketAddr, times: usize) -> String {
    let mut stream = TcpStream::connect(admin).unwrap();
    let mut sending = stream.try_clone().unwrap();
    let requests = "GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(times - 1)
        + "GET /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let sender = std::thread::spawn(move || sending.write_all(requests.as_bytes()));
    let mut answers = String::new();
    stream.read_to_string(&mut answers).unwrap();
    sender.join().unwrap().unwrap();
    answers
}

#[test]
fn asking_too_often_is_refused_but_for_probes() {
    let site = Site::start(&routes(0));
    let answers = asked_at_once(site.admin, 2_000);
    assert!(answers.starts_with("HTTP/1.1 404"), "{answers}");
    let refused = answers.find("HTTP/1.1 429").expect("a rate without end is not taken");
    assert!(answers[refused..].contains("retry-after: 1"), "{}", &answers[refused..]);
    assert_eq!(get(&site, "/readyz", "Host: localhost\r\n").status, 200);
    site.until(crate::site::LONG, "counted, and soon answered again", |site| {
        let scrape = get(site, "/metrics", "Host: localhost\r\n");
        scrape.body.lines().any(|line| {
            line.strip_prefix("banyan_admin_requests_refused_total ").is_some_and(|count| count != "0")
        })
    });
}

#[test]
fn every_metric_of_a_scrape_is_on_the_page_of_metrics() {
    let site = Site::start(&routes(0));
    let scrape = get(&site, "/metrics", "Host: localhost\r\n").body;
    let types = scrape.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let listed = |name: &&str| banyan_gateway::METRICS.iter().any(|info| info.name == *name);
    let unlisted: Vec<&str> = types.filter(|name| !listed(name)).collect();
    assert!(unlisted.is_empty(), "name them in gateway/src/metrics/list.rs: {unlisted:?}");
}

/// Values from the environment decide; they are never told.
#[test]
fn no_answer_holds_a_value_from_the_environment() {
    const SECRET: &str = "kT9-only-in-the-environment";
    let folder = tempfile::tempdir().unwrap();
    let pin = "pin = [{ header = \"x-beta\", equals = \"${SECRET}\", to = \"candidate\" }]\n";
    let path = folder.path().join("routes.toml");
    std::fs::write(&path, routes(10) + pin).unwrap();
    let mut options = options(folder.path());
    options.variables = [("SECRET".to_owned(), SECRET.to_owned())].into_iter().collect();
    let proxy = Proxy::start(options, &Registry::new()).unwrap();
    let admin = proxy.addresses().admin;
    let ask = |head: &str, body: &str| {
        let head = format!("{head} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n");
        ask(admin, &head, body).body
    };
    let question = |value: &str| {
        let headers = format!("[[\"x-beta\",\"{value}\"],[\"x-user-id\",\"1\"]]");
        format!("{{\"method\":\"GET\",\"target\":\"/api/orders/1\",\"headers\":{headers}}}")
    };
    let explained: Explained = serde_json::from_str(&ask("POST /api/v1/explain", &question(SECRET))).unwrap();
    assert_eq!(explained.reason, "pin", "the value counts");
    // A change of the route, and a file with a problem right beside the value.
    std::fs::write(&path, routes(20) + pin).unwrap();
    let mut told = vec![ask("POST /api/v1/reload", "{}")];
    let text_hash = serde_json::from_str::<serde_json::Value>(&told[0]).unwrap()["text_hash"].clone();
    let set = format!("GET /api/v1/history/sets/{}", text_hash.as_str().unwrap());
    told.push(ask(&set, ""));
    std::fs::write(&path, routes(20) + &pin.replace("equals", "equal")).unwrap();
    told.push(ask("POST /api/v1/reload", "{}"));
    told.push(ask("POST /api/v1/explain", &question("another")));
    for path in ["/api/v1/config", "/api/v1/routes", "/api/v1/history", "/metrics"] {
        told.push(ask(&format!("GET {path}"), ""));
    }
    for answer in told {
        assert!(answer.len() > 2, "{answer}");
        assert!(!answer.contains(SECRET), "{answer}");
    }
}

#[test]
fn a_scrape_is_prometheus_text() {
    let site = Site::start(&routes(0));
    let answer = get(&site, "/metrics", "Host: localhost\r\n");
    assert!(answer.head.contains("content-type: text/plain; version=0.0.4"), "{}", answer.head);
    assert_eq!(site.metric("banyan_config_generation"), 1);
    let hash = site.config().hash;
    assert_eq!(site.metric(&format!("banyan_config_info{{hash=\"{hash}\"}}")), 1);
}

#[test]
fn readiness_fails_before_the_end() {
    let site = Site::start(&routes(0));
    let ready = |site: &Site| get(site, "/readyz", "Host: localhost\r\n").status;
    site.until(crate::site::LONG, "ready", |site| ready(site) == 200);
    site.proxy.fail_readiness();
    assert_eq!(ready(&site), 503);
    assert_eq!(get(&site, "/healthz", "Host: localhost\r\n").status, 200);
}

#[test]
fn a_bad_configuration_opens_no_port() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("routes.toml"), "garbage").unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut options = options(folder.path());
    options.admin.address = free;
    let error = refused(options);
    assert!(matches!(&error, RunError::Configuration(LoadError::Refused(report)) if report.has_errors()));
    assert!(TcpStream::connect(free).is_err());
    assert!(!folder.path().join("state").exists());
}

#[test]
fn routes_and_explanations_are_told() {
    let site = Site::start(&routes(100));
    let told: Routes = site.get("/api/v1/routes");
    let (orders, default) = (&told.routes[0], &told.routes[1]);
    assert_eq!((orders.name.as_str(), orders.stage.as_str()), ("orders", "extracted"));
    assert_eq!((orders.percent.as_deref(), orders.candidate.as_deref()), (Some("100"), Some("orders")));
    assert_eq!(orders.observed_share, None, "no data is no share");
    assert_eq!((default.name.as_str(), default.legacy.as_str()), ("default", "monolith"));

    let question = "{\"method\":\"GET\",\"target\":\"/api/orders/7\",\"headers\":[[\"x-user-id\",\"42\"]]}";
    let answer = site.post("/api/v1/explain", question);
    let explained: Explained = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((explained.route.as_str(), explained.arm.as_str()), ("orders", "candidate"));
    assert_eq!((explained.reason.as_str(), explained.percent.as_deref()), ("share", Some("100")));
    let nonsense = site.post("/api/v1/explain", "{\"method\":\"G T\",\"target\":\"/\"}");
    assert_eq!(refusal(&nonsense), (400, "question".to_owned()));
}
