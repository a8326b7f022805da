"""Turns tests/vectors/*.json into one C program over vectors_limits.h: vectors_to_c.py VECTORS_DIR > vectors.c

A case with an operation or setting that C does not have is reported as skipped by the program, with the reason.
"""

import json
import sys
from pathlib import Path


class NotInC(Exception):
    """What a case needs and C does not have."""


def ns(value):
    """A time of the vectors: a decimal string, "never", or null where C says never as well."""
    return "TG_NEVER" if value in (None, "never") else f"UINT64_C({int(value)})"


def flag(value):
    return "true" if value else "false"


def item(value):
    return "NO_ITEM" if value is None else f"ITEM({value})"


def decision(e):
    values = [flag(e["allowed"]), str(e["limit"]), str(e["remaining"])]
    values += [ns(e["retry_after_ns"]), ns(e["reset_after_ns"]), ns(e.get("delay_ns", 0))]
    return f"(tg_decision){{sizeof(tg_decision), {', '.join(values)}}}"


def text(data):
    """A C string of these bytes, each as three octal digits or a letter."""
    return '"' + "".join(chr(b) if chr(b).isalnum() and b < 128 else f"\\{b:03o}" for b in data) + '"'


def key(value):
    """A tg_bytes: the vectors spell a key as text, {"hex": ...} or {"repeat": ..., "times": ...}."""
    if value is None:
        return "(tg_bytes){NULL, 0}"
    if isinstance(value, str):
        data = value.encode()
    elif "hex" in value:
        data = bytes.fromhex(value["hex"])
    else:
        data = value["repeat"].encode()
        return f"repeated({text(data)}, {len(data)}, {value['times']})"
    return f"(tg_bytes){{{text(data)}, {len(data)}}}"


def reserve(t, a, e):
    expected = ns(e["wait_ns"]) if e["booked"] else ns(e["retry_after_ns"])
    return f"reserve({t}, {a['n']}, {ns(a['max_wait_ns'])}, &v_{a['as']}, {flag(e['booked'])}, {expected})"


BUCKET = {
    "try_acquire": lambda t, a, e: f"try_acquire({t}, {a['n']}, {flag(e['ok'])})",
    "check": lambda t, a, e: f"check({t}, {a['n']}, {decision(e)})",
    "peek": lambda t, a, e: f"peek({t}, {decision(e)})",
    "reserve": reserve,
    "cancel": lambda t, a, e: f"cancel({t}, v_{a['ticket']}, {flag(e['returned'])})",
    "refund": lambda t, a, e: f"refund({t}, {a['n']})",
    "penalize": lambda t, a, e: f"penalize({t}, {ns(a['wait_ns'])})",
    "reset": lambda t, a, e: f"reset_bucket({t})",
    "set_quota": lambda t, a, e: f"set_quota({t}, {a['count']}, {ns(a['period_ns'])}, {a['burst']})",
}

BREAKER = {
    "acquire": lambda t, a, e: f"acquire({t}, &v_{a['as']}, {flag(e['permit'])}, {ns(e.get('retry_after_ns', 0))})",
    "report": lambda t, a, e: f"report({t}, v_{a['permit']}, TG_{a['outcome'].upper()}, {ns(a['duration_ns'])})",
    "report_retry_after": lambda t, a, e: f"report_retry_after({t}, v_{a['permit']}, {ns(a['retry_after_ns'])})",
    "release": lambda t, a, e: f"release({t}, v_{a['permit']})",
    "state": lambda t, a, e: f"state({t}, TG_STATE_{e['state'].upper()})",
    "stats": lambda t, a, e: f"stats({t}, {e['calls']}, {e['failed']}, {e['slow']})",
    "retry_after": lambda t, a, e: f"retry_after({t}, {ns(e['retry_after_ns'])})",
    "force_open": lambda t, a, e: f"breaker_force_open({t})",
    "disable": lambda t, a, e: f"breaker_disable({t})",
    "metrics_only": lambda t, a, e: f"breaker_metrics_only({t})",
    "reset": lambda t, a, e: f"breaker_reset({t})",
}


def drain(t, a, e):
    items = e["items"]
    if not items:
        return f"drain({t}, 0, NULL)"
    return f"drain({t}, {len(items)}, (void *[]){{{', '.join(map(item, items))}}})"


PUSHED = {"ok": "TG_OK", "full": "TG_FULL", "closed": "TG_CLOSED"}
POPPED = {"item": "TG_OK", "empty": "TG_EMPTY", "closed": "TG_CLOSED"}
QUEUE = {
    "try_push": lambda t, a, e: f"try_push({t}, {item(a['item'])}, {PUSHED[e['result']]}, {item(e.get('dropped'))})",
    "try_pop": lambda t, a, e: f"try_pop({t}, {POPPED[e['result']]}, {item(e.get('item'))}, "
    f"{flag('sojourn_ns' in e)}, {ns(e.get('sojourn_ns') or 0)})",
    "depth": lambda t, a, e: f"depth({t}, {e['depth']})",
    "is_accepting": lambda t, a, e: f"is_accepting({t}, {flag(e['accepting'])})",
    "close": lambda t, a, e: f"close_queue({t})",
    "drain": drain,
}


