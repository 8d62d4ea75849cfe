"""What the dashboard costs: 500 routes, 2 000 requests/s, three browsers with the board open.

Measured is the time on the processor of the proxy's threads, from /proc: those that serve requests (with the dashboard closed and open), and
the admin thread and the sampler, which do what the dashboard asks for. Beside it: what the browser itself takes to show it.
"""

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from browser import Window, chromium
from trial import TOKEN, Site, free_port, until

ROUTES = 500
PER_SECOND = 2_000
BROWSERS = 3
SECONDS = 30
LIMIT = 0.02  # of one core
TICK = os.sysconf("SC_CLK_TCK")

NGINX = """\
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ worker_connections 512; }}
http {{
    access_log off;
    keepalive_requests 1000000;
    server {{ listen 127.0.0.1:{legacy}; location / {{ return 200 '{{"arm":"legacy"}}'; }} }}
    server {{ listen 127.0.0.1:{candidate}; location / {{ return 200 '{{"arm":"candidate"}}'; }} }}
}}
"""

# Each connection asks this many times a second: `wrk` waits that long between two.
LOAD = """\
local threads = 0
function setup(thread) thread:set("id", threads) threads = threads + 1 end
function init() n = id * 7919 end
function request()
    n = n + 1
    return wrk.format("GET", "/r" .. (n % {routes}) .. "/x", {{ ["x-user-id"] = tostring(n % 1999) }})
end
function delay() return {pause} end
"""


def main(binary):
    for program in ("nginx", "wrk"):
        if not shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin"):
            print(f"error: no {program}\nhint: scripts/setup --test")
            return 1
    os.environ["PATH"] += ":/usr/sbin"
    with tempfile.TemporaryDirectory(prefix="banyan-cost.") as folder, upstream(Path(folder)) as ports:
        with Site(binary, routes_text(ports), arguments=["--threads", "1"]) as site, load(Path(folder), site.port):
            return measured(site)


def measured(site):
    until("the first samples are there", lambda: '"requests_per_second":null' not in site.ask("/api/v1/board").split('"rows"')[0], 40)
    closed = spent(site, SECONDS)
    with chromium() as browser:
        windows = [Window(browser, site.url, TOKEN, name=f"reader {at}") for at in range(BROWSERS)]
        for window in windows:
            window.goto("/")
            window.page.evaluate(OBSERVE)
        told = [window.page.evaluate(FACTS) for window in windows]
        opened = spent(site, SECONDS)
        behaved = [window.page.evaluate("window.longest") for window in windows]
        filtering = windows[0].page.evaluate(FILTER)
        problems = [problem for window in windows for problem in window.problems()]
        for window in windows:
            window.close()
    return report(closed, opened, told, behaved, filtering, problems)


OBSERVE = """() => {
    window.longest = 0;
    new PerformanceObserver((list) => {
        for (const task of list.getEntries()) window.longest = Math.max(window.longest, task.duration);
    }).observe({ entryTypes: ["longtask"] });
}"""

FACTS = """() => {
    const page = performance.getEntriesByType("navigation")[0];
    const parts = performance.getEntriesByType("resource");
    const paint = performance.getEntriesByName("first-contentful-paint")[0];
    return {
        rows: document.querySelectorAll("table.board tbody tr").length,
        page: page.decodedBodySize, wire: page.transferSize, requests: parts.length + 1, answered: page.responseEnd - page.requestStart,
        parts: parts.reduce((sum, part) => sum + part.decodedBodySize, 0), paint: paint ? paint.startTime : NaN,
        ready: page.domContentLoadedEventEnd,
    };
}"""

# From a letter typed to the rows that are left being laid out.
FILTER = """async () => {
    const field = document.querySelector("#q");
    const began = performance.now();
    field.value = "route-49";
    field.dispatchEvent(new Event("input", { bubbles: true }));
    const rows = () => document.querySelectorAll("table.board tbody tr:not([hidden])").length;
    while (rows() > 100) await new Promise((done) => requestAnimationFrame(done));
    document.body.offsetHeight;
    return { milliseconds: performance.now() - began, rows: rows() };
}"""


