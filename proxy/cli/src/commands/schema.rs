//! `banyan schema`

use crate::failure::{Exit, Failure};
use crate::screen;

/// Prints the schema.
pub(super) fn perform() -> Result<Exit, Failure> {
    screen::print_json(&banyan_routes::schema())?;
    Ok(Exit::Ok)
}
