//! Shift, roll back and undo by the forms of the dashboard, on real files.

use std::fs;

use serde_json::Value;

use crate::browser::{Browser, TOKEN, guarded};
use crate::site::{Site, ask, head, route, routes};

/// The newest line of the history.
fn newest(browser: &Browser) -> Value {
    let answer = browser.get("/api/v1/history?limit=1");
    serde_json::from_str::<Value>(&answer.body).unwrap()["entries"][0].clone()
}

fn text(site: &Site) -> String {
    fs::read_to_string(site.path("routes.toml")).unwrap()
}

fn config(browser: &Browser) -> Value {
    serde_json::from_str(&browser.get("/api/v1/config").body).unwrap()
}

fn read_only(site: &Site, is_so: bool) {
    let mut mode = fs::metadata(site.path("routes.toml")).unwrap().permissions();
    mode.set_readonly(is_so);
    fs::set_permissions(site.path("routes.toml"), mode).unwrap();
}

const SHIFT: [(&str, &str); 3] = [("route", "orders"), ("percent", "25"), ("why", "first clients")];

#[test]
fn a_shift_is_seen_before_and_after() {
    let site = guarded(&routes(10));
    let browser = Browser::sign_in(&site, TOKEN);
    let plan = browser.plan("action=shift&route=orders&percent=25");
    assert_eq!(plan["title"], "orders");
    assert_eq!(plan["command"], "banyan shift orders 25");
    let moved = &plan["moves"][0];
    assert_eq!(
        (&moved["route"], &moved["from"], &moved["to"], &moved["clients"], &moved["to_candidate"]),
        (&"orders".into(), &"10".into(), &"25".into(), &"15".into(), &true.into())
    );
    let difference = plan["difference"].as_str().unwrap();
    assert!(difference.contains("-percent = 10\n+percent = 25\n"), "{difference}");
    assert_eq!((&plan["refused"], &plan["in_memory"]), (&Value::Null, &Value::Null));
    assert_eq!(text(&site), routes(10), "a plan touches nothing");

    let (good, said) = browser.confirm("/actions/shift", &plan, &SHIFT);
    assert!(good, "{said}");
    assert_eq!(said, "orders 10 % -> 25 % (15 % of clients move to the candidate), generation 2");
    assert_eq!(text(&site), routes(25));
    let entry = newest(&browser);
    assert_eq!((&entry["who"], &entry["why"]), (&"ann".into(), &"first clients".into()));
    assert_eq!((&entry["generation"], &entry["routes"][0]), (&2.into(), &"orders".into()));
}

#[test]
fn a_plan_of_other_files_is_refused() {
    let site = guarded(&routes(10));
    let browser = Browser::sign_in(&site, TOKEN);
    let plan = browser.plan("action=shift&route=orders&percent=25");
    let theirs = format!("{}# by hand\n", routes(10));
    site.write("routes.toml", &theirs);
    let (good, said) = browser.confirm("/actions/shift", &plan, &SHIFT);
    assert!(!good && said.contains("changed since this was worked out"), "{said}");
    assert_eq!(text(&site), theirs);
    // Neither is it the plan of something else.
    let plan = browser.plan("action=shift&route=orders&percent=24");
    assert!(!browser.confirm("/actions/shift", &plan, &SHIFT).0);
    assert_eq!(text(&site), theirs);
}

#[test]
fn nothing_to_do_and_nobody_to_do_it_to() {
    let site = guarded(&routes(10));
    let browser = Browser::sign_in(&site, TOKEN);
    let code = |query: &str| browser.plan(query)["refused"]["code"].as_str().unwrap().to_owned();
    assert_eq!(code("action=shift&route=orders&percent=10"), "unchanged");
    assert_eq!(code("action=shift&route=carts&percent=10"), "no-such-route");
    assert_eq!(code("action=rollback&route=carts"), "no-such-route");
    assert_eq!(code("action=undo"), "nothing-to-undo");
    for wrong in
        ["action=shift&route=orders&percent=101", "action=shift&percent=1", "action=x", "route=orders"]
    {
        assert_eq!(browser.get(&format!("/api/v1/plan?{wrong}")).status, 400, "{wrong}");
    }
}

