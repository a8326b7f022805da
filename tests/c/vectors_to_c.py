"""Turns tests/vectors/*.json into one C program over vectors_http.h: vectors_to_c.py VECTORS_DIR > vectors.c

A case with an operation or setting that C does not have is reported as skipped by the program, with the reason.
"""

import json
import sys
from pathlib import Path

from literals import NotInC, decision, flag, key, ns
from vectors_gate import Gate, new_gate
from vectors_http import SUBJECTS, others
from vectors_limits import Limiter, LimitSet, new_limiter, new_set


def item(value):
    return "NO_ITEM" if value is None else f"ITEM({value})"


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

def trip(it):
    return f"1, {it['calls']}, {it['failed']}, {it['slow']}" if it else "0, 0, 0, 0"


def event(it):
    of = {"kind": f"TG_EVENT_{it['kind'].upper()}", "seq": it["seq"], "at_ns": ns(it["at_ns"])}
    them = ", ".join(f".{name} = {value}" for name, value in of.items())
    names = ("has_trip", "trip_calls", "trip_failed", "trip_slow")
    told = ", ".join(f".{name} = {value}" for name, value in zip(names, trip(it["trip"]).split(", ")))
    return f"{{{them}, {told}}}"


def events(them):
    return f"(tg_event[]){{{', '.join(map(event, them))}}}" if them else "NULL"


# A refusal carries its reason in no argument of C: the snapshot that follows has it.
BREAKER = {
    "acquire": lambda t, a, e: f"acquire({t}, &v_{a['as']}, {flag(e['permit'])}, {ns(e.get('retry_after_ns', 0))})",
    "acquire_with": lambda t, a, e: (
        f"acquire_with({t}, {a['draw']}, &v_{a['as']}, {flag(e['permit'])}, {ns(e.get('retry_after_ns', 0))}, "
        f"{int(e.get('ramping', False))})"
    ),
    "report": lambda t, a, e: (
        f"report({t}, v_{a['permit']}, TG_{a['outcome'].upper()}, {ns(a['duration_ns'])}, "
        f"{ns(a.get('retry_after_ns', 0))})"
    ),
    "report_retry_after": lambda t, a, e: f"report_retry_after({t}, v_{a['permit']}, {ns(a['retry_after_ns'])})",
    "release": lambda t, a, e: f"release({t}, v_{a['permit']})",
    "state": lambda t, a, e: f"state({t}, TG_STATE_{e['state'].upper()})",
    "stats": lambda t, a, e: f"stats({t}, {e['calls']}, {e['failed']}, {e['slow']}, {trip(e['last_trip'])}, "
    f"{int(e.get('ramping', False))})",
    "retry_after": lambda t, a, e: f"retry_after({t}, {ns(e['retry_after_ns'])})",
    "events": lambda t, a, e: f"events({t}, {a['since']}, {events(e['events'])}, "
    f"{len(e['events'])})",
    "force_open": lambda t, a, e: f"breaker_force_open({t})",
    "disable": lambda t, a, e: f"breaker_disable({t})",
    "metrics_only": lambda t, a, e: f"breaker_metrics_only({t})",
    "reset": lambda t, a, e: f"breaker_reset({t})",
    "set_config": lambda t, a, e: f"{{ {breaker_config(dict(a))} set_config({t}, config); }}",
}


def new_registry(c):
    overrides = c.pop("overrides")
    shared = {name: c.pop(name) for name in list(c) if name != "max_breakers"}
    lines = [f"tg_breaker_config defaults = {breaker_of(shared)};"]
    lines += [f"tg_breaker_config config_{i} = {breaker_of({**shared, **it})};" for i, it in enumerate(overrides)]
    them = ", ".join(f"{{{key(it['pattern'])}, &config_{i}}}" for i, it in enumerate(overrides))
    lines.append(f"tg_registry_override overrides[] = {{{them or '{{NULL, 0}, NULL}'}}};")
    lines.append(f"new_registry({c.pop('max_breakers')}, &defaults, overrides, {len(overrides)});")
    return "\n    ".join(lines)


def breaker_of(c):
    return f"opening({c['consecutive_failures']}, {ns(c['cooldown_ns'])})"


def granted(e):
    return f"{flag(e['permit'])}, {ns(e.get('retry_after_ns', 0))}"


