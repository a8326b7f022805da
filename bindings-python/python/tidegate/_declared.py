"""The tables of limits' storage that an arena has already, which another version of the program may have declared."""

from __future__ import annotations

from typing import NamedTuple

from ._tidegate import ArenaView

# The first part of the name of each.
PREFIX = "limits:"


class Table(NamedTuple):
    algorithm: str
    limit: int
    # For how many keys it was made.
    keys: int


def tables_in(place: str) -> dict[str, Table]:
    """By name; none where there is no arena yet, and none is made. ArenaError where it cannot be looked at."""
    arena = ArenaView.look(place)
    found = {} if arena is None else dict(arena.limiters())
    tables = {}
    for name, keys in found.items():
        _, algorithm, limit, _ = name.split(":", 3) if name.startswith(PREFIX) and name.count(":") == 3 else [""] * 4
        if limit.isascii() and limit.isdigit():
            tables[name] = Table(algorithm, int(limit), keys)
    return tables
