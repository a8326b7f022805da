"""The FastAPI rows: uvicorn, one worker, httptools and uvloop for all."""

import sys
from pathlib import Path

import load

HERE = Path(__file__).parent


def server(name, app, expect=200):
    def command(port):
        fast = ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]
        return [sys.executable, "-m", "uvicorn", f"apps:{app}", "--port", str(port), "--app-dir", str(HERE), *fast]

    return load.Server(name, command, expect)


def main():
    admitted = [
        server("bare", "bare"),
        server("constant headers", "constant"),
        server("tidegate", "tidegate"),
        server("slowapi", "slow_api"),
        server("fastapi-limiter", "fastapi_limiter"),
    ]
    with load.running(admitted):
        cpu, rate = load.rounds(admitted)
    load.added_row(
        "fastapi",
        "over HTTP, 1 worker, 10,000 users of 100 per minute, time added per request",
        cpu,
        rate,
        bare="bare",
        floor="constant headers",
        peers=["slowapi", "fastapi-limiter"],
    )
    refused = [
        server("bare 429", "bare_429", 429),
        server("tidegate 429", "tidegate_429", 429),
        server("slowapi 429", "slow_api_429", 429),
    ]
    with load.running(refused):
        cpu, rate = load.rounds(refused)
    load.refused_row(
        "fastapi",
        "refused, outermost, 10,000 users",
        cpu,
        rate,
        ours="tidegate 429",
        floor="bare 429",
        peers=["slowapi 429"],
        least=0.8,
    )


if __name__ == "__main__":
    main()
