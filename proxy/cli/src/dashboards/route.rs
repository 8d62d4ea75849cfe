//! One route: legacy against its candidate.

use banyan_control::metric::{
    ATTEMPTS, COMPARED, COOKIE_COLLISIONS, COOKIES_UNWATCHED, DECISIONS, DRY_RUNS_ENDED, FALLBACKS,
    INCOMPARABLE, REQUEST_DURATION, REQUESTS, RETRIES, SHADOW_DURATION, SHADOW_REQUESTS, SHARE,
    UPSTREAM_DURATION,
};
use serde_json::Value;

use super::Frame;
use super::frame::Routes;
use super::grid::{Section, section};
use super::migration::errors;
use super::panel::{Unit, graph, number};
use super::query::{Query, of_routes};

/// What keeps a copy from being sent, besides requests that cannot be copied.
const DROPPED: &[&str] = &["queue-full", "in-flight", "memory", "unavailable", "not-honoured"];

pub(super) fn dashboard() -> Value {
    let frame = Frame {
        uid: "banyan-route",
        title: "Banyan: route",
        description: "One route, legacy against its candidate: share, errors, latency, what comparisons say.",
        routes: Routes::One,
    };
    frame.with(vec![now(), shares(), answers(), latency(), trouble(), comparisons()])
}

fn now() -> Section {
    let [legacy, candidate] = ["legacy", "candidate"].map(|arm| errors(arm, ""));
    let [slow_legacy, slow_candidate] = ["legacy", "candidate"].map(|arm| quantile(0.99, arm));
    section(
        "Now",
        vec![
            number(
                "Share configured",
                "Share of clients that routes.toml gives to the candidate.",
                Unit::Ratio,
                &share(),
            ),
            number(
                "Share observed",
                "Share of requests that the candidate was chosen for, of those that the share decided.",
                Unit::Ratio,
                &observed_share(""),
            ),
            number(
                "5xx of legacy",
                "Share of legacy's answers with a status of 500 and above.",
                Unit::Ratio,
                &legacy,
            )
            .bad_from(0.001, 0.01),
            number(
                "5xx of the candidate",
                "Share of the candidate's answers with a status of 500 and above.",
                Unit::Ratio,
                &candidate,
            )
            .bad_from(0.001, 0.01),
            number(
                "99 % of legacy",
                "99 of 100 of legacy's answers have ended within this time.",
                Unit::Seconds,
                &slow_legacy,
            ),
            number(
                "99 % of the candidate",
                "99 of 100 of the candidate's answers have ended within this time.",
                Unit::Seconds,
                &slow_candidate,
            ),
        ],
    )
}

fn shares() -> Section {
    let decisions = of_routes(&DECISIONS).rate().sum("arm, reason");
    section(
        "Share",
        vec![
            graph(
                "Share",
                "What routes.toml says, and what is seen. They differ while few clients ask.",
                Unit::Ratio,
            )
            .between(0, 1)
            .asks(&share(), "configured")
            .asks(&observed_share(""), "observed"),
            graph("Decisions", "Who was chosen, and why, in a second.", Unit::RequestRate)
                .asks(&decisions, "{{arm}}: {{reason}}"),
        ],
    )
}

fn answers() -> Section {
    let classes = of_routes(&REQUESTS).rate().sum("arm, code_class");
    section(
        "Answers",
        vec![
            graph("Answers by arm and class", "Answers in a second, by who gave them.", Unit::RequestRate)
                .stacked()
                .asks(&classes, "{{arm}} {{code_class}}"),
            graph("Errors", "Share of answers with a status of 500 and above.", Unit::Ratio)
                .asks(&errors("legacy", ""), "legacy")
                .asks(&errors("candidate", ""), "candidate")
                .asks(&errors("candidate", "").minus(&errors("legacy", "")), "candidate minus legacy"),
        ],
    )
}

fn latency() -> Section {
    let upstream = of_routes(&UPSTREAM_DURATION).quantile(0.99, "upstream");
    let mut panels = [(0.5, "Half of the answers"), (0.95, "95 of 100 answers"), (0.99, "99 of 100 answers")]
        .map(|(part, title)| {
            graph(
                title,
                "Time from the head of a request within which so many answers have ended.",
                Unit::Seconds,
            )
            .asks(&quantile(part, "legacy"), "legacy")
            .asks(&quantile(part, "candidate"), "candidate")
        })
        .into_iter()
        .collect::<Vec<_>>();
    panels.push(
        graph(
            "Upstreams, 99 of 100",
            "Time from the begin of an attempt to the head of the answer: what the upstream itself takes.",
            Unit::Seconds,
        )
        .asks(&upstream, "{{upstream}}"),
    );
    section("Latency", panels)
}

