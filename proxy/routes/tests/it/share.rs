//! Shares: exact at the ends, fair between, and nobody flips back.

use banyan_routes::{Arm, BUCKETS, RouteTable};

use crate::world::{Ask, table};

const CLIENTS: u32 = 1_000_000;

fn at(percent: &str) -> RouteTable {
    table(&format!(
        "[[route]]\nname = \"r\"\npath = \"/r\"\nmethods = [\"GET\"]\nto = \"orders\"\npercent = {percent}"
    ))
}

fn client(id: u32) -> Ask {
    Ask::get("/r").header("x-user-id", &format!("user-{id}"))
}

#[test]
fn a_million_clients_never_flip_back_and_are_shared_out_fairly() {
    let steps = [
        ("0", 0.0),
        ("0.001", 0.001),
        ("0.1", 0.1),
        ("1", 1.0),
        ("12.5", 12.5),
        ("50", 50.0),
        ("99.999", 99.999),
        ("100", 100.0),
    ];
    let up: Vec<RouteTable> = steps.iter().map(|(percent, _)| at(percent)).collect();
    let down: Vec<RouteTable> = steps.iter().rev().map(|(percent, _)| at(percent)).collect();
    let mut moved = vec![0_u32; steps.len()];
    for id in 0..CLIENTS {
        let ask = client(id);
        let arms: Vec<bool> = up.iter().map(|table| ask.decide(table).arm == Arm::Candidate).collect();
        assert!(arms.is_sorted(), "client {id} flips back on the way up: {arms:?}");
        if id % 16 == 0 {
            // Another table of the same text is another replica, and the way down.
            let back: Vec<bool> =
                down.iter().rev().map(|table| ask.decide(table).arm == Arm::Candidate).collect();
            assert_eq!(arms, back, "client {id}: two tables of one text disagree");
        }
        arms.iter().zip(&mut moved).for_each(|(arm, count)| *count += u32::from(*arm));
    }
    for ((percent, value), count) in steps.iter().zip(moved) {
        let (share, all) = (value / 100.0, f64::from(CLIENTS));
        // Five standard deviations of a binomial: wrong once in two million tables.
        let bound = 5.0 * (all * share * (1.0 - share)).sqrt();
        let off = (f64::from(count) - all * share).abs();
        assert!(off <= bound, "{percent} %: {count} of {CLIENTS} clients, off by {off}, at most {bound}");
    }
}

/// Buckets of the same clients on two routes.
fn pairs(table: &RouteTable) -> Vec<(u32, u32)> {
    let bucket =
        |path: &str, id: u32| Ask { target: path.to_owned(), ..client(id) }.decide(table).bucket.unwrap();
    (0..100_000).map(|id| (bucket("/a", id), bucket("/b", id))).collect()
}

#[test]
fn routes_are_independent() {
    let table = table(
        r#"
        [[route]]
        name = "a"
        path = "/a"
        methods = ["GET"]
        to = "orders"
        percent = 50
        [[route]]
        name = "b"
        path = "/b"
        methods = ["GET"]
        to = "orders"
        percent = 50
        "#,
    );
    let mut cells = [0.0_f64; 100];
    let pairs = pairs(&table);
    for (a, b) in &pairs {
        cells[(a / (BUCKETS / 10) * 10 + b / (BUCKETS / 10)) as usize] += 1.0;
    }
    let expected = 1000.0;
    let chi_square: f64 = cells.iter().map(|count| (count - expected) * (count - expected) / expected).sum();
    // 99 degrees of freedom: above 170 in less than one of 100 000 hashes.
    assert!(chi_square < 170.0, "{chi_square}");
}

#[test]
fn a_cohort_moves_as_one() {
    let table = table(
        r#"
        [cohorts.both]
        percent = 50
        [[route]]
        name = "a"
        path = "/a"
        methods = ["GET"]
        to = "orders"
        cohort = "both"
        [[route]]
        name = "b"
        path = "/b"
        methods = ["GET"]
        to = "catalog"
        cohort = "both"
        "#,
    );
    assert!(pairs(&table).iter().all(|(a, b)| a == b));
}

#[test]
fn a_renamed_route_keeps_its_clients() {
    let before = at("50");
    let after = table(
        "[[route]]\nname = \"new\"\nhash_as = \"r\"\npath = \"/r\"\nmethods = [\"GET\"]\nto = \"orders\"\npercent = 50",
    );
    assert!((0..1000).all(|id| client(id).decide(&before).bucket == client(id).decide(&after).bucket));
}
