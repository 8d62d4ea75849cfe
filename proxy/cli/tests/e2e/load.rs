//! Many clients, each with one request in flight.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use http::Request;
use tokio::task::JoinSet;

use crate::bodies::AnyBody;
use crate::client::{Answer, Client, NoAnswer};

/// A running load.
pub(crate) struct Load {
    clients: JoinSet<Vec<Failure>>,
    shared: Arc<Shared>,
}

struct Shared {
    stopped: AtomicBool,
    answered: AtomicU64,
}

/// What came of it.
pub(crate) struct Outcome {
    /// Good answers.
    pub(crate) answered: u64,
    /// Everything else.
    pub(crate) failures: Vec<Failure>,
}

/// A request without the answer it wanted.
#[derive(Debug)]
pub(crate) struct Failure {
    /// When it was sent.
    pub(crate) began: Instant,
    /// What came instead.
    #[expect(dead_code, reason = "read when a failure is printed")]
    what: Instead,
}

/// What came instead of a good answer.
#[derive(Debug)]
#[expect(dead_code, reason = "read when a failure is printed")]
enum Instead {
    Bad(String),
    Nothing(NoAnswer),
}

/// What a client does when the server ends its connection between two requests, announced or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AfterClose {
    /// Goes on with another connection.
    Reconnect,
    /// Stops.
    Stop,
}

impl Load {
    /// Each client asks until stopped. `request` makes requests from a number; `is_good` judges answers.
    pub(crate) fn start(
        address: SocketAddr,
        clients: u64,
        after_close: AfterClose,
        request: fn(u64) -> Request<AnyBody>,
        is_good: fn(&Answer) -> bool,
    ) -> Self {
        let shared = Arc::new(Shared { stopped: AtomicBool::new(false), answered: AtomicU64::new(0) });
        let mut running = JoinSet::new();
        for number in 0..clients {
            let asking = Asking {
                address,
                after_close,
                request,
                is_good,
                shared: Arc::clone(&shared),
                failures: Vec::new(),
            };
            running.spawn(asking.ask_on(number));
        }
        Self { clients: running, shared }
    }

    /// Good answers so far.
    pub(crate) fn answered(&self) -> u64 {
        self.shared.answered.load(Ordering::Relaxed)
    }

    /// Waits until so many more good answers have come.
    pub(crate) async fn answers(&self, more: u64) {
        let wanted = self.answered() + more;
        crate::until("the load is answered", async || self.answered() >= wanted).await;
    }

    /// Lets requests in flight end.
    pub(crate) async fn stop(self) -> Outcome {
        self.shared.stopped.store(true, Ordering::Relaxed);
        self.ended().await
    }

    /// Waits until every client has stopped by itself.
    pub(crate) async fn ended(self) -> Outcome {
        let failures = self.clients.join_all().await.into_iter().flatten().collect();
        Outcome { answered: self.shared.answered.load(Ordering::Relaxed), failures }
    }
}

struct Asking {
    address: SocketAddr,
    after_close: AfterClose,
    request: fn(u64) -> Request<AnyBody>,
    is_good: fn(&Answer) -> bool,
    shared: Arc<Shared>,
    failures: Vec<Failure>,
}

impl Asking {
    async fn ask_on(mut self, number: u64) -> Vec<Failure> {
        // Far apart, so that no two clients make the same request.
        let mut number = number << 32;
        let mut open: Option<Client> = None;
        while !self.shared.stopped.load(Ordering::Relaxed) {
            number += 1;
            let began = Instant::now();
            let reused = open.is_some();
            let answered = match open.take() {
                Some(client) => self.ask(client, number).await,
                None => match Client::connect(self.address).await {
                    Ok(client) => self.ask(client, number).await,
                    Err(error) => Err(Instead::Nothing(error)),
                },
            };
            let stops = self.after_close == AfterClose::Stop;
            match answered {
                Ok(client) => open = client,
                // Nothing was asked, so nothing is lost.
                Err(Instead::Nothing(NoAnswer::Unsent(_))) if reused && stops => {}
                Err(what) => self.failures.push(Failure { began, what }),
            }
            if (open.is_none() && stops) || self.failures.len() > 100 {
                break;
            }
        }
        self.failures
    }

    /// The connection, if it may be used again.
    async fn ask(&self, mut client: Client, number: u64) -> Result<Option<Client>, Instead> {
        let answer = client.send((self.request)(number)).await.map_err(Instead::Nothing)?;
        if !(self.is_good)(&answer) {
            return Err(Instead::Bad(format!("{} {:?} {}", answer.status, answer.headers, answer.text())));
        }
        self.shared.answered.fetch_add(1, Ordering::Relaxed);
        Ok((!answer.closes()).then_some(client))
    }
}

impl Outcome {
    /// Nobody got anything but a good answer.
    #[track_caller]
    pub(crate) fn assert_clean(&self) {
        assert!(self.answered > 0, "the load did nothing");
        let few: Vec<&Failure> = self.failures.iter().take(5).collect();
        assert!(few.is_empty(), "{} failed of {}: {few:#?}", self.failures.len(), self.answered);
    }
}