class Registry:
    """Held breakers and permits are places in arrays; each step's handle of a key is freed in it."""

    def __init__(self, config):
        self.held, self.permits = {}, {}

    def operation(self, op, t, a, e):
        it = key(a["key"]) if "key" in a else None
        if op == "call":
            return f"registry_call({t}, {it}, {flag(a['failed'])}, {granted(e)})"
        if op == "hold":
            self.held[a["as"]] = len(self.held)
            return f"registry_hold({t}, {it}, {self.held[a['as']]}, {flag(e['breaker'] == '(overflow)')})"
        if op == "call_held":
            return f"registry_call_held({t}, {self.held[a['held']]}, {flag(a['failed'])}, {granted(e)})"
        if op == "acquire_held":
            self.permits[a["as"]] = (self.held[a["held"]], f"v_{a['as']}")
            return f"registry_acquire_held({t}, {self.held[a['held']]}, &v_{a['as']}, {granted(e)})"
        if op == "report":
            place, permit = self.permits[a["permit"]]
            return f"registry_report({t}, {place}, {permit}, {flag(a['failed'])})"
        if op == "peek":
            return f"registry_peek({t}, {it}, {'TG_STATE_' + e['state'].upper() if e['state'] else -1})"
        if op == "remove":
            return f"registry_remove({t}, {it}, {flag(e['removed'])})"
        if op in ("force_open", "reset"):
            return f"registry_{op}({t}, {it})"
        if op == "set_config":
            cooldown, failures = (a[name] or 0 for name in ("cooldown_ns", "consecutive_failures"))
            return f"registry_set_config({t}, {key(a['pattern'])}, {ns(cooldown)}, {failures})"
        if op == "items":
            them = ", ".join(map(key, e["keys"]))
            return f"registry_items({t}, (tg_bytes[]){{{them or '{NULL, 0}'}}}, {len(e['keys'])})"
        if op == "stats":
            return f"registry_stats({t}, {e['breakers']}, {e['evicted']}, {e['overflowed']})"
        raise KeyError(op)


def drain(t, a, e):
    items = e["items"]
    if not items:
        return f"drain({t}, 0, NULL)"
    return f"drain({t}, {len(items)}, (void *[]){{{', '.join(map(item, items))}}})"


PUSHED = {"ok": "TG_OK", "full": "TG_FULL", "closed": "TG_CLOSED"}
POPPED = {"item": "TG_OK", "empty": "TG_EMPTY", "closed": "TG_CLOSED"}
def ns_or_never(value):
    return "TG_NEVER" if value is None else ns(value)


def drops(e):
    """The last argument of a check: what was dropped, and how many."""
    them = e.get("drops", [])
    if not them:
        return "0, NULL"
    told = ", ".join(f"{{{item(it['item'])}, TG_DROPPED_{it['reason'].upper()}}}" for it in them)
    return f"{len(them)}, (drop[]){{{told}}}"


REASONS = ("oldest", "age", "codel", "deadline", "closed")
QUEUE = {
    "try_push_with": lambda t, a, e: f"try_push_with({t}, {item(a['item'])}, {a['lane']}, "
    f"{ns_or_never(a['deadline_ns'])}, {PUSHED[e['result']]}, {item(e.get('dropped'))})",
    "load": lambda t, a, e: f"load({t}, {ns_or_never(e['least_delay_ns'])}, {flag(e['overloaded'])})",
    "counts": lambda t, a, e: f"counts({t}, {e['popped']}, "
    f"(uint64_t[]){{{', '.join(str(e[name]) for name in REASONS)}}})",
    "discard": lambda t, a, e: f"discard({t}, {drops(e)})",
    "try_push": lambda t, a, e: f"try_push({t}, {item(a['item'])}, {PUSHED[e['result']]}, {item(e.get('dropped'))})",
    "try_pop": lambda t, a, e: f"try_pop({t}, {POPPED[e['result']]}, {item(e.get('item'))}, "
    f"{flag('sojourn_ns' in e)}, {ns(e.get('sojourn_ns') or 0)}, {drops(e)})",
    "depth": lambda t, a, e: f"depth({t}, {e['depth']})",
    "is_accepting": lambda t, a, e: f"is_accepting({t}, {flag(e['accepting'])})",
    "close": lambda t, a, e: f"close_queue({t})",
    "drain": drain,
}


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


def breaker_config(c):
    lines = ["tg_breaker_config config = TG_BREAKER_CONFIG_INIT;"]
    for name in [n for n in c if hasattr_in_c(n)]:
        value = c.pop(name)
        if value is None:
            continue  # the default of C's INIT macro is null's meaning
        lines.append(f"config.{name} = {ns(value) if name.endswith('_ns') else value};")
    return "\n    ".join(lines)


