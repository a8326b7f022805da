#!/usr/bin/env python3
"""A service that is asked for twice what it can do, with an adaptive limit and without: uvicorn and Nest, real HTTP.

`python3 tests/demo/overload.py docs/overload.svg` measures, draws, and prints what it has drawn. Needs what
requirements.txt names and tidegate installed, and for Nest `target/node-apps/nest11`, which `make test` leaves behind.
"""

import asyncio
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from story.svg import FAINT, INK, Plot, box, curve, line, text

HERE = Path(__file__).parent
NEST = HERE.parents[1] / "target/node-apps/nest11"
SERVERS = {
    "uvicorn": ([sys.executable, str(HERE / "overloaded/service.py")], HERE),
    "Nest": (["node", str(HERE / "overloaded/service.mjs")], NEST),
}
STORIES = {"without a limit": ([], "#c0392b"), "with an adaptive limit": (["limit"], "#1b7f4d")}
# What sixteen workers of 160 ms can do; who waits longer than the deadline has gone.
CAPACITY, DEADLINE = 100, 1.0
# From when to when, and how many times the capacity.
PHASES = ((0, 5, 0.5), (5, 35, 2.0), (35, 40, 0.5))
BIN = 1.0
WIDTH, LEFT, RIGHT = 860, 60, 800


@dataclass
class Told:
    """What came of each call: when it was made, and whether it was answered in time. What the service had done when the
    overload had lasted for two seconds, and at its end. By how much a call was late at most: where it is much, whoever
    asks was held up, and this says nothing of the service."""

    calls: list[tuple[float, bool]] = field(default_factory=list)
    done: list[tuple[float, int]] = field(default_factory=list)
    late: float = 0.0

    def goodput(self, start: float, end: float) -> float:
        """Calls a second that were answered in time."""
        return sum(start <= at < end and good for at, good in self.calls) / (end - start)

    @property
    def throughput(self) -> float:
        """Calls a second that the service did, for whomever."""
        (start, before), (end, after) = self.done
        return (after - before) / (end - start)

    @property
    def overload(self) -> float:
        """Goodput between the looks at what was done."""
        return self.goodput(self.done[0][0], self.done[1][0])


async def load(port: int, phases: tuple, settle: float = 2.0) -> Told:
    """Calls on schedule, whatever becomes of those before."""
    told, loop, tasks = Told(), asyncio.get_running_loop(), set()
    url = f"http://127.0.0.1:{port}/"
    (start, end) = next((start, end) for start, end, times in phases if times > 1)

    async def one(at: float) -> None:
        asked, good = loop.time(), False
        try:
            async with asyncio.timeout(DEADLINE):
                async with session.get(url) as answer:
                    await answer.read()
                    good = answer.status == 200
        except (TimeoutError, aiohttp.ClientError):
            pass
        told.calls.append((at, good and loop.time() - asked <= DEADLINE))

    async def look(at: float) -> None:
        await asyncio.sleep(max(0.0, begin + at - loop.time()))
        async with session.get(url + "done") as answer:
            count = int(await answer.text())
        told.done.append((loop.time() - begin, count))

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        # What both sides load at their first call is no part of it: here it would be refused as if it were load.
        async with session.get(url + "done") as answer:
            await answer.read()
        begin = loop.time()
        looks = asyncio.gather(look(start + settle), look(end))
        for first, last, times in phases:
            count = int((last - first) * times * CAPACITY)
            for n in range(count):
                at = first + (last - first) * n / count
                await asyncio.sleep(max(0.0, begin + at - loop.time()))
                told.late = max(told.late, loop.time() - begin - at)
                tasks.add(task := asyncio.ensure_future(one(at)))
                task.add_done_callback(tasks.discard)
        await asyncio.gather(looks, *tasks)
    return told


def tell(server: str, arguments: list[str], phases: tuple = PHASES) -> Told:
    command, directory = SERVERS[server]
    with subprocess.Popen(
        [*command, *arguments], cwd=directory, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as service:
        port = int(service.stdout.readline())
        try:
            return asyncio.run(load(port, phases))
        finally:
            service.stdin.close()


def draw(told: dict[str, dict[str, Told]]) -> str:
    seconds = PHASES[-1][1]
    x = lambda at: LEFT + (RIGHT - LEFT) * at / seconds  # noqa: E731
    title = "Calls a second that are answered within a second, at twice what the service can do"
    under = f"Sixteen workers of 160 ms do {CAPACITY} calls a second at most; the dashed line is what is asked for"
    parts = [text(LEFT, 24, title, size=14, weight="bold"), text(LEFT, 42, under, colour=FAINT)]
    for row, (server, stories) in enumerate(told.items()):
        plot = Plot(84 + row * 240, 150, 0, max(times for _, _, times in PHASES) * CAPACITY)
        parts.append(text(LEFT, plot.top - 12, server, weight="bold"))
        for mark in (CAPACITY, 2 * CAPACITY):
            parts.append(line(LEFT, plot.y(mark), RIGHT, plot.y(mark), dash="1 4"))
            parts.append(text(LEFT - 8, plot.y(mark) + 4, str(mark), anchor="end", colour=FAINT))
        asked = [(x(at), plot.y(times * CAPACITY)) for start, end, times in PHASES for at in (start, end)]
        parts.extend(line(*one, *other, colour=FAINT, dash="6 4") for one, other in zip(asked, asked[1:]))
        parts.append(line(LEFT, plot.bottom, RIGHT, plot.bottom, colour=INK))
        for at in range(0, seconds + 1, 5):
            parts.append(text(x(at), plot.bottom + 16, f"{at} s", anchor="middle", colour=FAINT))
        for place, (name, one) in enumerate(stories.items()):
            colour = STORIES[name][1]
            bins = [n * BIN for n in range(int(seconds / BIN))]
            parts.append(curve([(x(at + BIN / 2), plot.y(one.goodput(at, at + BIN))) for at in bins], colour=colour))
            words = f"{name}: {one.overload:.0f} a second in time, of {one.throughput:.0f} that are done"
            parts.append(text(LEFT + place * 380, plot.bottom + 38, words, colour=colour, weight="bold"))
    height = 84 + len(told) * 240 - 30
    start = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif">'
    return "\n".join([start, box(0, 0, WIDTH, height, fill="#ffffff"), *parts, "</svg>", ""])


def main() -> None:
    told: dict[str, dict[str, Told]] = {}
    for server in SERVERS:
        for name, (arguments, _) in STORIES.items():
            one = told.setdefault(server, {})[name] = tell(server, arguments)
            print(f"{server} {name}: {one.overload:.1f} a second in time, {one.throughput:.1f} done", flush=True)
    Path(sys.argv[1]).write_text(draw(told))


if __name__ == "__main__":
    main()
