"""The tests. Each is a function that takes the stage; what it says is its docstring."""

import json
import re
import time
import traceback

import html5lib
from browser import Window, axe, chromium
from trial import READ_TOKEN, ROUTES, TOKEN, People, Site, until

SIZES = [("light", 1440, 900, "light"), ("dark", 1440, 900, "dark"), ("320", 320, 800, "light")]
PAGES = [("board", "/"), ("route", "/routes/orders-read"), ("retired", "/routes/invoices-v1"), ("default", "/routes/default"),
         ("configuration", "/configuration"), ("shift", "/actions/shift?route=orders-read&percent=50"),
         ("rollback", "/actions/rollback?route=orders-read"), ("rollback-all", "/actions/rollback"), ("undo", "/actions/undo")]
SAMPLES_EVERY = 10  # seconds, as the proxy does


class Stage:
    """What all tests share: the proxy with a history and some minutes' worth of data, and a browser."""

    def __init__(self, binary, site, browser, screenshots):
        self.binary, self.site, self.browser, self.screenshots = binary, site, browser, screenshots
        self.sessions = {}

    def window(self, token=TOKEN, **more):
        """Signed in once for each token: tries to sign in have a rate."""
        if token and token not in self.sessions:
            with Window(self.browser, self.site.url, token) as window:
                self.sessions[token] = window.context.storage_state()
        return Window(self.browser, self.site.url, storage_state=self.sessions.get(token), **more)

    def share(self, route="orders-read"):
        """As routes.toml has it."""
        own = self.site.routes.read_text().split(f'"{route}"')[1].split("[[route]]")[0]
        return re.search(r"^percent\s*=\s*([\d.]+)", own, re.M)[1]


# --- Every page ---


def every_page_in_light_dark_and_320_px(stage):
    """No page complains, asks elsewhere, is wider than its window, or has anything axe-core finds."""
    found = []
    for kind, width, height, scheme in SIZES:
        with stage.window(width=width, height=height, scheme=scheme) as window:
            for name, path in [*PAGES, ("sample", sample(stage))]:
                window.goto(path)
                if name == "route":
                    window.page.locator(".plot canvas").first.wait_for()
                window.page.screenshot(path=stage.screenshots / f"{name}-{kind}.png", full_page=True)
                found += [f"{name}, {kind}: {one}" for one in [*window.problems(), *axe(window.page)]]
                window.complaints.clear()
    empty(found, "pages")


def what_is_not_there_is_told_in_words(stage):
    """A route that does not exist has a page that says so, with a status that does."""
    with stage.window() as window:
        equal(window.goto("/routes/nobody").status, 404)
        window.page.get_by_text("No route has the name nobody").wait_for()
        empty(axe(window.page), "missing")


def sign_in_page_in_light_dark_and_320_px(stage):
    """The same of the page that is there before anybody is signed in; a wrong token is told."""
    for kind, width, height, scheme in SIZES:
        with stage.window(token=None, width=width, height=height, scheme=scheme) as window:
            window.goto("/")
            equal(window.page.url.split("?")[0], stage.site.url + "/sign-in")
            window.page.get_by_label("Your name").fill("maria")
            window.page.get_by_label("Token").fill("wrong")
            window.page.get_by_role("button", name="Sign in").click()
            window.page.get_by_text("not a token of this proxy").wait_for()
            window.page.screenshot(path=stage.screenshots / f"sign-in-{kind}.png", full_page=True)
            empty([*window.problems(), *axe(window.page)], f"sign-in, {kind}")


def html_is_valid(stage):
    """Every page is what a strict parser of HTML takes."""
    for name, path in [*PAGES, ("sample", sample(stage))]:
        with stage.window(scripts=False) as window:
            answer = window.goto(path)
            parser = html5lib.HTMLParser(strict=True)
            try:
                parser.parse(answer.body())
            except html5lib.html5parser.ParseError as error:
                raise AssertionError(f"{name}: {error}: {parser.errors[:3]}") from error
            ids = re.findall(r'\sid="([^"]*)"', answer.text())
            empty(sorted({one for one in ids if ids.count(one) > 1}), f"{name}: the same id twice")


