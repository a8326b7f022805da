#!/usr/bin/env python3
"""tests/settings.json as a C program: INIT macros hold the defaults, errors name their field, with the whole range."""

import json
import sys
from pathlib import Path

from literals import text

# A value of C that stands for "left out" is refused nowhere.
UNSET = {
    "window_calls", "window_duration", "consecutive_failures", "max_cooldown", "max_limit", "block_after", "block_max",
    "warm_up", "warm_up_from", "queue", "probe_failure_rate_threshold", "probes_at_once", "healthy_after", "ramp",
    "deadline", "probe_floor", "max_waiting", "max_latency", "base",
    "cpu_limit", "sync", "lease", "max_outstanding", "hosts",
}  # fmt: skip
# Fields of fewer bits than 64.
LARGEST = {"window_calls": 32, "consecutive_failures": 32, "min_calls": 32, "attempts": 32, "max_breakers": 32,
           "max_outstanding": 32, "hosts": 32}  # fmt: skip
# What JSON has no number for.
NUMBERS = {"NaN": "NAN", "Infinity": "INFINITY", "-Infinity": "-INFINITY"}
# What else must be set for a field to be looked at.
WITH = {
    "hosts": "config.on_unreachable = TG_ON_UNREACHABLE_LOCAL;",
    "fallback_for": "config.on_unreachable = TG_ON_UNREACHABLE_LOCAL; config.hosts = 2;",
    "block_": "config.block_after = 3; config.block_within_ns = config.block_duration_ns = 1000;",
    "warm_up": "config.warm_up_ns = 1; config.warm_up_from = 0.5;",
    "period": "config.rate = NULL; config.count = 5;",
}
# Settings that C writes in another way: texts, numbers of an enum, 0 and not 0.
NOT_HERE = {"rate", "fastest", "algorithm", "on_full", "sojourn", "huge_pages", "jitter", "probe"}
NOT_HERE |= {"order", "discipline", "on_unreachable"}
BASE = {
    "bucket": 'config.rate = "500/s";',
    "limiter": 'config.rate = "500/s";',
    "breaker": "",
    "registry": "",
    "queue": "config.capacity = 10;",
    "concurrency": "config.limit = 4;",
    "adaptive": "",
    "retry": "",
    "retry_budget": "",
    "throttle": "",
    "cluster_limit": 'config.rate = "2000/s";',
    "shedder": "tg_signal lag = {NULL, 0, 0, TG_SIGNAL_LOOP_LAG, 0}; config.signals = &lag; config.signal_count = 1;",
}


# What INIT holds for a setting without a default, and in place of a default that another field may exclude.
NOTHING = {"rate": "NULL", "fastest": "NULL", "slow_call_duration": "TG_NEVER", "burst": "TG_BURST_OF_RATE",
           "queue": "TG_QUEUE_OF_RATE"}  # fmt: skip
INSTEAD = {"window_calls": "0", "warm_up_from": "0"}
# Enums by how C writes them.
ENUMS = {"algorithm": "TG_ALGORITHM_{}", ("adaptive", "algorithm"): "TG_ADAPTIVE_{}", "on_full": "TG_{}",
         "jitter": "TG_JITTER_{}", "order": "TG_ORDER_{}", "discipline": "TG_{}",
         "on_unreachable": "TG_ON_UNREACHABLE_{}"}  # fmt: skip
# What has no handle: the call that checks its config.
CHECKED_BY = {"retry": "tg_backoff_delay(&config, 0, 0.5, &previous, &ns)"}
# What another type is made with.
MADE_BY = {"adaptive": ("tg_concurrency", "tg_concurrency_new_adaptive(&config, &it)")}


def init(case):
    """The line that checks what INIT holds."""
    thing, field, default = case["object"], case["field"], case["default"]
    if default is None or field in INSTEAD:
        value = INSTEAD.get(field) or NOTHING.get(field, "0")
    elif field in ENUMS:
        value = ENUMS.get((thing, field), ENUMS[field]).format(default.upper())
    else:
        value = int(default) if isinstance(default, bool) else default
    return f"    CHECK({thing}.{case['names']['c']} == {value});"


