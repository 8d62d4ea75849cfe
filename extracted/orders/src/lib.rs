//! Orders, taken out of the Box Office. It still writes the monolith's database (a shared store) and still
//! asks the monolith whose session a cookie is; everything else is its own.
//!
//! | part | job |
//! |---|---|
//! | [`app`] | the whole HTTP surface, without a socket |
//! | [`Database`] | the monolith's SQLite file |
//! | [`Sessions`] | asks the monolith who is signed in |
//! | `orders` | routes, service, repository |
//! | `problem` | what goes wrong, as the API answers it |
//! | `metrics` | rate, errors, duration |
//! | `server`: [`serve`] | runs the service until told to stop |

mod app;
mod database;
mod metrics;
mod orders;
mod problem;
mod server;
mod sessions;

pub use app::app;
pub use database::{Database, DatabaseError};
pub use server::{serve, stop_on_signal};
pub use sessions::{Sessions, SessionsError};
