"""What is measured: each case takes started engines and returns a row of figures per engine."""

import http.client
import json
import os
import resource
import socket
import statistics
import subprocess
from pathlib import Path

from engines import Failed

HERE = Path(__file__).resolve().parent
CONNECTIONS = 64
IDLE_CONNECTIONS = 5000


def same_answers(engines):
    """Before anything is measured: every engine answers alike and halves the split route."""
    for engine in engines:
        client = http.client.HTTPConnection("127.0.0.1", engine.port, timeout=10)
        for path in ["/", "/api/r00/x", "/api/r98/x/y?z=1", "/api/unknown"]:
            answer = ask(client, path, "anybody")
            if answer != (200, "text/plain", b"legacy"):
                raise Failed(f"{engine.name} answers {answer} to {path}, not legacy's")
        arms = [ask(client, "/api/orders/7", f"user-{user}") for user in range(1, 1001)]
        again = [ask(client, "/api/orders/7", f"user-{user}") for user in range(1, 1001)]
        if arms != again:
            raise Failed(f"{engine.name} sends one user to both arms")
        candidates = sum(answer == (200, "text/plain", b"candidate") for answer in arms)
        if not 420 <= candidates <= 580 or len(set(arms)) != 2:
            raise Failed(f"{engine.name} sends {candidates} of 1000 users to the candidate, not about half: {set(arms)}")
        sizes = [len(ask(client, f"/api/orders/{size}", "user-1")[2]) for size in ("10k", "1m")]
        if sizes != [10 * 1024, 1024 * 1024]:
            raise Failed(f"{engine.name} answers bodies of {sizes} bytes")
        client.close()


def ask(client, path, user):
    client.request("GET", path, headers={"x-user-id": user})
    answer = client.getresponse()
    return answer.status, answer.headers.get_content_type(), answer.read()


def load(target):
    """A case of full load on one address: CPU time per request, throughput, latency."""

    def run(engines, cores, rounds, seconds):
        samples = {engine.name: [] for engine in engines}
        for engine in engines:
            one_round(engine, cores, target, 1)
        for _ in range(rounds):
            for engine in engines:  # interleaved: a slow minute of the machine meets all of them
                samples[engine.name].append(one_round(engine, cores, target, seconds))
        return {name: summary(rows) for name, rows in samples.items()}

    return run


def one_round(engine, cores, target, seconds):
    user_before, system_before = engine.process.cpu_seconds()
    result = wrk(engine, cores, target, seconds)
    user, system = engine.process.cpu_seconds()
    requests = result["requests"]
    if result["not_2xx"] or result["socket_errors"] or not requests:
        raise Failed(f"{engine.name} failed under load: {result}")
    return {
        "cpu_us_per_request": (user - user_before + system - system_before) * 1e6 / requests,
        "user_us_per_request": (user - user_before) * 1e6 / requests,
        "requests_per_second": requests * 1e6 / result["duration_us"],
        "p50_ms": result["p50_us"] / 1000,
        "p99_ms": result["p99_us"] / 1000,
        "rss_kib": engine.process.rss_bytes() / 1024,
    }


def wrk(engine, cores, target, seconds):
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "10s", "-s", str(HERE / "load.lua")]
    command += [f"http://127.0.0.1:{engine.port}", "--", target]
    told = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=seconds + 60,
        check=False,
        preexec_fn=lambda: os.sched_setaffinity(0, cores.rest),
    )
    for line in told.stdout.splitlines():
        if line.startswith("RESULT "):
            return json.loads(line.removeprefix("RESULT "))
    raise Failed(f"wrk said nothing for {engine.name}:\n{told.stdout}{told.stderr}")


def summary(rows):
    """Median of each figure, with the lowest and highest of what is compared."""
    medians = {key: round(statistics.median(row[key] for row in rows), 3) for key in rows[0]}
    for key in ("cpu_us_per_request", "requests_per_second"):
        medians[f"{key}_spread"] = [round(min(row[key] for row in rows), 3), round(max(row[key] for row in rows), 3)]
    return medians


def mirrored(target):
    """The same answers with and without copies of all requests to another backend, in pairs of rounds.

    Copies by Banyan are compared, those by nginx are thrown away; HAProxy has none. Serving CPU is that of all threads but
    the one that Banyan makes copies on, which shares the core.
    """

    def run(engines, cores, rounds, seconds):
        able = [engine for engine in engines if engine.name != "haproxy"]
        samples = {engine.name: {"off": [], "on": []} for engine in able}
        for engine in able:
            for _ in range(rounds):
                for mode, path in (("off", "/api/plain/7"), ("on", target)):
                    samples[engine.name][mode].append(paired_round(engine, cores, path, seconds))
        return {name: ratios(**rows) for name, rows in samples.items()}

    return run


def paired_round(engine, cores, path, seconds):
    before = engine.process.serving_cpu_seconds()
    result = wrk(engine, cores, path, seconds)
    serving = engine.process.serving_cpu_seconds() - before
    if result["not_2xx"] or not result["requests"]:
        raise Failed(f"{engine.name} failed under load: {result}")
    return {
        "requests_per_second": result["requests"] * 1e6 / result["duration_us"],
        "serving_us_per_request": serving * 1e6 / result["requests"],
        "p99_ms": result["p99_us"] / 1000,
        "errors": result["socket_errors"],
    }


def ratios(off, on):
    """Medians of both, and the median of on / off over the pairs."""
    figures = {}
    for key in ("requests_per_second", "serving_us_per_request", "p99_ms"):
        for mode, rows in (("off", off), ("on", on)):
            figures[f"{key}_{mode}"] = round(statistics.median(row[key] for row in rows), 3)
        pairs = [after[key] / max(before[key], 1e-9) for before, after in zip(off, on, strict=True)]
        figures[f"{key}_ratio"] = round(statistics.median(pairs), 3)
    figures["errors_on"] = sum(row["errors"] for row in on)
    return figures


def idle(engines, _cores, _rounds, _seconds):
    """Keep-alive connections that have asked once and now wait: bytes each, in the proxy's memory."""
    wanted = min(IDLE_CONNECTIONS, open_files() - 500)
    results = {}
    for engine in engines:
        before = engine.process.rss_bytes()
        held = [answered_once(engine.port) for _ in range(wanted)]
        grown = engine.process.rss_bytes() - before
        alive = sum(still_open(connection) for connection in held)
        for connection in held:
            connection.close()
        if alive != wanted:
            raise Failed(f"{engine.name} closed {wanted - alive} of {wanted} idle connections")
        results[engine.name] = {"connections": wanted, "bytes_per_connection": round(grown / wanted)}
    return results


def open_files():
    """Raises the limit of open files as far as allowed; started processes inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = min(hard, 65536) if hard != resource.RLIM_INFINITY else 65536
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return limit


def answered_once(port):
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.sendall(b"GET /api/orders/7 HTTP/1.1\r\nHost: bench\r\nx-user-id: user-1\r\n\r\n")
    seen = b""
    while not seen.endswith((b"legacy", b"candidate")):
        part = connection.recv(4096)
        if not part:
            raise Failed(f"closed before the answer was whole: {seen!r}")
        seen += part
    return connection


def still_open(connection):
    connection.setblocking(False)
    try:
        return connection.recv(1) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


CASES = {
    "tiny": load("/api/orders/7"),
    "body-10k": load("/api/orders/10k"),
    "body-1m": load("/api/orders/1m"),
    "idle": idle,
    "shadow": mirrored("/api/mirrored/7"),
    "shadow-hanging": mirrored("/api/hanging/7"),
}
