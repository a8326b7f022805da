"""The numbers of the story. Those that services are configured with stand in their own files; here they are checked."""

from dataclasses import dataclass
from pathlib import Path

DEMO = Path(__file__).resolve().parent.parent
ROOT = DEMO.parent.parent
OUT = ROOT / "target" / "demo"

# The door, in orders/with_tidegate.py.
RATE, BURST = 400, 800
# The limit's clock may run this much faster than the one that judges it (docs/host-scope.md).
CLOCK = 200e-6
CAPACITY, SHUT_AT, OPEN_BELOW = 1_000, 800, 500
# The store, in payments/src/store.ts.
WRITES_PER_SECOND = 500

TIMEOUT_MS = 2_000  # how long a customer waits
OFFERED_AT_LEAST = 0.98
ADMITTED_AT_LEAST = 0.99


@dataclass(frozen=True)
class Phase:
    key: str  # file names and order ids begin with it
    title: str
    rate: int  # requests a second
    seconds: int


WITHOUT = Phase("without", "1 sale without", rate=5_000, seconds=10)
WITH = Phase("with", "2 sale with", rate=5_000, seconds=15)
OUTAGE = Phase("outage", "3 payment fails", rate=350, seconds=16)
# Before each sale: a service that has been up for a while, in both cases.
WARM_WITHOUT = Phase("warm-without", "warm-up", rate=100, seconds=2)
WARM_WITH = Phase("warm-with", "warm-up", rate=100, seconds=2)
PHASES = (WITHOUT, WITH, OUTAGE)

# The same door in six processes: 4 uvicorn workers behind one port, and two Nest processes.
WORKERS = 4
SHARED = (
    Phase("shared-uvicorn", "4 six processes", rate=1_600, seconds=10),
    Phase("shared-nest-1", "4 six processes", rate=700, seconds=10),
    Phase("shared-nest-2", "4 six processes", rate=700, seconds=10),
)

# Seconds into the third phase. Payment is back before the 5 s cooldown ends, so the first probe succeeds.
FAILS_AT, RETURNS_AT = 3, 7
