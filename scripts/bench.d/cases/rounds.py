"""How figures are taken: rounds of all engines in turn, medians over them."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field, fields

from processes import Failed

# The rate of the open loop is what the slowest of these takes.
COMPARED = ("banyan", "nginx", "haproxy")
SHARE_OF_SATURATION = 0.7


@dataclass(frozen=True)
class Effort:
    """How long it may take."""

    rounds: int
    seconds: float
    paced_rounds: int
    paced_seconds: float


FULL = Effort(rounds=3, seconds=2, paced_rounds=2, paced_seconds=2)
# Latencies have outliers upwards only, from whatever else the machine does: many short rounds find the usual one.
THOROUGH = Effort(rounds=6, seconds=3, paced_rounds=12, paced_seconds=1.5)
QUICK = Effort(rounds=2, seconds=2, paced_rounds=1, paced_seconds=2)


@dataclass
class Case:
    """What is measured, of whom."""

    title: str
    run: Callable
    """Takes engines, cores and an effort; returns a row per engine."""
    without: dict = field(default_factory=dict)
    """Engines that cannot, and why."""
    site: dict = field(default_factory=dict)
    """How the engines are started: see `engines.Site`."""
    effort: Effort = FULL


def load(saturate, pace=None):
    """As much as goes; then, where there is a way, a steady rate that all can take.

    `saturate` takes engine, cores and seconds; `pace` a rate besides. Both return what `clients.Answered` holds.
    """

    def run(engines, cores, effort):
        samples = {engine.name: [] for engine in engines}
        for engine in engines:
            saturate(engine, cores, 1)
        for _ in range(effort.rounds):
            for engine in engines:  # interleaved: a slow minute of the machine meets all of them
                samples[engine.name].append(one_round(engine, lambda engine=engine: saturate(engine, cores, effort.seconds)))
        rows = {name: summary(taken) for name, taken in samples.items()}
        if pace:
            add_paced(rows, engines, cores, effort, pace)
        return rows

    return run


def one_round(engine, ask):
    user_before, system_before = engine.process.cpu_seconds()
    answered = ask()
    user, system = engine.process.cpu_seconds()
    checked(engine, answered)
    row = {
        "cpu_us_per_request": (user - user_before + system - system_before) * 1e6 / answered.requests,
        "user_us_per_request": (user - user_before) * 1e6 / answered.requests,
        "requests_per_second": answered.requests_per_second,
        "rss_kib": engine.process.rss_bytes() / 1024,
    }
    if answered.p99_ms:
        row |= {"saturated_p50_ms": answered.p50_ms, "saturated_p99_ms": answered.p99_ms}
    return row


def checked(engine, answered):
    if answered.failures or not answered.requests:
        raise Failed(f"{engine.name} failed under load: {answered}")
    return answered


def add_paced(rows, engines, cores, effort, pace):
    compared = [rows[name]["requests_per_second"] for name in COMPARED if name in rows]
    rate = round(SHARE_OF_SATURATION * min(compared or [row["requests_per_second"] for row in rows.values()]))
    # Of one that cannot take it, only the length of the queue would be seen.
    able = [engine for engine in engines if rows[engine.name]["requests_per_second"] * 0.95 > rate]
    taken = {engine.name: [] for engine in able}
    for _ in range(effort.paced_rounds):
        for engine in able:
            taken[engine.name].append(checked(engine, pace(engine, cores, effort.paced_seconds, rate)))
    for name, answers in taken.items():
        rows[name]["paced_per_second"] = rate
        for key in ("p50_ms", "p99_ms", "p999_ms", "sent_late_p99_ms"):
            rows[name][key] = round(statistics.median(getattr(answer, key) for answer in answers), 3)
        p99 = [answer.p99_ms for answer in answers]
        rows[name]["p99_ms_spread"] = [min(p99), max(p99)]


def summary(rows):
    """Median of each figure, with the lowest and highest of what is compared."""
    medians = {key: round(statistics.median(row[key] for row in rows), 3) for key in rows[0]}
    for key in ("cpu_us_per_request", "requests_per_second"):
        medians[f"{key}_spread"] = [round(min(row[key] for row in rows), 3), round(max(row[key] for row in rows), 3)]
    return medians


def in_pairs(off, on, keys):
    """Medians of both, and the median of on / off over the pairs."""
    figures = {}
    for key in keys:
        for mode, rows in (("off", off), ("on", on)):
            figures[f"{key}_{mode}"] = round(statistics.median(row[key] for row in rows), 3)
        pairs = [after[key] / max(before[key], 1e-9) for before, after in zip(off, on, strict=True)]
        figures[f"{key}_ratio"] = round(statistics.median(pairs), 3)
        figures[f"{key}_ratio_spread"] = [round(min(pairs), 3), round(max(pairs), 3)]
    return figures


def shortened(effort, quick):
    """`--quick`: the same, so short that it only shows that it works."""
    return (
        Effort(**{one.name: min(getattr(effort, one.name), getattr(QUICK, one.name)) for one in fields(Effort)})
        if quick
        else effort
    )
