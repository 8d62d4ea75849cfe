//! The thread on which all of shadowing happens that is not watching.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use tokio::runtime::Builder;
use tokio::sync::{Notify, mpsc};
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep_until;

use super::judge::Judge;
use super::line::{Line, Next};
use super::witness::Shadowed;
use crate::comparisons::Comparisons;
use crate::metrics::Metrics;

/// Clients come first where processors are few.
const NICE: i32 = 10;

pub(super) fn start(
    worker: usize,
    metrics: Arc<Metrics>,
    comparisons: Arc<Comparisons>,
    jobs: mpsc::Receiver<Box<Shadowed>>,
) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let landed = Arc::default();
    let judge = Arc::new(Judge::new(worker, comparisons, Arc::clone(&landed)));
    std::thread::Builder::new().name("banyan-shadow".into()).spawn(move || {
        // Of this thread alone. One that cannot be had is none that is needed.
        let _ = rustix::process::setpriority_process(None, NICE);
        runtime.block_on(Desk::new(judge, metrics, worker, landed).work(jobs));
    })?;
    Ok(())
}

/// Who takes copies in and sends them on their way.
struct Desk {
    judge: Arc<Judge>,
    metrics: Arc<Metrics>,
    worker: usize,
    line: Line,
    open: JoinSet<()>,
    /// One has been asked, or none is due to be asked again any more, so that another may be on its way.
    landed: Arc<Notify>,
}

impl Desk {
    fn new(judge: Arc<Judge>, metrics: Arc<Metrics>, worker: usize, landed: Arc<Notify>) -> Self {
        Self { judge, metrics, worker, line: Line::default(), open: JoinSet::new(), landed }
    }

    /// Until there is no worker left.
    async fn work(mut self, mut jobs: mpsc::Receiver<Box<Shadowed>>) {
        loop {
            while let Some(next) = self.line.next() {
                self.begin(next);
            }
            let deadline = self.line.deadline();
            tokio::select! {
                job = jobs.recv() => match job {
                    Some(job) => self.line.push(job),
                    None => return,
                },
                Some(done) = self.open.join_next() => self.ended(done),
                () = self.landed.notified() => {}
                () = until(deadline) => self.line.drop_late(Instant::now(), self.worker),
            }
        }
    }

    fn begin(&mut self, Next { job, flight, unsettled }: Next) {
        let (judge, landed) = (Arc::clone(&self.judge), Arc::clone(&self.landed));
        self.open.spawn(async move {
            let recheck = judge.handle(job).await;
            drop(flight);
            landed.notify_one();
            if let Some(recheck) = recheck {
                Box::pin(judge.recheck(*recheck)).await;
            }
            drop(unsettled);
        });
    }

    fn ended(&self, done: Result<(), JoinError>) {
        if let Err(error) = done {
            self.metrics.panicked(self.worker);
            tracing::error!(%error, "a comparison failed");
        }
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline.into()).await,
        None => pending().await,
    }
}
