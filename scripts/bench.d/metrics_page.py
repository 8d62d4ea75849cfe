"""The metrics page of Banyan, read as text."""

import http.client


def fetched(admin_port):
    client = http.client.HTTPConnection("127.0.0.1", admin_port, timeout=60)
    try:
        client.request("GET", "/metrics")
        return client.getresponse().read().decode()
    finally:
        client.close()


def total(admin_port, metric, label=""):
    """The sum over all series of a metric, or of those that have this text in their labels."""
    lines = (line for line in fetched(admin_port).splitlines() if line.startswith((metric + "{", metric + " ")))
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if label in line)