def new_breaker(c):
    return f"{breaker_config(c)}\n    new_breaker(config);"


def hasattr_in_c(name):
    return name in {
        "window_calls", "window_duration_ns", "failure_rate_threshold", "slow_call_duration_ns",
        "slow_call_rate_threshold", "consecutive_failures", "min_calls", "cooldown_ns", "cooldown_backoff",
        "max_cooldown_ns", "probes", "probe_timeout_ns", "cooldown_jitter", "probe_failure_rate_threshold",
        "probes_at_once", "healthy_after_ns", "ramp_ns", "ramp_from",
    }  # fmt: skip


def new_queue(c):
    on_full = {"reject": "TG_REJECT", "drop_oldest": "TG_DROP_OLDEST"}[c.pop("on_full")]
    high, low = c.pop("high_watermark"), c.pop("low_watermark")
    rules = c.pop("rules", None)
    made = f"new_queue({c.pop('capacity')}, {high}, {low}, {on_full}, {int(c.pop('sojourn'))}, "
    if rules is None:
        return f"{made}TG_FIFO, 5000000, 100000000, 1, 0);"
    discipline = f"TG_{rules['discipline'].upper()}"
    spans = f"{ns(rules['target_ns'])}, {ns(rules['interval_ns'])}"
    return f"{made}{discipline}, {spans}, {rules['lanes']}, {ns(rules['max_age_ns'] or 0)});"


def new_concurrency(c):
    waiting, order = c.pop("max_waiting") or 0, f"TG_ORDER_{c.pop('order').upper()}"
    return f"new_concurrency({c.pop('limit')}, {c.pop('max_limit')}, {mode(c)}, {waiting}, {order});"


CONCURRENCY = {
    "try_acquire": lambda t, a, e: f"concurrency_try_acquire(&v_{a['as']}, {flag(e['permit'])})",
    "release": lambda t, a, e: f"concurrency_release(v_{a['permit']}, {flag(e['released'])})",
    "wait": lambda t, a, e: f"concurrency_wait(&w_{a['as']}, {flag(e['waits'])})",
    "take": lambda t, a, e: f"concurrency_take(&w_{a['waiter']}, &v_{a['as']}, {flag(e['permit'])})",
    "set_limit": lambda t, a, e: f"concurrency_set_limit({a['limit']})",
    "in_use": lambda t, a, e: f"concurrency_in_use({e['in_use']})",
    "stats": lambda t, a, e: "concurrency_stats("
    f"{e['limit']}, {e['in_use']}, {e['admitted']}, {e['denied']}, {e['would_deny']})",
}


def new_partitioned(c):
    all_of, first = c.pop("partitions"), c.pop("priority")
    each = ", ".join(f"{{{text(name)}, {share!r}}}" for name, share in all_of)
    order = ", ".join(map(text, first)) or "NULL"
    return "\n    ".join([
        f"const tg_partition partitions[] = {{{each}}};",
        f"const char *const priority[] = {{{order}}};",
        "tg_concurrency_config config = TG_CONCURRENCY_CONFIG_INIT;",
        f"config.limit = {c.pop('limit')};",
        f"config.partitions = partitions; config.partitions_len = {len(all_of)};",
        f"config.priority = priority; config.priority_len = {len(first)};",
        "new_partitioned(config);",
    ])  # fmt: skip


class Partitioned:
    """Partitions are numbers to C."""

    def __init__(self, config):
        self.numbers = {name: number for number, (name, _) in enumerate(config["partitions"], 1)}
        self.numbers[None] = 0

    def operation(self, op, t, a, e):
        if op == "release":
            return f"concurrency_release(v_{a['permit']}, {flag(e['released'])})"
        of = self.numbers[a["partition"]]
        if op == "try_acquire":
            return f"partitioned_try_acquire({t}, {of}, &v_{a['as']}, {flag(e['permit'])})"
        if op == "partition":
            told = ", ".join(str(e[name]) for name in ("guaranteed", "in_use", "called_back", "admitted", "denied"))
            return f"partitioned_look({t}, {of}, (const uint64_t[]){{{told}}})"
        raise KeyError(op)


def new_adaptive(c):
    c["probe"], c["probe_floor"] = int(c["probe"]), c["probe_floor"] or 0
    return fields(c, "adaptive", "new_adaptive(config);", algorithm=lambda name: f"TG_ADAPTIVE_{name.upper()}")


def reported(a):
    latency = "TG_NEVER" if a["latency_ns"] is None else ns(a["latency_ns"])
    return f"v_{a['permit']}, TG_CONCURRENCY_{a['outcome'].upper()}, {latency}"


