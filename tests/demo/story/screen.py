"""A line a second: rewritten in place on a terminal, one below the other in a log."""

import sys

HEADER = (
    f"{'phase':<16}{'s':>3} {'offered':>8} {'admitted':>8} {'429':>6} {'503':>5} {'5xx':>5} {'no answer':>9} "
    f"{'p99':>8}  {'circuit':<9} {'queue':>5}"
)


class Screen:
    def __init__(self, out=sys.stdout):
        self._out = out
        self._in_place = out.isatty()
        self._open = False  # whether the cursor stands behind a line that will be rewritten

    def say(self, text: str = "") -> None:
        if self._open:
            self._out.write("\n")
            self._open = False
        print(text, file=self._out, flush=True)

    def second(self, title: str, line: dict, look) -> None:
        admitted = line["accepted"] + line["unavailable"] + line["failed"]  # every answer but 429
        unanswered = line["timeouts"] + line["dropped"]
        p99 = "–" if line["p99_ms"] is None else f"{line['p99_ms']:,.0f} ms"
        text = (
            f"{title:<16}{line['second']:>3} {line['offered']:>8,} {admitted:>8,} {line['limited']:>6,} "
            f"{line['unavailable']:>5,} {line['failed']:>5,} {unanswered:>9,} {p99:>8}  "
            f"{look.circuit if look else '–':<9} {look.depth if look else '–':>5}"
        )
        if self._in_place:
            self._out.write(f"\r\x1b[2K{text}")
            self._out.flush()
            self._open = True
        else:
            self.say(text)
