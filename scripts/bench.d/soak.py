"""Mixed load for long, with reloads, upstreams that restart, and copies: does anything grow, and does anything fail?"""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import backends
import engines
from metrics_page import total
from processes import Failed, free_port
from templates import written

SAMPLE_S = 5
RELOAD_S = 10
RESTART_S = 30
# Before that, pools and caches fill.
SETTLED = 0.2
# Requests per second of each kind of client, far below what one core takes.
CLIENTS = {
    "orders": (32, 1200, ["--target", "/api/orders/7"]),
    "copied": (16, 400, ["--target", "/api/mirrored/7"]),
    "ten-kib": (8, 150, ["--target", "/api/orders/10k"]),
    "one-mib": (2, 10, ["--target", "/api/orders/1m"]),
    "slow": (32, 200, ["--target", "/api/slow/x"]),
    "routes": (16, 200, ["--target", "/api/r@I@/x", "--routes", "99"]),
    "messages": (20, 300, ["--websocket", "32"]),
}


def run(directory, cores, minutes):
    seconds = minutes * 60
    upstreams = backends.Backends(directory, cores)
    candidates = [Candidate(directory, cores, name) for name in ("one", "two")]
    engine = clients = None
    try:
        ports = upstreams.for_one(directory, cores) | {"ONE": candidates[0].port, "TWO": candidates[1].port}
        text = written(directory, "soak.toml", ports).read_text()
        engine = engines.start_banyan(engines.Site(directory, ports, cores.proxy), text)
        clients = Clients(directory, engine, cores, seconds)
        samples, restarts = watch(engine, candidates, seconds)
        answers = clients.ended()
        time.sleep(2)
        return told(engine, samples, answers, restarts, minutes)
    finally:
        for started in (clients, engine, *candidates, upstreams):
            if started:
                started.stop()


class Candidate:
    """One of two servers of the candidate, as nginx ends and begins in a deployment."""

    def __init__(self, directory, cores, name):
        self.directory, self.cores, self.name = directory, cores, name
        self.port, self.other = free_port(), free_port()
        self.start()

    def start(self):
        ports = {"LEGACY": self.other, "CANDIDATE": self.port}
        self.process = backends.start_backend(self.directory, ports, self.cores, name=self.name)

    def restart(self):
        """What is being answered is answered; connections that rest are closed."""
        self.process.popen.send_signal(signal.SIGQUIT)
        self.process.popen.wait(60)
        self.start()

    def stop(self):
        self.process.stop()


class Clients:
    """One process per kind, and h2load, all at a steady rate."""

    def __init__(self, directory, engine, cores, seconds):
        self.outputs, self.started = {}, []
        load = backends.load_program()
        for name, (connections, rate, words) in CLIENTS.items():
            command = [load, "client", "--port", engine.port, "--connections", connections, "--rate", rate]
            self.start(directory, name, [*command, "--seconds", seconds - 1, *words], cores)
        http2 = ["h2load", "-t1", "-c4", "-m8", f"-D{seconds:.0f}", "--rps", 50, "-H", "x-user-id: user-1"]
        self.start(directory, "http2", [*http2, f"http://127.0.0.1:{engine.port}/api/orders/7"], cores)

    def start(self, directory, name, command, cores):
        self.outputs[name] = directory / f"client-{name}.out"
        with open(self.outputs[name], "wb") as out:
            words = [str(word) for word in command]
            pinned = lambda: os.sched_setaffinity(0, cores.rest)  # noqa: E731
            self.started.append(subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=out, preexec_fn=pinned))

    def ended(self):
        """Requests and failures of each kind."""
        for client in self.started:
            client.wait(60)
        answers = {}
        for name, file in self.outputs.items():
            text = file.read_text()
            answers[name] = from_h2load(text) if name == "http2" else from_ours(name, text)
        return answers

    def stop(self):
        for client in self.started:
            if client.poll() is None:
                client.kill()
                client.wait()


def from_ours(name, text):
    try:
        said = json.loads(text)
    except ValueError as problem:
        raise Failed(f"the client {name} failed:\n{text}") from problem
    return {
        "requests": said["answered"],
        "not_2xx": said["not_2xx"],
        "broken": said["broken"],
        "p99_ms": said["p99_us"] / 1000,
    }


