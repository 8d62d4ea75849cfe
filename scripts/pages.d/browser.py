"""A Chromium without a window that asks nobody but the proxy, and tells what it did not like."""

import contextlib
import importlib.util
import json
import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-default-apps", "--disable-extensions"]

# Before any script of the page: what its policy refuses is an error.
WATCH = """
    window.refused = [];
    addEventListener("securitypolicyviolation", (event) =>
        window.refused.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""


@contextlib.contextmanager
def chromium():
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if not program:
        raise SystemExit("error: no chromium\nhint: scripts/setup --test")
    with sync_playwright() as playwright:
        # Playwright gives every start a folder of its own and removes it afterwards.
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


class Window:
    """One reader of one origin. Whatever the page complains of, or asks of anybody else, is kept."""

    def __init__(self, browser, url, token=None, name="maria", width=1440, height=900, scheme="light", scripts=True, **more):
        self.url, self.complaints, self.asked = url, [], []
        self.context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme,
                                           java_script_enabled=scripts, base_url=url, **more)
        self.context.set_default_timeout(10_000)
        self.context.add_init_script(WATCH)
        self.page = self.context.new_page()
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        self.page.on("console", lambda message: message.type == "error" and self.complaints.append(f"console: {message.text}"))
        self.scripts = scripts
        if token:
            self.sign_in(token, name)

    def sign_in(self, token, name="maria"):
        self.page.goto("/sign-in")
        self.page.get_by_label("Your name").fill(name)
        self.page.get_by_label("Token").fill(token)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url(self.url + "/")

    def goto(self, path):
        answer = self.page.goto(path)
        # What a script does at the beginning is done.
        self.page.wait_for_load_state("load")
        return answer

    def problems(self):
        """What is wrong with the page as it stands, besides what axe-core finds."""
        found = list(self.complaints)
        found += [f"asked elsewhere: {url}" for url in self.asked if not url.startswith((self.url + "/", "data:"))]
        if self.scripts:
            found += [f"refused by the policy: {one}" for one in self.page.evaluate("window.refused")]
            wide = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            if wide > 0:
                found.append(f"{wide} px wider than the window")
        return found

    def close(self):
        self.context.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def axe_source():
    """axe-core as the package from PyPI brings it."""
    package = importlib.util.find_spec("axe_playwright_python")
    return next(Path(package.submodule_search_locations[0]).rglob("axe.min.js")).read_text()


AXE = axe_source()
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def axe(page):
    """What axe-core finds wrong, one line each."""
    session = page.context.new_cdp_session(page)
    # By the protocol of the debugger: the page's own policy would refuse it.
    session.send("Runtime.evaluate", {"expression": AXE + ";0"})
    asked = f"axe.run(document, {json.dumps({'runOnly': TAGS, 'resultTypes': ['violations']})}).then((r) => JSON.stringify(r.violations))"
    told = session.send("Runtime.evaluate", {"expression": asked, "awaitPromise": True, "returnByValue": True})
    session.detach()
    lines = []
    for violation in json.loads(told["result"]["value"]):
        for node in violation["nodes"][:3]:
            lines.append(f"axe {violation['id']}: {violation['help']}: {node['html'][:160]} ({node['failureSummary'][:300]})")
    return lines
