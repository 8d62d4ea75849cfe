"""Figures into docs/performance.md, between its marks, and pictures beside it: nobody copies a number by hand."""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import goals
from backends import ROOT
from processes import Failed
from tables import number

PAGE = ROOT / "docs/performance.md"
PICTURES = ROOT / "docs/performance"
MATPLOTLIB = "matplotlib==3.11.2"
ENGINES = {"banyan": "Banyan", "nginx": "nginx", "haproxy": "HAProxy", "caddy": "Caddy", "pingora": "pingora-proxy"}
BUSY = 0.9
PAIRED = ("reload", "shadow", "shadow-hanging")


def write(reports):
    report = merged(reports)
    page = PAGE.read_text()
    for name, part in PARTS.items():
        lines = part(report)
        if lines:
            page = with_part(page, name, "\n".join(lines))
    PAGE.write_text(page)
    draw(report)
    print(f"written: {PAGE.relative_to(ROOT)}, {PICTURES.relative_to(ROOT)}/", file=sys.stderr)


def merged(reports):
    """Of what several have measured, the last one's."""
    cases = {case["name"]: case for report in reports for case in report["cases"]}
    one = {"machine": reports[0]["machine"], "versions": {}, "cases": list(cases.values()), "runs": {"cases": [run_of(report) for report in reports if report["cases"]]}}
    for report in reports:
        one["versions"] |= report["versions"] if report["cases"] else {}
        for part in ("growth", "soak"):
            if part in report:
                one[part], one["runs"][part] = report[part], [run_of(report)]
    return one


def run_of(report):
    """Where and when: what two runs have measured is not to be compared."""
    facts = report["machine"]
    quick = " **Short rounds, by `--quick`: they show that it works, not how fast.**" if report["quick"] else ""
    return f"{facts['date']}, commit {facts['commit']}, load average {facts['load_before']} before.{quick}"


def with_part(page, name, text):
    begin, end = f"<!-- {name}: written by scripts/bench --write-docs -->", f"<!-- end of {name} -->"
    found = re.search(f"{re.escape(begin)}.*?{re.escape(end)}", page, re.DOTALL)
    if not found:
        raise Failed(f"{PAGE.name} has no marks for `{name}`")
    return page[: found.start()] + f"{begin}\n\n{text}\n\n{end}" + page[found.end() :]


def machine(report):
    if not report["cases"]:
        return []
    facts, versions = report["machine"], report["versions"]
    names = [re.sub(r"^nginx version: |version | \d{4}/\d\d/\d\d -$", "", name) for name in versions.values()]
    return [f"{facts['cores']} cores of an {facts['cpu']}, Linux {facts['kernel']}; {', '.join(names)}.", "", *report["runs"]["cases"]]


def reached(report):
    seen = [goal.cells() for goal in goals.seen(report)]
    return table(["", "must", "goal", "seen", "reached"], seen) if seen else []


def figures(report):
    cases = [case for case in report["cases"] if "cpu_us_per_request" in next(iter(case["engines"].values()))]
    if not cases:
        return []
    lines = []
    for title, cell in (
        ("CPU time per request, µs (user and system, of the proxy alone)", lambda row: spread(row, "cpu_us_per_request")),
        ("Requests per second at saturation", throughput),
        ("p50 / p99 / p99.9 at 70 % of the slowest's saturation, ms", percentiles),
        ("Resident memory after the load, MiB", lambda row: number(row["rss_kib"] / 1024)),
    ):
        lines += [f"### {title}", "", *by_engine(cases, cell), ""]
    return lines[:-1]


def by_engine(cases, cell):
    """A row per case that has such a cell, a column per engine."""
    names = [name for name in ENGINES if any(name in case["engines"] for case in cases)]
    rows = [
        [
            f"{case['title']} (`{case['name']}`)",
            *(cell(case["engines"][name]) if name in case["engines"] else "" for name in names),
        ]
        for case in cases
    ]
    return table(["", *(ENGINES[name] for name in names)], [row for row in rows if any(row[1:])])


def spread(row, key):
    low, high = row[f"{key}_spread"]
    return f"{number(row[key])} ± {(high - low) / 2 / row[key] * 100:.0f} %" if row[key] else ""


def throughput(row):
    """With a star where the proxy had time left: then the load was what could not do more."""
    busy = row["cpu_us_per_request"] * row["requests_per_second"] / 1e6
    return spread(row, "requests_per_second") + ("" if busy >= BUSY else r" \*")


def percentiles(row):
    return " / ".join(f"{row[key]:.2f}" for key in ("p50_ms", "p99_ms", "p999_ms")) if "p99_ms" in row else ""


