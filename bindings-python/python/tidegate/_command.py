"""The ``tidegate`` command: the console script that the package installs."""

from __future__ import annotations

import signal
import sys

from tidegate._tidegate import run_command


def main() -> int:
    # Python's own handler only sets a flag, at which the command never looks.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return run_command(["tidegate", *sys.argv[1:]])
