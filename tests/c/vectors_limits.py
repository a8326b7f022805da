"""Cases of limits per key and of limits combined, for vectors_to_c.py; what they call stands in vectors_limits.h."""

from literals import NotInC, decision, flag, key, ns, text


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
        if "same_as" in member:
            return self.keyed(self.members[self.names.index(member["same_as"])])
        return "limiter" in member

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
    return "\n    ".join(set_members(c.pop("members"), c))


def set_members(members, left=None):
    """Lines that make the set; what is not in C is put to what is left."""
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
        if left is not None:
            left |= m
    return [*lines, "new_set();"]