class Limiter:
    """The operations of one case: what its quotas look like in C depends on the algorithm."""

    WINDOWS = ("fixed_window", "sliding_window", "sliding_log")

    def __init__(self, config):
        self.windows = config["algorithm"] in self.WINDOWS

    def quota(self, q):
        if not self.windows:
            burst = q["burst"]
        elif q["burst"] == q["count"]:
            burst = "TG_BURST_OF_RATE"
        else:
            raise NotInC("a window has no burst beside its count")
        return f"quota_of({q['count']}, {ns(q['period_ns'])}, {burst})"

    def tier(self, args):
        return f"(tg_tier[]){{tier_of({self.quota(args['tier'])})}}" if args.get("tier") else "NULL"

    def operation(self, op, t, a, e):
        k = key(a.get("key"))
        return {
            "try_acquire": lambda: f"limiter_try_acquire({t}, {k}, {a['n']}, {self.tier(a)}, {flag(e['ok'])})",
            "check": lambda: f"limiter_check({t}, {k}, {a['n']}, {self.tier(a)}, {decision(e)})",
            "peek": lambda: f"limiter_peek({t}, {k}, {self.tier(a)}, {decision(e)})",
            "refund": lambda: f"limiter_refund({t}, {k}, {a['n']}, {self.tier(a)})",
            "penalize": lambda: f"limiter_penalize({t}, {k}, {ns(a['wait_ns'])})",
            "reset": lambda: f"limiter_reset({t}, {k})",
            "reset_all": lambda: f"limiter_reset_all({t})",
            "set_quota": lambda: f"limiter_set_quota({t}, {self.quota(a)})",
            "stats": lambda: f"limiter_stats({t}, {e['admitted']}, {e['denied']}, {e['would_deny']})",
        }[op]()


def limiter_config(c):
    """Lines that leave a tg_limiter_config in `config`; takes from `c` what it uses."""
    limiter = Limiter(c)
    quota = {k: c.pop(k) for k in ("count", "period_ns", "burst")}
    lines = [
        f"tg_quota quota = {limiter.quota(quota)}, fastest = {limiter.quota(c['fastest'] or quota)};",
        "tg_limiter_config config = TG_LIMITER_CONFIG_INIT;",
        "config.count = quota.count, config.period_ns = quota.period_ns, config.burst = quota.burst;",
        f"config.fastest = {'&fastest' if c.pop('fastest') else 'NULL'};",
        f"config.algorithm = TG_ALGORITHM_{c.pop('algorithm').upper()};",
        f"config.mode = TG_MODE_{c.pop('mode').upper()};",
        f"config.max_keys = {c.pop('max_keys')};",
    ]
    if block := c.pop("block"):
        lines += [f"config.block_{name} = {ns(v) if name.endswith('_ns') else v};" for name, v in block.items()]
    if ramp := c.pop("warm_up"):
        lines.append(f"config.warm_up_ns = {ns(ramp['period_ns'])}, config.warm_up_from = {ramp['from']};")
    return lines


def new_limiter(c):
    return "\n    ".join(["{", *limiter_config(c), "(void)fastest;", "new_limiter(config);", "}"])


class LimitSet:
    """The operations of one case: keys come by name, and C takes them in order."""

    def __init__(self, config):
        self.members = config["members"]
        self.names = [m["name"] for m in self.members]

    def keyed(self, member):
        return self.keyed(self.members[self.names.index(member["same_as"])]) if "same_as" in member else "limiter" in member

    def keys(self, args):
        keys = [key(args["keys"][m["name"]]) for m in self.members if self.keyed(m)]
        return f"{len(keys)}, (const tg_bytes[]){{{', '.join(keys) or key(None)}}}"

    def verdict(self, e):
        denied_by = -1 if e["denied_by"] is None else self.names.index(e["denied_by"])
        return f"{decision(e)}, {denied_by}"

    def operation(self, op, t, a, e):
        place = self.names.index(a["member"]) if "member" in a else None
        return {
            "check": lambda: f"set_check({t}, {self.keys(a)}, {a['n']}, {self.verdict(e)})",
            "peek": lambda: f"set_peek({t}, {self.keys(a)}, {a['n']}, {self.verdict(e)})",
            "refund": lambda: f"set_refund({t}, {self.keys(a)}, {a['n']})",
            "peek_member": lambda: f"set_peek_member({t}, {place}, {key(a['key'])}, {decision(e)})",
            "penalize_member": lambda: f"set_penalize_member({t}, {place}, {key(a['key'])}, {ns(a['wait_ns'])})",
        }[op]()


