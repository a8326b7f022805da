"""What a policy's file says, as objects and middlewares take it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ._gate import Told


def written(settings: dict[str, Any], name: str) -> Told:
    """What a middleware of a gate finds in the file: what its limits count by, and what its routes are worth."""
    gate = settings["gates"][name]
    limits = {it: settings["limits"][it] for it in gate.get("use", {}).get("limits", ())}
    keys = {it: own["key"] for it, own in limits.items() if own.get("key") is not None}
    return Told(keys, gate.get("priority"))


def arguments(given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as the constructors take them: times in seconds, under their own names."""

    def argument(name: str, value: Any) -> tuple[str, Any]:
        if name.endswith("_ns"):
            return name.removesuffix("_ns"), int(value) / 1e9
        return name, arguments(value) if name in ("block", "retry", "budget") else value

    return dict(argument(name, value) for name, value in given.items())
