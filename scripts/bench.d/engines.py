"""The proxies under test: their configuration, their processes, and what these cost."""

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BINARY = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release/banyan"
ROUTES_BESIDE_ORDERS = 99
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Failed(Exception):
    """Something does not run or does not answer as it must; the text is for people."""


class Cores:
    """One core for the proxy, all others for load and backends."""

    def __init__(self):
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) < 2:
            raise Failed("needs two cores: one for the proxy, one for load and backends")
        self.proxy, self.rest = {cores[-1]}, set(cores[:-1])


class Process:
    """A started program with its children, pinned, stopped by its id."""

    def __init__(self, command, cores, log):
        self.log = log
        with open(log, "ab") as out:
            self.popen = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                preexec_fn=lambda: os.sched_setaffinity(0, cores),
            )

    def wait_for_port(self, port, seconds=15):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.popen.poll() is not None:
                break
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.05)
        raise Failed(f"{self.popen.args[0]} does not listen on {port}:\n{Path(self.log).read_text()[-2000:]}")

    def cpu_seconds(self):
        """User and system time of the process and its children so far."""
        user = system = 0
        for pid in self.tree():
            fields = stat_fields(pid)
            user += int(fields[11])
            system += int(fields[12])
        return user / TICKS_PER_SECOND, system / TICKS_PER_SECOND

    def serving_cpu_seconds(self):
        """All of it but for the thread that serves nobody."""
        ticks = 0
        for pid in self.tree():
            for task in Path(f"/proc/{pid}/task").iterdir():
                if (task / "comm").read_text().strip() != "banyan-shadow":
                    fields = (task / "stat").read_text().rpartition(")")[2].split()
                    ticks += int(fields[11]) + int(fields[12])
        return ticks / TICKS_PER_SECOND

    def rss_bytes(self):
        return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES for pid in self.tree())

    def tree(self):
        found, new = [], [self.popen.pid]
        while new:
            found += new
            new = [child for pid in new for child in children(pid)]
        return found

    def stop(self):
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
            try:
                self.popen.wait(10)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()


class Engine:
    """One proxy: its name, its port, its process."""

    def __init__(self, name, version, command, port, cores, log):
        self.name, self.version, self.port = name, version, port
        self.process = Process(command, cores, log)
        self.process.wait_for_port(port)

    def stop(self):
        self.process.stop()


class Hanging:
    """A backend that takes connections and answers nothing: the kernel accepts for it."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.port = self.listener.getsockname()[1]

    def stop(self):
        self.listener.close()


def start_backend(directory, ports, cores):
    (directory / "10k.bin").write_bytes(os.urandom(10 * 1024))
    (directory / "1m.bin").write_bytes(os.urandom(1024 * 1024))
    config = written(directory, "backend.conf", ports)
    backend = Process(["nginx", "-p", directory, "-c", config], cores.rest, directory / "backend.out")
    backend.wait_for_port(ports["CANDIDATE"])
    return backend


def start_banyan(directory, backends, cores):
    if not BINARY.exists():
        raise Failed(f"no {BINARY}\nhint: cargo build --release --locked --package banyan")
    ports = backends | {"PORT": free_port(), "ADMIN": free_port()}
    routes = written(directory, "routes.toml", ports)
    command = [BINARY, "run", "--routes", routes, "--threads", 1, "--state-dir", directory / "banyan-state"]
    command += ["--listen", f"127.0.0.1:{ports['PORT']}", "--admin", f"127.0.0.1:{ports['ADMIN']}"]
    version = first_line([BINARY, "--version"])
    return Engine("banyan", version, command, ports["PORT"], cores.proxy, directory / "banyan.out")


def start_nginx(directory, backends, cores):
    ports = backends | {"PORT": free_port(), "ADMIN": free_port()}
    command = ["nginx", "-p", directory, "-c", written(directory, "nginx.conf", ports)]
    return Engine("nginx", first_line(["nginx", "-v"]), command, ports["PORT"], cores.proxy, directory / "nginx.out")


def start_haproxy(directory, backends, cores):
    ports = backends | {"PORT": free_port(), "ADMIN": free_port()}
    written(directory, "haproxy.map", ports)
    command = ["haproxy", "-db", "-f", written(directory, "haproxy.cfg", ports)]
    version = first_line(["haproxy", "-v"])
    return Engine("haproxy", version, command, ports["PORT"], cores.proxy, directory / "haproxy.out")


STARTERS = {"banyan": start_banyan, "nginx": start_nginx, "haproxy": start_haproxy}


def written(directory, template, values):
    """A template with its values filled in and its lines of routes repeated."""
    lines = (HERE / template).read_text().splitlines(keepends=True)
    text = "".join(repeated(lines))
    for name, value in (values | {"DIR": directory}).items():
        text = text.replace(f"@{name}@", str(value))
    path = directory / template
    path.write_text(text)
    return path


def repeated(lines):
    block = []
    for line in [*lines, ""]:
        if "@I@" in line:
            block.append(line)
            continue
        for number in range(ROUTES_BESIDE_ORDERS if block else 0):
            yield from (part.replace("@I@", f"{number:02}") for part in block)
        block = []
        yield line


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def first_line(command):
    told = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    return re.sub(r"\s+https?://\S*", "", (told.stdout or told.stderr).splitlines()[0])


def require(*programs):
    missing = [program for program in programs if not shutil.which(program)]
    if missing:
        raise Failed(f"missing: {', '.join(missing)}\nhint: scripts/setup --test")


def stat_fields(pid):
    """Fields of /proc/PID/stat from the third on: the second may hold spaces."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def children(pid):
    tasks = Path(f"/proc/{pid}/task")
    return [int(child) for task in tasks.iterdir() for child in (task / "children").read_text().split()]