def new_set(c):
    members = c.pop("members")
    names = [m["name"] for m in members]
    lines = []
    for m in members:
        m = dict(m)
        name = text(m.pop("name").encode())
        if "bucket" in m:
            q = m.pop("bucket")
            lines.append(f"member_bucket({name}, {q['count']}, {ns(q['period_ns'])}, {q['burst']});")
        elif "limiter" in m:
            config = dict(m.pop("limiter"))
            lines += ["{", *limiter_config(config), "(void)fastest;", f"member_limiter({name}, config);", "}"]
            m |= config
        else:
            lines.append(f"member_same_as({name}, {names.index(m.pop('same_as'))});")
        c |= m  # what is left is not in C
    return "\n    ".join([*lines, "new_set();"])


def table(operations):
    """As a class with an `operation`, for the primitives whose operations need nothing of their case."""

    class Table:
        def __init__(self, config):
            pass

        def operation(self, op, t, a, e):
            return operations[op](t, a, e)

    return Table


def new_bucket(c):
    return f"new_bucket({c.pop('count')}, {ns(c.pop('period_ns'))}, {c.pop('burst')});"


def new_breaker(c):
    lines = ["tg_breaker_config config = TG_BREAKER_CONFIG_INIT;"]
    for name in [n for n in c if hasattr_in_c(n)]:
        value = c.pop(name)
        if value is None:
            continue  # the default of C's INIT macro is null's meaning
        lines.append(f"config.{name} = {ns(value) if name.endswith('_ns') else value};")
    return "\n    ".join([*lines, "new_breaker(config);"])


def hasattr_in_c(name):
    return name in {
        "window_calls", "window_duration_ns", "failure_rate_threshold", "slow_call_duration_ns",
        "slow_call_rate_threshold", "consecutive_failures", "min_calls", "cooldown_ns", "cooldown_backoff",
        "max_cooldown_ns", "probes", "probe_timeout_ns", "cooldown_jitter",
    }  # fmt: skip


def new_queue(c):
    on_full = {"reject": "TG_REJECT", "drop_oldest": "TG_DROP_OLDEST"}[c.pop("on_full")]
    high, low = c.pop("high_watermark"), c.pop("low_watermark")
    return f"new_queue({c.pop('capacity')}, {high}, {low}, {on_full}, {int(c.pop('sojourn'))});"


PRIMITIVES = {
    "token_bucket": (new_bucket, table(BUCKET), "tg_ticket"),
    "circuit_breaker": (new_breaker, table(BREAKER), "tg_permit"),
    "bounded_queue": (new_queue, table(QUEUE), None),
    "rate_limiter": (new_limiter, Limiter, None),
    "limit_set": (new_set, LimitSet, None),
}


def body(primitive, case):
    if primitive not in PRIMITIVES:
        raise NotInC(f"no primitive {primitive} in C")
    new, operations, named = PRIMITIVES[primitive]
    config = dict(case["config"])
    operations = operations(config)
    lines = []
    names = {s["args"][k] for s in case["steps"] for k in ("as", "ticket", "permit") if k in s["args"]}
    lines += [f"{named} v_{name} = {{0, 0}};" for name in sorted(names)]
    lines.append(f"start({ns(case['start_ns'])});")
    lines.append(new(config))
    if config:
        raise NotInC(f"no setting {', '.join(config)} in C")
    for step in case["steps"]:
        try:
            lines.append(operations.operation(step["op"], ns(step["at_ns"]), step["args"], step["expect"]) + ";")
        except KeyError as missing:
            raise NotInC(f"no operation {step['op']} (or {missing} in it) in C") from None
    return "\n    ".join(lines)


def main():
    print('#include "vectors_limits.h"\n')
    run = []
    files = [f for f in sorted(Path(sys.argv[1]).glob("*.json")) if f.name != "schema.json"]
    for file in files:
        document = json.loads(file.read_text())
        if document["version"] != 1:
            sys.exit(f"{file}: version {document['version']}, not 1")
        for case in document["cases"]:
            name = f"{document['primitive']}_{case['name']}"
            label = f"vector/{document['primitive']}/{case['name']}"
            try:
                print(f"static void {name}(void) {{\n    {body(document['primitive'], case)}\n}}\n")
                run.append(f'for (mode = 0; mode < MODES; mode++) {{ {name}(); finish(); }} check_done("{label}");')
            except NotInC as reason:
                run.append(f'printf("skip {label} # {reason}\\n");')
    if not run:
        sys.exit(f"{sys.argv[1]}: no vectors")
    print("int main(void) {\n    " + "\n    ".join(run) + "\n    return check_failed != 0;\n}")


main()
