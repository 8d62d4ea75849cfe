"""Copies of every request to another backend, at a steady rate, in pairs with and without.

Banyan compares the answers, nginx throws them away; HAProxy and Caddy make no copies. The thread that Banyan makes copies on
serves nobody. It is moved off the serving core, behind everybody else on the others: with spare cores it would have one.
"""

import statistics

import clients
from cases.rounds import Case, Effort, checked, in_pairs
from metrics_page import total

SHADOW_THREAD = "banyan-shadow"
# Many short pairs: the median of few says little where the machine has other work, too.
EFFORT = Effort(rounds=0, seconds=0, paced_rounds=12, paced_seconds=2)
UNABLE = {name: "makes no copies" for name in ("haproxy", "caddy", "pingora")}
KEYS = ("p50_ms", "p99_ms", "serving_us_per_request")


def share_of_saturation(cores):
    """With two cores load, backends and copies share one, which is full long before the serving core is."""
    return 0.5 if len(cores.rest) >= 3 else 0.2


def mirrored(target):
    def run(engines, cores, effort):
        rows = {}
        for engine in engines:
            engine.process.move_thread(SHADOW_THREAD, cores.rest, nice=19)
            saturation = clients.wrk(engine, cores, clients.Asked("/api/plain/7"), 2).requests_per_second
            rate = round(share_of_saturation(cores) * saturation)
            taken = {"off": [], "on": []}
            for _ in range(effort.paced_rounds):
                for mode, path in (("off", "/api/plain/7"), ("on", target)):
                    taken[mode].append(one_round(engine, cores, path, effort.paced_seconds, rate))
            rows[engine.name] = {"paced_per_second": rate} | in_pairs(taken["off"], taken["on"], KEYS)
            rows[engine.name]["errors_on"] = sum(row["errors"] for row in taken["on"])
            if engine.name == "banyan":
                compared = [row["compared"] for row in taken["on"]]
                rows[engine.name]["compared_ratio_on"] = round(statistics.median(compared), 4)
        return rows

    return run


def one_round(engine, cores, path, seconds, rate):
    before, compared = serving_seconds(engine), comparisons(engine)
    answered = clients.paced(engine, cores, ["--target", path], seconds, rate)
    if engine.name == "banyan":
        checked(engine, answered)
    return {
        "p50_ms": answered.p50_ms,
        "p99_ms": answered.p99_ms,
        "serving_us_per_request": (serving_seconds(engine) - before) * 1e6 / max(answered.requests, 1),
        "errors": answered.failures,
        "compared": (comparisons(engine) - compared) / max(answered.requests, 1),
    }


def serving_seconds(engine):
    """Of all threads but the one that serves nobody."""
    by_thread = engine.process.threads_cpu_seconds()
    return sum(seconds for name, seconds in by_thread.items() if name != SHADOW_THREAD)


def comparisons(engine):
    return total(engine.ports["ADMIN"], "banyan_compare_total") if engine.name == "banyan" else 0


COPIES = {
    "shadow": Case("every request copied, and compared", mirrored("/api/mirrored/7"), UNABLE, effort=EFFORT),
    "shadow-hanging": Case("the same, and nobody answers the copies", mirrored("/api/hanging/7"), UNABLE, effort=EFFORT),
}
