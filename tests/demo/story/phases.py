"""The three phases, told with real services over real HTTP."""

from dataclasses import dataclass, field

from . import services
from .load import Load
from .plan import FAILS_AT, OUTAGE, RETURNS_AT, WARM_WITH, WARM_WITHOUT, WITH, WITHOUT, Phase
from .screen import HEADER, Screen
from .shared import share
from .watch import Look, Watch


@dataclass
class Told:
    """Everything that was seen, for the table, the chart and the checks."""

    loads: dict[str, Load] = field(default_factory=dict)
    looks: list[Look] = field(default_factory=list)
    paid_without: list[services.Paid] = field(default_factory=list)
    paid_with: list[services.Paid] = field(default_factory=list)
    drained: bool = False


def tell(screen: Screen) -> Told:
    told = Told()
    _without(screen, told)
    _with(screen, told)
    share(screen, told.loads)
    return told


def _warm_up(told: Told, phase: Phase, orders: services.Service) -> None:
    load = told.loads[phase.key] = Load(phase, orders.address)
    for _ in load:
        pass


def _without(screen: Screen, told: Told) -> None:
    screen.say(f"\n1. The flash sale without tidegate: {WITHOUT.rate:,} orders a second for {WITHOUT.seconds} s.")
    screen.say(HEADER)
    payments = services.payments(WITHOUT.key, protected=False)
    orders = services.orders(WITHOUT.key, payments, protected=False)
    _warm_up(told, WARM_WITHOUT, orders)
    load = told.loads[WITHOUT.key] = Load(WITHOUT, orders.address)
    for line in load:
        screen.second(WITHOUT.title, line, None)
    orders.stop()
    payments.stop()
    told.paid_without = services.paid(WITHOUT.key)


def _with(screen: Screen, told: Told) -> None:
    screen.say(f"\n2. The same sale with tidegate: {WITH.rate:,} orders a second for {WITH.seconds} s.")
    screen.say(HEADER)
    payments = services.payments(WITH.key, protected=True)
    orders = services.orders(WITH.key, payments, protected=True)
    watch = Watch(orders.address)
    _warm_up(told, WARM_WITH, orders)
    load = told.loads[WITH.key] = Load(WITH, orders.address)
    for line in load:
        screen.second(WITH.title, line, watch.last)
    watch.wait_for(lambda look: look.depth == 0, patience=15)

    screen.say(f"\n3. After the sale, {OUTAGE.rate} orders a second: payment fails, and returns.")
    screen.say(HEADER)
    load = told.loads[OUTAGE.key] = Load(OUTAGE, orders.address)
    for line in load:
        screen.second(OUTAGE.title, line, watch.last)
        if line["second"] == FAILS_AT:
            payments.post("/fault", {"on": True})
            screen.say("   payment fails now: every call gets a 500")
        if line["second"] == RETURNS_AT:
            payments.post("/fault", {"on": False})
            screen.say("   payment is back; the circuit finds out by its next probe")
    told.drained = watch.wait_for(lambda look: look.depth == 0 and look.paid == look.pushed, patience=20)
    watch.stop()
    orders.stop()
    payments.stop()
    told.looks = watch.looks
    told.paid_with = services.paid(WITH.key)
