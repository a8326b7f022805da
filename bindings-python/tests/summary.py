"""One line of what a JUnit report says: passed, failed, skipped, and why they were skipped."""

from __future__ import annotations

import sys
from collections import Counter
from xml.etree import ElementTree


def main(path: str) -> None:
    cases = list(ElementTree.parse(path).getroot().iter("testcase"))
    failed = sum(case.find("failure") is not None or case.find("error") is not None for case in cases)
    skips = [skip for case in cases if (skip := case.find("skipped")) is not None]
    reasons = Counter(skip.get("message", "") for skip in skips)
    why = "; ".join(f"{reason} ({count})" for reason, count in reasons.items())
    if not cases:
        failed = 1
    print(len(cases) - failed - len(skips), failed, len(skips), why)


main(sys.argv[1])
