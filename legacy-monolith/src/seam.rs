//! A module as others in this process reach it: here, or in the service it was taken out to.

use std::sync::Arc;

use boxoffice_kit::{
    Problem,
    service::Kit,
    writer::{State, Writers},
};

/// Chosen for every call by who writes the module now: the proxy in front cannot see calls within a process.
pub(crate) struct Seam<L, T: ?Sized> {
    module: &'static str,
    writers: Writers,
    /// For the module's own routes: their gate has chosen already.
    pub(crate) local: Arc<L>,
    here: Arc<T>,
    elsewhere: Option<Arc<T>>,
}

impl<L, T: ?Sized> Seam<L, T> {
    /// `here` is `local` once more, as the trait; `elsewhere` is absent when nobody has told where that is.
    pub(crate) fn new(
        module: &'static str,
        kit: &Kit,
        local: Arc<L>,
        here: Arc<T>,
        elsewhere: Option<Arc<T>>,
    ) -> Self {
        Self { module, writers: kit.writers.clone(), local, here, elsewhere }
    }

    /// The module where it is written now.
    pub(crate) async fn now(&self) -> Result<&T, Problem> {
        match &self.elsewhere {
            Some(elsewhere) if self.writers.state(self.module).await? != State::Here => Ok(elsewhere),
            _ => Ok(&self.here),
        }
    }
}

impl<L, T: ?Sized> Clone for Seam<L, T> {
    fn clone(&self) -> Self {
        Self {
            module: self.module,
            writers: self.writers.clone(),
            local: self.local.clone(),
            here: self.here.clone(),
            elsewhere: self.elsewhere.clone(),
        }
    }
}