ADAPTIVE = {
    "try_acquire": lambda t, a, e: f"adaptive_try_acquire({t}, &v_{a['as']}, {flag(e['permit'])})",
    "report": lambda t, a, e: f"adaptive_report({t}, {reported(a)}, {flag(e['released'])})",
    "release": lambda t, a, e: f"concurrency_release(v_{a['permit']}, {flag(e['released'])})",
    "limit": lambda t, a, e: f"adaptive_limit({e['limit']}, {e['in_use']})",
}


def mode(c):
    dry_run, enabled = c.pop("dry_run"), c.pop("enabled")
    return ("TG_MODE_DRY_RUN" if dry_run else "TG_MODE_ENFORCE") if enabled else "TG_MODE_DISABLED"


def fields(c, thing, made, **special):
    """A config of those fields, and the call that makes the object of it."""
    lines = [f"tg_{thing}_config config = TG_{thing.upper()}_CONFIG_INIT;"]
    for name in list(c):
        value = c.pop(name)
        if name in special:
            value = special[name](value)
        elif name.endswith("_ns"):
            value = 0 if value is None else ns(value)
        lines.append(f"config.{name} = {value};")
    return "\n    ".join([*lines, made])


def new_retry(c):
    return fields(c, "retry", "new_retry(config);", jitter=lambda name: f"TG_JITTER_{name.upper()}")


def new_budget(c):
    c["mode"] = mode(c)
    return fields(c, "retry_budget", "new_budget(config);", mode=str)


def new_throttle(c):
    c["mode"] = mode(c)
    return fields(c, "throttle", "new_throttle(config);", mode=str)


def text(value):
    return "NULL" if value is None else json.dumps(value)


def priority(args):
    return f"TG_PRIORITY_{args['priority'].upper()}"


def new_shedder(c):
    c["mode"] = mode(c)
    signals = c.pop("signals")
    each = [f"{{{text(it['name'])}, {it['start']!r}, {it['full']!r}, TG_SIGNAL_GAUGE, 0}}" for it in signals]
    lines = [f"tg_signal signals[] = {{{', '.join(each)}}};"]
    made = f"config.signals = signals; config.signal_count = {len(signals)}; new_shedder(config);"
    return "\n    ".join([*lines, fields(c, "shedder", made, mode=str)])


GAVE_UP = {"attempts": "TG_EXHAUSTED", "deadline": "TG_LATE"}
RETRY = {
    "delay": lambda t, a, e: f"backoff_delay(UINT64_C({a['n']}), {a['draw']}, {ns(e['delay_ns'])})",
    "failed": lambda t, a, e: f"retry_next(UINT64_C({a['attempts']}), {a['draw']}, {ns(a['retry_after_ns'] or 0)}, "
    f"{ns(a['elapsed_ns'])}, {GAVE_UP[e['gave_up']] if 'gave_up' in e else 'TG_OK'}, {ns(e.get('wait_ns', 0))})",
}
BUDGET = {
    "deposit": lambda t, a, e: f"budget_deposit({t})",
    "try_withdraw": lambda t, a, e: f"budget_try_withdraw({t}, {flag(e['ok'])})",
    "balance": lambda t, a, e: f"budget_balance({t}, {e['balance']})",
    "retry_after": lambda t, a, e: f"budget_retry_after({t}, {ns(e['retry_after_ns'])})",
    "stats": lambda t, a, e: f"budget_stats({t}, {e['deposited']}, {e['withdrawn']}, {e['denied']}, {e['would_deny']})",
}
THROTTLE = {
    "try_acquire": lambda t, a, e: f"throttle_try_acquire({t}, {a['draw']}, {flag(e['ok'])})",
    "report": lambda t, a, e: f"throttle_report({t}, {flag(a['accepted'])})",
    "probability": lambda t, a, e: f"throttle_probability({t}, {e['probability']!r})",
    "retry_after": lambda t, a, e: f"throttle_retry_after({t}, {ns(e['retry_after_ns'])})",
    "stats": lambda t, a, e: f"throttle_stats({t}, {e['accepted']}, {e['refused']}, {e['rejected']}, "
    f"{e['would_reject']}, {e['forced']}, {e['window_requests']}, {e['window_accepts']})",
}

