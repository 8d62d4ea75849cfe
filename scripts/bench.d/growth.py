"""What more threads and more routes cost Banyan: the curves of docs/performance.md."""

import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import clients
import engines
from backends import ROOT, Backends
from metrics_page import fetched
from processes import Failed

ROUTES = (10, 100, 1_000, 10_000)
METRICS_ROUTES = (10, 100, 1_000)
ARMS = {
    "legacy alone": "",
    "both arms": 'to = "candidate"\npercent = 50\n',
    "both arms, compared": 'to = "candidate"\npercent = 50\nshadow = { percent = 1 }\n',
}
HEAD = """version = 1
[defaults]
legacy = "legacy"
sticky = ["header:x-user-id"]
[upstreams.legacy]
targets = ["http://127.0.0.1:@LEGACY@"]
[upstreams.candidate]
targets = ["http://127.0.0.1:@CANDIDATE@"]
[[route]]
name = "orders"
path = "/api/orders/*"
to = "candidate"
percent = 0
"""


def measure(directory, cores, quick):
    backends = Backends(directory, cores)
    try:
        backends.ports = backends.for_one(directory, cores)
        return {
            "threads": threads(directory, cores, backends, quick),
            "decision": decisions(quick),
            "memory": memory(directory, cores, backends),
            "reload": reloads(directory, cores, backends, 1 if quick else 5),
            "metrics": metrics(directory, cores, backends, 1 if quick else 5),
        }
    finally:
        backends.stop()


def threads(directory, cores, backends, quick):
    """By number of worker threads, each with a core; load and backends have the rest, or share where there is none."""
    told("threads")
    everything = sorted(cores.proxy | cores.rest)
    rows = {}
    for number in (count for count in (1, 2, 4, 8) if count <= len(everything)):
        mine = set(everything[-number:])
        site = engines.Site(directory, backends.ports, mine, threads=number)
        engine = engines.start_banyan(site)
        try:
            load = engines.Cores()
            load.rest = set(everything) - mine or set(everything)
            rows[number] = one_count(engine, load, number, 2 if quick else 4, 1 if quick else 3)
        finally:
            engine.stop()
    first, last = rows[1], rows[max(rows)]
    return {"by_threads": rows, "scaling": round(last["requests_per_second"] / first["requests_per_second"], 2)}


def one_count(engine, load, number, seconds, rounds):
    best, taken = 0.0, []
    for _ in range(rounds):
        best = max(best, clients.wrk(engine, load, clients.Asked("/api/orders/7"), seconds).requests_per_second)
        before = sum(engine.process.cpu_seconds())
        # The same rate for all counts: far below what one thread takes.
        answered = clients.paced(engine, load, ["--target", "/api/orders/7"], seconds, rate=8000)
        taken.append((sum(engine.process.cpu_seconds()) - before) * 1e6 / answered.requests)
    return {
        "threads": number,
        "requests_per_second": round(best),
        "cpu_us_at_8000_per_second": round(sorted(taken)[len(taken) // 2], 2),
    }


def decisions(quick):
    """Nanoseconds by number of routes, of `cargo bench --bench decide`."""
    told("decision (cargo bench)")
    command = ["cargo", "bench", "--locked", "--quiet", "--workspace", "--bench", "decide", "--"]
    command += ["--noplot", "--warm-up-time", "0.5", "--measurement-time", "1" if quick else "3"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"cargo bench failed:\n{done.stdout[-1000:]}{done.stderr[-2000:]}")
    folder = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "criterion/decide"
    nanoseconds = {}
    for routes in (1, 100, 1_000, 10_000):
        estimates = json.loads((folder / f"{routes}/new/estimates.json").read_text())
        nanoseconds[routes] = round(estimates["median"]["point_estimate"], 1)
    return {"nanoseconds": nanoseconds}


def memory(directory, cores, backends):
    """Bytes per route and what else the process holds, by number of routes and their arms, right after the start."""
    told("memory")
    rows = {}
    for name, more in ARMS.items():
        rows[name] = {}
        for routes in ROUTES:
            with Started(directory, cores, backends, routes, more) as engine:
                fetched(engine.ports["ADMIN"])
                rows[name][routes] = round(engine.process.rss_bytes() / 1024)
    return {"rss_kib": rows}


def reloads(directory, cores, backends, rounds):
    """Milliseconds from a saved file to the first answer that obeys it."""
    told("reload")
    rows = {}
    for routes in ROUTES:
        with Started(directory, cores, backends, routes, ARMS["both arms"]) as engine:
            taken = sorted(one_reload(engine, turn) for turn in range(2 * rounds))
            rows[routes] = round(taken[len(taken) // 2], 1)
    return {"milliseconds": rows}


def one_reload(engine, turn):
    """All users of the first route to the other arm."""
    old, new, arm = ("0", "100", b"candidate") if turn % 2 == 0 else ("100", "0", b"legacy")
    file = engine.site.directory / "routes.toml"
    text = file.read_text().replace(f"percent = {old}\n", f"percent = {new}\n", 1)
    beside = file.with_suffix(".new")
    beside.write_text(text)
    client = http.client.HTTPConnection("127.0.0.1", engine.port, timeout=10)
    begin = time.monotonic()
    os.replace(beside, file)
    while time.monotonic() - begin < 30:
        client.request("GET", "/api/orders/7", headers={"x-user-id": "anybody"})
        if client.getresponse().read() == arm:
            client.close()
            return (time.monotonic() - begin) * 1000
        time.sleep(0.001)
    raise Failed("a reload had no effect in 30 s")


def metrics(directory, cores, backends, rounds):
    """Size of the page and time to get it, when every route was asked by users of both arms."""
    told("metrics")
    rows = {}
    for routes in METRICS_ROUTES:
        with Started(directory, cores, backends, routes, ARMS["both arms"]) as engine:
            client = http.client.HTTPConnection("127.0.0.1", engine.port, timeout=10)
            for number in range(routes):
                for user in range(8):
                    client.request("GET", f"/api/r{number}/x", headers={"x-user-id": f"user-{user}"})
                    client.getresponse().read()
            client.close()
            taken = sorted(one_page(engine) for _ in range(2 * rounds + 1))
            milliseconds, size = taken[len(taken) // 2]
            rows[routes] = {"milliseconds": round(milliseconds, 2), "kib": round(size / 1024)}
    return {"by_routes": rows}


def one_page(engine):
    begin = time.monotonic()
    page = fetched(engine.ports["ADMIN"])
    return (time.monotonic() - begin) * 1000, len(page)


class Started:
    """Banyan with so many routes, each with these lines."""

    def __init__(self, directory, cores, backends, routes, more):
        text = HEAD + "".join(
            f'[[route]]\nname = "r{number}"\npath = "/api/r{number}/*"\n{more}' for number in range(routes)
        )
        for name, port in backends.ports.items():
            text = text.replace(f"@{name}@", str(port))
        # Of its own: the history of another one would be in its memory.
        folder = Path(tempfile.mkdtemp(dir=directory))
        self.site = engines.Site(folder, backends.ports, cores.proxy)
        self.text = text

    def __enter__(self):
        self.engine = engines.start_banyan(self.site, self.text)
        return self.engine

    def __exit__(self, *_):
        self.engine.stop()


def told(part):
    print(f"growth: {part}", file=sys.stderr)
