"""Prints the table of a benchmark run and writes its results: report.py ROWS.jsonl... RESULTS.json

A row is a line of JSON: {"binding", "work", "tidegate": name of our contender, "floor": name or null,
"floors": [names], "targets": [{"of": contender, "most": times its time}],
"ns": {contender: [nanoseconds, one a round]}, "notes": [text], "unit": "B" where they are bytes}
or {"binding", "work", "skipped": why}. Times are medians; a ratio is the median of those taken round by round, with
their quartiles beside it.
"""

import json
import statistics
import sys


def main() -> int:
    *sources, out = sys.argv[1:]
    rows = [json.loads(line) for source in sources for line in open(source, encoding="utf-8") if line.strip()]
    measured = [row for row in rows if "ns" in row]
    with open(out, "w", encoding="utf-8") as file:
        json.dump([entry for row in measured for entry in entries(row)], file, indent=1)
        file.write("\n")
    table(measured)
    for row in rows:
        if "skipped" in row:
            print(f"skipped  {row['binding']}: {row['work']}: {row['skipped']}")
    met = [verdict(row, target) for row in measured for target in row["targets"]]
    print(
        f"\n{len(measured)} rows measured, {met.count('pass')} targets met, {met.count('MISS')} missed, "
        f"{met.count('unclear')} unclear (noise larger than what is measured); {out}"
    )
    return 0


def ours(row: dict) -> list[float]:
    return row["ns"][row["tidegate"]]


def by_round(row: dict, name: str) -> list[float]:
    """Our time over that contender's in each round."""
    return [a / b for a, b in zip(ours(row), row["ns"][name]) if b]


def ratio(row: dict, name: str) -> float | None:
    """The median over the rounds; none where a time added is not even positive."""
    pairs = by_round(row, name)
    positive = statistics.median(ours(row)) > 0 and statistics.median(row["ns"][name]) > 0
    return statistics.median(pairs) if pairs and positive else None


def quartiles(row: dict, name: str) -> tuple[float, float] | None:
    pairs = by_round(row, name)
    if len(pairs) < 3:
        return None
    low, _, high = statistics.quantiles(pairs, n=4)
    return low, high


def spread(row: dict, name: str) -> str:
    found = quartiles(row, name)
    return f"{found[0]:.2f}–{found[1]:.2f}" if found else ""


def peers(row: dict) -> list[str]:
    """The contenders that are neither ours nor floors, those of a target first."""
    floors = {row["floor"], *row.get("floors", [])}
    names = [name for name in row["ns"] if name not in floors and not name.startswith("tidegate")]
    wanted = [target["of"] for target in row["targets"]]
    return sorted(names, key=lambda name: wanted.index(name) if name in wanted else len(wanted))


def verdict(row: dict, target: dict) -> str:
    """pass, MISS, or unclear where noise is larger than what is measured: no number to judge by."""
    measured, found = ratio(row, target["of"]), quartiles(row, target["of"])
    if measured is None or (found and (found[0] <= 0 or found[1] > 3 * found[0])):
        return "unclear"
    return "pass" if measured <= target["most"] else "MISS"


def entries(row: dict) -> list[dict]:
    """The row as the results file has it, once for each peer."""
    floor = row["floor"]
    if row.get("unit"):
        # The results file holds times.
        return []
    common = {
        "work": row["work"],
        "binding": row["binding"],
        "tidegate_ns": statistics.median(ours(row)),
        "floor_ns": floor and statistics.median(row["ns"][floor]),
        "ratio_floor": floor and ratio(row, floor),
    }
    return [
        {
            **common,
            "peer": peer,
            "peer_ns": peer and statistics.median(row["ns"][peer]),
            "ratio_peer": peer and ratio(row, peer),
        }
        for peer in peers(row) or [None]
    ]


def table(rows: list[dict]) -> None:
    head = ("contender", "time", "tidegate is", "quartiles", "target", "")
    print(("{:<44}{:>12}{:>14}{:>14}{:>10}  {}").format(*head))
    for row in rows:
        print(f"\n{row['binding']}: {row['work']}")
        targets = {target["of"]: target for target in row["targets"]}
        for name, times in row["ns"].items():
            label = name + (" (floor)" if name == row["floor"] else "")
            line = f"  {label:<42}{shown(statistics.median(times), row):>12}"
            if name != row["tidegate"]:
                measured = ratio(row, name)
                line += f"{'–' if measured is None else f'{measured:.2f} ×':>14}{spread(row, name):>14}"
            if name in targets:
                line += f"{'≤ ' + format(targets[name]['most'], '.4g') + ' ×':>10}  {verdict(row, targets[name])}"
            print(line)
        for note in row.get("notes", []):
            print(f"  {note}")
    print()


def shown(ns: float, row: dict) -> str:
    if unit := row.get("unit"):
        return f"{ns:.1f} {unit}"
    return f"{ns:.1f} ns" if abs(ns) < 10_000 else f"{ns / 1000:.1f} µs"


if __name__ == "__main__":
    sys.exit(main())
