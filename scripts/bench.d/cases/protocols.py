"""Clients that speak something else than plain HTTP/1.1."""

import clients
from cases.rounds import Case, load
from clients import Asked

BARE = {"pingora": "is built for plain HTTP/1.1"}
MESSAGE_BYTES = 32


def http2(engine, cores, seconds):
    return clients.h2load(engine, cores, "/api/orders/7", seconds)


def keep_alive(engine, cores, seconds):
    return clients.wrk(engine, cores, Asked("/api/orders/7", tls=True), seconds)


def handshakes(engine, cores, seconds):
    return clients.handshakes(engine, cores, seconds)


def messages(engine, cores, seconds, rate=None):
    return clients.paced(engine, cores, ["--websocket", MESSAGE_BYTES], seconds, rate)


PROTOCOLS = {
    "http2": Case("HTTP/2 without TLS, 16 connections of 16 streams", load(http2), BARE),
    "tls": Case("TLS 1.3, connections kept", load(keep_alive), BARE),
    "tls-handshakes": Case("TLS 1.3, a whole handshake per request", load(handshakes), BARE),
    "websocket": Case("WebSocket messages of 32 bytes, there and back", load(messages, messages), BARE),
}
