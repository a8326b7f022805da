"""Builds and installs both packages into throw-away environments, as a user would."""

import shutil
import sys
import time
from pathlib import Path

from .plan import DEMO, OUT, ROOT
from .processes import run
from .screen import Screen

LOG = OUT / "build.log"


def build(screen: Screen) -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    LOG.unlink(missing_ok=True)
    screen.say(f"Building; the output goes to {LOG.relative_to(ROOT)}.")
    for what, step in (
        ("the load generator", _load),
        ("the Python wheel, into a venv", _python),
        ("the npm packages", _node),
        ("the NestJS service, with the npm packages installed", _payments),
    ):
        started = time.monotonic()
        step()
        screen.say(f"  {what}: {time.monotonic() - started:.0f} s")


def _fresh(path: Path) -> Path:
    shutil.rmtree(path, ignore_errors=True)
    return path


def _load() -> None:
    # Without link-time optimisation: it takes a minute and this is not what is measured.
    run(
        ["cargo", "build", "--release", "--locked", "-p", "tidegate-demo-load"],
        LOG,
        cwd=ROOT,
        env={"CARGO_PROFILE_RELEASE_LTO": "off"},
    )


def _python() -> None:
    venv, wheels = _fresh(OUT / "venv"), _fresh(OUT / "wheels")
    run([sys.executable, "-m", "venv", venv], LOG)
    pip = [venv / "bin/python", "-m", "pip", "--disable-pip-version-check"]
    run([*pip, "wheel", "--no-deps", "-w", wheels, ROOT / "bindings-python"], LOG)
    run([*pip, "install", "-r", DEMO / "requirements.txt", *wheels.glob("tidegate-*.whl")], LOG)


def _node() -> None:
    _fresh(ROOT / "target/npm")
    for step in ("ci", "run build", "run pack:all"):
        run(["npm", *step.split()], LOG, cwd=ROOT / "bindings-node")


def _payments() -> None:
    app = _fresh(OUT / "payments")
    shutil.copytree(DEMO / "payments", app, ignore=shutil.ignore_patterns("node_modules", "dist"))
    run(["npm", "ci"], LOG, cwd=app)
    run(["npm", "install", "--no-save", *sorted((ROOT / "target/npm").glob("*.tgz"))], LOG, cwd=app)
    run(["npm", "run", "build"], LOG, cwd=app)
