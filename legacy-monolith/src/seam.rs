//! A module as others in this process reach it: here, or in the service it was taken out to.

use std::{
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use boxoffice_kit::{Database, Problem, scalar};
use reqwest::RequestBuilder;
use serde::{Deserialize, de::DeserializeOwned};

/// How long a hand-over may take, as at the gates.
const WAIT: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Chosen for every call by who writes the module now: the proxy in front cannot see calls within a process.
pub(crate) struct Seam<L, T: ?Sized> {
    module: &'static str,
    database: Database,
    /// For the module's own routes: their gate has chosen already.
    pub(crate) local: Arc<L>,
    here: Arc<T>,
    elsewhere: Option<Arc<T>>,
}

impl<L, T: ?Sized> Seam<L, T> {
    /// `here` is `local` once more, as the trait; `elsewhere` is absent when nobody has told where that is.
    pub(crate) fn new(
        module: &'static str,
        database: &Database,
        local: Arc<L>,
        here: Arc<T>,
        elsewhere: Option<Arc<T>>,
    ) -> Self {
        Self { module, database: database.clone(), local, here, elsewhere }
    }

    /// The module where it is written now.
    pub(crate) async fn now(&self) -> Result<&T, Problem> {
        Ok(self.elsewhere().await?.unwrap_or(&self.here))
    }

    /// Asks the module to write. When it has changed hands just then, its new writer is asked.
    pub(crate) async fn ask<'a, R>(
        &'a self,
        ask: impl Fn(&'a T) -> Pin<Box<dyn Future<Output = Result<R, Problem>> + Send + 'a>> + Send,
    ) -> Result<R, Problem> {
        let since = Instant::now();
        loop {
            match ask(self.now().await?).await {
                Err(problem) if problem.is_elsewhere() && since.elapsed() < WAIT => {
                    tokio::time::sleep(LOOK_EVERY).await;
                }
                answer => return answer,
            }
        }
    }

    /// The module in another program, when it is written there now.
    pub(crate) async fn elsewhere(&self) -> Result<Option<&T>, Problem> {
        let Some(elsewhere) = &self.elsewhere else { return Ok(None) };
        let state = scalar!("SELECT state FROM writers WHERE module = $1", self.module);
        let state: String = state.fetch_one(&self.database.read).await?;
        Ok((state != "here").then_some(&**elsewhere))
    }
}

impl<L, T: ?Sized> Clone for Seam<L, T> {
    fn clone(&self) -> Self {
        Self {
            module: self.module,
            database: self.database.clone(),
            local: self.local.clone(),
            here: self.here.clone(),
            elsewhere: self.elsewhere.clone(),
        }
    }
}

/// The answer of another program of the shop, its refusals included.
pub(crate) async fn answer<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, Problem> {
    #[derive(Deserialize)]
    struct Refusal {
        errors: [Reason; 1],
    }
    #[derive(Deserialize)]
    struct Reason {
        message: String,
        field: Option<String>,
    }
    let unavailable = |error: reqwest::Error| {
        tracing::warn!("another program of the shop: {error}");
        Problem::unavailable("something this needs cannot be reached now")
    };
    let answer = request.send().await.map_err(unavailable)?;
    let status = answer.status();
    if status.is_success() {
        return answer.json().await.map_err(unavailable);
    }
    let Refusal { errors: [Reason { message, field }] } = answer.json().await.map_err(unavailable)?;
    let problem = Problem::new(status, message);
    Err(match field {
        Some(field) => problem.at(field),
        None => problem,
    })
}
