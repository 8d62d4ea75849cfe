//! The program itself: it says where it listens, and a SIGTERM ends it without breaking off what is open.

use std::{process::Stdio, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
    time::timeout,
};

#[tokio::test]
async fn sigterm_ends_open_streams_and_exits_with_success() {
    let folder = tempfile::tempdir().unwrap();
    let mut shop = Command::new(env!("CARGO_BIN_EXE_boxoffice-monolith"))
        .args(["--listen", "127.0.0.1:0", "--seed", "--demo-sessions", "--database"])
        .arg(folder.path().join("shop.sqlite"))
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(shop.stderr.take().unwrap()).lines();
    let line = timeout(Duration::from_mins(1), lines.next_line()).await.unwrap().unwrap().unwrap();
    let address = line.strip_prefix("listening on ").unwrap().to_owned();

    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let cookie = ("cookie", "session=seed-session-1");
    let order = client.post(format!("http://{address}/api/orders")).header(cookie.0, cookie.1);
    let order =
        order.header("content-type", "application/json").body(r#"{"items":[{"ticketId":1,"quantity":1}]}"#);
    assert_eq!(order.send().await.unwrap().status(), 201);
    let stream = client.get(format!("http://{address}/api/orders/1/stream")).header(cookie.0, cookie.1);
    let mut stream = stream.send().await.unwrap();
    stream.chunk().await.unwrap().unwrap();

    let id = shop.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
    let rest = timeout(Duration::from_secs(30), stream.text()).await.unwrap();
    assert_eq!(rest.unwrap(), "", "the stream ends in order, not in the middle of a chunk");
    let status = timeout(Duration::from_secs(30), shop.wait()).await.unwrap().unwrap();
    assert!(status.success(), "{status}");
}
