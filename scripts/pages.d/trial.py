"""What the browser tests look at: a `banyan` on free ports, two scripted applications behind it, and people who ask."""

import http.client
import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

TOKEN = "admin-token-of-the-browser-tests"
READ_TOKEN = "read-token-of-the-browser-tests"

# One route per stage, a cohort, an upstream that is not there, and words that would like to be markup.
ROUTES = """\
version = 1

[defaults]
legacy = "monolith"
sticky = ["header:x-user-id", "client-ip"]

[upstreams.monolith]
targets = ["http://127.0.0.1:{legacy}"]

[upstreams.orders]
targets = ["http://127.0.0.1:{candidate}"]

[upstreams.catalog]
targets = ["http://127.0.0.1:{candidate}"]

[upstreams.search]
targets = ["http://127.0.0.1:{nobody}"]
breaker = {{ error_percent = 50, window = "10s", min_requests = 10, open_for = "60s" }}

[stores.orders]
mode = "shared"

[cohorts.checkout]
percent = 12.5

# What customers look up.
[[route]]
name    = "orders-read"
path    = "/api/orders/*"
methods = ["GET"]
to      = "orders"
percent = 10       # raised by hand, see MIG-42
store   = "orders"
shadow  = {{ percent = 100 }}
meta    = {{ owner = "team-orders", ticket = "MIG-42" }}

[[route]]
name    = "orders-write"
path    = "/api/orders/*"
methods = ["POST", "PUT"]
to      = "orders"
percent = 0
store   = "orders"

[[route]]
name    = "catalog"
path    = "/catalog/*"
to      = "catalog"
percent = 100
store   = "orders"
meta    = {{ owner = "<script>alert('owner')</script>" }}

[[route]]
name     = "search"
path     = "/search"
methods  = ["GET"]
to       = "search"
percent  = 50
fallback = {{ on = ["connect-error", "breaker-open"] }}

[[route]]
name    = "basket"
path    = "/basket"
methods = ["GET"]
to      = "orders"
cohort  = "checkout"

[[route]]
name    = "payment-page"
path    = "/payment"
methods = ["GET"]
to      = "orders"
cohort  = "checkout"

[[route]]
name    = "tickets"
path    = "/api/tickets/{{id}}"
methods = ["GET"]
to      = "catalog"
percent = 0
shadow  = {{ percent = 100 }}
compare = {{ ignore = ["/etag"] }}

[[route]]
name = "reports"
path = "/reports/*"

[[route]]
name   = "invoices-v1"
path   = "/v1/invoices/*"
retire = {{ link = "https://example.com/v2" }}
"""

ASKED = ["/api/orders/{n}", "/api/orders/{n}", "/catalog/{n}", "/search?q={n}", "/basket", "/payment",
         "/api/tickets/{n}", "/reports/{n}", "/v1/invoices/{n}", "/"]


