"""Pictures of a report, by matplotlib: REPORT.json FOLDER."""

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot  # noqa: E402  after the backend is chosen
from matplotlib.ticker import FuncFormatter  # noqa: E402

COLOURS = {"banyan": "#1b7f4d", "nginx": "#7a8ba3", "haproxy": "#c98a2b", "caddy": "#8c6bb1", "pingora": "#b0544c"}
NAMES = {"banyan": "Banyan", "nginx": "nginx", "haproxy": "HAProxy", "caddy": "Caddy", "pingora": "pingora-proxy"}
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "banyan",  # the same figures make the same file
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "figure.constrained_layout.use": True,
}


def main():
    report, folder = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    matplotlib.rcParams.update(STYLE)
    pictures = {"cpu": cpu} if report["cases"] else {}
    if "growth" in report:
        pictures |= {"threads": threads, "decision": decision, "memory": memory, "reload": reload_time, "metrics": metrics}
    if "soak" in report:
        pictures["soak"] = soak
    for name, draw in pictures.items():
        figure = draw(report)
        if figure:
            figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
            pyplot.close(figure)


def cpu(report):
    """Bars by case, nginx being 1."""
    cases = [case for case in report["cases"] if "cpu_us_per_request" in case["engines"].get("nginx", {})]
    if not cases:
        return None
    engines = [name for name in ("banyan", "nginx", "haproxy") if any(name in case["engines"] for case in cases)]
    figure, axes = pyplot.subplots(figsize=(7.5, 0.5 + 0.55 * len(cases)))
    height = 0.8 / len(engines)
    for place, name in enumerate(engines):
        bars = [(row, case["engines"]) for row, case in enumerate(cases) if name in case["engines"]]
        values = [found[name]["cpu_us_per_request"] / found["nginx"]["cpu_us_per_request"] for _, found in bars]
        axes.barh([row + (place - 1) * height for row, _ in bars], values, height, color=COLOURS[name], label=NAMES[name])
    axes.set_yticks(range(len(cases)), [case["name"] for case in cases])
    axes.invert_yaxis()
    axes.axvline(1, color="#555555", linewidth=0.8)
    axes.set_xlabel("CPU time of the proxy per request, nginx = 1 (less is better)")
    axes.grid(axis="y", visible=False)
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def threads(report):
    rows = list(report["growth"]["threads"]["by_threads"].values())
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(7.5, 3))
    names = [str(row["threads"]) for row in rows]
    for axes, key, label in (
        (left, "requests_per_second", "requests/s at saturation"),
        (right, "cpu_us_at_8000_per_second", "CPU per request, µs, at 8 000/s"),
    ):
        bars = axes.bar(names, [row[key] for row in rows], 0.5, color=COLOURS["banyan"])
        axes.bar_label(bars, fmt="{:,.0f}" if max(bar.get_height() for bar in bars) >= 100 else "{:,.4g}")
        axes.set(xlabel="worker threads", ylabel=label, ylim=(0, max(row[key] for row in rows) * 1.15))
        axes.grid(axis="x", visible=False)
    return figure


def decision(report):
    nanoseconds = numbers(report["growth"]["decision"]["nanoseconds"])
    figure, axes = lines_by_routes("time of one decision, ns")
    axes.plot(*nanoseconds, marker="o", color=COLOURS["banyan"])
    axes.set_ylim(0, max(nanoseconds[1]) * 1.2)
    return figure


def memory(report):
    figure, axes = lines_by_routes("resident memory, MiB")
    looks = (("o", "#7a8ba3"), ("s", "#1b7f4d"), ("^", "#c98a2b"))
    for (arms, kib), (look, shade) in zip(report["growth"]["memory"]["rss_kib"].items(), looks, strict=True):
        routes, values = numbers(kib)
        axes.plot(routes, [value / 1024 for value in values], marker=look, color=shade, label=arms)
    axes.set_ylim(0)
    axes.legend(frameon=False, title="each route has")
    return figure


def reload_time(report):
    figure, axes = lines_by_routes("from a saved file to its effect, ms")
    axes.plot(*numbers(report["growth"]["reload"]["milliseconds"]), marker="o", color=COLOURS["banyan"])
    axes.set_yscale("log")
    axes.axhline(1000, color="#b0544c", linewidth=0.8, linestyle="--")
    axes.annotate("promised: 1 s", (10, 1000), textcoords="offset points", xytext=(0, 4), color="#b0544c")
    plain(axes.yaxis)
    return figure


def metrics(report):
    pages = report["growth"]["metrics"]["by_routes"]
    routes = [int(count) for count in pages]
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(7.5, 3))
    for axes, key, label in ((left, "milliseconds", "time to get the page, ms"), (right, "kib", "its size, KiB")):
        axes.plot(routes, [page[key] for page in pages.values()], marker="o", color=COLOURS["banyan"])
        axes.set(xlabel="routes, both arms asked", ylabel=label, xscale="log", yscale="log")
        plain(axes.xaxis)
        plain(axes.yaxis)
    return figure


def soak(report):
    samples = report["soak"]["samples"]
    minutes = [one["second"] / 60 for one in samples]
    figure, (above, below) = pyplot.subplots(2, 1, figsize=(7.5, 4.5), sharex=True)
    above.plot(minutes, [one["rss_kib"] / 1024 for one in samples], color=COLOURS["banyan"])
    above.set(ylabel="resident memory, MiB", ylim=(0, max(one["rss_kib"] for one in samples) / 1024 * 1.2))
    below.plot(minutes, [one["open_files"] for one in samples], color=COLOURS["haproxy"])
    below.set(ylabel="open files", xlabel="minutes", ylim=(0, max(one["open_files"] for one in samples) * 1.2))
    return figure


def lines_by_routes(label):
    figure, axes = pyplot.subplots(figsize=(6, 3.2))
    axes.set(xlabel="routes", ylabel=label, xscale="log")
    plain(axes.xaxis)
    return figure, axes


def plain(axis):
    """1,000 in place of a power of ten."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))


def numbers(by_count):
    return [int(count) for count in by_count], list(by_count.values())


main()
