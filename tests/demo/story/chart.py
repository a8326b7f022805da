"""Draws what was seen: four rows over one time axis, a column for each phase."""

from collections import defaultdict

from .phases import Told
from .plan import BURST, CAPACITY, FAILS_AT, OPEN_BELOW, OUTAGE, PHASES, RATE, RETURNS_AT, SHUT_AT, WITH, WITHOUT, WRITES_PER_SECOND
from .svg import FAINT, GRID, INK, Plot, area, box, curve, line, text
from .table import percentile

WIDTH, LEFT, RIGHT, GAP = 1180, 84, 24, 22
TAIL = 2.0  # seconds drawn after a phase's last request, while its answers still come
BIN = 0.25

FATES = (  # name, colour, which outcomes
    ("accepted (202; 201 without)", "#2f9e6e", lambda o: o in ("201", "202")),
    ("refused: rate (429)", "#f2b84b", lambda o: o == "429"),
    ("refused: queue full (503)", "#3b82c4", lambda o: o == "503"),
    ("failed (other 5xx)", "#d64545", lambda o: o.isdigit() and o not in ("201", "202", "429", "503")),
    ("no answer within 2 s", "#4a3b5c", lambda o: not o.isdigit()),
)
CIRCUIT = {"closed": "#2f9e6e", "open": "#d64545", "half_open": "#f2b84b"}
HEADINGS = {
    WITHOUT.key: f"1  The sale without tidegate · {WITHOUT.rate:,}/s",
    WITH.key: f"2  The same sale with tidegate · {WITH.rate:,}/s",
    OUTAGE.key: f"3  Payment fails and returns · {OUTAGE.rate}/s",
}

ANSWERS = Plot(top=150, height=210, low=0, high=5_500)
MONEY = Plot(top=410, height=110, low=0, high=1_000)
LATENCY = Plot(top=570, height=120, low=0.001, high=3, logarithmic=True)
QUEUE = Plot(top=740, height=140, low=0, high=CAPACITY * 1.08)
STRIP = 890
HEIGHT = 960

SCALE = (WIDTH - LEFT - RIGHT - GAP * (len(PHASES) - 1)) / sum(phase.seconds + TAIL for phase in PHASES)


class Column:
    """Where a phase stands on the time axis."""

    def __init__(self, index: int):
        before = PHASES[:index]
        self.phase = PHASES[index]
        self.left = LEFT + sum((phase.seconds + TAIL) * SCALE + GAP for phase in before)
        self.seconds = self.phase.seconds + TAIL
        self.right = self.left + self.seconds * SCALE

    def x(self, second: float) -> float:
        return self.left + min(max(second, 0), self.seconds) * SCALE


COLUMNS = {phase.key: Column(index) for index, phase in enumerate(PHASES)}


def chart(told: Told) -> str:
    parts = [box(0, 0, WIDTH, HEIGHT, fill="#ffffff"), *_frame()]
    for key, column in COLUMNS.items():
        load = told.loads[key]
        parts += _answers(column, load) + _latency(column, load)
        parts += _money(column, load, told.paid_without if key == WITHOUT.key else told.paid_with)
        parts += _no_queue(column, load) if key == WITHOUT.key else _queue(column, load, told.looks)
    parts += _outage()
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'font-family="Inter, Helvetica, Arial, sans-serif">\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _frame() -> list[str]:
    """Title, legend, headings, axes."""
    parts = [
        text(LEFT, 34, "A flash sale, without tidegate and with it", size=22, weight="bold"),
        text(
            LEFT, 56,
            f"5,000 orders a second at a service whose store takes {WRITES_PER_SECOND} writes a second. "
            f"Door: {RATE}/s, burst {BURST}. Cooldown 5 s (demo value). One measured run.",
            size=13, colour=FAINT,
        ),
    ]  # fmt: skip
    x = LEFT
    for name, colour, _ in FATES:
        parts += [box(x, 72, 12, 12, fill=colour, radius=2), text(x + 18, 82, name)]
        x += 42 + len(name) * 6.4
    for key, column in COLUMNS.items():
        parts += [box(column.left, 98, column.right - column.left, 24, fill="#eef2f6", radius=4)]
        parts += [text(column.left + 8, 114, HEADINGS[key], weight="bold")]
        for second in range(0, column.phase.seconds + 1, 5):
            parts.append(text(column.x(second), STRIP + 36, f"{second} s", anchor="middle", colour=FAINT))
    rows = (
        (ANSWERS, "Fate of the orders, per second (by the moment they were sent)", [(v, f"{v:,}") for v in range(0, 5_001, 1_000)]),
        (MONEY, "Accepted and paid, per second", [(0, "0"), (RATE, f"{RATE}"), (800, "800")]),
        (LATENCY, "Latency, p99 (no answer counts as 2 s)", [(0.001, "1 ms"), (0.01, "10 ms"), (0.1, "100 ms"), (1, "1 s")]),
        (QUEUE, "Queue depth, and the circuit to payment", [(0, "0"), (OPEN_BELOW, "500"), (SHUT_AT, "800"), (CAPACITY, "1,000")]),
    )
    for plot, name, ticks in rows:
        parts.append(text(LEFT, plot.top - 10, name, size=13, weight="bold"))
        for value, label in ticks:
            parts.append(text(LEFT - 8, plot.y(value) + 4, label, anchor="end", colour=FAINT))
            parts += [line(c.left, plot.y(value), c.right, plot.y(value)) for c in COLUMNS.values()]
    parts.append(text(LEFT - 8, STRIP + 12, "circuit", anchor="end", colour=FAINT))
    return parts


