"""The rules of Grafana's dashboard-linter by their names, and three more: a fixed uid, numbers, and places of panels.

Written anew: the linter itself is a program of Go that no registry at hand carries. What a rule says is in
https://github.com/grafana/dashboard-linter/tree/main/docs/rules; where it parses PromQL, promtool does so here.
panel-units-rule is in schema.py, beside Grafana's list of units.
"""

import re
import subprocess
import tempfile
from pathlib import Path

DATASOURCE = "${datasource}"
# A series, its matchers, and its range. Our names begin with these; what rules record has a colon.
SERIES = re.compile(r"\b((?:banyan|process)_\w+|\w+:[\w:]+)(?:\{([^}]*)\})?(\[[^\]]*\])?")
VARIABLES = {"__rate_interval": "1m", "__interval": "5s", "__range": "5m", "job": ".+", "instance": ".+", "route": ".+"}
COLUMNS = 24


def problems(dashboard, file):
    """Every rule that is broken, as `rule: what`."""
    for rule in (uid, editable, variables, panels, places, targets, annotations):
        yield from rule(dashboard, file)


def substituted(query, values):
    """A query with the dashboard's variables filled in."""
    for name, value in {**VARIABLES, **values}.items():
        query = re.sub(rf"\$\{{{name}(:\w+)?\}}|\${name}\b", lambda _: value, query)
    return query


def queries(dashboard):
    """Where a query stands, and the query: of panels and of annotations."""
    for panel in asking(dashboard):
        for target in panel.get("targets", []):
            yield f"panel `{panel.get('title')}` {target.get('refId')}", target.get("expr", "")
    for annotation in dashboard["annotations"]["list"]:
        yield f"annotation `{annotation['name']}`", annotation.get("expr", "")


def asking(dashboard):
    """Panels but for headings, also those that a heading hides."""
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            yield from panel.get("panels", [])
        else:
            yield panel


def uid(dashboard, file):
    if dashboard.get("uid") != Path(file).stem:
        yield f"fixed-uid: the uid is {dashboard.get('uid')!r}, and the file {file}"


def editable(dashboard, _):
    if dashboard.get("editable") is not False:
        yield "uneditable-dashboard: it can be edited, and the next export undoes what was edited"


def variables(dashboard, _):
    by_name = {variable["name"]: variable for variable in dashboard["templating"]["list"]}
    sources = [variable for variable in by_name.values() if variable["type"] == "datasource"]
    if [(it["name"], it.get("label"), it["query"]) for it in sources] != [("datasource", "Data source", "prometheus")]:
        yield "template-datasource-rule: there is to be one data source, named `datasource` and labelled `Data source`"
    for name in ("job", "instance"):
        variable = by_name.get(name, {})
        wanted = {"type": "query", "label": name.title(), "multi": True, "allValue": ".+"}
        for key, value in wanted.items():
            if variable.get(key) != value:
                yield f"template-{name}-rule: {key} of `{name}` is {variable.get(key)!r}, not {value!r}"
        if variable.get("datasource", {}).get("uid") != DATASOURCE:
            yield f"template-{name}-rule: `{name}` does not ask {DATASOURCE}"
    for variable in by_name.values():
        if variable["type"] == "query" and variable.get("refresh") != 2:
            yield f"template-on-time-change-reload-rule: `{variable['name']}` is not read again when the time changes"
        if variable["type"] == "query" and not label_values(variable["query"]["query"]):
            yield f"template-label-promql-rule: `{variable['name']}` asks {variable['query']['query']!r}"


def label_values(query):
    """The series and the label that a variable asks for."""
    found = re.fullmatch(r"label_values\((?P<series>.+),\s*(?P<label>\w+)\)", query)
    return found and (found["series"], found["label"])


def panels(dashboard, _):
    for panel in asking(dashboard):
        title = panel.get("title")
        if not title or not panel.get("description"):
            yield f"panel-title-description-rule: panel {panel.get('id')} ({title}) has no title or no description"
        for of in [panel, *panel.get("targets", [])]:
            if of.get("datasource", {}).get("uid") != DATASOURCE:
                yield f"panel-datasource-rule: `{title}` names a data source of its own"
        if not panel.get("targets"):
            yield f"panel-no-targets-rule: `{title}` asks nothing"


def places(dashboard, _):
    taken, ids = {}, set()
    for panel in dashboard["panels"]:
        title, place = panel.get("title"), panel["gridPos"]
        if panel["id"] in ids:
            yield f"unique-ids: {panel['id']} is the number of `{title}` and of another"
        ids.add(panel["id"])
        if place["x"] < 0 or place["x"] + place["w"] > COLUMNS:
            yield f"no-overlap: `{title}` stands beside the grid"
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                other = taken.setdefault((x, y), title)
                if other != title:
                    yield f"no-overlap: `{title}` covers `{other}`"
                    return


def targets(dashboard, _):
    for place, query in queries(dashboard):
        for series, matchers, interval in SERIES.findall(re.sub(r"by \([^)]*\)", "", query)):
            for label in ("job", "instance"):
                if f'{label}=~"${label}"' not in matchers:
                    yield f"target-{label}-rule: {place}: {series} is not of the chosen {label}"
            if interval and interval != "[$__rate_interval]":
                yield f"target-rate-interval-rule: {place}: {interval} where $__rate_interval follows the zoom"
        for counter in re.finditer(r"(\w*\(?)\b(?:banyan|process)_\w+(?:_total|_bucket|_sum|_count)\b", query):
            if counter[1] not in ("rate(", "irate(", "increase("):
                yield f"target-counter-agg-rule: {place}: a counter without rate, irate or increase"


def annotations(dashboard, _):
    for annotation in dashboard["annotations"]["list"]:
        if annotation["datasource"].get("uid") != DATASOURCE:
            yield f"panel-datasource-rule: annotation `{annotation['name']}` names a data source of its own"


def promql(dashboards):
    """What promtool cannot parse, of all dashboards by their files: one rule a query."""
    asked = []
    for file, dashboard in dashboards:
        asked += [(file, "target-promql-rule", place, query) for place, query in queries(dashboard)]
        for variable in dashboard["templating"]["list"]:
            if variable["type"] == "query" and (found := label_values(variable["query"]["query"])):
                asked.append((file, "template-label-promql-rule", f"variable `{variable['name']}`", found[0]))
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as rules:
        rules.write("groups: [{name: queries, rules: [\n")
        for number, (*_, query) in enumerate(asked):
            rules.write(f"  {{record: 'query:{number}:text', expr: {quoted(substituted(query, {}))}}},\n")
        rules.write("]}]\n")
        rules.flush()
        told = "\n".join(promtool(["check", "rules", rules.name]))
    found = re.findall(r'"query:(\d+):text":? *(.*)', told)
    for number, problem in found:
        file, rule, place, query = asked[int(number)]
        yield f"{file}: {rule}: {place}: {problem}\n  {query}"
    if told and not found:
        yield told


def quoted(text):
    """YAML in single quotes."""
    return "'" + text.replace("'", "''") + "'"


def promtool(arguments, text=None):
    """What promtool has against it."""
    try:
        told = subprocess.run(["promtool", *arguments], input=text, capture_output=True, check=False)
    except FileNotFoundError:
        return ["promtool is missing\nhint: scripts/setup --test"]
    said = (told.stdout + told.stderr).decode().strip()
    # `check metrics` warns with exit code 3; every remark counts here.
    return [f"promtool {' '.join(arguments)}: {said}"] if told.returncode else []
