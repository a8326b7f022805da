#!/usr/bin/env python3
"""Which tools must be there before anything is built; a missing one is named with the line that installs it.

As a program: `tests/run/prerequisites.py cargo python3 node` exits 1 where one is missing or too old.
"""

import re
import shutil
import subprocess
import sys

# Tool: (command that prints its version, oldest that will do, the line that installs it).
TOOLS = {
    "cargo": (["cargo", "--version"], (1, 88), "curl https://sh.rustup.rs -sSf | sh"),
    "python3": ([sys.executable, "--version"], (3, 10), "apt-get install python3 python3-venv"),
    "node": (["node", "--version"], (20, 19), "see https://nodejs.org/en/download (20.19 or newer)"),
    "npm": (["npm", "--version"], (9, 0), "comes with Node: https://nodejs.org/en/download"),
    "cc": (["cc", "--version"], (0, 0), "apt-get install gcc libc6-dev"),
    "make": (["make", "--version"], (0, 0), "apt-get install make"),
}


def missing(*names: str) -> list[str]:
    """A line for each tool that is missing or too old."""
    lines = []
    for name in names:
        command, oldest, install = TOOLS[name]
        if not shutil.which(command[0]):
            lines.append(f"{name} is missing. Install it: {install}")
            continue
        output = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        found = tuple(int(part) for part in re.findall(r"\d+", output)[:2])
        if found and found < oldest:
            version, wanted = ".".join(map(str, found)), ".".join(map(str, oldest))
            lines.append(f"{name} {version} is too old, {wanted} is needed. Install it: {install}")
    return lines


def require(*names: str) -> None:
    """Ends the program with the list of what is missing, if anything is."""
    if lines := missing(*names):
        sys.exit("\n".join(lines))


if __name__ == "__main__":
    require(*(sys.argv[1:] or TOOLS))