class Application(BaseHTTPRequestHandler):
    """Answers JSON. The candidate is quicker, fails at times, and writes some prices as numbers."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        number = int("".join(letter for letter in self.path if letter.isdigit()) or 0)
        is_candidate = self.server.is_candidate
        if not is_candidate:
            time.sleep(0.004)
        fails = is_candidate and self.path.startswith("/api/orders") and number % 200 == 21
        price = number % 90 + 0.5
        is_number = is_candidate and number % 8 in (0, 1)
        answer = {"id": number, "etag": f"{self.server.name}-{number}", "note": "</script><script>alert('body')</script>",
                  "items": [{"sku": "A-1", "price": price if is_number else f"{price:.2f}"}]}
        body = b"out of stock" if fails else json.dumps(answer).encode()
        self.send_response(503 if fails else 200)
        self.send_header("Content-Type", "text/plain" if fails else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_PUT = do_GET

    def log_message(self, *_):
        pass


class Site:
    """Started by `with`; everything ends with it."""

    def __init__(self, binary, routes=ROUTES, arguments=(), tokens=True):
        self.binary = Path(binary)
        self.routes_text = routes
        self.arguments = list(arguments)
        self.tokens = tokens

    def __enter__(self):
        self.scratch = tempfile.TemporaryDirectory(prefix="banyan-pages.")
        self.folder = Path(self.scratch.name)
        self.servers = [application(False), application(True)]
        self.port, self.admin_port, self.nobody = (free_port() for _ in range(3))
        self.routes = self.folder / "routes.toml"
        ports = {"legacy": self.servers[0].server_port, "candidate": self.servers[1].server_port, "nobody": self.nobody}
        self.routes.write_text(self.routes_text.format(**ports))
        self.process = None
        self.start()
        return self

    def start(self):
        """Starts the proxy, anew after a stop."""
        address = f"127.0.0.1:{self.admin_port}"
        command = [self.binary, "run", "--routes", self.routes, "--listen", f"127.0.0.1:{self.port}", "--admin", address,
                   "--state-dir", self.folder / "state", *self.arguments]
        environment = {**os.environ, "NO_COLOR": "1"}
        if self.tokens:
            for name, token in (("admin", TOKEN), ("read", READ_TOKEN)):
                (self.folder / name).write_text(token)
                (self.folder / name).chmod(0o600)
            command += ["--admin-token-file", self.folder / "admin", "--admin-read-token-file", self.folder / "read"]
        self.log = open(self.folder / "banyan.log", "ab")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, env=environment)
        self.url = f"http://{address}"
        until("the proxy is ready", self.is_ready)

    def is_ready(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"banyan ended:\n{(self.folder / 'banyan.log').read_text()}")
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=1) as answer:
                return answer.status == 200
        except OSError:
            return False

    def stop(self):
        """Ends the proxy, and nothing else."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()

    def command(self, *words):
        """A command of Banyan's, as a person would type it."""
        environment = {**os.environ, "BANYAN_ADMIN": self.url, "BANYAN_ROUTES": str(self.routes), "NO_COLOR": "1",
                       "BANYAN_ADMIN_TOKEN": TOKEN}
        done = subprocess.run([self.binary, *words], env=environment, capture_output=True, text=True, timeout=30, check=False)
        if done.returncode:
            raise RuntimeError(f"banyan {' '.join(words)}: {done.stderr}")
        return done.stdout

    def ask(self, path):
        """A page or an answer of the API, with the admin token."""
        request = urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {TOKEN}"} if self.tokens else {})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.read().decode()

    def __exit__(self, *_):
        self.stop()
        for server in self.servers:
            server.shutdown()
            server.server_close()
        self.scratch.cleanup()


class Quiet(ThreadingHTTPServer):
    """Connections that the proxy closes are no trouble."""

    daemon_threads = True

    def handle_error(self, *_):
        pass


def application(is_candidate):
    server = Quiet(("127.0.0.1", 0), Application)
    server.is_candidate, server.name = is_candidate, "new" if is_candidate else "old"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


class People:
    """Ask until they are told to stop: one connection each, so many requests a second together."""

    def __init__(self, port, per_second=120, connections=4):
        self.port, self.pause, self.done = port, connections / per_second, threading.Event()
        self.threads = [threading.Thread(target=self.one, args=(at,), daemon=True) for at in range(connections)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def one(self, at):
        connection, number = None, at * 1000
        while not self.done.wait(self.pause):
            number += 1
            path = ASKED[number % len(ASKED)].format(n=number % 500)
            try:
                connection = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
                connection.request("GET", path, headers={"x-user-id": str(number % 400)})
                connection.getresponse().read()
            except (OSError, http.client.HTTPException):
                connection = None  # the proxy may be stopped meanwhile

    def __exit__(self, *_):
        self.done.set()
        for thread in self.threads:
            thread.join()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(what, holds, seconds=20):
    """Polls until something holds; says what did not."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"still not true after {seconds} s: {what}")
        time.sleep(0.05)