def headers_leave_nothing_to_chance(stage):
    """The policy allows nothing inline, nothing from elsewhere and no frame; pages are not kept, assets are."""
    with stage.window() as window:
        headers = window.goto("/").headers
        policy = headers["content-security-policy"]
        for wanted in ("default-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"):
            assert wanted in policy, policy
        assert "unsafe" not in policy and "http" not in policy, policy
        equal(headers["x-content-type-options"], "nosniff")
        equal(headers["cache-control"], "no-store")
        sheet = window.page.locator("link[rel=stylesheet]").first.get_attribute("href")
        assert "immutable" in window.page.request.get(sheet).headers["cache-control"]
        text = window.page.content()
        assert "style=" not in text and "<style" not in text and not re.search(r"\son\w+=", text), "something inline"


def the_cookie_is_for_this_site_and_not_for_scripts(stage):
    """HttpOnly, SameSite=Strict, path /."""
    with stage.window() as window:
        cookie = only(window.context.cookies())
        equal((cookie["httpOnly"], cookie["sameSite"], cookie["path"]), (True, "Strict", "/"))


def words_that_would_be_markup_stay_words(stage):
    """What people and applications write is text on every page."""
    with stage.window() as window:
        window.goto("/routes/catalog")
        window.page.get_by_text("<script>alert('owner')</script>").first.wait_for()
        window.goto(sample(stage))
        window.page.get_by_text("<script>alert('body')").first.wait_for()
        window.goto("/configuration")
        window.page.get_by_text("<img src=x onerror=alert(1)>").first.wait_for()
        window.goto("/routes/%3Cscript%3Ealert(1)%3C%2Fscript%3E")
        window.page.get_by_text("No route has the name <script>alert(1)</script>").wait_for()
        equal(window.page.locator("img").count(), 0)
        window.complaints.clear()


def data_that_is_not_there_is_told(stage):
    """No request of a route is `no data`, never a zero and never green."""
    with stage.window() as window:
        window.goto("/")
        row = window.page.locator("#r-orders-write")
        assert row.get_by_text("no data").count() >= 3, row.inner_text()
        equal(row.locator(".good").count(), 0)


# --- The board ---


def the_board_says_how_far_the_migration_is(stage):
    """Totals, title and rows agree with the admin API."""
    totals = json.loads(stage.site.ask("/api/v1/board"))["totals"]
    with stage.window() as window:
        window.goto("/")
        text = window.page.locator("#totals").inner_text().replace("\u00a0", " ")
        assert f"{totals['routes_off']}\nof {totals['routes']} routes" in text.replace(" of", "\nof").replace("\n\n", "\n"), text
        search = window.page.locator("#r-search").inner_text()
        assert "breaker of search" in search, search
        assert "attention" in window.page.title(), window.page.title()
        basket = window.page.locator("#r-basket").inner_text().replace("\u00a0", " ")
        assert "12.5 %" in basket and "seen" in basket and "cohort checkout" in basket, basket


def filter_and_sort_ask_nobody(stage):
    """With scripts on the board filters and sorts without a request, and says so to screen readers."""
    with stage.window() as window:
        page = window.page
        window.goto("/")
        page.get_by_role("button", name="Pause updates").click()
        before = len(window.asked)
        page.get_by_label("Filter").fill("team-orders")
        until("one row is left", lambda: shown(page) == ["orders-read"])
        equal(page.locator("#count").inner_text(), "1 of 10 routes")
        page.get_by_label("Filter").fill("")
        page.get_by_label("Stage").select_option("retired")
        until("the retired are left", lambda: shown(page) == ["invoices-v1"])
        page.get_by_label("Stage").select_option("")
        page.get_by_label("Filter").fill("nothing is like this")
        page.get_by_text("No route is like that").wait_for()
        page.get_by_label("Filter").fill("")
        until("all are back", lambda: len(shown(page)) == 10)
        sort = page.locator("th[data-sort=share] a")
        sort.click()
        equal(shown(page)[:2], ["catalog", "search"])
        equal(page.locator("th[data-sort=share]").get_attribute("aria-sort"), "descending")
        sort.focus()
        page.keyboard.press("Enter")
        equal(page.locator("th[data-sort=share]").get_attribute("aria-sort"), "ascending")
        assert shown(page)[-1] in ("default", "invoices-v1", "reports"), shown(page)
        # Chromium asks for the icon when the address changes; it has it.
        equal([url for url in window.asked[before:] if "/assets/" not in url], [])


