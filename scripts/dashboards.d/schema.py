"""Holds dashboards against what Grafana itself knows of them: no unknown key, no value of another type.

    target/tools/pypi/bin/python scripts/dashboards.d/schema.py FILE...

The types are those of grafana-foundation-sdk, which Grafana Labs generate from the same definitions as the JSON schema of
Grafana 11.6; no registry carries the schema itself. They read what they know and keep silent about the rest, so this compares
what they have read with the file, and checks each value by its annotation.
"""

import enum
import json
import re
import sys
import types
import typing
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard

UNITS = {value for name, value in vars(units).items() if isinstance(value, str) and not name.startswith("_")}

# The definition of an annotation is open: these are what Grafana's Prometheus plugin puts there.
OPEN = re.compile(r"\.annotations\.list\[\d+\]\.(titleFormat|textFormat|tagKeys|step)")


def main():
    register_default_plugins()
    problems = 0
    for name in sys.argv[1:]:
        for problem in problems_of(json.loads(Path(name).read_text())):
            print(f"{name}: {problem}")
            problems += 1
    sys.exit(1 if problems else 0)


def problems_of(written):
    try:
        read = Dashboard.from_json(written)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        return [f"schema: cannot be read: {type(error).__name__}: {error}"]
    problems = [*unknown(written, encoded(read), ""), *mistyped(read, Dashboard, "")]
    return [f"schema: {problem}" for problem in problems] + [*without_unit(written)]


def without_unit(dashboard):
    """The units of a panel are names of Grafana's list."""
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            continue
        overrides = panel["fieldConfig"].get("overrides", [])
        named = [it.get("value") for override in overrides for it in override["properties"] if it["id"] == "unit"]
        for unit in [panel["fieldConfig"]["defaults"].get("unit"), *named]:
            if unit not in UNITS:
                yield f"panel-units-rule: `{panel.get('title')}` has the unit {unit!r}"


def encoded(read):
    return json.loads(JSONEncoder().encode(read))


def unknown(written, read, place):
    """What is in the file, and not in what was read of it."""
    if isinstance(written, dict) and isinstance(read, dict):
        for key, value in written.items():
            if key not in read and not OPEN.fullmatch(f"{place}.{key}"):
                yield f"{place}.{key} is no key that Grafana knows"
            elif key in read:
                yield from unknown(value, read[key], f"{place}.{key}")
    elif isinstance(written, list) and isinstance(read, list) and len(written) == len(read):
        for number, (one, other) in enumerate(zip(written, read)):
            yield from unknown(one, other, f"{place}[{number}]")
    elif written != read:
        yield f"{place} is {written!r}, and was read as {read!r}"


def mistyped(value, hint, place):
    """Where a value is not of the type that is annotated."""
    origin, of = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        ways = [list(mistyped(value, way, place)) for way in of]
        return [] if [] in ways else min(ways, key=len)
    if origin is typing.Literal:
        return [] if value in of else [f"{place} is {value!r}, not one of {of}"]
    if origin is list:
        if not isinstance(value, list):
            return [f"{place} is no list: {value!r}"]
        return [problem for number, one in enumerate(value) for problem in mistyped(one, of[0], f"{place}[{number}]")]
    if origin is dict:
        if not isinstance(value, dict):
            return [f"{place} is no object: {value!r}"]
        return [problem for key, one in value.items() for problem in mistyped(one, of[1], f"{place}.{key}")]
    return mistyped_one(value, hint, place)


def mistyped_one(value, hint, place):
    if hint in (object, typing.Any):
        hint = type(value)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        known = [one.value for one in hint]
        return [] if value in known else [f"{place} is {value!r}, not one of {known}"]
    if isinstance(value, dict) and hasattr(hint, "from_json"):
        # The types leave some parts as they were written.
        read = hint.from_json(value)
        return [*unknown(value, encoded(read), place), *mistyped(read, hint, place)]
    if hasattr(type(value), "from_json"):
        fields = typing.get_type_hints(type(value))
        return [
            problem
            for name, field in fields.items()
            for problem in mistyped(getattr(value, name), field, f"{place}.{name}")
        ]
    if hint is float:
        hint = (int, float)
    if isinstance(value, bool) and hint is not bool:
        return [f"{place} is {value!r}, not {hint}"]
    return [] if isinstance(value, hint) else [f"{place} is {value!r}, not {hint}"]


if __name__ == "__main__":
    main()