def checks(case):
    """The lines that check one setting."""
    thing, field, kind = case["object"], case["field"], case["kind"]
    name, reach = case["names"]["c"], case["ranges"]["c"]
    more = next((text for start, text in WITH.items() if field.startswith(start)), "")
    if field == "queue":
        more = "config.algorithm = TG_ALGORITHM_LEAKY_BUCKET;"
    for value in case["outside"]:
        if (value == 0 and field in UNSET) or value >= 2 ** LARGEST.get(field, 64):
            continue
        number = value if kind == "real" else f"UINT64_C({value})"
        made, call = MADE_BY.get(thing, (f"tg_{thing}", f"tg_{thing}_new(&config, &it)"))
        call = CHECKED_BY.get(thing, call)
        it = "double previous = 0; uint64_t ns = 0;" if thing in CHECKED_BY else f"{made} *it = NULL;"
        yield (
            f"    {{ tg_{thing}_config config = TG_{thing.upper()}_CONFIG_INIT; {it}\n"
            f"      {BASE[thing]} {more} config.{name} = {number};\n"
            f'      CHECK_ERROR({call}, TG_OUT_OF_RANGE, "{name}: ");\n'
            f'      CHECK_ERROR({call}, TG_OUT_OF_RANGE, "{reach}"); }}'
        )


def partition_checks(thing, given):
    """The lines that check what is said of some partitions."""
    made, call = MADE_BY.get(thing, (f"tg_{thing}", f"tg_{thing}_new(&config, &it)"))
    pairs = [f"{{{text(name.encode())}, {NUMBERS.get(share, share)}}}" for name, share in given["partitions"]]
    pairs = ", ".join(pairs) or "{NULL, 0}"
    first = ", ".join(text(name.encode()) for name in given["priority"]) or "NULL"
    says = given["says"]
    check = f"CHECK_EQ({call}, TG_OK); {made}_free(it);"
    if says is not None:
        status = {"Conflict": "TG_CONFLICT", "OutOfRange": "TG_OUT_OF_RANGE"}[given["error"]]
        check = f"CHECK_ERROR({call}, {status}, {text(says.encode())}); CHECK(it == NULL);"
    return (
        f"    {{ tg_{thing}_config config = TG_{thing.upper()}_CONFIG_INIT; {made} *it = NULL;\n"
        f"      static const tg_partition pairs[] = {{{pairs}}}; static const char *const first[] = {{{first}}};\n"
        f"      {BASE[thing]} config.partitions = pairs; config.partitions_len = {len(given['partitions'])};\n"
        f"      config.priority = first; config.priority_len = {len(given['priority'])};\n"
        f"      {check} }}"
    )


def main():
    """Writes the program."""
    cases = json.loads(Path(sys.argv[1]).read_text())
    partitions = [(case["object"], it) for case in cases if case["kind"] == "partitions" for it in case["lists"]]
    cases = [case for case in cases if case["kind"] != "partitions"]
    inits = [init(case) for case in cases]
    objects = dict.fromkeys(case["object"] for case in cases)
    cases = [case for case in cases if case["field"] not in NOT_HERE]
    lines = [line for case in cases for line in checks(case)]
    print('#include <math.h>\n#include <tidegate.h>\n#include "check.h"\n\nstatic void what_is_refused(void) {')
    print("\n".join(lines))
    print("}\n\nstatic void what_is_said_of_partitions(void) {")
    print("\n".join(partition_checks(*case) for case in partitions))
    print("}\n\nstatic void init_holds_the_defaults(void) {")
    for thing in objects:
        print(f"    tg_{thing}_config {thing} = TG_{thing.upper()}_CONFIG_INIT;")
        print(f"    CHECK({thing}.struct_size == sizeof {thing});")
    print("\n".join(inits))
    print("}\n\nint main(void) {")
    for each in ("init_holds_the_defaults", "what_is_refused", "what_is_said_of_partitions"):
        print(f"    RUN({each});")
    print("    return check_failed != 0;\n}")


if __name__ == "__main__":
    main()
