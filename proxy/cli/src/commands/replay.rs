//! `banyan replay`
//!
//! - `input`: the requests to ask. `har`: those of a HAR file. `asking`: one application, asked one request.
//!   `result`: what it all adds up to.

mod asking;
mod har;
mod input;
mod result;

use std::time::{Duration, Instant, SystemTime};

use banyan_compare::{Arm, Incomparable, Observation, Rules, Verdict, compare};
use banyan_control::{Source, load};
use banyan_routes::Destination;

use crate::args::ReplayArgs;
use crate::failure::{Exit, Failure};
use crate::names::nearest;
use crate::screen;
use crate::settings::{Settings, variables};
use asking::{Application, Overrides};
use input::{Question, changes_method};
use result::{Replayed, Skipped};

/// Time between two lines of progress.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// What a route says of its requests and their answers.
#[derive(Default)]
struct Named {
    rules: Rules,
    has_side_effects: bool,
}

/// Asks both, and says how their answers differ.
pub(super) fn perform(args: &ReplayArgs, settings: &Settings) -> Result<Exit, Failure> {
    let overrides = Overrides::parse(&args.headers)?;
    let named = named(args, settings)?;
    let legacy = Application::new(&args.legacy, args, overrides.clone())?;
    let candidate = Application::new(&args.candidate, args, overrides)?;
    let questions = input::read(args, settings)?;
    let mut replayed = Replayed::default();
    let mut said = Instant::now();
    for question in &questions {
        if let Some(why) = skipped(question, &named, args) {
            replayed.skip(why);
            continue;
        }
        ask(question, &legacy, &candidate, &named.rules, &mut replayed);
        if screen::stderr_is_terminal() && said.elapsed() > PROGRESS_EVERY {
            screen::say_again(&replayed.progress(questions.len()));
            said = Instant::now();
        }
    }
    if screen::stderr_is_terminal() {
        screen::say_again("");
    }
    for (arm, application) in [("legacy", &legacy), ("the candidate", &candidate)] {
        if let Some(trouble) = application.trouble() {
            screen::say_warning(&screen::printable(&format!("{arm} gave {trouble}")));
        }
    }
    result::conclude(&replayed, args)
}

/// The route that the arguments name, or none.
fn named(args: &ReplayArgs, settings: &Settings) -> Result<Named, Failure> {
    let Some(name) = &args.route else { return Ok(Named::default()) };
    let loaded = load(&Source::File(settings.needed_routes()?), &variables());
    let table = loaded.map_err(super::explain::not_loaded)?.table;
    let Some(route) = table.routes().iter().find(|route| route.name == *name) else {
        let near = nearest(name, table.routes().iter().map(|route| route.name.as_str()));
        return Err(Failure::new(Exit::Failed, format!("no route has the name `{name}`"))
            .maybe_hint(near.map(|near| format!("--route {near}"))));
    };
    match &route.destination {
        Destination::Split(split) => {
            Ok(Named { rules: Rules::clone(&split.comparing.rules), has_side_effects: route.side_effects })
        }
        _ => Err(Failure::new(Exit::Failed, format!("route `{name}` has no candidate, and so no rules"))
            .hint("name a route with `to`")),
    }
}

fn skipped(question: &Question, named: &Named, args: &ReplayArgs) -> Option<Skipped> {
    let becomes_another = args.headers.iter().any(|(name, _)| changes_method(name));
    let is_safe = question.is_safe && !named.has_side_effects && !becomes_another;
    if !is_safe && !args.writes {
        return Some(Skipped::Unsafe);
    }
    (!question.is_whole).then_some(Skipped::NotWhole)
}

/// Legacy first, then the candidate.
fn ask(
    question: &Question,
    legacy: &Application,
    candidate: &Application,
    rules: &Rules,
    replayed: &mut Replayed,
) {
    let answers = [legacy.ask(question), candidate.ask(question)];
    let [legacy, candidate] = &answers;
    let today = jiff::Zoned::now().date();
    let verdict = compare(legacy, candidate, rules, today);
    let is_unanswered = is_unanswered(&verdict, legacy, candidate);
    replayed.add(question, &verdict, legacy, candidate, now_ms(), is_unanswered);
}

/// Legacy answered and the candidate did not, or not so that it can be compared with what legacy said.
fn is_unanswered(verdict: &Verdict, legacy: &Observation, candidate: &Observation) -> bool {
    let is_silent = matches!((legacy, candidate), (Observation::Answered(_), Observation::Failed(_)));
    is_silent || matches!(verdict, Verdict::Incomparable(Incomparable { arm: Arm::Candidate, .. }))
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
