"""Configuration files with `@NAME@` filled in, and lines with `@I@` repeated."""

import resource
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROUTES_BESIDE_ORDERS = 99


def written(directory, template, values, routes=ROUTES_BESIDE_ORDERS, name=None):
    """The file made of a template, in the directory."""
    lines = (HERE / template).read_text().splitlines(keepends=True)
    text = "".join(repeated(lines, routes))
    files = open_files()
    shared = {
        "DIR": directory,
        "FILES": files,
        "CONNECTIONS": min(24_000, files - 100),
        "CLIENTS": min(11_000, (files - 200) // 2),
    }
    for key, value in (shared | values).items():
        text = text.replace(f"@{key}@", str(value))
    path = directory / (name or template)
    path.write_text(text)
    return path


def repeated(lines, routes):
    block = []
    for line in [*lines, ""]:
        if "@I@" in line:
            block.append(line)
            continue
        for number in range(routes if block else 0):
            yield from (part.replace("@I@", f"{number:03}") for part in block)
        block = []
        yield line


def open_files():
    """Raises the limit of open files as far as allowed; started processes inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65_536
    for limit in (wanted, hard if hard != resource.RLIM_INFINITY else wanted):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(limit, wanted), max(hard, min(limit, wanted))))
            break
        except (ValueError, OSError):  # beyond the hard limit, without the right to raise that
            continue
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
