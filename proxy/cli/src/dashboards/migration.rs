//! How far the migration is: every route at a glance.

use banyan_control::metric::{
    COMPARED, CONFIG_INFO, CONFIG_SUCCESSFUL, DECISIONS, REQUEST_DURATION, REQUESTS, SHADOW_REQUESTS, SHARE,
};
use serde_json::Value;

use super::Frame;
use super::frame::Routes;
use super::grid::{Section, section};
use super::panel::{Panel, Unit, graph, number, table};
use super::query::{Query, of, of_routes};
use super::route::{copies_dropped, mismatches, observed_share};

pub(super) fn dashboard() -> Value {
    let frame = Frame {
        uid: "banyan-migration",
        title: "Banyan: migration",
        description: "How far the migration is: shares, errors and latency of every route.",
        routes: Routes::Many,
    };
    frame.with(vec![progress(), routes(), traffic(), against_legacy()])
}

fn progress() -> Section {
    let share = share();
    let all = answered().sum("");
    let failed = of_routes(&REQUESTS).with("code_class", "5xx").rate().sum("");
    let by_candidates = of_routes(&REQUESTS).with("arm", "candidate").rate().sum("");
    let on_the_way = share.holds(">", 0).times(&share.holds("<", 1)).sum("");
    section(
        "Progress",
        vec![
            number(
                "Clients moved",
                "Mean share of clients that candidates answer, over the chosen routes: every route \
                 counts alike.",
                Unit::Ratio,
                &share.avg(""),
            ),
            number(
                "Routes finished",
                "Routes whose candidate answers all clients.",
                Unit::Count,
                &share.holds("==", 1).sum(""),
            ),
            number("Routes on the way", "Routes with a share between 0 and 100 %.", Unit::Count, &on_the_way),
            number(
                "Routes not begun",
                "Routes with a candidate and a share of 0.",
                Unit::Count,
                &share.holds("==", 0).sum(""),
            ),
            number(
                "Answered by candidates",
                "Share of requests that a candidate answered. It differs from the share of clients as \
                 far as clients differ in how much they ask.",
                Unit::Ratio,
                &by_candidates.of_all(&all),
            ),
            number("Requests", "Requests answered in a second, whoever answered.", Unit::RequestRate, &all),
            number(
                "Answers 5xx",
                "Share of answers with a status of 500 and above, whoever made them.",
                Unit::Ratio,
                &failed.of_all(&all),
            )
            .bad_from(0.001, 0.01),
            last_reload(),
            number(
                "Configurations in force",
                "Different configurations among the replicas: more than one for longer than a rollout \
                 is a fault.",
                Unit::Count,
                &of(&CONFIG_INFO).level().count("hash").count(""),
            )
            .bad_from(2.0, 2.0),
        ],
    )
}

pub(super) fn last_reload() -> Panel {
    number(
        "Last reload",
        "Whether the last attempt to load routes.toml was accepted, at every replica. After a refusal the \
         old configuration stays in force.",
        Unit::Word,
        &of(&CONFIG_SUCCESSFUL).level().min(""),
    )
    .words("refused", "accepted")
}

fn routes() -> Section {
    let [legacy, candidate] = ["legacy", "candidate"].map(|arm| errors(arm, "route"));
    let p99 = |arm| of_routes(&REQUEST_DURATION).with("arm", arm).quantile(0.99, "route");
    let panel = table("Routes", "One line a route: what is configured, and what is seen now.", "route")
        .column("Share configured", Unit::Ratio, &share())
        .column("Share observed", Unit::Ratio, &observed_share("route"))
        .column("Requests", Unit::RequestRate, &answered().sum("route"))
        .column("5xx of legacy", Unit::Ratio, &legacy)
        .column("5xx of the candidate", Unit::Ratio, &candidate)
        .column("99 % of legacy", Unit::Seconds, &p99("legacy"))
        .column("99 % of the candidate", Unit::Seconds, &p99("candidate"))
        .column("Mismatches", Unit::Ratio, &mismatches("route"));
    section("Routes", vec![panel])
}

fn traffic() -> Section {
    let by_arm = answered().sum("route, arm");
    section(
        "Shares",
        vec![
            graph(
                "Share configured",
                "Share of clients that routes.toml gives to the candidate.",
                Unit::Ratio,
            )
            .between(0, 1)
            .in_steps()
            .asks(&share(), "{{route}}"),
            graph(
                "Share observed",
                "Of requests that the share decided: pinned ones say nothing of it.",
                Unit::Ratio,
            )
            .between(0, 1)
            .asks(&observed_share("route"), "{{route}}"),
            graph(
                "Requests by route and arm",
                "Requests answered in a second, by who answered.",
                Unit::RequestRate,
            )
            .sized(24, 8)
            .stacked()
            .asks(&by_arm, "{{route}} {{arm}}"),
        ],
    )
}

fn against_legacy() -> Section {
    let p99 = |arm| of_routes(&REQUEST_DURATION).with("arm", arm).quantile(0.99, "route");
    let by_reason = of_routes(&DECISIONS).without("reason", "share").rate().sum("route, reason");
    let verdicts = of_routes(&COMPARED).rate().sum("route, verdict");
    let copies = of_routes(&SHADOW_REQUESTS).rate().sum("route, result");
    section(
        "Candidates against legacy",
        vec![
            graph(
                "Errors: candidate minus legacy",
                "Ratio of answers 5xx. Above 0 the candidate is worse.",
                Unit::Ratio,
            )
            .asks(&errors("candidate", "route").minus(&errors("legacy", "route")), "{{route}}"),
            graph(
                "99th percentile: candidate minus legacy",
                "Time to the end of the answer. Above 0 the candidate is slower.",
                Unit::Seconds,
            )
            .asks(&p99("candidate").minus(&p99("legacy")), "{{route}}"),
            graph(
                "Mismatches",
                "Share of compared answers that differ, noise and ignored differences left out. \
                 `banyan mismatches` says where.",
                Unit::Ratio,
            )
            .asks(&mismatches("route"), "{{route}}"),
            graph(
                "Copies not sent",
                "Share of requests drawn to be copied for which there was no room or no candidate: \
                 what is compared is less than asked for.",
                Unit::Ratio,
            )
            .asks(&copies_dropped("route"), "{{route}}"),
            graph("Comparisons by verdict", "What comparisons came to, in a second.", Unit::EventRate)
                .asks(&verdicts, "{{route}} {{verdict}}"),
            graph(
                "Copies by result",
                "What became of requests drawn to be copied, in a second.",
                Unit::EventRate,
            )
            .asks(&copies, "{{route}} {{result}}"),
            graph(
                "Decided otherwise than by share",
                "Requests that a pin, a missing key or a route without a candidate decided, in a \
                 second.",
                Unit::RequestRate,
            )
            .sized(24, 8)
            .asks(&by_reason, "{{route}} {{reason}}"),
        ],
    )
}

/// What is configured, by route: replicas agree, or an alert says so.
fn share() -> Query {
    of_routes(&SHARE).level().max("route")
}

fn answered() -> Query {
    of_routes(&REQUESTS).rate()
}

/// Answers 5xx of an arm among all of its answers.
pub(super) fn errors(arm: &str, by: &str) -> Query {
    let of_arm = of_routes(&REQUESTS).with("arm", arm);
    of_arm.clone().with("code_class", "5xx").rate().sum(by).of_all(&of_arm.rate().sum(by))
}
