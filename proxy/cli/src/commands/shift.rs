//! `banyan shift`

use banyan_control::edit::Change;

use super::shares;
use crate::args::ShiftArgs;
use crate::editing::{self, Editing};
use crate::failure::{Exit, Failure};
use crate::screen;
use crate::settings::Settings;

/// Changes one share.
pub(super) fn perform(args: &ShiftArgs, settings: &Settings) -> Result<Exit, Failure> {
    let proxy = editing::ask_unless(args.offline, settings)?;
    let editing = Editing::open(settings, &args.edit, proxy)?;
    let holder = shares::find(editing.session.table(), &args.route)?;
    if holder.share == args.percent {
        screen::say(&format!("{} is at {} % already", holder.title(), args.percent));
        return Ok(Exit::Ok);
    }
    holder.confirm_company(&args.route, args.yes)?;
    let change = Change::share(holder.place, args.percent);
    let plan = editing.session.plan(&[change]).map_err(editing::Stop::from)?;
    shares::write(&editing, &plan, &args.edit, Vec::new())?;
    Ok(Exit::Ok)
}
