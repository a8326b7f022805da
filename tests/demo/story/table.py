"""The sale without tidegate beside the sale with it."""

from .load import Load
from .phases import Told
from .plan import TIMEOUT_MS, WITH, WITHOUT
from .services import Paid


def percentile(values: list[float], percent: int) -> float | None:
    """Nearest rank."""
    values = sorted(values)
    return values[max(0, -(-len(values) * percent // 100) - 1)] if values else None


def table(told: Told) -> str:
    columns = [_column(told.loads[WITHOUT.key], told.paid_without), _column(told.loads[WITH.key], told.paid_with)]
    rows = [("the sale", "without", "with"), *((name, *(column[name] for column in columns)) for name in columns[0])]
    rows.insert(1, ("-" * 44, "-" * 12, "-" * 12))
    return "\n".join(f"{name:<44} {a:>12} {b:>12}" for name, a, b in rows)


def _column(load: Load, paid: list[Paid]) -> dict[str, str]:
    seconds = load.phase.seconds
    outcomes = [answer.outcome for answer in load.answers]
    good = [answer for answer in load.answers if answer.accepted]
    accepted = {answer.order for answer in good}
    ours = {line.order for line in paid if line.order.startswith(load.phase.key + "-")}
    wait = f"{TIMEOUT_MS / 1000:.0f} s"
    return {
        "offered, orders a second": f"{load.offered / seconds:,.0f}",
        f"answered within {wait}": f"{sum(a.answered for a in load.answers) / max(1, load.offered):.1%}",
        "accepted, orders a second": f"{len(good) / seconds:,.0f}",
        "refused at once (429)": f"{outcomes.count('429'):,}",
        "refused for load (503)": f"{outcomes.count('503'):,}",
        "failed (other 5xx)": f"{sum(o.startswith('5') and o != '503' for o in outcomes):,}",
        f"no answer in {wait}, or connection lost": f"{outcomes.count('timeout') + outcomes.count('dropped'):,}",
        "latency of all, median": _ms(percentile([a.latency for a in load.answers], 50)),
        "latency of all, p99": _ms(percentile([a.latency for a in load.answers], 99)),
        "latency of accepted orders, p99": _ms(percentile([a.latency for a in good], 99)),
        "paid, though the customer saw a failure": f"{len(ours - accepted):,}",
        "accepted, but not paid": f"{len(accepted - ours):,}",
    }


def _ms(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds * 1000:,.0f} ms"
