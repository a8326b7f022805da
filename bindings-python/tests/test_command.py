"""The console script, as pip installs it. What it shows is tested with the core; here, that it is the same command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sysconfig
from pathlib import Path

import tidegate

COMMAND = Path(sysconfig.get_path("scripts")) / "tidegate"


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([COMMAND, *words], capture_output=True, text=True, timeout=60)


def test_it_shows_an_arena_of_this_process_and_keeps_it(host: str) -> None:
    arena = host.removeprefix("host:")
    bucket = tidegate.TokenBucket("5/hour", scope=host, name="everyone")
    assert bucket.try_acquire(2)
    shown = command("--json", "show", arena)
    assert (shown.returncode, shown.stderr) == (0, "")
    picture = json.loads(shown.stdout)
    assert [(seen["name"], seen["remaining"], seen["admitted"]) for seen in picture["objects"]] == [("everyone", 3, 1)]
    assert [(process["pid"], process["alive"]) for process in picture["processes"]] == [(os.getpid(), True)]
    refused = command("rm", arena)
    assert refused.returncode == 1 and f"pid {os.getpid()}" in refused.stderr
    assert command("reset", arena, "everyone").returncode == 0
    assert bucket.peek().remaining == 5


def test_ctrl_c_ends_the_live_view(host: str) -> None:
    bucket = tidegate.TokenBucket("5/hour", scope=host, name="everyone")
    words = [COMMAND, "top", host.removeprefix("host:"), "--interval", "3600"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as top:
        assert top.stdout is not None
        assert any("everyone" in line for line in top.stdout)
        top.send_signal(signal.SIGINT)
        assert top.wait(60) == -signal.SIGINT
    assert bucket.try_acquire()


def test_words_that_are_wrong_are_told(host: str) -> None:
    usage = command("loook")
    assert usage.returncode == 2 and "Usage: tidegate" in usage.stderr
    assert command("--version").stdout.strip() == f"tidegate {tidegate.__version__}"