def a_question_in_the_address_is_kept(stage):
    """What was filtered and sorted is in the address, and the same when it is opened anew."""
    with stage.window() as window:
        window.goto("/?stage=canary&sort=share&order=desc")
        until("rows are those of the address", lambda: shown(window.page)[0] == "search" and "catalog" not in shown(window.page))
        window.page.get_by_label("Stage").select_option("")
        until("all rows came", lambda: len(shown(window.page)) == 10)


def figures_renew_themselves(stage):
    """A change made elsewhere is seen without a reload; focus and typing stay; pause stops it."""
    with stage.window() as window:
        page = window.page
        window.goto("/")
        page.get_by_label("Filter").fill("tickets")
        page.get_by_label("Filter").focus()
        stage.site.command("shift", "tickets", "1", "--yes", "--why", "seen without a reload")
        page.locator("#r-tickets").get_by_text("seen without a reload").wait_for(timeout=15_000)
        equal(page.evaluate("document.activeElement.id"), "q")
        equal(shown(page), ["tickets"])
        page.get_by_role("button", name="Pause updates").click()
        equal(page.locator("#pause").get_attribute("aria-pressed"), "true")
        before = len(window.asked)
        stage.site.command("shift", "tickets", "0", "--yes", "--why", "not seen while paused")
        time.sleep(6)  # longer than between two looks
        equal(len(window.asked), before)
        empty(window.problems(), "board")


def scripts_off_is_enough_to_read(stage):
    """Without scripts every figure is there; filter, sort, charts and explain work by asking."""
    with stage.window(scripts=False) as window:
        page = window.page
        window.goto("/?sort=share&order=desc")
        equal(shown(page)[0], "catalog")
        page.get_by_label("Filter").fill("team-orders")
        page.get_by_role("button", name="Apply").click()
        equal(shown(page), ["orders-read"])
        page.get_by_role("link", name="orders-read", exact=True).click()
        assert page.locator(".plot svg polyline").count() >= 4, "no lines"
        page.screenshot(path=stage.screenshots / "route-without-scripts.png", full_page=True)
        page.get_by_label("Path and query").fill("/api/orders/7")
        page.get_by_label("Header fields").fill("x-user-id: 42")
        page.get_by_role("button", name="Explain").click()
        page.locator("#explain .note").wait_for()
        assert "header:x-user-id" in page.locator("#explain").inner_text()


# --- Actions ---


def a_shift_by_mouse(stage):
    """Before and after are shown, then it is in routes.toml, with its comment, and in the history."""
    with stage.window() as window:
        page = window.page
        window.goto("/routes/orders-read")
        page.get_by_label("New share in percent").fill("30")
        page.get_by_role("button", name="Review the shift").click()
        text = page.locator("main").inner_text().replace("\u00a0", " ")
        for wanted in ("25 %", "30 %", "5 % of clients", "banyan shift orders-read 30"):
            assert wanted in text, text
        equal(stage.share(), "25")  # nothing has happened
        page.get_by_label("Why").fill("by mouse")
        page.get_by_role("button", name="Shift to 30 %").click()
        page.wait_for_url("**/routes/orders-read")
        equal(stage.share(), "30")
        assert "# raised by hand, see MIG-42" in stage.site.routes.read_text()
        page.get_by_text("by mouse").first.wait_for()
        newest = page.request.get("/api/v1/history?limit=1", headers={"Authorization": f"Bearer {TOKEN}"}).json()["entries"][0]
        equal((newest["who"], newest["why"]), ("maria", "by mouse"))
        empty(window.problems(), "route")


