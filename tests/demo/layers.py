#!/usr/bin/env python3
"""Three services in a row that try three times each, while the last of them fails: with retry budgets and without.

`python3 tests/demo/layers.py docs/retry-layers.svg` measures over real HTTP, draws, and prints what it has drawn. Needs
tidegate installed (`pip install tidegate`).
"""

import contextlib
import http.server
import sys
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from story.svg import FAINT, INK, Plot, box, curve, line, text
from tidegate import RetryBudget, RetryBudgetExceededError, RetryPolicy

CALLS_PER_SECOND, SECONDS, OUTAGE = 8, 12, (3, 9)
BIN = 1
FAILS = "/fails"
STORIES = {"without budgets": (False, "#c0392b"), "with a budget at each": (True, "#1b7f4d")}
WIDTH, HEIGHT, LEFT, RIGHT = 860, 345, 60, 790


class Service(http.server.ThreadingHTTPServer):
    """Asks the next one, or is the last, which refuses what was called during the outage."""

    daemon_threads = True
    request_queue_size = 1000

    def __init__(self, then: "Client | None", begin: float) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.then, self.begin = then, begin
        # When it was asked, for calls that fail and for others.
        self.asked: dict[bool, list[float]] = {True: [], False: []}
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.shutdown()
        self.server_close()

    def status(self, path: str) -> int:
        fails = path == FAILS
        self.asked[fails].append(time.monotonic() - self.begin)
        works = self.then.ask(path) if self.then is not None else not fails
        return 200 if works else 503


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(self.server.status(self.path))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


class Client:
    """What each service has for the next: three attempts, and perhaps a budget."""

    def __init__(self, service: Service, is_paid: bool) -> None:
        budget = RetryBudget(ratio=0.2, min_per_second=0) if is_paid else None
        self.url = f"http://127.0.0.1:{service.server_port}"
        self.policy = RetryPolicy(attempts=3, base=0.01, max_delay=0.02, budget=budget)

    def ask(self, path: str) -> bool:
        with contextlib.suppress(urllib.error.HTTPError, RetryBudgetExceededError):
            self.policy.call(self._get, path)
            return True
        return False

    def _get(self, path: str) -> None:
        try:
            urllib.request.urlopen(self.url + path, timeout=20).close()
        except urllib.error.HTTPError as error:
            error.close()
            raise


@dataclass(frozen=True)
class Told:
    """How many calls came in the outage, and when the innermost service was asked, for these and for others."""

    calls: int
    asked: dict[bool, list[float]]

    @property
    def factor(self) -> float:
        """Requests at the innermost service for each call of the outage."""
        return len(self.asked[True]) / self.calls

    @property
    def rates(self) -> list[float]:
        """Requests per second at the innermost service, bin by bin."""
        moments = [at for asked in self.asked.values() for at in asked]
        return [sum(n * BIN <= at < (n + 1) * BIN for at in moments) / BIN for n in range(int(SECONDS / BIN))]


def tell(is_paid: bool) -> Told:
    begin = time.monotonic()
    last = Service(None, begin)
    middle = Service(Client(last, is_paid), begin)
    first = Service(Client(middle, is_paid), begin)
    caller, calls, threads = Client(first, is_paid), 0, []
    for n in range(CALLS_PER_SECOND * SECONDS):
        at = n / CALLS_PER_SECOND
        # On schedule, whatever becomes of the calls before.
        time.sleep(max(0.0, begin + at - time.monotonic()))
        fails = OUTAGE[0] <= at < OUTAGE[1]
        calls += fails
        threads.append(threading.Thread(target=caller.ask, args=(FAILS if fails else "/",)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    for service in (first, middle, last):
        service.stop()
    return Told(calls, last.asked)


def draw(told: dict[str, Told]) -> str:
    rates = {name: one.rates for name, one in told.items()}
    plot = Plot(60, 210, 0, max(map(max, rates.values())))
    x = lambda at: LEFT + (RIGHT - LEFT) * at / SECONDS  # noqa: E731
    title = "Requests per second at the third of three services that try three times each"
    under = f"{CALLS_PER_SECOND} calls a second reach the first; in the shaded time the third fails"
    parts = [
        box(0, 0, WIDTH, HEIGHT, fill="#ffffff"),
        text(LEFT, 24, title, size=14, weight="bold"),
        text(LEFT, 42, under, colour=FAINT),
        box(x(OUTAGE[0]), plot.top, x(OUTAGE[1]) - x(OUTAGE[0]), plot.height, fill="#f4f1ec"),
    ]
    for mark in (CALLS_PER_SECOND, 100, 200):
        parts.append(line(LEFT, plot.y(mark), RIGHT, plot.y(mark), dash="3 3"))
        parts.append(text(LEFT - 8, plot.y(mark) + 4, str(mark), anchor="end", colour=FAINT))
    parts.append(line(LEFT, plot.bottom, RIGHT, plot.bottom, colour=INK))
    for at in range(0, SECONDS + 1, 3):
        parts.append(text(x(at), plot.bottom + 18, f"{at} s", anchor="middle", colour=FAINT))
    for at, (name, (_, colour)) in enumerate(STORIES.items()):
        points = [(x((n + 0.5) * BIN), plot.y(rate)) for n, rate in enumerate(rates[name])]
        parts.append(curve(points, colour=colour))
        words = f"{name}: {told[name].factor:.2f} requests for each call that fails"
        parts.append(text(LEFT, HEIGHT - 30 + 18 * at, words, colour=colour, weight="bold"))
    start = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">'
    return "\n".join([start, *parts, "</svg>", ""])


def main() -> None:
    told = {name: tell(is_paid) for name, (is_paid, _) in STORIES.items()}
    for name, one in told.items():
        print(f"{name}: {one.calls} calls, {len(one.asked[True])} requests, {one.factor:.2f} each")
    Path(sys.argv[1]).write_text(draw(told))


if __name__ == "__main__":
    main()