#[test]
fn a_cohort_moves_whole() {
    let cohort = "\n[cohorts.checkout]\npercent = 10\n";
    let routes =
        ["orders", "carts"].map(|name| route(name, 0).replace("percent = 0", "cohort = \"checkout\""));
    let site = guarded(&format!("{}{cohort}{}", head(), routes.concat()));
    let browser = Browser::sign_in(&site, TOKEN);
    let plan = browser.plan("action=shift&route=carts&percent=25");
    assert_eq!(plan["title"], "cohort checkout");
    let moved: Vec<&str> =
        plan["moves"].as_array().unwrap().iter().filter_map(|moved| moved["route"].as_str()).collect();
    assert_eq!(moved, ["orders", "carts"]);
    assert_eq!(plan["warnings"][0], "cohort checkout moves together: orders, carts");
    let fields = [("route", "carts"), ("percent", "25")];
    let (good, said) = browser.confirm("/actions/shift", &plan, &fields);
    assert!(good, "{said}");
    assert!(text(&site).contains("[cohorts.checkout]\npercent = 25\n"), "{}", text(&site));
    assert_eq!(
        newest(&browser)["routes"].as_array().unwrap().len(),
        newest(&browser)["changes"].as_array().unwrap().len()
    );
}

#[test]
fn a_rollback_of_all_and_its_undo() {
    let both = format!("{}{}", routes(10), route("carts", 40));
    let site = guarded(&both);
    let browser = Browser::sign_in(&site, TOKEN);
    let plan = browser.plan("action=rollback");
    assert_eq!((&plan["title"], &plan["command"]), (&"every share".into(), &"banyan rollback --all".into()));
    assert_eq!(plan["moves"].as_array().unwrap().len(), 2);
    assert_eq!(plan["moves"][1]["to_candidate"], false);
    let (good, said) = browser.confirm("/actions/rollback", &plan, &[("why", "errors")]);
    assert!(good, "{said}");
    assert_eq!(
        text(&site),
        both.replace("percent = 10", "percent = 0").replace("percent = 40", "percent = 0")
    );

    let plan = browser.plan("action=undo");
    assert_eq!((&plan["title"], &plan["command"]), (&"the last change".into(), &"banyan undo".into()));
    let (good, said) = browser.confirm("/actions/undo", &plan, &[]);
    assert!(good && said.contains("carts 0 % -> 40 %"), "{said}");
    assert_eq!(text(&site), both);
}

#[test]
fn a_file_that_cannot_be_written_is_rolled_back_in_memory() {
    let site = guarded(&routes(50));
    let browser = Browser::sign_in(&site, TOKEN);
    read_only(&site, true);
    let shift = browser.plan("action=shift&route=orders&percent=25");
    assert_eq!(shift["refused"]["code"], "cannot-write");
    let plan = browser.plan("action=rollback&route=orders");
    assert_eq!(plan["refused"], Value::Null);
    assert!(plan["in_memory"].as_str().unwrap().contains("read-only"), "{plan}");
    assert_eq!((&plan["moves"][0]["from"], &plan["moves"][0]["to"]), (&"50".into(), &"0".into()));
    let (good, said) = browser.confirm("/actions/rollback", &plan, &[("route", "orders"), ("why", "errors")]);
    assert!(good && said.contains("held in memory"), "{said}");
    assert_eq!((text(&site), &config(&browser)["floor"]), (routes(50), &true.into()));
    let entry = newest(&browser);
    assert_eq!(
        (&entry["kind"], &entry["who"], &entry["why"]),
        (&"rollback".into(), &"ann".into(), &"errors".into())
    );
    let board: Value = serde_json::from_str(&browser.get("/api/v1/board").body).unwrap();
    let row = &board["rows"][0];
    assert_eq!(
        (&row["percent"], &row["percent_in_files"], &row["floor"]),
        (&"0".into(), &"50".into(), &true.into())
    );
    assert_eq!((&board["rows"][1]["floor"], &board["totals"]["floor"]), (&false.into(), &true.into()));

    let plan = browser.plan("action=undo");
    assert_eq!((&plan["moves"][0]["from"], &plan["moves"][0]["to"]), (&"0".into(), &"50".into()));
    let (good, said) = browser.confirm("/actions/undo", &plan, &[]);
    assert!(good, "{said}");
    assert_eq!(config(&browser)["floor"], false);
    read_only(&site, false);
}

