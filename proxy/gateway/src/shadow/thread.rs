//! The thread on which all of shadowing happens that is not watching.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use tokio::runtime::Builder;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep_until;

use super::bounds::Portion;
use super::judge::{Judge, Recheck};
use super::line::Line;
use super::witness::Shadowed;
use crate::comparisons::Comparisons;
use crate::metrics::Metrics;

/// Most mismatches that wait to be asked again.
const RECHECKS: usize = 256;

/// Clients come first where processors are few.
const NICE: i32 = 10;

pub(super) fn start(
    worker: usize,
    metrics: Arc<Metrics>,
    comparisons: Arc<Comparisons>,
    jobs: mpsc::Receiver<Box<Shadowed>>,
) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let judge = Arc::new(Judge::new(worker, comparisons));
    std::thread::Builder::new().name("banyan-shadow".into()).spawn(move || {
        // Of this thread alone. One that cannot be had is none that is needed.
        let _ = rustix::process::setpriority_process(None, NICE);
        runtime.block_on(Desk::new(judge, metrics, worker).work(jobs));
    })?;
    Ok(())
}

/// Who takes copies in and sends them on their way.
struct Desk {
    judge: Arc<Judge>,
    metrics: Arc<Metrics>,
    worker: usize,
    line: Line,
    open: JoinSet<Option<Box<Recheck>>>,
    rechecks: Arc<Semaphore>,
}

impl Desk {
    fn new(judge: Arc<Judge>, metrics: Arc<Metrics>, worker: usize) -> Self {
        let rechecks = Arc::new(Semaphore::new(RECHECKS));
        Self { judge, metrics, worker, line: Line::default(), open: JoinSet::new(), rechecks }
    }

    /// Until there is no worker left.
    async fn work(mut self, mut jobs: mpsc::Receiver<Box<Shadowed>>) {
        loop {
            while let Some((job, flight)) = self.line.next() {
                self.begin(job, flight);
            }
            let deadline = self.line.deadline();
            tokio::select! {
                job = jobs.recv() => match job {
                    Some(job) => self.line.push(job),
                    None => return,
                },
                Some(done) = self.open.join_next() => self.ended(done),
                () = until(deadline) => self.line.drop_late(Instant::now(), self.worker),
            }
        }
    }

    fn begin(&mut self, job: Box<Shadowed>, flight: Portion) {
        let judge = Arc::clone(&self.judge);
        self.open.spawn(async move {
            let recheck = judge.handle(job).await;
            drop(flight);
            recheck
        });
    }

    fn ended(&mut self, done: Result<Option<Box<Recheck>>, JoinError>) {
        match done {
            Ok(None) => {}
            Ok(Some(recheck)) => self.recheck(recheck),
            Err(error) => {
                self.metrics.panicked(self.worker);
                tracing::error!(%error, "a comparison failed");
            }
        }
    }

    fn recheck(&mut self, recheck: Box<Recheck>) {
        let judge = Arc::clone(&self.judge);
        let Ok(permit) = Arc::clone(&self.rechecks).try_acquire_owned() else {
            return judge.stays(*recheck);
        };
        self.open.spawn(async move {
            Box::pin(judge.recheck(*recheck)).await;
            drop(permit);
            None
        });
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline.into()).await,
        None => pending().await,
    }
}
