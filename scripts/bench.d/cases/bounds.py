"""Many connections at once, and upstreams that are slow or take few of them."""

import socket

import clients
from cases.rounds import Case, Effort, load
from processes import Failed
from templates import open_files

BARE = {"pingora": "has no routes"}
NO_QUEUE = BARE | {"nginx": "answers 502 where a connection would have to wait (its queue is commercial)"}
IDLE_CONNECTIONS = 5000
WAITING_CONNECTIONS = 200
IN_FLIGHT = 10_000


def idle(engines, _cores, _effort):
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


def limited(engine, cores, seconds):
    return clients.paced(engine, cores, ["--target", "/api/limited/x"], seconds, connections=WAITING_CONNECTIONS)


def slow(engine, cores, seconds):
    # A connection to the client and one to the upstream each, and some of one's own.
    connections = min(IN_FLIGHT, open_files() // 2 - 300)
    return clients.paced(engine, cores, ["--target", "/api/slow/x"], seconds, connections=connections, warm_up=5)


BOUNDS = {
    "idle": Case("5 000 idle connections", idle),
    "limited": Case("200 connections, of which the upstream takes 20 (5 ms each)", load(limited), NO_QUEUE),
    "slow": Case("10 000 requests at a time, to an upstream that takes 50 ms", load(slow), BARE, effort=Effort(2, 4, 0, 0)),
}