def a_shift_by_keyboard(stage):
    """The whole way from the board by Tab, letters and Enter."""
    with stage.window() as window:
        page = window.page
        window.goto("/")
        tab_to(page, "Shift orders-read")
        page.keyboard.press("Enter")
        page.wait_for_url("**/actions/shift?route=orders-read")
        page.keyboard.type("35")
        page.keyboard.press("Enter")
        page.wait_for_url("**percent=35")
        page.wait_for_load_state("load")
        tab_to(page, "Shift to 35 %")
        page.keyboard.press("Enter")
        page.wait_for_url("**/routes/orders-read")
        equal(stage.share(), "35")


def roll_back_is_two_clicks_from_anywhere(stage):
    """One route from the board, everything from any page; each two clicks."""
    with stage.window() as window:
        page = window.page
        window.goto("/")
        page.locator("#r-orders-read").get_by_role("link", name="Roll back").click()
        page.get_by_role("button", name="Roll back orders-read").click()
        page.wait_for_url("**/routes/orders-read")
        equal(stage.share(), "0")
        for name, path in PAGES:
            window.goto(path)
            equal((name, page.get_by_role("link", name="Roll back all").count()), (name, 1))


def undo_takes_it_back(stage):
    """The last change, whose text is shown before."""
    with stage.window() as window:
        page = window.page
        window.goto("/actions/undo")
        page.get_by_role("button", name="Undo", exact=True).click()
        page.wait_for_url(stage.site.url + "/")
        equal(stage.share(), "35")


def an_action_works_without_scripts(stage):
    """Forms need none."""
    with stage.window(scripts=False) as window:
        page = window.page
        window.goto("/actions/shift?route=orders-read&percent=25")
        page.get_by_role("button", name="Shift to 25 %").click()
        page.wait_for_url("**/routes/orders-read")
        equal(stage.share(), "25")


def a_plan_that_is_out_of_date_is_refused(stage):
    """What was read is what happens, or nothing."""
    with stage.window() as window:
        page = window.page
        window.goto("/actions/shift?route=orders-read&percent=60")
        stage.site.command("shift", "orders-read", "26", "--yes")
        page.get_by_role("button", name="Shift to 60 %").click()
        page.locator(".note.bad:visible").wait_for()
        equal(stage.share(), "26")
        stage.site.command("shift", "orders-read", "25", "--yes")


def a_form_without_its_secret_does_nothing(stage):
    """A session alone is not enough: the field of the form must be there."""
    with stage.window() as window:
        window.goto("/actions/shift?route=orders-read&percent=70")
        plan = window.page.locator("input[name=plan]").get_attribute("value")
        form = {"route": "orders-read", "percent": "70", "plan": plan, "csrf": "guessed"}
        answer = window.page.request.post("/actions/shift", form=form, max_redirects=0)
        assert answer.status in (400, 403), answer.status
        equal(stage.share(), "25")


def the_read_token_changes_nothing(stage):
    """No button is offered, and the page says why."""
    with stage.window(token=READ_TOKEN) as window:
        page = window.page
        window.goto("/")
        equal(page.get_by_role("link", name="Roll back all").count(), 0)
        equal(page.get_by_role("columnheader", name="Actions").count(), 0)
        window.goto("/actions/rollback")
        equal(page.get_by_role("button", name="Roll back").count(), 0)
        page.get_by_text("read token").wait_for()
        empty(axe(page), "with the read token")


def a_session_that_ends_is_told(stage):
    """An open page says so, and a form sent afterwards changes nothing and says so."""
    with Window(stage.browser, stage.site.url, TOKEN) as window:
        page = window.page
        window.goto("/actions/shift?route=orders-read&percent=80")
        other = window.context.new_page()
        other.goto("/")
        other.get_by_role("button", name="Sign out").click()
        other.wait_for_url("**/sign-in")
        page.get_by_role("button", name="Shift to 80 %").click()
        page.get_by_text("Your session has ended").wait_for()
        equal(stage.share(), "25")
        empty([*window.problems(), *axe(page)], "session ended")
    with Window(stage.browser, stage.site.url, TOKEN) as window:
        window.goto("/")
        window.context.clear_cookies()
        window.page.get_by_text("You are signed out").wait_for(timeout=15_000)


