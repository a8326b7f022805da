"""The demo: build, tell the story, show it, check it.

Exit codes: 0 all checks hold, 1 something does not, 2 this machine could not offer the load, 130 interrupted.
"""

import os
import resource
import signal
import sys

from . import processes
from .build import build
from .chart import chart
from .checks import checks, starved
from .phases import tell
from .plan import OUT, ROOT
from .screen import Screen
from .shared import shares
from .table import table

# Set even where the parent ignores them, as shells do for background jobs.
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _interrupted(*_) -> None:
    raise KeyboardInterrupt


def main() -> int:
    screen = Screen()
    for number in STOPS:
        signal.signal(number, _interrupted)
    try:
        _allow_many_files()
        build(screen)
        return _story(screen)
    except processes.Failed as failure:
        screen.say(f"\ndemo: {failure}")
        return 1
    except KeyboardInterrupt:
        screen.say("\ndemo: interrupted, stopping the services")
        return 130
    finally:
        for number in STOPS:
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not leave a process behind
        processes.stop_all()


def _story(screen: Screen) -> int:
    busy, cores = os.getloadavg()[0], os.cpu_count() or 1
    if busy > 1.5 * cores:
        screen.say(f"Note: other work keeps this machine busy (load {busy:.1f} on {cores} cores); it will show.")
    told = tell(screen)
    picture = OUT / "chart.svg"
    picture.write_text(chart(told), encoding="utf-8")
    screen.say(f"\n{table(told)}\n\n{shares(told.loads)}\n\nChart: {picture.relative_to(ROOT)}\n")
    if short := starved(told):
        screen.say("This machine could not offer the planned load, so nothing can be concluded:")
        screen.say("\n".join(f"  {line}" for line in short))
        return 2
    results = checks(told)
    for check in results:
        screen.say(f"{'ok  ' if check.holds else 'FAIL'}  {check.claim:<52} {check.seen}")
    failed = sum(not check.holds for check in results)
    screen.say(f"\n{len(results) - failed} of {len(results)} checks hold.")
    return 1 if failed else 0


def _allow_many_files() -> None:
    """The sale without tidegate holds some 10,000 connections open on each side."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


sys.exit(main())
