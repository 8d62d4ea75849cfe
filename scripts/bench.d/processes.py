"""Started programs: pinned, measured, stopped by their id."""

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

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
    """A started program with its children."""

    def __init__(self, command, cores, log, nice=0, environment=None):
        self.log = log
        with open(log, "ab") as out:
            self.popen = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=environment and os.environ | environment,
                preexec_fn=lambda: (os.sched_setaffinity(0, cores), os.nice(nice)),
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
            fields = stat_fields(Path(f"/proc/{pid}"))
            user += int(fields[11])
            system += int(fields[12])
        return user / TICKS_PER_SECOND, system / TICKS_PER_SECOND

    def threads_cpu_seconds(self):
        """The same by the name of the thread."""
        seconds = {}
        for task in self.tasks():
            name = (task / "comm").read_text().strip()
            fields = stat_fields(task)
            seconds[name] = seconds.get(name, 0) + (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND
        return seconds

    def move_thread(self, name, cores, nice):
        """To other cores, and behind everybody there."""
        for task in self.tasks():
            if (task / "comm").read_text().strip() == name:
                os.sched_setaffinity(int(task.name), cores)
                os.setpriority(os.PRIO_PROCESS, int(task.name), nice)

    def tasks(self):
        return [task for pid in self.tree() for task in Path(f"/proc/{pid}/task").iterdir()]

    def rss_bytes(self):
        return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES for pid in self.tree())

    def open_files(self):
        return sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in self.tree())

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


def stat_fields(folder):
    """Fields of `stat` from the third on: the second may hold spaces."""
    return (folder / "stat").read_text().rpartition(")")[2].split()


def children(pid):
    tasks = Path(f"/proc/{pid}/task")
    return [int(child) for task in tasks.iterdir() for child in (task / "children").read_text().split()]


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
