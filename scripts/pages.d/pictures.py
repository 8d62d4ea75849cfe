"""The pictures of README and docs: a shop in the middle of its migration, five minutes of it."""

import time

from browser import Window, chromium
from trial import TOKEN, People, Site

MINUTE = 60

# When, which route, to what, and why.
SHIFTS = [(0.3, "orders-read", "5", "first five percent, MIG-42"), (1.5, "orders-read", "10", "p99 is fine"),
          (3.0, "orders-read", "25", "a calm evening, MIG-42"), (3.5, "checkout", "12.5", "with the basket")]
LENGTH = 4.6

PICTURES = [("board", "/", "light", 700), ("route", "/routes/orders-read?range=5m", "light", 800),
            ("shift", "/actions/shift?route=orders-read&percent=50", "dark", 620)]

ROUTES = """\
version = 1

[defaults]
legacy = "monolith"
sticky = ["header:x-user-id", "client-ip"]

[upstreams]
monolith = {{ targets = ["http://127.0.0.1:{legacy}"] }}
orders   = {{ targets = ["http://127.0.0.1:{candidate}"] }}
catalog  = {{ targets = ["http://127.0.0.1:{candidate}"] }}
search   = {{ targets = ["http://127.0.0.1:{nobody}"], breaker = {{ error_percent = 50, window = "10s", min_requests = 10, open_for = "60s" }} }}

[stores.shop]
mode = "shared"

[cohorts.checkout]
percent = 0

# What customers look up.
[[route]]
name    = "orders-read"
path    = "/api/orders/*"
methods = ["GET"]
to      = "orders"
percent = 0
store   = "shop"
shadow  = {{ percent = 20 }}
compare = {{ ignore = ["/etag"] }}
meta    = {{ owner = "team-orders", ticket = "MIG-42" }}

[[route]]
name    = "orders-write"
path    = "/api/orders/*"
methods = ["POST", "PUT"]
to      = "orders"
percent = 0
store   = "shop"

[[route]]
name    = "catalog"
path    = "/catalog/*"
to      = "catalog"
percent = 100
store   = "shop"
meta    = {{ owner = "team-catalog" }}

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
shadow  = {{ percent = 20 }}
compare = {{ ignore = ["/etag", "/items/*/price type"] }}

[[route]]
name = "reports"
path = "/reports/*"

[[route]]
name   = "invoices-v1"
path   = "/v1/invoices/*"
retire = {{ link = "https://example.com/v2" }}
"""


def main(binary, folder):
    folder.mkdir(parents=True, exist_ok=True)
    with Site(binary, ROUTES) as site, People(site.port), chromium() as browser:
        began = time.monotonic()
        for minutes, route, percent, why in SHIFTS:
            rest(began, minutes)
            site.command("shift", route, percent, "--yes", "--why", why)
            print(f"  {route} at {percent} %")
        rest(began, LENGTH)
        with Window(browser, site.url, TOKEN) as window:
            session = window.context.storage_state()
        for name, path, scheme, height in PICTURES:
            with Window(browser, site.url, width=1280, height=height, scheme=scheme, storage_state=session) as window:
                window.goto(path)
                window.page.wait_for_timeout(500)
                picture = folder / f"{name}.png"
                window.page.screenshot(path=picture)
                print(f"  {picture}: {picture.stat().st_size / 1000:.0f} kB")
    return 0


def rest(began, minutes):
    time.sleep(max(0, began + minutes * MINUTE - time.monotonic()))
