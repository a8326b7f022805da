"""Child processes that never outlive the demo: each leads a process group, and the whole group is ended."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

# Where there is one (Linux), even a kill -9 of the demo ends what it started.
_WITH_US = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []
_running: list[subprocess.Popen] = []


class Failed(Exception):
    """Something the demo needs did not work; the message says what and where to read on."""


def start(command: list, log: Path, *, cwd: Path | None = None, env: dict | None = None, pipe: bool = False):
    """Starts a command in a session of its own. Output goes to the log; with `pipe`, standard output to the caller."""
    with open(log, "ab") as file:
        process = subprocess.Popen(
            [str(part) for part in [*_WITH_US, *command]],
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if pipe else file,
            stderr=file,
            start_new_session=True,
        )
    _running.append(process)
    return process


def run(command: list, log: Path, **options) -> None:
    """Runs a command to its end."""
    process = start(command, log, **options)
    code = process.wait()
    stop(process)
    if code:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise Failed(f"`{' '.join(map(str, command))}` failed with {code}; the whole log is {log}:\n{tail}")


def stop(process: subprocess.Popen) -> None:
    """Ends a process and whatever it started: asks first, kills after 5 s."""
    for number, patience in ((signal.SIGTERM, 5), (signal.SIGKILL, None)):
        try:
            os.killpg(process.pid, number)
        except (ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies
            break
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            continue
    process.wait()
    if process.stdout:
        process.stdout.close()
    if process in _running:
        _running.remove(process)


def stop_all() -> None:
    while _running:
        stop(_running[-1])
