"""What stands behind the proxies, and the files that all of them share."""

import os
import socket
import subprocess
from pathlib import Path

from processes import Failed, Process, free_port
from templates import written

ROOT = Path(__file__).resolve().parent.parent.parent
TOOLS = ROOT / "target/tools/bench"
SLOW_MS = 50
LIMITED_MS = 5
LIMITED_CONNECTIONS = 20


def build(project):
    """A program of the benchmark's own, whose Cargo project stands beside this file: release, in target/tools/bench."""
    folder = ROOT / "scripts/bench.d" / project
    command = ["cargo", "build", "--release", "--locked", "--quiet", "--target-dir", TOOLS]
    if subprocess.run(command, cwd=folder, check=False).returncode:
        raise Failed(f"{folder.relative_to(ROOT)} does not build")


def load_program():
    return TOOLS / "release/load"


class Backends:
    """All upstreams of the templates: their ports, and their processes."""

    def __init__(self, directory, cores):
        names = ("LEGACY", "CANDIDATE", "COPIES", "UPLOADS")
        self.ports = {name: free_port() for name in names}
        self.started = []
        try:
            self.start(directory, cores)
        except BaseException:
            self.stop()
            raise

    def start(self, directory, cores):
        self.started.append(start_backend(directory, self.ports, cores))
        # Behind everything else on their cores: copies are not what clients wait for.
        copies = {"LEGACY": self.ports["COPIES"], "CANDIDATE": free_port()}
        self.started.append(start_backend(directory, copies, cores, name="copies", nice=19))
        self.started.append(Hanging())
        self.ports["HANGING"] = self.started[-1].port
        self.start_load_server(directory, cores, self.ports["UPLOADS"], [])

    def for_one(self, directory, cores):
        """The ports for one proxy more, with upstreams of its own where connections are few, or very many."""
        slow, limited = free_port(), free_port()
        self.start_load_server(directory, cores, slow, ["--delay-ms", SLOW_MS])
        self.start_load_server(directory, cores, limited, ["--delay-ms", LIMITED_MS, "--most", LIMITED_CONNECTIONS])
        return self.ports | {"SLOW": slow, "LIMITED": limited}

    def start_load_server(self, directory, cores, port, words):
        command = [load_program(), "server", "--port", port, *words]
        self.started.append(Process(command, cores.rest, directory / "load-server.out"))
        self.started[-1].wait_for_port(port)

    def stop(self):
        for process in reversed(self.started):
            process.stop()


class Hanging:
    """A backend that takes connections and answers nothing: the kernel accepts for it."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.port = self.listener.getsockname()[1]

    def stop(self):
        self.listener.close()


def start_backend(directory, ports, cores, name="backend", nice=0):
    """nginx that answers for both arms."""
    for size, length in (("10k", 10 * 1024), ("1m", 1024 * 1024)):
        file = directory / f"{size}.bin"
        if not file.exists():
            file.write_bytes(os.urandom(length))
    values = {"FIRST": ports["LEGACY"], "SECOND": ports["CANDIDATE"], "NAME": name}
    config = written(directory, "backend.conf", values, name=f"{name}.conf")
    backend = Process(["nginx", "-p", directory, "-c", config], cores.rest, directory / f"{name}.out", nice)
    backend.wait_for_port(ports["CANDIDATE"])
    return backend


def make_certificate(directory):
    """For localhost, ECDSA on P-256, believed by nobody."""
    certificate, key = directory / "site.pem", directory / "site.key"
    if certificate.exists():
        return
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    command += ["-keyout", key, "-out", certificate]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        raise Failed("openssl makes no certificate")
    key.chmod(0o644)  # HAProxy and nginx read it as other users; it is worth nothing
    (directory / "site-and-key.pem").write_bytes(certificate.read_bytes() + key.read_bytes())
