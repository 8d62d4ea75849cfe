"""The proxies under test: their configuration and how they are started. Other scripts come in by this door, too."""

import os
from dataclasses import dataclass
from pathlib import Path

import backends
from backends import ROOT, TOOLS, start_backend  # noqa: F401  for other scripts
from processes import Cores, Failed, Process, first_line, free_port, require  # noqa: F401  for other scripts
from templates import ROUTES_BESIDE_ORDERS, written

BINARY = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release/banyan"


@dataclass
class Site:
    """What a proxy is started for."""

    directory: Path
    upstreams: dict
    """Ports by name, as in the templates."""
    cores: set
    threads: int = 1
    routes: int = ROUTES_BESIDE_ORDERS
    access_log: bool = False

    def ports(self):
        return self.upstreams | {name: free_port() for name in ("PORT", "HTTP2", "TLS", "ADMIN")} | {"THREADS": self.threads}


class Engine:
    """One proxy: its name, its ports, its process."""

    def __init__(self, name, version, command, ports, site, environment=None):
        self.name, self.version, self.ports, self.site = name, version, ports, site
        self.port = ports["PORT"]
        self.process = Process(command, site.cores, site.directory / f"{name}.out", environment=environment)
        try:
            self.process.wait_for_port(self.port)
        except Failed:
            self.process.stop()
            raise

    def stop(self):
        self.process.stop()


def start_banyan(site, text=None):
    """With routes of the template, or these."""
    if not BINARY.exists():
        raise Failed(f"no {BINARY}\nhint: cargo build --release --locked --package banyan")
    ports = site.ports()
    ports["HTTP2"] = ports["PORT"]
    routes = written(site.directory, "routes.toml", ports, site.routes)
    if text:
        routes.write_text(text)
    backends.make_certificate(site.directory)
    command = [BINARY, "run", "--routes", routes, "--threads", site.threads, "--state-dir", site.directory / "banyan-state"]
    command += ["--listen", f"127.0.0.1:{ports['PORT']}", "--admin", f"127.0.0.1:{ports['ADMIN']}"]
    command += ["--listen-tls", f"127.0.0.1:{ports['TLS']}"]
    command += ["--tls-certificate", site.directory / "site.pem", "--tls-key", site.directory / "site.key"]
    if site.access_log:
        command += ["--access-log", site.directory / "banyan-access.log"]
    return Engine("banyan", first_line([BINARY, "--version"]), command, ports, site)


def start_nginx(site):
    ports = site.ports()
    log = f"{site.directory}/nginx-access.log combined buffer=64k flush=1s" if site.access_log else "off"
    backends.make_certificate(site.directory)
    config = written(site.directory, "nginx.conf", ports | {"ACCESS_LOG": log}, site.routes)
    return Engine("nginx", first_line(["nginx", "-v"]), ["nginx", "-p", site.directory, "-c", config], ports, site)


def start_haproxy(site):
    ports = site.ports()
    logs = {"LOG": "log stdout format raw local0" if site.access_log else "", "LOG_FORMAT": ""}
    if site.access_log:
        logs["LOG_FORMAT"] = "log global\n    option httplog"
    backends.make_certificate(site.directory)
    written(site.directory, "haproxy.map", ports, site.routes)
    command = ["haproxy", "-db", "-f", written(site.directory, "haproxy.cfg", ports | logs, site.routes)]
    return Engine("haproxy", first_line(["haproxy", "-v"]), command, ports, site)


def start_caddy(site):
    ports = site.ports()
    ports["HTTP2"] = ports["PORT"]
    log = f"log {{\n\t\toutput file {site.directory}/caddy-access.log\n\t}}" if site.access_log else ""
    backends.make_certificate(site.directory)
    config = written(site.directory, "Caddyfile", ports | {"LOG": log}, site.routes)
    command = ["caddy", "run", "--adapter", "caddyfile", "--config", config]
    home = str(site.directory / "caddy")
    environment = {"GOMAXPROCS": str(site.threads), "XDG_CONFIG_HOME": home, "XDG_DATA_HOME": home, "HOME": home}
    return Engine("caddy", f"Caddy {first_line(['caddy', 'version'])}", command, ports, site, environment)


def start_pingora(site):
    ports = site.ports()
    command = [TOOLS / "release/bare-pingora", ports["PORT"], ports["LEGACY"], ports["CANDIDATE"]]
    return Engine("pingora", "bare pingora-proxy 0.9.1", command, ports, site)


STARTERS = {
    "banyan": start_banyan,
    "nginx": start_nginx,
    "haproxy": start_haproxy,
    "caddy": start_caddy,
    "pingora": start_pingora,
}
DEFAULT = ["banyan", "nginx", "haproxy", "caddy"]