def pairs(report):
    cases = {case["name"]: case for case in report["cases"] if case["name"] in PAIRED}
    rows = []
    for case in cases.values():
        for name, row in case["engines"].items():
            ratios = [
                f"{row[key]:.3f}" if key in row else ""
                for key in ("requests_per_second_ratio", "p99_ms_ratio", "serving_us_per_request_ratio")
            ]
            more = f"{row['compared_ratio_on'] * 100:.1f} % of them compared" if "compared_ratio_on" in row else ""
            more = f"{row['reloads']} reloads" if "reloads" in row else more
            rows.append([case["title"], ENGINES[name], *ratios, row["errors_on"], more])
    heads = ["with it / without", "", "requests/s", "client's p99", "CPU of serving threads per request", "errors", ""]
    return table(heads, rows) if rows else []


def idle(report):
    rows = [(name, row) for case in report["cases"] if case["name"] == "idle" for name, row in case["engines"].items()]
    return (
        table(
            ["bytes per idle connection", *(ENGINES[name] for name, _ in rows)],
            [["", *(f"{row['bytes_per_connection']:,}" for _, row in rows)]],
        )
        if rows
        else []
    )


def growth(report):
    if "growth" not in report:
        return []
    grown = report["growth"]
    by_threads = grown["threads"]["by_threads"].values()
    lines = report["runs"]["growth"] + [""] + table(
        ["worker threads", "requests/s", "CPU per request at 8 000 requests/s, µs"],
        [[row["threads"], f"{row['requests_per_second']:,}", row["cpu_us_at_8000_per_second"]] for row in by_threads],
    )
    lines += [
        "",
        f"Scaling from one thread to {max(row['threads'] for row in by_threads)}: {grown['threads']['scaling']}.",
        "",
    ]
    counts = ["1", "10", "100", "1000", "10000"]
    rows = [["a decision, ns", *(grown["decision"]["nanoseconds"].get(count, "") for count in counts)]]
    for arms, kib in grown["memory"]["rss_kib"].items():
        rows.append([f"memory, {arms}, MiB", *(f"{kib[count] / 1024:.0f}" if count in kib else "" for count in counts)])
    rows.append(
        ["from a saved file to its effect, ms", *(grown["reload"]["milliseconds"].get(count, "") for count in counts)]
    )
    pages = grown["metrics"]["by_routes"]
    rows.append(["metrics page, ms", *(pages[count]["milliseconds"] if count in pages else "" for count in counts)])
    rows.append(["metrics page, KiB", *(pages[count]["kib"] if count in pages else "" for count in counts)])
    return lines + table(["routes", *(f"{int(count):,}" for count in counts)], rows)


def soak(report):
    if "soak" not in report:
        return []
    told = report["soak"]
    rows = [
        ["time", f"{told['minutes']:g} min"],
        ["requests and messages", f"{told['requests']:,}"],
        ["failures that clients saw", told["failures"]],
        ["reloads", told["reloads"]],
        ["restarts of a server", told["restarts"]],
        ["retries", f"{told['retries']:,}"],
        ["copies, of which compared", f"{told['copies']:,}, {told['compared']:,}"],
        ["mismatches (both sides answer alike)", told["mismatches"]],
        ["panics", told["panics"]],
        ["requests on a connection that was there already", f"{told['reuse'] * 100:.3f} %"],
        ["resident memory, settled and at the end", f"{told['rss_kib_settled']:,} and {told['rss_kib_end']:,} KiB"],
        ["its slope", f"{told['rss_slope_kib_per_minute']:+} KiB/min"],
        [
            "open files: settled, most, at the end, after the load",
            ", ".join(str(told[f"open_files_{when}"]) for when in ("settled", "most", "end", "after_load")),
        ],
    ]
    return report["runs"]["soak"] + [""] + table(["", ""], rows)


def table(heads, rows):
    lines = [heads, ["---"] * len(heads), *rows]
    return ["| " + " | ".join(str(cell) for cell in line) + " |" for line in lines]


def draw(report):
    """By a Python of its own, which has matplotlib."""
    home = ROOT / "target/tools/pictures"
    if not (home / "done").exists() or (home / "done").read_text() != MATPLOTLIB:
        commands = [[sys.executable, "-m", "venv", "--clear", home], [home / "bin/pip", "install", "--quiet", MATPLOTLIB]]
        if any(subprocess.run(command, check=False).returncode for command in commands):
            raise Failed("PyPI gave no matplotlib")
        (home / "done").write_text(MATPLOTLIB)
    PICTURES.mkdir(exist_ok=True)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(report, file)
        file.flush()
        command = [home / "bin/python", Path(__file__).with_name("pictures.py"), file.name, PICTURES]
        if subprocess.run(command, check=False).returncode:
            raise Failed("the pictures could not be drawn")


PARTS = {
    "machine": machine,
    "goals": reached,
    "cases": figures,
    "pairs": pairs,
    "idle": idle,
    "growth": growth,
    "soak": soak,
}
