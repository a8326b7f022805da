"""What the vectors say, as C writes it."""


class NotInC(Exception):
    """What a case needs and C does not have."""


def ns(value):
    """A time of the vectors: a decimal string, "never", or null where C says never as well."""
    return "TG_NEVER" if value in (None, "never") else f"UINT64_C({int(value)})"


def flag(value):
    return "true" if value else "false"


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


def texts(values):
    """An array of C strings and its length."""
    values = [text(v.encode()) for v in values]
    return f"(const char *const[]){{{', '.join([*values, 'NULL'])}}}, {len(values)}"
