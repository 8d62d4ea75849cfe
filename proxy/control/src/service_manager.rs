//! What systemd is told by `Type=notify`; without it, nobody is told anything. `sd_notify(3)` describes the words.

use sd_notify::{NotifyState, notify};

/// Clients are served.
pub(crate) fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// A reload was asked for; [`ready`] follows.
pub(crate) fn reloading() {
    // systemd 253 and newer wants the time with it.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::debug!("no time for the service manager: {error}"),
    }
}

/// The drain begins, and the process ends after it.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("draining")]);
}

/// Another process is the service from now on. It says for itself when it is ready.
pub(crate) fn main_process(process: u32) {
    tell(&[NotifyState::MainPid(process)]);
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = notify(state) {
        tracing::warn!("cannot tell the service manager: {error}");
    }
}
