"""Before anything is measured: every engine answers alike, and halves the split routes."""

import http.client

from processes import Failed

# Caddy can hash a header, but no cookie of the application's.
NO_COOKIES = {"caddy", "pingora"}


def same_answers(engines):
    for engine in engines:
        client = http.client.HTTPConnection("127.0.0.1", engine.port, timeout=10)
        for path in ["/", "/api/r000/x", "/api/r098/x/y?z=1", "/api/unknown"]:
            answer = ask(client, path, {})
            if answer != (200, "text/plain", b"legacy"):
                raise Failed(f"{engine.name} answers {answer} to {path}, not legacy's")
        halves(engine, client, "/api/orders/7", lambda user: {"x-user-id": user})
        if engine.name not in NO_COOKIES:
            halves(engine, client, "/api/cookies/7", lambda user: {"Cookie": f"session={user}"})
        sizes = [len(ask(client, f"/api/orders/{size}", {"x-user-id": "user-1"})[2]) for size in ("10k", "1m")]
        if sizes != [10 * 1024, 1024 * 1024]:
            raise Failed(f"{engine.name} answers bodies of {sizes} bytes")
        client.close()


def halves(engine, client, path, fields):
    arms = [ask(client, path, fields(f"user-{user}")) for user in range(1, 1001)]
    again = [ask(client, path, fields(f"user-{user}")) for user in range(1, 1001)]
    if arms != again:
        raise Failed(f"{engine.name} sends one user of {path} to both arms")
    candidates = sum(answer == (200, "text/plain", b"candidate") for answer in arms)
    # Caddy hashes names that are much alike onto ports that are drawn: it may be off by more than chance.
    if not 380 <= candidates <= 620 or len(set(arms)) != 2:
        raise Failed(f"{engine.name} sends {candidates} of 1000 users to the candidate, not about half: {set(arms)}")


def ask(client, path, fields):
    client.request("GET", path, headers=fields)
    answer = client.getresponse()
    return answer.status, answer.headers.get_content_type(), answer.read()
