"""Checks what the demo showed, from the raw records and the payment service's own ledger."""

from collections import Counter
from dataclasses import dataclass

from .load import Load
from .phases import Told
from .plan import ADMITTED_AT_LEAST, BURST, CAPACITY, CLOCK, OFFERED_AT_LEAST, OUTAGE, RATE, WARM_WITH, WITH, WORKERS
from .shared import admitted, first_sent, last_sent


@dataclass(frozen=True)
class Check:
    claim: str
    holds: bool
    seen: str


def starved(told: Told) -> list[str]:
    """The phases in which this machine could not offer the planned load: nothing can be concluded from them."""
    return [
        f"{load.phase.title}: {load.offered:,} of {load.planned:,} requests ({load.offered / load.planned:.1%})"
        for load in told.loads.values()
        if load.offered < OFFERED_AT_LEAST * load.planned
    ]


def checks(told: Told) -> list[Check]:
    warm, sale, outage = (told.loads[phase.key] for phase in (WARM_WITH, WITH, OUTAGE))
    return [
        *_rate(sale),
        *_answers(warm, sale, outage),
        *_circuit(told),
        *_queue(told, outage),
        *_orders(told, warm, sale, outage),
        *_shared(told),
    ]


def _rate(sale: Load) -> list[Check]:
    """Admitted = every answer but 429 and 503, of which neither is charged. Judged at each single answer, with the
    time since the first request left."""
    refused = ("429", "503")
    admitted = sorted(answer.done for answer in sale.answers if answer.answered and answer.outcome not in refused)
    spare = min((_most(done) - count for count, done in enumerate(admitted, 1)), default=0)
    allowed = BURST + RATE * max(answer.sent for answer in sale.answers)
    share = len(admitted) / allowed
    return [
        Check(
            f"sale: admitted never above {BURST} + {RATE}/s × time",
            spare >= 0 and len(admitted) > 0,
            f"{len(admitted):,} admitted, closest {spare:.1f} below",
        ),
        Check(
            f"sale: at least {ADMITTED_AT_LEAST:.0%} of it",
            share >= ADMITTED_AT_LEAST,
            f"{share:.2%} of {allowed:,.0f}",
        ),
    ]


def _most(seconds: float) -> float:
    """How many the limit may have admitted by then."""
    return BURST + RATE * (1 + CLOCK) * seconds


def _shared(told: Told) -> list[Check]:
    """Judged at each single answer: all that were accepted by then, by any process."""
    accepted, start = admitted(told.loads), first_sent(told.loads)
    spare = min((_most(at - start) - count for count, (at, _) in enumerate(accepted, 1)), default=0)
    allowed = BURST + RATE * (last_sent(told.loads) - start)
    processes = Counter(process for _, process in accepted)
    return [
        Check(
            f"six processes: together never above {BURST} + {RATE}/s × time",
            spare >= 0 and bool(accepted),
            f"{len(accepted):,} admitted, closest {spare:.1f} below",
        ),
        Check(
            f"six processes: at least {ADMITTED_AT_LEAST:.0%} of it, each its share",
            len(accepted) >= ADMITTED_AT_LEAST * allowed and len(processes) == WORKERS + 2 and 0 not in processes,
            f"{len(accepted) / allowed:.2%} of {allowed:,.0f}, by {len(processes)} processes",
        ),
    ]


def _answers(*loads: Load) -> list[Check]:
    answers = [answer for load in loads for answer in load.answers]
    refused = [answer for answer in answers if answer.outcome in ("429", "503")]
    bare = sum(not answer.retry_after for answer in refused)
    other = Counter(a.outcome for a in answers if a.outcome not in ("202", "429", "503"))
    return [
        Check(
            "every answer is 202, 429 or 503",
            not other,
            ", ".join(f"{n} × {o}" for o, n in other.items()) or "no other",
        ),
        Check(
            "every 429 and 503 has Retry-After",
            bool(refused) and bare == 0,
            f"{len(refused):,} refusals, {bare} without",
        ),
    ]


def _circuit(told: Told) -> list[Check]:
    events = list(told.looks[-1].events) if told.looks else []
    opened, closed = events.count("opened"), events.count("closed")
    return [Check("circuit opened once and closed once", opened == closed == 1, " → ".join(events) or "no event")]


def _queue(told: Told, outage: Load) -> list[Check]:
    deepest = told.looks[-1].deepest if told.looks else 0
    shut = [answer.done for answer in outage.answers if answer.outcome == "503"]
    opened = [answer.done for answer in outage.answers if answer.outcome == "202" and shut and answer.done > max(shut)]
    return [
        Check(f"queue never above its capacity of {CAPACITY:,}", 0 < deepest <= CAPACITY, f"deepest {deepest}"),
        Check(
            "the door shut (503) and opened again",
            bool(shut and opened),
            f"{len(shut)} × 503, then {len(opened)} × 202",
        ),
    ]


def _orders(told: Told, *loads: Load) -> list[Check]:
    accepted = {answer.order for load in loads for answer in load.answers if answer.accepted}
    paid = Counter(line.order for line in told.paid_with)
    lost = len(accepted - paid.keys())
    doubled = sum(count > 1 for count in paid.values())
    # An order without an answer may have been accepted; the check on answers has counted it.
    unanswered = {answer.order for load in loads for answer in load.answers if not answer.answered}
    stray = len(paid.keys() - accepted - unanswered)
    retries = told.looks[-1].retries if told.looks else 0
    return [
        Check(
            "every accepted order paid",
            told.drained and bool(accepted) and lost == 0,
            f"{len(accepted):,} accepted, {lost} lost",
        ),
        Check(
            "none paid twice, none that was not accepted",
            doubled == stray == 0,
            f"{doubled} doubled, {stray} stray, {retries:,} retries",
        ),
    ]