/// Whatever the share was when the page was shown: it goes to 0.
#[test]
fn a_rollback_does_not_mind_a_newer_file() {
    let site = guarded(&routes(10));
    let browser = Browser::sign_in(&site, TOKEN);
    let plan = browser.plan("action=rollback&route=orders");
    site.write("routes.toml", &routes(50));
    let (good, said) = browser.confirm("/actions/rollback", &plan, &[("route", "orders")]);
    assert!(good, "{said}");
    assert_eq!(text(&site), routes(0));
}

#[test]
fn a_shift_does_not_lift_a_rollback_unasked() {
    let site = guarded(&format!("{}{}", routes(50), route("carts", 10)));
    let browser = Browser::sign_in(&site, TOKEN);
    let head = "POST /api/v1/rollback HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    let head = format!("{head}Authorization: Bearer {TOKEN}\r\n");
    let rolled = ask(site.admin, &head, "{\"who\":\"bob\",\"why\":null,\"route\":\"orders\"}");
    assert_eq!(rolled.status, 200, "{}", rolled.body);
    let plan = browser.plan("action=shift&route=carts&percent=20");
    assert_eq!(plan["refused"]["code"], "floor");
    assert!(plan["refused"]["message"].as_str().unwrap().contains("orders at 50 %"), "{plan}");
    let plan = browser.plan("action=shift&route=carts&percent=20&lift_floor=true");
    assert_eq!(plan["refused"], Value::Null);
    assert_eq!(plan["moves"].as_array().unwrap().len(), 2, "what is put back is shown: {plan}");
    let fields = [("route", "carts"), ("percent", "20"), ("lift_floor", "yes")];
    assert!(browser.confirm("/actions/shift", &plan, &fields).0);
    assert_eq!(config(&browser)["floor"], false);
}

fn with_store(writer: &str, percent: u32) -> String {
    let own = route("orders", percent).replace("methods = [\"GET\"]\n", "store = \"orders\"\n");
    format!("{}\n[stores.orders]\nmode = \"separate\"\nwriter = \"{writer}\"\n{own}", head())
}

#[test]
fn a_separate_store_goes_back_only_when_forced() {
    let site = guarded(&with_store("candidate", 100));
    let browser = Browser::sign_in(&site, TOKEN);
    let plan = browser.plan("action=rollback&route=orders");
    assert_eq!(plan["refused"]["code"], "store");
    let all = browser.plan("action=rollback");
    assert_eq!(all["refused"]["code"], "unchanged", "{all}");
    let half = browser.plan("action=shift&route=orders&percent=50");
    assert_eq!(half["refused"]["code"], "invalid", "{half}");
    let forced = browser.plan("action=rollback&route=orders&force=true");
    assert!(forced["warnings"].as_array().unwrap().iter().any(|warning| {
        warning.as_str().unwrap().contains("legacy becomes the writer of store `orders` again")
    }));
    assert!(!browser.confirm("/actions/rollback", &forced, &[("route", "orders")]).0);
    let fields = [("route", "orders"), ("force", "yes")];
    let (good, said) = browser.confirm("/actions/rollback", &forced, &fields);
    assert!(good, "{said}");
    assert_eq!(text(&site), with_store("legacy", 0));
}

#[test]
fn somebody_elses_lock_is_waited_for_and_said() {
    let site = guarded(&routes(10));
    let browser = Browser::sign_in(&site, TOKEN);
    let folder = fs::File::open(site.folder.path()).unwrap();
    folder.lock().unwrap();
    assert_eq!(browser.plan("action=shift&route=orders&percent=25")["refused"]["code"], "locked");
    // An emergency does not wait.
    let plan = browser.plan("action=rollback&route=orders");
    assert!(plan["in_memory"].as_str().unwrap().contains("lock"), "{plan}");
    let (good, said) = browser.confirm("/actions/rollback", &plan, &[("route", "orders")]);
    assert!(good && said.contains("held in memory"), "{said}");
    folder.unlock().unwrap();
    assert_eq!(config(&browser)["floor"], true);
}
