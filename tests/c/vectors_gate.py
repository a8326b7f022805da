"""Cases of gates, for vectors_to_c.py; what they call stands in vectors_gate.h."""

from literals import flag, key, ns, text
from vectors_limits import LimitSet, set_members

STATUS = {
    None: "TG_OK",
    "access": "TG_FORBIDDEN",
    "deadline": "TG_LATE",
    "shedder": "TG_SHED",
    "queue": "TG_FULL",
    "breaker": "TG_OPEN",
    "concurrency": "TG_DENIED",
    "limit": "TG_DENIED",
}


def text_or_null(value):
    return "NULL" if value is None else text(value.encode())


class Gate:
    """The operations of one case: keys and dependencies come by name, and C takes them in order."""

    def __init__(self, config):
        self.limits = LimitSet(config["limits"] or {"members": []})
        self.circuits = [it["name"] for it in config["dependencies"]]
        self.partitions = [None, *(name for name, _ in config.get("partitions", []))]

    def looked(self, t, a, e):
        names = self.limits.names
        left = [f"gate_left({t}, {i}, {key(a['keys'].get(name))}, {e['left'][name]})" for i, name in enumerate(names)]
        states = [f"TG_STATE_{e['circuits'][name].upper()}" for name in self.circuits] or ["0"]
        present = [-1 if e[name] is None else e[name] for name in ("in_use", "depth")]
        look = f"gate_look({t}, {present[0]}, {present[1]}, (const int32_t[]){{{', '.join(states)}}})"
        return "; ".join([*left, look])

    def operation(self, op, t, a, e):
        place = self.circuits.index(a["dependency"]) if "dependency" in a else None
        return {
            "admit": lambda: self.admit(t, a, e),
            "finish": lambda: f"gate_finish({t}, &a_{a['admission']}, TG_GATE_{a['outcome'].upper()}, "
            f"{flag(e['finished'])})",
            "enter": lambda: f"gate_enter({t}, {place}, &v_{a['as']}, {flag(e['permit'])})",
            "report": lambda: f"gate_report({t}, {place}, v_{a['permit']}, {flag(a['failed'])})",
            "force_open": lambda: f"gate_force_open({t}, {place})",
            "push": lambda: f"gate_push({t})",
            "pop": lambda: f"gate_pop({t})",
            "tell": lambda: f"shedder_tell({t}, {text_or_null(a['signal'])}, {a['value']!r})",
            "set_limit": lambda: f"gate_set_limit({t}, {a['limit']})",
            "look": lambda: self.looked(t, a, e),
            "stats": lambda: f"gate_stats({t}, {e['admitted']}, {e['denied']}, {e['would_deny']})",
        }[op]()

    def admit(self, t, a, e):
        kind = -1 if e["kind"] is None else f"TG_GATE_{e['kind'].upper()}"
        status = STATUS[None if e["allowed"] else e["kind"]]
        expected = (
            f"{{{status}, {text_or_null(e['denied_by'])}, {kind}, {e['status'] or 0}, {ns(e['retry_after_ns'])}, "
            f"{e['limit']}, {e['remaining']}, {e['pressure']!r}}}"
        )
        needs = sum(1 << self.circuits.index(name) for name in a["dependencies"])
        deadline = "TG_NEVER" if a["deadline_ns"] is None else ns(a["deadline_ns"])
        return (
            f"gate_admit({t}, &a_{a['as']}, {self.limits.keys(a)}, {text_or_null(a['address'])}, "
            f"TG_PRIORITY_{a['priority'].upper()}, {a['cost']}, {deadline}, {needs}, "
            f"{self.partitions.index(a.get('partition'))}, (expected_admission){expected})"
        )


def texts(entries):
    return f"{len(entries)}, (const char *const[]){{{', '.join(map(text_or_null, entries)) or 'NULL'}}}"


def new_gate(c, mode, new_shedder, breaker_config):
    lines = []
    if access := c.pop("access"):
        lines.append(f"new_access({texts(access['allow'])}, {texts(access['deny'])});")
    if shedder := c.pop("shedder"):
        lines += ["{", new_shedder(dict(shedder)), "}"]
    if (capacity := c.pop("queue")) is not None:
        lines.append(f"new_jobs({capacity});")
    partitions = c.pop("partitions", [])
    if (limit := c.pop("concurrency")) is not None:
        each = ", ".join(f"{{{text_or_null(name)}, {share!r}}}" for name, share in partitions) or "{NULL, 0}"
        lines.append(f"new_permits({limit}, {len(partitions)}, (const tg_partition[]){{{each}}});")
    if limits := c.pop("limits"):
        lines += set_members(limits["members"])
    for it in c.pop("dependencies"):
        settings = dict(it["breaker"])
        lines += ["{", breaker_config(settings), f"new_circuit({text_or_null(it['name'])}, config);", "}"]
    refund_on = " | ".join(f"1u << TG_GATE_{name.upper()}" for name in c.pop("refund_on"))
    lines.append(f"new_gate({refund_on or 0}, {mode(c)});")
    return "\n    ".join(lines)
