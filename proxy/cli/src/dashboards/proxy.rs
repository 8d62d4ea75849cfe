//! The proxy itself: how much it has to do, how its upstreams are, what it lost.

use banyan_control::metric::{
    ADMIN_CONNECTIONS_REFUSED, ADMIN_REQUESTS_REFUSED, BREAKER_STATE, BREAKER_TRANSITIONS, BUILD_INFO,
    CONFIG_GENERATION, CONFIG_INFO, CONFIG_RELOADS, CONNECTIONS, CONNECTIONS_REFUSED, CPU, EJECTED,
    EJECTIONS, EVIDENCE_DROPPED, FALLBACKS, HEALTHY, HISTORY_DROPPED, INFLIGHT, INFORMATIONAL_DROPPED,
    LOG_DROPPED, MAX_FDS, OPEN_FDS, OS_THREADS, PANICS, POOL, REFUSED, REQUESTS, RESIDENT_MEMORY, RETRIES,
    SHADOW_BYTES, SHADOW_INFLIGHT, SHADOW_REQUESTS, START_TIME, UPSTREAM_ERRORS, VIRTUAL_MEMORY, WORKERS,
};
use serde_json::Value;

use super::Frame;
use super::frame::Routes;
use super::grid::{Section, section};
use super::migration::last_reload;
use super::panel::{Unit, graph, number};
use super::query::{Query, of};

pub(super) fn dashboard() -> Value {
    let frame = Frame {
        uid: "banyan-proxy",
        title: "Banyan: proxy health",
        description: "The proxy itself: saturation, pools, upstreams, breakers, losses, configuration, memory.",
        routes: Routes::None,
    };
    frame.with(vec![now(), saturation(), upstreams(), losses(), configuration(), process()])
}

fn now() -> Section {
    let failed = of(&REQUESTS).with("arm", "banyan").rate().sum("");
    let all = of(&REQUESTS).rate().sum("");
    section(
        "Now",
        vec![
            number(
                "Replicas",
                "Replicas that Prometheus scrapes.",
                Unit::Count,
                &of(&BUILD_INFO).level().count("instance").count(""),
            ),
            number("Requests", "Requests answered in a second.", Unit::RequestRate, &all),
            number(
                "Answered by Banyan itself",
                "Share of answers that came from no upstream: 502, 503, 504, refusals, retired routes.",
                Unit::Ratio,
                &failed.of_all(&all),
            )
            .bad_from(0.001, 0.01),
            last_reload(),
            number(
                "Panics",
                "Panics in a second: each became a 500, or cost a comparison. There should be none.",
                Unit::EventRate,
                &of(&PANICS).rate().sum(""),
            )
            .bad_from(1e-9, 1e-9),
            number(
                "Breakers open",
                "Upstreams whose breaker is open, at any replica.",
                Unit::Count,
                &of(&BREAKER_STATE).level().max("upstream").holds("==", 2).sum(""),
            )
            .bad_from(1.0, 1.0),
        ],
    )
}

fn saturation() -> Section {
    let busy = of(&CPU).rate().sum("instance").over(&of(&WORKERS).level().sum("instance"));
    section(
        "Saturation",
        vec![
            graph(
                "CPU of the workers",
                "CPU time used in a second, by each thread that serves requests. Near 100 % requests \
                 wait for the CPU.",
                Unit::Ratio,
            )
            .asks(&busy, "{{instance}}"),
            graph("Client connections", "Connections of clients open now.", Unit::Count)
                .asks(&of(&CONNECTIONS).level().sum("instance"), "{{instance}}"),
            graph(
                "Requests at upstreams",
                "Requests that wait for an upstream's answer, or are receiving it.",
                Unit::Count,
            )
            .asks(&of(&INFLIGHT).level().sum("upstream"), "{{upstream}}"),
            graph("Copies under way", "Copies on their way to the other arm.", Unit::Count)
                .asks(&of(&SHADOW_INFLIGHT).level().sum("instance"), "{{instance}}"),
        ],
    )
}

fn upstreams() -> Section {
    let at_hand = of(&POOL).with("connection", "idle").rate().sum("upstream");
    let reused = at_hand.of_all(&of(&POOL).rate().sum("upstream"));
    section(
        "Upstreams",
        vec![
            graph(
                "Pool reuse",
                "Share of requests for which a connection was at hand. Low means that the upstream \
                 closes connections, or allows few.",
                Unit::Ratio,
            )
            .between(0, 1)
            .asks(&reused, "{{upstream}}"),
            graph(
                "Healthy targets",
                "Share of replicas that find the target healthy, by their health checks.",
                Unit::Ratio,
            )
            .between(0, 1)
            .in_steps()
            .asks(&of(&HEALTHY).level().avg("upstream, target"), "{{upstream}} {{target}}"),
            graph("Errors", "Failed attempts in a second, by kind.", Unit::EventRate)
                .asks(&of(&UPSTREAM_ERRORS).rate().sum("upstream, kind"), "{{upstream}} {{kind}}"),
            graph("Breakers", "0 closed, 1 half-open, 2 open: the worst of the replicas.", Unit::Word)
                .between(0, 2)
                .in_steps()
                .asks(&of(&BREAKER_STATE).level().max("upstream"), "{{upstream}}"),
            graph("Breaker transitions", "How often breakers changed, in a second.", Unit::EventRate)
                .asks(&of(&BREAKER_TRANSITIONS).rate().sum("upstream, to"), "{{upstream}} to {{to}}"),
            graph(
                "Targets taken out",
                "Targets taken out after failures in a row, which no health check found, and how \
                 often that happens in a second.",
                Unit::Count,
            )
            .asks(&of(&EJECTED).level().max("upstream, target"), "{{upstream}} {{target}} is out")
            .asks(&of(&EJECTIONS).rate().sum("upstream, target"), "{{upstream}} {{target}} went out"),
            graph("Retries", "Second attempts on the same arm, in a second.", Unit::EventRate)
                .asks(&of(&RETRIES).rate().sum("route"), "{{route}}"),
            graph(
                "Fallbacks",
                "Requests that the candidate could not answer and legacy was asked, in a second.",
                Unit::RequestRate,
            )
            .asks(&of(&FALLBACKS).rate().sum("route, reason"), "{{route}} {{reason}}"),
        ],
    )
}

