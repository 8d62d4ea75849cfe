//! A thousand reloads, good and bad in turn, while requests, streams and an upload are under way.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::Request;
use http_body_util::BodyExt as _;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;

use crate::application::{Application, EVENT_EVERY};
use crate::banyan::{Banyan, moving};
use crate::bodies::{AnyBody, empty, streamed};
use crate::client::{Answer, Client, request};
use crate::load::{AfterClose, Load};
use crate::{LONG, PATIENCE, is_full};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloads_cost_no_request_and_no_stream() {
    let (legacy, candidate) = (Application::start("legacy").await, Application::start("candidate").await);
    let (reloads, time) =
        if is_full() { (1000, Duration::from_mins(1)) } else { (40, Duration::from_secs(10)) };
    let banyan = Banyan::start(&moving(&legacy, &candidate, "50")).await;
    let streams = Streams::open(&banyan).await;
    let load = Load::start(banyan.address, 8, AfterClose::Reconnect, by_a_user, is_one_of_the_arms);

    let began = Instant::now();
    let mut done = 0;
    while done < reloads || began.elapsed() < time {
        done += 1;
        if done % 2 == 0 {
            refused(&banyan, done).await;
        } else {
            accepted(&banyan, &moving(&legacy, &candidate, &percent(done))).await;
        }
    }
    let took = began.elapsed();

    let (echoes, events, uploaded) = streams.close().await;
    let outcome = load.stop().await;
    outcome.assert_clean();
    let least = took.as_millis() / EVENT_EVERY.as_millis() / 4;
    assert!(u128::from(events) > least, "{events} events in {took:?}");
    assert!(echoes > 0 && uploaded > 0);
    eprintln!(
        "{done} reloads in {:.1} s: {} requests, 0 failed; {echoes} WebSocket messages, {events} events, {uploaded} \
         bytes uploaded",
        took.as_secs_f64(),
        outcome.answered
    );
}

fn by_a_user(number: u64) -> Request<AnyBody> {
    let mut request = request("GET", "/api/page", empty());
    request.headers_mut().insert("x-user-id", number.into());
    request
}

fn is_one_of_the_arms(answer: &Answer) -> bool {
    answer.status == 200 && [b"legacy".as_slice(), b"candidate"].contains(&answer.body.as_ref())
}

/// Another one each time.
fn percent(reload: u32) -> String {
    format!("{}.{:03}", reload % 100, reload % 1000)
}

/// Saves a good file; it is in force, whoever saw it first.
async fn accepted(banyan: &Banyan, routes: &str) {
    let before = banyan.config().await;
    banyan.save(routes);
    let reload = banyan.reload().await;
    assert_ne!(reload["result"], "refused", "{reload}");
    assert_ne!(reload["hash"], before["hash"], "{reload}");
    assert_eq!(reload["generation"].as_u64().unwrap(), before["generation"].as_u64().unwrap() + 1);
}

/// Saves garbage; it is refused whole for the reason that stands in it, and the old configuration stays.
async fn refused(banyan: &Banyan, number: u32) {
    let before = banyan.config().await;
    let good = std::fs::read_to_string(banyan.routes()).unwrap();
    let (garbage, reason) = match number % 3 {
        // What is right in it must not count either: the share is another one.
        0 => (
            good.replace("percent = ", "percent = 1") + &format!("nonsense_{number} = 1\n"),
            format!("nonsense_{number}"),
        ),
        1 => (
            good.replace("to = \"candidate\"", &format!("to = \"nobody_{number}\"")),
            format!("nobody_{number}"),
        ),
        _ => (format!("{good}[[route\n# {number}"), "[[route".to_owned()),
    };
    banyan.save(&garbage);
    let reload = banyan.reload().await;
    assert_eq!(reload["result"], "refused", "{reload}\n{garbage}");
    let config = banyan.config().await;
    assert_eq!(config["last_reload"]["result"], "refused", "{config}");
    let report = config["last_reload"]["report"].as_str().unwrap();
    assert!(report.contains(&reason), "no `{reason}` in\n{report}");
    assert_eq!(
        (&config["hash"], &config["generation"]),
        (&before["hash"], &before["generation"]),
        "{config}"
    );
}

/// What is open all the time.
struct Streams {
    over: watch::Sender<bool>,
    socket: JoinHandle<u64>,
    events: JoinHandle<u64>,
    upload: JoinHandle<u64>,
}

impl Streams {
    async fn open(banyan: &Banyan) -> Self {
        let (over, seen) = watch::channel(false);
        let address = banyan.address;
        let stream = TcpStream::connect(address).await.unwrap();
        let (socket, _) = client_async(format!("ws://{address}/socket"), stream).await.unwrap();
        let socket = tokio::spawn(say_and_hear(socket, seen.clone()));
        let mut client = Client::connect(address).await.unwrap();
        let answer = client.begin(request("GET", "/events", empty())).await.unwrap();
        let events = tokio::spawn(count(answer.into_body(), seen.clone()));
        let upload = tokio::spawn(upload(Client::connect(address).await.unwrap(), seen));
        Self { over, socket, events, upload }
    }

    /// Ends them in good order; messages said and heard, events, bytes uploaded.
    async fn close(self) -> (u64, u64, u64) {
        self.over.send_replace(true);
        (self.socket.await.unwrap(), self.events.await.unwrap(), self.upload.await.unwrap())
    }
}

/// Everything said comes back, to the goodbye.
async fn say_and_hear(
    mut socket: tokio_tungstenite::WebSocketStream<TcpStream>,
    over: watch::Receiver<bool>,
) -> u64 {
    let mut said = 0;
    while !*over.borrow() {
        let message = Message::text(format!("message {said}"));
        socket.send(message.clone()).await.expect("the WebSocket takes a message");
        let heard =
            tokio::time::timeout(PATIENCE, socket.next()).await.expect("the WebSocket answers in time");
        assert_eq!(heard.expect("the WebSocket is open").expect("it is whole"), message);
        said += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    socket.close(None).await.unwrap();
    let last = socket.next().await;
    assert!(matches!(last, Some(Ok(Message::Close(_)))), "{last:?}");
    said
}

/// No event is missing, none comes twice.
async fn count(mut body: hyper::body::Incoming, over: watch::Receiver<bool>) -> u64 {
    let mut seen = String::new();
    let mut next = 0;
    while !*over.borrow() {
        let frame = tokio::time::timeout(PATIENCE, body.frame()).await.expect("events come");
        let frame = frame.expect("the stream is open").expect("it is whole");
        seen.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
        while let Some((event, rest)) = seen.split_once("\n\n") {
            assert_eq!(event, format!("data: {next}"));
            next += 1;
            seen = rest.to_owned();
        }
    }
    next
}

/// A kilobyte now and then; all of it arrives.
async fn upload(mut client: Client, over: watch::Receiver<bool>) -> u64 {
    let (sender, body) = streamed();
    let sending = tokio::spawn(async move {
        let mut sent = 0;
        while !*over.borrow() {
            sender.send(Bytes::from_static(&[b'u'; 1024])).await.expect("the upload is taken");
            sent += 1024;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        sent
    });
    let answered = tokio::time::timeout(LONG, client.begin(request("POST", "/up", body))).await;
    let answer = answered.expect("the upload ends in time").expect("the upload is answered");
    let text = answer.into_body().collect().await.unwrap().to_bytes();
    let sent: u64 = sending.await.unwrap();
    assert_eq!(text, sent.to_string());
    sent
}
