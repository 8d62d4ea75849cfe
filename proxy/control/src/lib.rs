//! Everything slower than a request: reload, admin API, history, editing routes.toml.
//!
//! Floor plan, in the order a change of the configuration travels:
//!
//! - `files`: reads `routes.toml` and its includes, hashes them. `places`: the folders to watch for changes.
//! - `reload`: sees that files changed, and waits until they have come to rest. `absence`: included files
//!   that are gone for a moment.
//! - `load`: from text to a table. `swap`: refused, unchanged or in force. `changes`: the difference for people.
//! - `announce`: who is about to write. `history`: what was in force when. `state_dir`: its files.
//! - `undo`: the inverse of the last change. `clock`: the time of day as people read it.
//! - `view`: what the reload thread tells the admin API.
//! - `edit`: changes one value of the files, for a command.
//! - `admin`: the listener of `/metrics`, health and `/api/v1`. `api`: its JSON, shared with the commands.
//! - `counts`: what each route's arms answered since it was last changed.
//! - `evidence`: what comparisons of shadowed requests found, kept across a restart.
//! - `explain`: a decision told in words. `metrics`: the reload in numbers, and the text of a scrape.
//! - `run`: the whole proxy from start to exit. `signals`: what the system asks for meanwhile.
//!   `service_manager`: what systemd is told of it.
//! - `upgrade`: another process takes over while this one serves. `handover`: how the sockets get there.

mod absence;
mod admin;
mod announce;
pub mod api;
mod changes;
mod clock;
mod counts;
pub mod edit;
mod evidence;
mod explain;
mod files;
mod handover;
mod history;
mod load;
mod metrics;
mod places;
mod reload;
mod run;
mod service_manager;
mod signals;
mod state_dir;
mod swap;
mod undo;
mod upgrade;
mod view;

pub use admin::{AdminError, AdminOptions};
pub use banyan_gateway::{
    AccessLogTarget, CertificateFiles, Drained, Limits, METRICS, MetricInfo, MetricKind, Settings,
    StartError, TlsError, TlsSettings, metric,
};
pub use banyan_routes::Variables;
pub use changes::{change_line, change_lines};
pub use explain::{BadQuestion, explain};
pub use files::{ReadError, environment, read, relative_name, text_hash};
pub use handover::HandoverError;
pub use history::{file_set, kept_set};
pub use load::{LoadError, Loaded, Source, load, load_to_serve};
pub use prometheus::Registry;
pub use run::{Addresses, ExitReason, Proxy, RunError, RunOptions, run};
pub use state_dir::StateDirError;
pub use undo::{FileChange, Undo, UndoRefusal, undo};