def without_a_token_actions_are_off(stage):
    """Readable at once, and it says how to switch actions on."""
    with Site(stage.binary, tokens=False) as site, Window(stage.browser, site.url) as window:
        page = window.page
        window.goto("/")
        page.get_by_text("no admin token is configured").wait_for()
        page.get_by_text("no data lately").wait_for()
        equal(page.locator("#state .good").count(), 0)
        page.screenshot(path=stage.screenshots / "board-without-data.png", full_page=True)
        empty([*window.problems(), *axe(page)], "board without data")
        page.get_by_role("link", name="How to switch actions on").click()
        page.get_by_text("--admin-token-file").first.wait_for()
        empty([*window.problems(), *axe(page)], "how to")


# --- What goes wrong ---


def a_refused_reload_is_seen(stage):
    """The report with its caret is on the page, and the board says that the old one is in force."""
    good = stage.site.routes.read_text()
    stage.site.routes.write_text(good.replace('to      = "catalog"', 'to      = "catalgo"', 1))
    try:
        with stage.window() as window:
            page = window.page
            until("the reload is refused", lambda: "refused" in stage.site.ask("/api/v1/config"))
            window.goto("/")
            page.get_by_text("The last reload was refused").wait_for()
            window.goto("/configuration")
            report = page.locator("pre.report").inner_text()
            assert "catalgo" in report and "^" in report and "routes.toml:" in report, report
            assert page.title().startswith("Last reload refused"), page.title()
            page.screenshot(path=stage.screenshots / "configuration-refused.png", full_page=True)
            empty([*window.problems(), *axe(page)], "configuration, refused")
    finally:
        stage.site.routes.write_text(good)
    until("the good one is back", lambda: "refused" not in stage.site.ask("/api/v1/config"))


def the_history_shows_what_changed_in_the_text(stage):
    """A difference of texts, one click from the line of the history."""
    with stage.window() as window:
        window.goto("/configuration")
        window.page.get_by_role("link", name="Difference").first.click()
        text = window.page.locator("#difference").inner_text()
        assert "-percent" in text and "+percent" in text, text
        window.page.screenshot(path=stage.screenshots / "configuration-difference.png", full_page=True)
        empty([*window.problems(), *axe(window.page)], "difference")


def the_rule_to_ignore_a_difference_can_be_taken_over(stage):
    """The button shows TOML that `banyan check` takes, and names the place that differs."""
    with stage.window() as window:
        page = window.page
        window.goto("/routes/orders-read")
        field = page.locator("#fields li", has=page.locator(":scope > .pointer", has_text="price")).last
        field.locator("summary").click()
        rule = field.locator("pre").inner_text()
        assert rule.startswith('compare = { ignore = ["/items/*/price '), rule
        text = stage.site.routes.read_text().replace('shadow  = { percent = 100 }', f'shadow  = {{ percent = 100 }}\n{rule}', 1)
        trial = stage.site.folder / "trial.toml"
        trial.write_text(text)
        stage.site.command("check", "--routes", str(trial))


def motion_is_left_out_on_demand(stage):
    """Nothing on any page moves by itself, whoever asks for less motion or not."""
    with stage.window(reduced_motion="reduce") as window:
        window.goto("/")
        moving = "[...document.querySelectorAll('*')].filter((e) => { const s = getComputedStyle(e); return s.animationName !== 'none' || s.transitionDuration !== '0s'; }).length"
        equal(window.page.evaluate(moving), 0)


def the_proxy_being_down_is_told(stage):
    """Within seconds, in words, in the title; and taken back when it answers again."""
    with stage.window(token=None) as window, Site(stage.binary, tokens=False) as site, Window(stage.browser, site.url) as window:
        page = window.page
        window.goto("/")
        site.stop()
        page.get_by_text("Banyan does not answer since").wait_for(timeout=15_000)
        assert page.title().startswith("No answer"), page.title()
        page.screenshot(path=stage.screenshots / "board-down.png")
        empty(axe(page), "down")
        site.start()
        page.locator("#silent").wait_for(state="hidden", timeout=15_000)
        assert not page.title().startswith("No answer"), page.title()


