"""What asks the proxies: wrk and h2load for as much as goes, our own for a steady rate and for what those cannot."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import backends
from processes import Failed

HERE = Path(__file__).resolve().parent
CONNECTIONS = 64


@dataclass
class Asked:
    """What is asked, over and over."""

    target: str
    words: tuple = ()
    """cookie, close, upload=BYTES: see load.lua."""
    routes: int = 1
    tls: bool = False


@dataclass
class Answered:
    """What a client says in the end."""

    requests: int
    """All of them: CPU time is divided by these."""
    requests_per_second: float
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    p999_ms: float = 0.0
    sent_late_p99_ms: float = 0.0
    failures: int = 0


def wrk(engine, cores, asked, seconds, connections=CONNECTIONS):
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", str(HERE / "load.lua")]
    command += [f"https://localhost:{engine.ports['TLS']}" if asked.tls else f"http://127.0.0.1:{engine.port}"]
    told = run(command + ["--", asked.target, str(asked.routes), *asked.words], cores, seconds)
    for line in told.splitlines():
        if line.startswith("RESULT "):
            return from_wrk(json.loads(line.removeprefix("RESULT ")))
    raise Failed(f"wrk said nothing for {engine.name}:\n{told}")


def from_wrk(result):
    return Answered(
        requests=result["requests"],
        requests_per_second=result["requests"] * 1e6 / result["duration_us"],
        p50_ms=result["p50_us"] / 1000,
        p99_ms=result["p99_us"] / 1000,
        failures=result["not_2xx"] + result["socket_errors"],
    )


def paced(engine, cores, words, seconds, rate=None, connections=CONNECTIONS, warm_up=0.5):
    """Our own client: with a rate in an open loop, without one in a closed one."""
    command = [backends.load_program(), "client", "--port", engine.port, "--connections", connections]
    command += ["--seconds", seconds, "--warm-up", warm_up, *words]
    if rate:
        command += ["--rate", rate]
    result = json.loads(run([str(word) for word in command], cores, seconds + warm_up))
    return Answered(
        requests=result["answered"],
        requests_per_second=result["requests_per_second"],
        p50_ms=result["p50_us"] / 1000,
        p99_ms=result["p99_us"] / 1000,
        p999_ms=result["p999_us"] / 1000,
        sent_late_p99_ms=result["sent_late_p99_us"] / 1000,
        failures=result["not_2xx"] + result["broken"],
    )


def words_of(asked):
    """The same question, for our own client."""
    words = ["--target", asked.target, "--routes", asked.routes]
    return words + (["--cookie"] if "cookie" in asked.words else [])


def h2load(engine, cores, target, seconds, clients=16, streams=16):
    command = ["h2load", "-t1", f"-c{clients}", f"-m{streams}", f"-D{seconds}", "-H", "x-user-id: user-1"]
    told = run([*command, f"http://127.0.0.1:{engine.ports['HTTP2']}{target}"], cores, seconds)
    counts = re.search(r"(\d+) total, .* (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored", told)
    rate = re.search(r"finished in [^,]+, ([\d.]+) req/s", told)
    if not counts or not rate:
        raise Failed(f"h2load said nothing for {engine.name}:\n{told}")
    _, done, succeeded, _, _ = (int(count) for count in counts.groups())
    return Answered(requests=done, requests_per_second=float(rate[1]), failures=done - succeeded)


def handshakes(engine, cores, seconds):
    """One connection after the other, each with a whole handshake and one request."""
    command = [sys.executable, str(HERE / "handshakes.py"), str(engine.ports["TLS"]), str(seconds)]
    result = json.loads(run(command, cores, seconds))
    return Answered(requests=result["handshakes"], requests_per_second=result["handshakes"] / result["seconds"])


def run(command, cores, seconds):
    told = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=seconds + 90,
        check=False,
        preexec_fn=lambda: os.sched_setaffinity(0, cores.rest),
    )
    if told.returncode:
        raise Failed(f"{command[0]} failed:\n{told.stdout}{told.stderr}")
    return told.stdout
