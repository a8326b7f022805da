"""Processes of both languages, and a directory of their own for the arenas they share."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
NODE = Path(os.environ["TIDEGATE_E2E_NODE"])


@pytest.fixture
def arenas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where `host:…` lives in this test, here and in every process that it starts."""
    path = tmp_path / "arenas"
    monkeypatch.setenv("TIDEGATE_DIR", str(path))
    return path


@pytest.fixture
def start(arenas: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts `name.py` or `name.mjs` with arguments; ended with the test."""
    running: list[subprocess.Popen[str]] = []

    def one(script: str, *arguments: Any) -> subprocess.Popen[str]:
        command = ["node", str(NODE / script)] if script.endswith(".mjs") else [sys.executable, str(HERE / script)]
        process = subprocess.Popen(
            [*command, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        running.append(process)
        return process

    yield one
    for process in running:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()


def expect(process: subprocess.Popen[str], word: str) -> str:
    """The next line of a process, which begins with `word`."""
    assert process.stdout
    line = process.stdout.readline().strip()
    assert line.startswith(word), f"{process.args}: {line!r} instead of {word!r} (exit {process.poll()})"
    return line.removeprefix(word).strip()


def say(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin
    process.stdin.write(line + "\n")
    process.stdin.flush()


def wait_until(condition: Callable[[], bool], patience: float = 30) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)
