"""Imports of this binding go in no circle, in Rust and in Python."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parents[1]


def in_rust(folder: Path) -> Mapping[str, set[str]]:
    """Which file knows which: paths after ``crate``, ``super``, ``self``, and what a folder's own file re-exports."""
    paths = {path: path.relative_to(folder).with_suffix("") for path in folder.rglob("*.rs")}
    names = {path: "::".join(part for part in name.parts if part != "mod") for path, name in paths.items()}
    known = set(names.values())

    def file_of(path: str) -> str:
        while path not in known and "::" in path:
            path = path.rpartition("::")[0]
        return path

    found: dict[str, set[str]] = {}
    for path, name in names.items():
        # Of a file and of a folder's own file the parent is another.
        inside = "" if name == "lib" else name
        above = inside.rpartition("::")[0]
        code = re.sub(r"//.*", "", path.read_text())
        heads = {"crate": "", "self": inside, "super": above}
        reached = {
            "::".join(filter(None, (heads[head], inner)))
            for head, rest in re.findall(r"\b(crate|self|super)::([\w:]+|\{[^;]*?\};)", code)
            for inner in (re.findall(r"(?:^\{|,)\s*(\w+)", rest) if rest.startswith("{") else [rest])
        }
        reached |= {"::".join(filter(None, (inside, head))) for head in re.findall(r"\buse ([a-z_]+)::", code)}
        found[name] = {to for to in map(file_of, reached) if to in known and to != name}
    return found


def imported(nodes: Iterator[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            yield from [alias.name for alias in node.names] if node.module is None else [node.module]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tidegate."):
            yield str(node.module).removeprefix("tidegate.")


def in_python(folder: Path) -> Mapping[str, set[str]]:
    """Which module knows which, in types and inside of functions as well."""
    known = {path.stem: path for path in folder.glob("*.py")}
    return {name: set(imported(ast.walk(ast.parse(path.read_text())))) & {*known} for name, path in known.items()}


@pytest.mark.parametrize(("read", "folder"), [(in_rust, "src"), (in_python, "python/tidegate")])
def test_imports_go_in_no_circle(read: object, folder: str) -> None:
    assert callable(read)
    graph = read(HERE / folder)
    assert sum(map(len, graph.values())) > 60, "hardly any import was found"
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as circle:
        pytest.fail(" → ".join(reversed(circle.args[1])))


def test_imports_are_read(tmp_path: Path) -> None:
    files = {
        "lib.rs": "mod a;\nmod b;\nuse crate::b::d::D;",
        "a.rs": "use crate::{b, c::C};\n// use crate::b::d::D;",
        "b/mod.rs": "pub mod d;\npub mod e;\npub(crate) use d::D;",
        "b/d.rs": "use super::e::E;\nlet x = crate::a::f();",
        "b/e.rs": "use crate::b::D;",
    }
    (tmp_path / "b").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert in_rust(tmp_path) == {"lib": {"b::d"}, "a": {"b"}, "b": {"b::d"}, "b::d": {"a", "b::e"}, "b::e": {"b"}}