def facts_of_a_page(stage):
    """Weight, requests and time to the first row, of a first visit."""
    for name, path in (("board", "/"), ("route", "/routes/orders-read")):
        with stage.window() as window:
            began = time.monotonic()
            window.page.goto(path, wait_until="load")
            facts = window.page.evaluate(FACTS)
            print(f"    {name}: {facts['weight'] / 1000:.0f} kB in {facts['requests']} requests, of it {facts['scripts'] / 1000:.0f} kB of script; "
                  f"first contentful paint {facts['paint']:.0f} ms, loaded {1000 * (time.monotonic() - began):.0f} ms")
            assert facts["scripts"] < 150_000 and facts["requests"] <= 12, facts


FACTS = """() => {
    const parts = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
    const weight = (some) => some.reduce((sum, part) => sum + part.decodedBodySize, 0);
    return {
        weight: weight(parts), scripts: weight(parts.filter((part) => part.name.endsWith(".js"))), requests: parts.length,
        paint: performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? 0,
    };
}"""


# --- How they run ---


def main(binary, root, only_named):
    screenshots = root / "target/screenshots"
    screenshots.mkdir(parents=True, exist_ok=True)
    tests = [test for test in globals().values() if getattr(test, "__doc__", None) and is_test(test)]
    tests = [test for test in tests if not only_named or only_named in test.__name__]
    began, failed = time.monotonic(), 0
    with Site(binary) as site, People(site.port), chromium() as browser:
        stage = Stage(binary, site, browser, screenshots)
        prepare(stage)
        print(f"  data is there after {time.monotonic() - began:.1f} s")
        for test in tests:
            failed += not passes(test, stage)
    print(f"test result: {'FAILED' if failed else 'ok'}. {len(tests) - failed} passed; {failed} failed; "
          f"finished in {time.monotonic() - began:.1f} s; screenshots in {screenshots}")
    return 1 if failed else 0


def is_test(one):
    """Takes the stage and nothing else, and is none of the steps below."""
    code = getattr(one, "__code__", None)
    return code and code.co_varnames[: code.co_argcount] == ("stage",) and one not in (prepare, sample)


def passes(test, stage):
    began = time.monotonic()
    try:
        test(stage)
    except Exception:  # noqa: BLE001: whatever goes wrong, the others run
        print(f"FAIL {test.__name__}: {test.__doc__}\n{traceback.format_exc()}")
        return False
    print(f"  ok {test.__name__} ({time.monotonic() - began:.1f} s)")
    return True


def prepare(stage):
    """A history with reasons, and two samples of every route."""
    stage.site.command("shift", "orders-read", "15", "--yes", "--why", "<img src=x onerror=alert(1)>")
    stage.site.command("shift", "orders-read", "25", "--yes", "--why", "a calm night, see MIG-42")

    def has_data():
        rows = {row["name"]: row for row in json.loads(stage.site.ask("/api/v1/board"))["rows"]}
        read = rows["orders-read"]
        return (read["candidate"]["p99_seconds"] is not None and read["legacy"]["p99_seconds"] is not None
                and read["mismatch"] is not None and rows["search"]["trouble"])

    until("there is data of every kind", has_data, 3 * SAMPLES_EVERY + 10)


def sample(stage):
    """The page of some sample."""
    signatures = json.loads(stage.site.ask("/api/v1/mismatches/orders-read"))["signatures"]
    # The oldest ones stay.
    number = next(seen["samples"][0] for seen in signatures if seen["samples"] and seen["signature"].startswith("/"))
    return f"/routes/orders-read/samples/{number}"


def shown(page):
    return page.locator("table.board tbody tr:not([hidden]) th a").all_inner_texts()


def tab_to(page, name, most=200):
    """Presses Tab until what has this name has the focus."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent").strip().replace("\u00a0", " ") == name:
            return
    raise AssertionError(f"nothing called `{name}` within {most} presses of Tab")


def equal(found, expected):
    assert found == expected, f"expected {expected!r}, found {found!r}"


def empty(found, where):
    assert not found, f"{where}:\n  " + "\n  ".join(map(str, found[:12]))


def only(found):
    assert len(found) == 1, found
    return found[0]