def _bins(load, moment) -> dict[int, list]:
    bins = defaultdict(list)
    for answer in load.answers:
        bins[int(moment(answer) / BIN)].append(answer)
    return bins


def _answers(column: Column, load) -> list[str]:
    bins = _bins(load, lambda answer: answer.sent)
    count = int(load.phase.seconds / BIN)
    lower = [0.0] * count
    parts = []
    for _, colour, is_it in FATES:
        upper = [low + sum(is_it(a.outcome) for a in bins.get(i, ())) / BIN for i, low in enumerate(lower)]
        if upper != lower:
            parts.append(area(_steps(column, ANSWERS, upper), _steps(column, ANSWERS, lower), fill=colour))
        lower = upper
    return parts


def _steps(column: Column, plot: Plot, values: list[float]) -> list[tuple]:
    """A staircase: each bin's value from its beginning to its end."""
    return [
        point
        for i, value in enumerate(values)
        for point in ((column.x(i * BIN), plot.y(value)), (column.x((i + 1) * BIN), plot.y(value)))
    ]


def _latency(column: Column, load) -> list[str]:
    bins = _bins(load, lambda answer: answer.sent)
    points = [
        (column.x((i + 0.5) * BIN), LATENCY.y(percentile([answer.latency for answer in bins[i]], 99)))
        for i in sorted(bins)
        if i < load.phase.seconds / BIN
    ]
    return [curve(points, colour=INK)]


def _money(column: Column, load, paid: list) -> list[str]:
    """Counted over half a second, so that a timer's jitter does not look like a rate."""
    width = 0.5
    accepted, booked = defaultdict(int), defaultdict(int)
    for answer in load.answers:
        if answer.accepted:
            accepted[int(answer.done / width)] += 1
    for entry in paid:
        booked[int((entry.at - load.started_epoch) // width)] += 1

    def points(counts):
        return [(column.x((i + 0.5) * width), MONEY.y(counts[i] / width)) for i in range(int(column.seconds / width))]

    parts = [curve(points(accepted), colour=FATES[0][1]), curve(points(booked), colour="#8b5cb5")]
    if load.phase is WITHOUT:
        parts += [text(column.right - 4, MONEY.top + 10, "accepted", anchor="end", colour=FATES[0][1], weight="bold")]
        parts += [text(column.right - 4, MONEY.top + 25, "paid", anchor="end", colour="#8b5cb5", weight="bold")]
    return parts


def _no_queue(column: Column, load) -> list[str]:
    """There is no queue to draw: what waits, waits inside the service. Counted from the requests themselves."""
    moves = sorted([(a.sent, 1) for a in load.answers] + [(a.done, -1) for a in load.answers])
    waiting = most = 0
    for _, move in moves:
        waiting += move
        most = max(most, waiting)
    x = (column.left + column.right) / 2
    return [
        text(x, QUEUE.y(680), "no queue, no circuit:", anchor="middle", colour=FAINT),
        text(x, QUEUE.y(680) + 17, f"up to {most:,} requests waiting at once", anchor="middle", colour=FAINT),
    ]


def _queue(column: Column, load, looks: list) -> list[str]:
    seen = [(look.at - load.started, look) for look in looks if 0 <= look.at - load.started <= column.seconds]
    if not seen:
        return []
    depth = [(column.x(at), QUEUE.y(look.depth)) for at, look in seen]
    floor = [(x, QUEUE.bottom) for x, _ in depth]
    parts = [area(depth, floor, fill="#3b82c4", opacity=0.25), curve(depth, colour="#3b82c4")]
    for value, label in ((SHUT_AT, "door shuts at 800"), (OPEN_BELOW, "door opens below 500")):
        parts.append(line(column.left, QUEUE.y(value), column.right, QUEUE.y(value), colour=FAINT, dash="5 4"))
        parts.append(text(column.right - 4, QUEUE.y(value) - 4, label, size=11, anchor="end", colour=FAINT))
    ends = [at for at, _ in seen[1:]] + [min(seen[-1][0] + 0.1, column.seconds)]
    for (at, look), end in zip(seen, ends):
        colour = CIRCUIT.get(look.circuit, GRID)
        parts.append(box(column.x(at), STRIP, column.x(end) - column.x(at) + 0.3, 14, fill=colour))
    for state, words in (("closed", "closed"), ("open", "open")):
        spans = [at for at, look in seen if look.circuit == state]
        if spans:
            parts.append(text(column.x(spans[0]) + 5, STRIP + 11, words, size=10, colour="#ffffff", weight="bold"))
    return parts


def _outage() -> list[str]:
    column = COLUMNS[OUTAGE.key]
    parts = []
    for second, words in ((FAILS_AT, "payment fails"), (RETURNS_AT, "payment returns")):
        x = column.x(second)
        parts.append(line(x, ANSWERS.top - 6, x, STRIP + 14, colour="#d64545", dash="2 3", width=1.2))
        parts.append(text(x + 4, ANSWERS.top + 14, words, size=11, colour="#d64545"))
    return parts
