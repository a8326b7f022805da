"""Cases of the HTTP manners, for vectors_to_c.py; the functions they call stand in vectors_http.h."""

from literals import NotInC, decision, ns, text, texts


def string(value):
    """A text argument that ends with NUL; NULL for none."""
    if value is None:
        return "NULL"
    if "\0" in value:
        raise NotInC("a C text holds no NUL")
    return text(value.encode())


def lines(values):
    values = [f"{{{text(v.encode())}, {len(v.encode())}}}" for v in values]
    return f"{len(values)}, (const tg_bytes[]){{{', '.join([*values, '{NULL, 0}'])}}}"


def client_address(case):
    c = case["config"]
    prefixes = f"{c.get('ipv4_prefix', 32)}, {c.get('ipv6_prefix', 64)}"
    trusted, header = texts(c.get("trusted", [])), string(c.get("header"))
    made = f"new_clients({trusted}, {header}, {prefixes}, {string(case.get('error'))});"
    asked = [
        f"client_key({string(a['peer'])}, {lines(a['lines'])}, {string(a['key'])});" for a in case.get("asks", [])
    ]
    return "\n    ".join([made, *asked])


def access_list(case):
    c = case["config"]
    made = f"new_list({texts(c.get('allow', []))}, {texts(c.get('deny', []))}, {string(case.get('error'))});"
    asked = [
        f"list_verdict({string(a['address'])}, {text(a['key'].encode())}, {len(a['key'].encode())}, "
        f"TG_VERDICT_{a['verdict'].upper()});"
        for a in case.get("asks", [])
    ]
    return "\n    ".join([made, *asked])


def ratelimit_fields(case):
    c = case["config"]
    name, unit = string(c["name"]), string(c.get("unit"))
    if "error" in case:
        return f"refused_policy({name}, {unit}, {string(case['error'])});"
    done = []
    for a in case["asks"]:
        key = a.get("partition_key")
        key = "NULL" if key is None else f"&(tg_bytes){{{text(key.encode())}, {len(key.encode())}}}"
        told = f"{int(a['retry_after'] or 0)}, {string(a['policy'])}, {string(a['limit'])}"
        done.append(f"told({name}, {unit}, {decision(a['decision'])}, {ns(a['window_ns'])}, {key}, {told});")
    return "\n    ".join(done)


def http_answers(case):
    most = ns(case["config"]["max_retry_after_ns"])
    asked = []
    for a in case["asks"]:
        fields = ", ".join(string(a.get(name)) for name in ("retry_after", "retry_after_ms", "date"))
        wait = ns(a["retry_after_ns"] or "0")
        slow, took = ns(case["config"].get("slow_call_duration_ns")), ns(a.get("duration_ns", "0"))
        now = ns(a.get("now_ms", "0"))
        asked.append(
            f"http_answer({a['status']}, {fields}, {now}, {most}, {slow}, {took}, "
            f"TG_{a['outcome'].upper()}, {wait});"
        )
    return "\n    ".join(asked)


def overload_waits(case):
    asked = [
        f"CHECK_EQ(tg_http_overload_retry_after({ns(a['depth'])}, {ns(a['done'])}, {ns(a['window_ns'])}, {a['draw']}), "
        f"{a['retry_after']});"
        for a in case["asks"]
    ]
    return "\n    ".join(asked)


SUBJECTS = {
    "client_address": client_address,
    "access_list": access_list,
    "ratelimit_fields": ratelimit_fields,
    "http_answers": http_answers,
    "overload_waits": overload_waits,
}


def problem(p):
    return (
        f"problem(TG_PROBLEM_{p['type'].upper()}, {p['status']}, {texts(p['violated'])}, {string(p['body'])});"
    )


def others(document):
    """What a file holds beside its cases."""

    def not_in_c():
        raise NotInC("C writes these fields, and reads none")

    for number, _ in enumerate(document.get("parses", [])):
        yield document["subject"], f"parse_{number}", not_in_c
    for number, p in enumerate(document.get("problems", [])):
        yield document["subject"], f"problem_{number}", lambda p=p: problem(p)
