//! `banyan explain`

use banyan_control::api::{ExplainRequest, Explained};
use banyan_control::{LoadError, Source, explain, load};

use crate::admin::EXPLAIN_HINT;
use crate::args::ExplainArgs;
use crate::failure::{Exit, Failure};
use crate::screen;
use crate::settings::{Settings, variables};

/// Prints where the request goes.
pub(super) fn perform(args: ExplainArgs, settings: &Settings) -> Result<Exit, Failure> {
    let line = format!("{} {}", args.request.method, args.request.target);
    let question = ExplainRequest {
        method: args.request.method,
        target: args.request.target,
        host: args.host,
        headers: args.headers,
        client: args.client,
    };
    let explained =
        if args.live { settings.admin()?.explain(&question)? } else { offline(&question, settings)? };
    if args.json {
        screen::print_json(&explained)?;
    } else {
        screen::print(&line)?;
        screen::print_text(&told(&explained))?;
    }
    Ok(Exit::Ok)
}

fn offline(question: &ExplainRequest, settings: &Settings) -> Result<Explained, Failure> {
    let loaded = load(&Source::File(settings.needed_routes()?), &variables()).map_err(not_loaded)?;
    explain(&loaded.table, question)
        .map_err(|error| Failure::new(Exit::Usage, error.to_string()).hint(EXPLAIN_HINT))
}

/// A file that gives no table.
pub(super) fn not_loaded(error: LoadError) -> Failure {
    match error {
        LoadError::Read(error) => super::check::unread(&error),
        LoadError::Refused(report) => {
            Failure::new(Exit::Invalid, format!("the configuration is not valid\n{report}"))
                .hint("banyan check")
        }
    }
}

fn told(explained: &Explained) -> String {
    let Explained { route, arm, reason, sentence, .. } = explained;
    let with = |text: &Option<String>, before: &str, after: &str| {
        text.as_ref().map(|text| format!("{before}{text}{after}")).unwrap_or_default()
    };
    let mut lines = vec![
        format!("  route   {route}{}", with(&explained.origin, " (", ")")),
        format!("  arm     {arm}{}", with(&explained.upstream, ", upstream ", "")),
        format!("  reason  {reason}: {sentence}"),
    ];
    lines.extend(explained.normal_path.as_ref().map(|path| format!("  path    {path}")));
    lines.extend(explained.losers.iter().map(|(name, why)| format!("  not     {name}: {why}")));
    lines.join("\n") + "\n"
}
