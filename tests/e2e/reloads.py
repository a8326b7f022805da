"""Serves by the gate of a policy until it is told to stop, whatever another process reloads meanwhile:
python reloads.py POLICY. Says what it served: calls admitted, refused, and errors.
"""

from __future__ import annotations

import sys
import threading

from tidegate import Policy

policy = Policy.parse(sys.argv[1])
gate = policy.gate("orders")
# All of them are there before the first reload.
mail = policy.breaker("mail")
stop = threading.Event()
print("ready", flush=True)
# Nothing is served before the time is taken that it is judged by.
sys.stdin.readline()
threading.Thread(target=lambda: (sys.stdin.readline(), stop.set()), daemon=True).start()
admitted = refused = errors = 0
while not stop.is_set():
    try:
        with gate.admit({"client": "everybody"}, dependencies=("payment",)) as admission:
            if admission:
                with admission.breaker("payment") as permit:
                    permit.success()
                admitted += 1
            else:
                refused += 1
    except Exception as error:
        print(error, file=sys.stderr)
        errors += 1
print("done", admitted, refused, errors, mail.state, flush=True)