def from_h2load(text):
    line = next((line for line in text.splitlines() if line.startswith("requests:")), "")
    numbers = [int(word) for word in line.replace(",", " ").split() if word.isdigit()]
    if len(numbers) < 6:
        raise Failed(f"h2load failed:\n{text}")
    return {"requests": numbers[2], "not_2xx": numbers[4], "broken": numbers[5]}


def watch(engine, candidates, seconds):
    """Samples of the process, while routes are reloaded and servers restarted."""
    samples, restarts, begin = [], 0, time.monotonic()
    turns = itertools.cycle(candidates)
    reload_at, restart_at = RELOAD_S, RESTART_S
    while (now := time.monotonic() - begin) < seconds:
        samples.append(sample(engine, now))
        if now >= reload_at:
            change_share(engine.site.directory / "routes.toml")
            reload_at += RELOAD_S
        if now >= restart_at:
            next(turns).restart()
            restarts += 1
            restart_at += RESTART_S
            print(f"soak: {now / 60:.1f} of {seconds / 60:.0f} min, {samples[-1]['rss_kib']} KiB", file=sys.stderr)
        time.sleep(max(0.0, min(SAMPLE_S, begin + seconds - time.monotonic())))
    return samples, restarts


def sample(engine, now):
    if engine.process.popen.poll() is not None:
        raise Failed(f"banyan ended:\n{Path(engine.process.log).read_text()[-2000:]}")
    return {
        "second": round(now, 1),
        "rss_kib": engine.process.rss_bytes() // 1024,
        "open_files": engine.process.open_files(),
        "cpu_s": round(sum(engine.process.cpu_seconds()), 2),
    }


def change_share(file):
    text = file.read_text()
    old, new = ("percent = 50", "percent = 40") if "percent = 50" in text else ("percent = 40", "percent = 50")
    beside = file.with_suffix(".new")
    beside.write_text(text.replace(old, new, 1))
    os.replace(beside, file)


def told(engine, samples, answers, restarts, minutes):
    admin = engine.ports["ADMIN"]
    settled = [one for one in samples if one["second"] >= SETTLED * minutes * 60]
    return {
        "minutes": minutes,
        "requests": sum(answer["requests"] for answer in answers.values()),
        "failures": sum(answer["not_2xx"] + answer["broken"] for answer in answers.values()),
        "reloads": round(total(admin, "banyan_config_generation")) - 1,
        "restarts": restarts,
        "retries": round(total(admin, "banyan_retries_total")),
        "reuse": reuse(engine.ports["LEGACY"]),
        "copies": round(total(admin, "banyan_shadow_requests_total")),
        "compared": round(total(admin, "banyan_compare_total")),
        "mismatches": round(total(admin, "banyan_compare_total", 'verdict="mismatch"')),
        "panics": round(total(admin, "banyan_panics_total")),
        "rss_kib_settled": settled[0]["rss_kib"],
        "rss_kib_end": samples[-1]["rss_kib"],
        "rss_slope_kib_per_minute": round(slope(settled, "rss_kib"), 2),
        "open_files_most": max(one["open_files"] for one in samples),
        "open_files_settled": settled[0]["open_files"],
        "open_files_end": samples[-1]["open_files"],
        "open_files_after_load": engine.process.open_files(),
        "cpu_share_of_a_core": round(samples[-1]["cpu_s"] / samples[-1]["second"], 3),
        "clients": answers,
        "samples": samples,
    }


def reuse(port):
    """Share of legacy's requests that came on a connection which was there already, as nginx counts them."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/connections", timeout=10) as answer:
        accepted, _, requests = [int(word) for word in answer.read().split() if word.isdigit()][1:4]
    return round(1 - accepted / requests, 5)


def slope(samples, key):
    """Per minute, by least squares."""
    minutes = [one["second"] / 60 for one in samples]
    middle, mean = sum(minutes) / len(minutes), sum(one[key] for one in samples) / len(samples)
    spread = sum((minute - middle) ** 2 for minute in minutes)
    together = sum((minute - middle) * (one[key] - mean) for minute, one in zip(minutes, samples, strict=True))
    return together / spread if spread else 0.0