SHEDDER = {
    "admit": lambda t, a, e: f"shedder_admit({t}, {priority(a)}, {a['level']}, {a['draw']!r}, {flag(e['ok'])})",
    "check": lambda t, a, e: f"shedder_check({t}, {priority(a)}, {a['level']}, {a['draw']!r}, {flag(e['allowed'])}, "
    f"{text(e['signal'])}, {e['pressure']!r}, {ns(e['retry_after_ns'])})",
    "tell": lambda t, a, e: f"shedder_tell({t}, {text(a['signal'])}, {a['value']!r})",
    "sample": lambda t, a, e: f"shedder_sample({t})",
    "pressure": lambda t, a, e: f"shedder_pressure({t}, {e['pressure']!r})",
    "stats": lambda t, a, e: f"shedder_stats({t}, {e['admitted']}, {', '.join(map(str, e['shed']))}, "
    f"{e['would_shed']})",
}

PRIMITIVES = {
    "token_bucket": (new_bucket, table(BUCKET), "tg_ticket"),
    "circuit_breaker": (new_breaker, table(BREAKER), "tg_permit"),
    "breaker_registry": (new_registry, Registry, "tg_permit"),
    "bounded_queue": (new_queue, table(QUEUE), None),
    "concurrency_limiter": (new_concurrency, table(CONCURRENCY), "tg_concurrency_permit"),
    "adaptive_limiter": (new_adaptive, table(ADAPTIVE), "tg_concurrency_permit"),
    "partitioned_limiter": (new_partitioned, Partitioned, "tg_concurrency_permit"),
    "rate_limiter": (new_limiter, Limiter, None),
    "limit_set": (new_set, LimitSet, None),
    "retry_policy": (new_retry, table(RETRY), None),
    "retry_budget": (new_budget, table(BUDGET), None),
    "client_throttle": (new_throttle, table(THROTTLE), None),
    "load_shedder": (new_shedder, table(SHEDDER), None),
    "gate": (lambda c: new_gate(c, mode, new_shedder, breaker_config), Gate, "tg_permit"),
}


def body(primitive, case):
    if primitive not in PRIMITIVES:
        raise NotInC(f"no primitive {primitive} in C")
    new, operations, named = PRIMITIVES[primitive]
    config = dict(case["config"])
    operations = operations(config)
    lines = []
    waiters = {s["args"]["as"] for s in case["steps"] if s["op"] == "wait"}
    lines += [f"static waiter w_{name};\n    memset(&w_{name}, 0, sizeof w_{name});" for name in sorted(waiters)]
    steps = [s for s in case["steps"] if s["op"] not in ("hold", "wait")]
    admissions = {s["args"]["as"] for s in steps if s["op"] == "admit" and primitive == "gate"}
    lines += [f"tg_admission a_{name} = TG_ADMISSION_INIT;\n    (void)a_{name};" for name in sorted(admissions)]
    steps = [s for s in steps if primitive != "gate" or s["op"] != "admit"]
    names = {s["args"][k] for s in steps for k in ("as", "ticket", "permit") if k in s["args"]}
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


def steps(document):
    """The cases of a primitive: name and C of the body."""
    for case in document["cases"]:
        yield document["primitive"], case["name"], lambda case=case: body(document["primitive"], case)


def asks(document):
    """The cases of a subject of HTTP, and what else its file has."""
    subject = document["subject"]
    for case in document["cases"]:
        yield subject, case["name"], lambda case=case: SUBJECTS[subject](case)
    yield from others(document)


def main():
    print('#include "vectors_http.h"\n#include "vectors_gate.h"\n')
    run = []
    for file in sorted(f for f in Path(sys.argv[1]).glob("*.json") if not f.name.endswith("schema.json")):
        document = json.loads(file.read_text())
        if document["version"] != 1:
            sys.exit(f"{file}: version {document['version']}, not 1")
        if document.get("subject") == "http_situations":
            # Whole requests through a web framework, of which C has none here.
            continue
        for kind, name, make in steps(document) if "primitive" in document else asks(document):
            label = f"vector/{kind}/{name}"
            try:
                print(f"static void {kind}_{name}(void) {{\n    {make()}\n}}\n")
            except NotInC as reason:
                run.append(f'printf("skip {label} # {reason}\\n");')
                continue
            # What HTTP is told knows no time, and so no second way.
            modes = "MODES" if "primitive" in document else "1"
            loop = f"for (mode = 0; mode < {modes}; mode++) {{ {kind}_{name}(); finish_gate(); finish(); }}"
            run.append(f'{loop} check_done("{label}");')
    if not run:
        sys.exit(f"{sys.argv[1]}: no vectors")
    print("int main(void) {\n    " + "\n    ".join(run) + "\n    forget();\n    return check_failed != 0;\n}")


main()
