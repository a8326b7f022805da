"""Services of a shop over real HTTP, with a ledger: what they did, and what they said, may differ."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any


class Service:
    """Books what has a number once: POST by its Idempotency-Key, PUT by its path; DELETE takes it back, for good.

    ``mode``: "ok"; "down" answers 503 and books nothing; "lost" books, and answers 500; "late" books, and answers after
    the client has gone; "none" declines.
    """

    def __init__(self) -> None:
        self.mode = "ok"
        # How often each number was booked, and which were taken back.
        self.booked: Counter[str] = Counter()
        self.undone: set[str] = set()
        self.asked = 0

    @property
    def held(self) -> set[str]:
        """What is booked now."""
        return set(self.booked) - self.undone

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while (await receive())["type"] != "lifespan.shutdown":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        while (await receive()).get("more_body"):
            pass
        self.asked += 1
        headers = dict(scope["headers"])
        number = headers.get(b"idempotency-key", b"").decode() or scope["path"].rpartition("/")[2]
        status = self._book(scope["method"], number, self.mode)
        if self.mode == "late":
            await asyncio.sleep(0.6)
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    def _book(self, method: str, number: str, mode: str) -> int:
        if mode == "down":
            return 503
        if method == "DELETE":
            self.undone.add(number)
        elif mode == "none":
            return 402
        elif number not in self.undone and number not in self.booked:
            self.booked[number] += 1
        return 500 if mode == "lost" else 200
