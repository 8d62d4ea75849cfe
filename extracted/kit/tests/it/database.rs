//! Transactions whose callers go away, and what logs may show of an address.

use std::time::Duration;

use boxoffice_kit::{Database, database::without_password};
use boxoffice_trial::places;
use tokio::time::timeout;

use crate::notes;

#[tokio::test(flavor = "multi_thread")]
async fn who_gives_up_waiting_for_a_transaction_leaves_no_lock() {
    for place in places().await {
        let database = notes::database(&place.address()).await;
        let another = Database::open_as_it_is(&place.address()).await.unwrap();
        let held = another.begin().await.unwrap();
        let given_up = timeout(Duration::from_millis(200), database.begin()).await;
        assert!(given_up.is_err(), "the lock is held");
        held.rollback().await.unwrap();
        // On a connection of its own: the one that was given up could use its own lock.
        let later = timeout(Duration::from_secs(8), another.begin()).await;
        later.expect("the lock is free").unwrap().rollback().await.unwrap();
    }
}

#[test]
fn an_address_in_a_log_has_no_password() {
    for (address, shown) in [
        ("postgres://me:secret@db:5432/shop?password=secret", "postgres://db:5432/shop"),
        ("postgres://me:sec/ret@db/shop", "postgres://..."),
        ("nats://me:secret@one:4222,nats://me:secret@two:4222", "nats://..."),
        ("nats://secret@[::1]:4222", "nats://[::1]:4222"),
        ("folder/shop@home.sqlite", "folder/shop@home.sqlite"),
    ] {
        assert_eq!(without_password(address), shown);
    }
}
