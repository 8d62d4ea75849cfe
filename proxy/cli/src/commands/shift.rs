//! `banyan shift`

use banyan_control::edit::Change;

use super::shares::{self, Holder};
use crate::args::ShiftArgs;
use crate::editing::{self, Editing, Stop};
use crate::failure::{Exit, Failure};
use crate::settings::Settings;

/// Changes one share.
pub(super) fn perform(args: &ShiftArgs, settings: &Settings) -> Result<Exit, Failure> {
    let mut editing = open(args, settings)?;
    let mut holder = shares::find(editing.session.table(), &args.route)?;
    if holder.share == args.percent {
        let sentence = format!("{} is at {} % already", holder.title(), args.percent);
        shares::unchanged(&editing, &args.edit, holder.wanted(args.percent), &sentence)?;
        return Ok(Exit::Ok);
    }
    shares::tell_company(&holder, &args.route);
    if shares::is_to_be_confirmed(&holder, &args.route, args.yes) {
        // Whoever is asked may have gone for lunch: nobody else's edit, and no rollback, waits for that.
        drop(editing);
        shares::confirm()?;
        editing = open(args, settings)?;
        holder = still(&holder, shares::find(editing.session.table(), &args.route)?)?;
    }
    let change = Change::share(holder.place, args.percent);
    let plan = editing.session.plan(&[change]).map_err(Stop::from)?;
    shares::write(&editing, &plan, &args.edit, Vec::new())?;
    Ok(Exit::Ok)
}

fn open<'a>(args: &'a ShiftArgs, settings: &Settings) -> Result<Editing<'a>, Failure> {
    let proxy = editing::ask_unless(args.offline, settings)?;
    Ok(Editing::open(settings, &args.edit, proxy, args.edit.timeout.0)?.lifting_floor(args.lift_floor))
}

/// What was confirmed is what is done.
fn still(confirmed: &Holder, now: Holder) -> Result<Holder, Failure> {
    if now.routes == confirmed.routes && now.share == confirmed.share {
        return Ok(now);
    }
    let message = format!("{} was changed meanwhile, nothing was written", confirmed.title());
    Err(Failure::new(Exit::Failed, message).hint("run the command again"))
}
