"""Requests over HTTP/1.1 without TLS."""

import clients
from cases.rounds import THOROUGH, Case, load
from clients import Asked

MIB = 1024 * 1024
BARE = {"pingora": "has no routes"}
NO_COOKIES = BARE | {"caddy": "hashes no cookie of the application's"}


def asking(asked, steadily=True):
    def saturate(engine, cores, seconds):
        return clients.wrk(engine, cores, asked, seconds)

    def pace(engine, cores, seconds, rate):
        return clients.paced(engine, cores, clients.words_of(asked), seconds, rate)

    return load(saturate, pace if steadily else None)


def through_routes(number):
    return asking(Asked("/api/r@I@/x", routes=number))


PLAIN = {
    "tiny": Case("a tiny answer, split by a header", asking(Asked("/api/orders/7")), effort=THOROUGH),
    "body-10k": Case("10 KiB answers", asking(Asked("/api/orders/10k"))),
    "body-1m": Case("1 MiB answers", asking(Asked("/api/orders/1m"), steadily=False)),
    "upload-1m": Case("1 MiB uploads", asking(Asked("/api/uploads/x", words=(f"upload={MIB}",)), steadily=False), BARE),
    "connections": Case("a new connection per request", asking(Asked("/api/orders/7", words=("close",)), steadily=False)),
    "routes-100": Case("100 routes, all of them asked", through_routes(99), BARE),
    "routes-1000": Case("1 000 routes, all of them asked", through_routes(999), BARE, {"routes": 999}),
    "split-cookie": Case("split by a cookie", asking(Asked("/api/cookies/7", words=("cookie",))), NO_COOKIES),
    "access-log": Case("a line in the access log per request", asking(Asked("/api/orders/7")), BARE, {"access_log": True}),
}
