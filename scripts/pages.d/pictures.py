"""The pictures of README and docs: a shop in the middle of its migration, five minutes of it."""

import time

import trial
from browser import Window, chromium
from trial import TOKEN, People, Site

MINUTE = 60

# When, which route, to what, and why.
SHIFTS = [(0.3, "orders-read", "5", "first five percent, MIG-42"), (1.5, "orders-read", "10", "p99 is fine"),
          (3.0, "orders-read", "25", "a calm evening, MIG-42"), (3.5, "checkout", "12.5", "with the basket")]
LENGTH = 4.6

PICTURES = [("board", "/", "light", 700), ("route", "/routes/orders-read?range=5m", "light", 800),
            ("shift", "/actions/shift?route=orders-read&percent=50", "dark", 620)]

# The shop of the tests, calmer: nothing moved yet, fewer copies, nobody who plays tricks.
CALMER = [("stores.orders", "stores.shop"), ('store   = "orders"', 'store   = "shop"'), ("percent = 12.5", "percent = 0"),
          ("percent = 10       # raised by hand, see MIG-42", "percent = 0"), ("shadow  = {{ percent = 100 }}\nmeta", "shadow  = {{ percent = 20 }}\ncompare = {{ ignore = [\"/etag\"] }}\nmeta"),
          ("shadow  = {{ percent = 100 }}", "shadow  = {{ percent = 20 }}"), ("<script>alert('owner')</script>", "team-catalog"),
          ('ignore = ["/etag"] }}\n\n', 'ignore = ["/etag", "/items/*/price type"] }}\n\n')]


def calmer(routes):
    for told, calm in CALMER:
        assert told in routes, f"no `{told}` in the routes of the tests"
        routes = routes.replace(told, calm)
    return routes


ROUTES = calmer(trial.ROUTES)


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