fn trouble() -> Section {
    let cookies = of_routes(&COOKIE_COLLISIONS).rate().sum("");
    let unwatched = of_routes(&COOKIES_UNWATCHED).rate().sum("").or_zero_of(&cookies);
    section(
        "What went wrong on the way",
        vec![
            graph(
                "Attempts",
                "Attempts to get an answer, by what came of them, in a second.",
                Unit::EventRate,
            )
            .asks(&of_routes(&ATTEMPTS).rate().sum("arm, outcome"), "{{arm}} {{outcome}}"),
            graph(
                "Fallbacks",
                "Requests that the candidate could not answer and legacy was asked, by cause, in a \
                 second.",
                Unit::RequestRate,
            )
            .asks(&of_routes(&FALLBACKS).rate().sum("reason"), "{{reason}}"),
            graph("Retries", "Second attempts on the same arm, in a second.", Unit::EventRate)
                .asks(&of_routes(&RETRIES).rate().sum(""), "retries"),
            graph(
                "Cookies",
                "Cookies that both arms set, with other attributes, and cookies that are not watched \
                 for that, in a second.",
                Unit::EventRate,
            )
            .asks(&cookies, "collisions")
            .asks(&unwatched, "unwatched"),
        ],
    )
}

fn comparisons() -> Section {
    let ended = of_routes(&DRY_RUNS_ENDED).rate().sum("");
    section(
        "Comparisons",
        vec![
            graph(
                "Mismatches",
                "Share of compared answers that differ, noise and ignored differences left out. \
                 `banyan mismatches` says where.",
                Unit::Ratio,
            )
            .asks(&mismatches(""), "mismatches"),
            graph("Verdicts", "What comparisons came to, in a second.", Unit::EventRate)
                .stacked()
                .asks(&of_routes(&COMPARED).rate().sum("verdict"), "{{verdict}}"),
            graph("Copies", "What became of requests drawn to be copied, in a second.", Unit::EventRate)
                .asks(&of_routes(&SHADOW_REQUESTS).rate().sum("result"), "{{result}}"),
            graph(
                "Copies not sent",
                "Share of requests drawn to be copied for which there was no room or no candidate.",
                Unit::Ratio,
            )
            .asks(&copies_dropped(""), "not sent"),
            graph(
                "Incomparable answers",
                "Answers that could not be compared, by why, in a second. They are neither match nor \
                 mismatch.",
                Unit::EventRate,
            )
            .asks(&of_routes(&INCOMPARABLE).rate().sum("reason"), "{{reason}}"),
            graph(
                "Copies, 99 of 100",
                "Time from the begin of a copy to the head of its answer. No client waits for it.",
                Unit::Seconds,
            )
            .asks(&of_routes(&SHADOW_DURATION).quantile(0.99, ""), "copies"),
            graph(
                "Dry runs ended",
                "Targets that broke their word about dry runs, in a second: they are sent no more.",
                Unit::EventRate,
            )
            .sized(24, 6)
            .asks(&ended, "ended"),
        ],
    )
}

fn share() -> Query {
    of_routes(&SHARE).level().max("")
}

fn quantile(part: f64, arm: &str) -> Query {
    of_routes(&REQUEST_DURATION).with("arm", arm).quantile(part, "")
}

/// Of requests that the share decided: pinned ones say nothing of it.
pub(super) fn observed_share(by: &str) -> Query {
    let decided = of_routes(&DECISIONS).with("reason", "share");
    decided.clone().with("arm", "candidate").rate().sum(by).of_all(&decided.rate().sum(by))
}

/// Incomparable answers are neither a match nor a mismatch.
pub(super) fn mismatches(by: &str) -> Query {
    let compared = of_routes(&COMPARED).without("verdict", "incomparable").rate().sum(by);
    of_routes(&COMPARED).with("verdict", "mismatch").rate().sum(by).of_all(&compared)
}

pub(super) fn copies_dropped(by: &str) -> Query {
    let drawn = of_routes(&SHADOW_REQUESTS).without("result", "asked-again").rate().sum(by);
    of_routes(&SHADOW_REQUESTS).one_of("result", DROPPED).rate().sum(by).of_all(&drawn)
}