def report(closed, opened, told, behaved, filtering, problems):
    rate = opened["requests"]
    dashboard = opened["control"]
    print(f"{ROUTES} routes, {closed['requests']:.0f} requests/s with the dashboard closed, {rate:.0f} with it open in {BROWSERS} browsers, "
          f"{SECONDS} s each, shares of one core:")
    print(f"  threads that serve requests    closed {closed['serving']:6.2%}   open {opened['serving']:6.2%}")
    print(f"  admin thread and sampler       closed {closed['control']:6.2%}   open {dashboard:6.2%}")
    print(f"  what the open dashboard adds   {dashboard - closed['control']:6.2%}")
    for at, facts in enumerate(told, 1):
        print(f"  browser {at}: {facts['rows']} rows, page {facts['page'] / 1000:.0f} kB ({facts['wire'] / 1000:.0f} kB sent) and "
              f"{facts['parts'] / 1000:.0f} kB of assets in {facts['requests']} requests, answered in {facts['answered']:.0f} ms, "
              f"first contentful paint {facts['paint']:.0f} ms, ready {facts['ready']:.0f} ms; longest task while open {behaved[at - 1]:.0f} ms")
    print(f"  filter: {filtering['rows']} rows left after {filtering['milliseconds']:.0f} ms")
    if dashboard > LIMIT:
        problems.append(f"the dashboard takes {dashboard:.2%} of a core, more than {LIMIT:.0%}")
    if rate < 0.85 * PER_SECOND:
        problems.append(f"only {rate:.0f} requests/s: the machine is too busy to measure")
    for problem in problems:
        print(f"error: {problem}")
    return 1 if problems else 0


def spent(site, seconds):
    """What the proxy's threads took meanwhile, as parts of a core; and how many requests it served a second."""
    before, answered, began = threads(site.process.pid), requests(site), time.monotonic()
    time.sleep(seconds)
    after, length = threads(site.process.pid), time.monotonic() - began
    took = {"serving": 0, "control": 0}
    for thread, (name, ticks) in after.items():
        group = "control" if is_control(name) else "serving"
        took[group] += (ticks - before.get(thread, (name, 0))[1]) / TICK / length
    return {**took, "requests": (requests(site) - answered) / length}


def is_control(name):
    """What is slow goes from the admin thread to those of its runtime."""
    return name.startswith(("admin", "timeline", "progress", "tokio-rt"))


def threads(pid):
    found = {}
    for thread in Path(f"/proc/{pid}/task").iterdir():
        try:
            name, rest = (thread / "stat").read_text().split("(", 1)[1].rsplit(")", 1)
        except FileNotFoundError:
            continue
        fields = rest.split()
        found[thread.name] = (name, int(fields[11]) + int(fields[12]))
    return found


def requests(site):
    lines = (line for line in site.ask("/metrics").splitlines() if line.startswith("banyan_requests_total{"))
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


class upstream:
    """Debian's nginx, which costs little, as both arms."""

    def __init__(self, folder):
        self.folder = folder

    def __enter__(self):
        ports = {"legacy": free_port(), "candidate": free_port()}
        config = self.folder / "nginx.conf"
        config.write_text(NGINX.format(folder=self.folder, **ports))
        self.process = subprocess.Popen(["nginx", "-e", self.folder / "nginx.log", "-p", self.folder, "-c", config])
        return ports

    def __exit__(self, *_):
        end(self.process)


class load:
    """`wrk`, held to a rate by the pause of each of its connections: long beside what an answer takes."""

    def __init__(self, folder, port, connections=160):
        script = folder / "load.lua"
        script.write_text(LOAD.format(routes=ROUTES, pause=round(connections * 1000 / PER_SECOND) - 2))
        self.command = ["wrk", "-t", "1", "-c", str(connections), "-d", "600s", "-s", script, f"http://127.0.0.1:{port}"]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL)

    def __exit__(self, *_):
        end(self.process)


def end(process):
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def routes_text(ports):
    head = (f'version = 1\n[defaults]\nlegacy = "monolith"\nsticky = ["header:x-user-id"]\n'
            f'[upstreams.monolith]\ntargets = ["http://127.0.0.1:{ports["legacy"]}"]\n'
            f'[upstreams.candidate]\ntargets = ["http://127.0.0.1:{ports["candidate"]}"]\n')
    routes = (f'[[route]]\nname = "route-{at}"\npath = "/r{at}/*"\nmethods = ["GET"]\nto = "candidate"\npercent = {(0, 5, 25, 50, 100)[at % 5]}\n'
              f'meta = {{ owner = "team-{at % 17}" }}\n' for at in range(ROUTES))
    return (head + "".join(routes)).replace("{", "{{").replace("}", "}}")
