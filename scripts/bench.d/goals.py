"""What the figures should be: ratios within one run, each with what must be reached and what is aimed at."""

from dataclasses import dataclass

PEERS = ("nginx", "haproxy")
COMPARED_AT_LEAST = 0.95


@dataclass
class Goal:
    what: str
    must: float
    goal: float
    seen: float
    at_least: bool = False
    unit: str = ""
    doubt: str = ""
    """Why what was seen says nothing."""

    def verdict(self):
        if self.doubt:
            return self.doubt
        if self.reached(self.goal):
            return "goal"
        return "must" if self.reached(self.must) else "missed"

    def reached(self, bound):
        return self.seen >= bound if self.at_least else self.seen <= bound

    def cells(self):
        sign = "≥" if self.at_least else "≤"
        bounds = [f"{sign} {round(bound, 3):g}{self.unit}" for bound in (self.must, self.goal)]
        return [self.what, *bounds, f"{self.seen:.3g}{self.unit}", self.verdict()]


def show(report):
    rows = [goal.cells() for goal in seen(report)]
    if not rows:
        return
    print(f"\n{'goal':62}{'must':>12}{'goal':>12}{'seen':>12}   reached")
    for what, must, goal, value, verdict in rows:
        print(f"{what:62}{must:>12}{goal:>12}{value:>12}   {verdict}")


def seen(report):
    """Those whose case ran with all that they compare."""
    cases = {case["name"]: case["engines"] for case in report["cases"]}
    return [goal for goal in candidates(cases) if goal]


def candidates(cases):
    cpu, rate = "cpu_us_per_request", "requests_per_second"
    yield against(cases, "tiny", cpu, "nginx", 1.0, 0.9, "tiny: CPU per request / nginx")
    yield against(cases, "tiny", cpu, "haproxy", 1.15, 1.0, "tiny: CPU per request / HAProxy")
    yield against(cases, "tiny", rate, "nginx", 1.0, 1.1, "tiny: requests/s / nginx", at_least=True)
    yield against(cases, "tiny", rate, "haproxy", 0.9, 1.0, "tiny: requests/s / HAProxy", at_least=True)
    yield against_better(cases, "tiny", "p99_ms", 1.15, 1.0, "tiny: p99 at 70 % load / the better")
    yield against_better(cases, "body-1m", cpu, 1.3, 1.0, "1 MiB answers: CPU per byte / the better")
    yield against_better(cases, "upload-1m", cpu, 1.3, 1.0, "1 MiB uploads: CPU per byte / the better")
    yield against_better(cases, "tls", cpu, 1.15, 1.0, "TLS 1.3, kept: CPU per request / the better")
    yield against_better(cases, "http2", cpu, 1.15, 0.9, "HTTP/2: CPU per request / the better")
    yield idle_memory(cases)
    yield alone(
        cases, "reload", "requests_per_second_ratio", 0.98, 0.995, "reload every second: requests/s / none", at_least=True
    )
    yield copied(cases, "p99_ms_ratio", 1.05, 1.02, "every request copied: client's p99 / none")
    yield copied(cases, "serving_us_per_request_ratio", 1.5, 1.3, "every request copied: CPU of serving threads / none")
    yield against(cases, "tiny", cpu, "pingora", 0.7, 0.55, "tiny: CPU per request / bare pingora-proxy")


def against(cases, case, key, peer, must, goal, what, at_least=False):
    ours, theirs = figure(cases, case, "banyan", key), figure(cases, case, peer, key)
    return Goal(what, must, goal, ours / theirs, at_least) if ours and theirs else None


def against_better(cases, case, key, must, goal, what):
    """Of both: a peer that did not run could have been the better one."""
    ours, theirs = figure(cases, case, "banyan", key), [figure(cases, case, peer, key) for peer in PEERS]
    return Goal(what, must, goal, ours / min(theirs)) if ours and all(theirs) else None


def alone(cases, case, key, must, goal, what, at_least=False):
    ours = figure(cases, case, "banyan", key)
    return Goal(what, must, goal, ours, at_least) if ours else None


def copied(cases, key, must, goal, what):
    """A copy that was dropped costs nothing."""
    found, compared = alone(cases, "shadow", key, must, goal, what), figure(cases, "shadow", "banyan", "compared_ratio_on")
    if found and compared < COMPARED_AT_LEAST:
        found.doubt = f"no data: {compared * 100:.0f} % compared"
    return found


def idle_memory(cases):
    ours, nginx = (figure(cases, "idle", engine, "bytes_per_connection") for engine in ("banyan", "nginx"))
    what = "an idle connection; the goal is nginx's"
    return Goal(what, 16.0, nginx / 1024, ours / 1024, unit=" KiB") if ours and nginx else None


def figure(cases, case, engine, key):
    return cases.get(case, {}).get(engine, {}).get(key)
