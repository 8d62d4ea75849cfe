//! What `GET /api/v1/routes` counts, and since when.

use serde_json::Value;

use crate::site::{LONG, SOON, Site, ask, route, routes};

/// `orders` at this percent, and `carts` at 100.
fn text(percent: u32) -> String {
    format!("{}{}", routes(percent), route("carts", 100))
}

fn visit(site: &Site, name: &str, clients: u32) {
    let address = site.proxy.addresses().listen[0];
    for client in 0..clients {
        let head = format!("GET /api/{name}/7 HTTP/1.1\r\nHost: shop.example\r\nx-user-id: {client}\r\n");
        ask(address, &head, "");
    }
}

/// A route as it is told, by its name.
fn told(site: &Site, name: &str) -> Value {
    let answer: Value = site.get("/api/v1/routes");
    let routes = answer["routes"].as_array().unwrap();
    routes.iter().find(|route| route["name"] == name).unwrap().clone()
}

/// Requests of all arms: nobody serves the upstreams, so Banyan answers many itself.
fn sum(route: &Value, of: &str) -> u64 {
    route["arms"].as_object().unwrap().values().map(|arm| arm[of].as_u64().unwrap()).sum()
}

fn slowest(route: &Value) -> Option<f64> {
    route["arms"].as_object().unwrap().values().filter_map(|arm| arm["p99_seconds"].as_f64()).reduce(f64::max)
}

fn counted(site: &Site, name: &str, requests: u64) {
    site.until(LONG, "counted", |site| sum(&told(site, name), "requests") == requests);
}

/// After a shift the old share's clients would make a mixture that nobody set.
#[test]
fn a_shift_begins_to_count_anew() {
    let site = Site::start(&text(100));
    visit(&site, "orders", 20);
    visit(&site, "carts", 10);
    counted(&site, "orders", 20);
    counted(&site, "carts", 10);
    let (orders, carts) = (told(&site, "orders"), told(&site, "carts"));
    assert_eq!((orders["observed_share"].as_f64(), sum(&orders, "errors")), (Some(1.0), 20));
    assert!(slowest(&orders).is_some());

    site.write("routes.toml", &text(0));
    site.until(SOON, "in force", |site| site.config().generation == 2);
    let shifted = told(&site, "orders");
    assert_eq!(shifted["observed_share"], Value::Null);
    assert_eq!((sum(&shifted, "requests"), sum(&shifted, "errors"), slowest(&shifted)), (0, 0, None));
    assert_eq!(shifted["counted_since"].as_str(), Some(site.config().since.as_str()));
    assert_eq!(told(&site, "carts"), carts, "it was not shifted, and counts on");
    assert!(carts["counted_since"].as_str() < shifted["counted_since"].as_str());

    visit(&site, "orders", 5);
    counted(&site, "orders", 5);
    assert_eq!(told(&site, "orders")["observed_share"].as_f64(), Some(0.0));
}

#[test]
fn a_rollback_begins_to_count_anew_and_so_does_its_end() {
    let site = Site::start(&text(100));
    for path in ["/api/v1/rollback", "/api/v1/rollback/end"] {
        visit(&site, "orders", 3);
        counted(&site, "orders", 3);
        assert_eq!(site.post(path, "{\"who\":\"ann\",\"why\":null}").status, 200);
        assert_eq!(sum(&told(&site, "orders"), "requests"), 0, "{path}");
    }
}

#[test]
fn a_route_that_comes_again_begins_anew() {
    let site = Site::start(&text(100));
    visit(&site, "carts", 3);
    counted(&site, "carts", 3);
    for (generation, text) in [(2, routes(100)), (3, text(100))] {
        site.write("routes.toml", &text);
        site.until(SOON, "in force", |site| site.config().generation == generation);
    }
    assert_eq!(sum(&told(&site, "carts"), "requests"), 0);
    visit(&site, "carts", 2);
    counted(&site, "carts", 2);
}