fn losses() -> Section {
    section(
        "What was dropped or refused",
        vec![
            graph(
                "Lost on the way out",
                "Lines of the access log, swaps of the history and samples of the evidence for which \
                 a queue was full, in a second.",
                Unit::EventRate,
            )
            .asks(&of(&LOG_DROPPED).rate().sum(""), "access log")
            .asks(&of(&HISTORY_DROPPED).rate().sum(""), "history")
            .asks(&of(&EVIDENCE_DROPPED).rate().sum("reason"), "evidence: {{reason}}"),
            graph(
                "Copies not sent",
                "Copies for which a queue, memory, places or the candidate were missing, in a second.",
                Unit::EventRate,
            )
            .asks(&copies_lost(), "{{instance}}"),
            graph(
                "Requests refused",
                "Requests refused by their head or their length, in a second.",
                Unit::RequestRate,
            )
            .asks(&of(&REFUSED).rate().sum("reason"), "{{reason}}"),
            graph(
                "Connections refused",
                "Connections of clients closed before their first request, in a second.",
                Unit::EventRate,
            )
            .asks(&of(&CONNECTIONS_REFUSED).rate().sum("reason"), "{{reason}}"),
            graph(
                "Admin listener",
                "Connections and requests that the admin listener refused, in a second.",
                Unit::EventRate,
            )
            .asks(&of(&ADMIN_CONNECTIONS_REFUSED).rate().sum(""), "connections")
            .asks(&of(&ADMIN_REQUESTS_REFUSED).rate().sum(""), "requests"),
            graph(
                "Interim answers dropped",
                "Answers 1xx of upstreams that were not passed on, in a second.",
                Unit::EventRate,
            )
            .asks(&of(&INFORMATIONAL_DROPPED).rate().sum(""), "1xx"),
        ],
    )
}

fn configuration() -> Section {
    section(
        "Configuration",
        vec![
            graph(
                "Generation",
                "Number of the configuration in force. It counts by process, so replicas may differ.",
                Unit::Count,
            )
            .in_steps()
            .asks(&of(&CONFIG_GENERATION).level().max("instance"), "{{instance}}"),
            graph(
                "Configuration in force",
                "Replicas by the hash of their configuration: more than one line for longer than a \
                 rollout is a fault.",
                Unit::Count,
            )
            .in_steps()
            .asks(&of(&CONFIG_INFO).level().sum("hash"), "{{hash}}"),
            graph("Reloads", "Attempts to load routes.toml, by result, in a second.", Unit::EventRate)
                .asks(&of(&CONFIG_RELOADS).rate().sum("instance, result"), "{{instance}} {{result}}"),
            graph(
                "Uptime",
                "Time since each replica was started; a fall is a restart or an upgrade.",
                Unit::Seconds,
            )
            .asks(&of(&START_TIME).level().max("instance").until_now(), "{{instance}}"),
        ],
    )
}

fn process() -> Section {
    let open = of(&OPEN_FDS).level().sum("instance");
    section(
        "Process",
        vec![
            graph("Memory", "Memory resident and virtual, and what is held for copies.", Unit::Bytes)
                .asks(&of(&RESIDENT_MEMORY).level().sum("instance"), "{{instance}} resident")
                .asks(&of(&VIRTUAL_MEMORY).level().sum("instance"), "{{instance}} virtual")
                .asks(&of(&SHADOW_BYTES).level().sum("instance"), "{{instance}} copies"),
            graph(
                "File descriptors",
                "Descriptors open, as a share of those allowed: at 100 % no connection is accepted.",
                Unit::Ratio,
            )
            .between(0, 1)
            .asks(&open.over(&of(&MAX_FDS).level().sum("instance")), "{{instance}}"),
            graph("Descriptors open", "Files and sockets.", Unit::Count).asks(&open, "{{instance}}"),
            graph("Threads", "Threads of the process, and those of them that serve requests.", Unit::Count)
                .asks(&of(&OS_THREADS).level().sum("instance"), "{{instance}} all")
                .asks(&of(&WORKERS).level().sum("instance"), "{{instance}} workers"),
        ],
    )
}

/// 0 until the first, where there are copies at all.
fn copies_lost() -> Query {
    let lost = ["queue-full", "in-flight", "memory", "unavailable", "not-honoured"];
    let drawn = of(&SHADOW_REQUESTS).rate().sum("instance");
    of(&SHADOW_REQUESTS).one_of("result", &lost).rate().sum("instance").or_zero_of(&drawn)
}
