"""Full load while the configuration changes every second, in pairs of rounds with and without."""

import os
import signal
import threading

import clients
from cases.rounds import Case, Effort, in_pairs
from metrics_page import total
from processes import Failed

EFFORT = Effort(rounds=4, seconds=4, paced_rounds=0, paced_seconds=0)
UNABLE = {
    "haproxy": "starts a new process instead",
    "caddy": "takes a whole configuration over its API: not measured",
    "pingora": "has no routes",
}


def reloaded(engines, cores, effort):
    rows = {}
    for engine in engines:
        taken = {"off": [], "on": []}
        for _ in range(effort.rounds):
            taken["off"].append(one_round(engine, cores, effort.seconds))
            with Reloads(engine) as reloads:
                taken["on"].append(one_round(engine, cores, effort.seconds))
            taken["on"][-1]["reloads"] = reloads.applied()
        rows[engine.name] = in_pairs(taken["off"], taken["on"], ("requests_per_second", "p99_ms"))
        rows[engine.name]["errors_on"] = sum(row["errors"] for row in taken["on"])
        rows[engine.name]["reloads"] = sum(row["reloads"] for row in taken["on"])
    return rows


def one_round(engine, cores, seconds):
    answered = clients.wrk(engine, cores, clients.Asked("/api/orders/7"), seconds)
    if engine.name == "banyan" and answered.failures:
        raise Failed(f"banyan lost requests in a reload: {answered}")
    return {
        "requests_per_second": answered.requests_per_second,
        "p99_ms": answered.p99_ms,
        "errors": answered.failures,
    }


class Reloads:
    """One every second, from another thread, until the block ends."""

    def __init__(self, engine):
        self.engine, self.sent = engine, 0
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self.work)
        self.file = engine.site.directory / "routes.toml"

    def __enter__(self):
        self.before = self.counted()
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self.thread.join()

    def work(self):
        while not self.stopped.wait(1):
            self.sent += 1
            if self.engine.name == "banyan":
                self.change_share()
            else:
                os.kill(self.engine.process.popen.pid, signal.SIGHUP)

    def change_share(self):
        """Of the split route, from 50 to 49 and back: as an editor does it, by a new file in the old one's place."""
        text = self.file.read_text()
        old, new = ("percent = 50", "percent = 49") if "percent = 50" in text else ("percent = 49", "percent = 50")
        beside = self.file.with_suffix(".new")
        beside.write_text(text.replace(old, new, 1))
        os.replace(beside, self.file)

    def counted(self):
        if self.engine.name != "banyan":
            return 0
        return total(self.engine.ports["ADMIN"], "banyan_config_generation")

    def applied(self):
        """Banyan counts them itself; of nginx, those that it was asked for."""
        return round(self.counted() - self.before) if self.engine.name == "banyan" else self.sent


RELOADS = {"reload": Case("the configuration changed every second", reloaded, UNABLE, effort=EFFORT)}
