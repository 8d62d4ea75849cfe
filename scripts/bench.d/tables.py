"""Figures on the terminal."""


def show(report):
    print(", ".join([f"{key} {value}" for key, value in report["machine"].items()] + list(report["versions"].values())))
    for case in report["cases"]:
        show_case(case)
    for part in ("growth", "soak"):
        if part in report:
            print(f"\n{part}")
            show_tree(report[part], 1)


def show_case(case):
    """A table of figures, then Banyan's as a ratio of each peer's."""
    rows = case["engines"]
    keys = list(dict.fromkeys(key for row in rows.values() for key in row if not key.endswith("_spread")))
    print(f"\n{case['name']}: {case['title']}")
    print(f"  {'':30}" + "".join(f"{name:>20}" for name in rows))
    for key in keys:
        print(f"  {key:30}" + "".join(f"{with_spread(row, key):>20}" for row in rows.values()))
    for peer in (name for name in rows if name != "banyan" and "banyan" in rows):
        ratios = [
            f"{key} {rows['banyan'][key] / rows[peer][key]:.2f}"
            for key in keys
            if rows[peer].get(key) and key in rows["banyan"]
        ]
        print(f"  banyan / {peer}: " + ", ".join(ratios))


def with_spread(row, key):
    if key not in row:
        return "-"
    value = number(row[key])
    low_high = row.get(f"{key}_spread")
    if not low_high or not row[key]:
        return value
    return f"{value} ±{(low_high[1] - low_high[0]) / 2 / row[key] * 100:.0f}%"


def number(value):
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) < 100 else f"{value:.1f}"


def show_tree(value, depth):
    for key, inner in value.items():
        if isinstance(inner, dict):
            print(f"{'  ' * depth}{key}")
            show_tree(inner, depth + 1)
        elif key != "samples":
            print(f"{'  ' * depth}{key}: {inner}")
