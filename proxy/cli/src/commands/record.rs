//! `banyan record`

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use banyan_control::api::Recorded;

use super::mismatches::unknown_route;
use crate::args::RecordArgs;
use crate::failure::{Exit, Failure};
use crate::screen;
use crate::settings::Settings;

/// Time between two questions; the proxy remembers far longer.
const EVERY: Duration = Duration::from_millis(250);

/// Most requests asked for at once: what the proxy gives.
const AT_ONCE: usize = 200;

/// Mode of the file: requests have things in them that are nobody else's.
const OWNER_ALONE: u32 = 0o600;

/// Writes requests down until there are enough or the time is over.
pub(super) fn perform(args: &RecordArgs, settings: &Settings) -> Result<Exit, Failure> {
    let (admin, route) = (settings.admin()?, args.route.as_deref());
    let ask = |after, count| {
        let asked = admin.recorded(route, after, count);
        asked.map_err(|error| match route {
            Some(route) => unknown_route(error, route, &admin),
            None => Failure::from(error),
        })
    };
    // Asked before the file is made: a proxy that does not answer leaves an old one as it was.
    let begun = ask(None, 0)?;
    let mut out = open(args.out.as_deref())?;
    let until = Instant::now() + args.time.0;
    let (mut written, mut lost, mut answer) = (0, 0, begun.clone());
    while written < args.count {
        answer = ask(Some(answer.next), AT_ONCE.min(args.count - written))?;
        write_down(&answer, &mut out).map_err(|error| unwritable(args, &error))?;
        (written, lost) = (written + answer.requests.len(), lost + answer.lost);
        progress(written, args.count);
        if Instant::now() >= until {
            break;
        }
        if answer.requests.is_empty() {
            thread::sleep(EVERY.min(until.saturating_duration_since(Instant::now())));
        }
    }
    Ok(conclude(args, written, lost, answer.missed.saturating_sub(begun.missed)))
}

fn open(path: Option<&Path>) -> Result<Box<dyn Write>, Failure> {
    let Some(path) = path else { return Ok(Box::new(io::stdout())) };
    let opened = OpenOptions::new().write(true).create(true).truncate(false).mode(OWNER_ALONE).open(path);
    let file = opened.and_then(emptied).map_err(|error| {
        Failure::new(Exit::Failed, format!("cannot write {}: {error}", path.display()))
            .hint("name another file with `--out FILE`")
    })?;
    Ok(Box::new(BufWriter::new(file)))
}

/// A file that was there before keeps its mode when it is opened, and may let others in. What is no file, such as a pipe,
/// is left as it is.
fn emptied(file: File) -> io::Result<File> {
    if file.metadata()?.is_file() {
        file.set_permissions(Permissions::from_mode(OWNER_ALONE))?;
        file.set_len(0)?;
    }
    Ok(file)
}

/// Whole lines: what is there can be replayed, however it ends.
fn write_down(recorded: &Recorded, out: &mut dyn Write) -> io::Result<()> {
    for request in &recorded.requests {
        let line = screen::harmless_json(&serde_json::to_string(request)?);
        writeln!(out, "{line}")?;
    }
    out.flush()
}

fn unwritable(args: &RecordArgs, error: &io::Error) -> Failure {
    match &args.out {
        Some(path) => Failure::new(Exit::Failed, format!("cannot write {}: {error}", path.display())),
        None => io::Error::new(error.kind(), error.to_string()).into(),
    }
}

fn progress(written: usize, count: usize) {
    if screen::stderr_is_terminal() {
        screen::say_again(&format!("{written} of at most {count} requests"));
    }
}

fn conclude(args: &RecordArgs, written: usize, lost: u64, missed: u64) -> Exit {
    if screen::stderr_is_terminal() {
        screen::say_again("");
    }
    let place = args.out.as_ref().map(|path| format!(" to {}", path.display())).unwrap_or_default();
    screen::say(&format!("{written} requests written{place}"));
    if lost + missed > 0 {
        screen::say_warning(&format!("{} came too fast to be written down, of all routes", lost + missed));
    }
    if written > 0 {
        return Exit::Ok;
    }
    screen::say_error(
        "no shadowed request came in time",
        Some("only requests of routes with `shadow` are seen; wait longer with `--for 10m`"),
    );
    Exit::TimedOut
}
