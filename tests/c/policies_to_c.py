#!/usr/bin/env python3
"""tests/policies as a C program: what is valid is read, of what is broken every problem is told as everywhere."""

import json
import sys
from pathlib import Path

from literals import text


def environment(policy):
    """`# env: A=b; C=d` in the first line."""
    first = policy.split("\n", 1)[0]
    if not first.startswith("# env: "):
        return {}
    return dict(pair.split("=", 1) for pair in first.removeprefix("# env: ").split("; "))


def wrapped(data, length=3000):
    """A text in pieces: compilers need not take a longer one."""
    parts = [data[at : at + length] for at in range(0, len(data), length)] or [b""]
    return "\n    ".join(text(part) for part in parts)


def told(problems):
    return json.dumps(problems, ensure_ascii=False, separators=(",", ":")).replace("\x7f", "\\u007f").encode()


def cases(folder):
    for kind in ("valid", "broken"):
        for path in sorted((folder / kind).glob("*.toml")):
            policy = path.read_bytes().decode()
            expected = json.loads(path.with_suffix(".json").read_text())
            yield path.stem, policy, expected if kind == "broken" else []
    for number, case in enumerate(json.loads((folder / "settings.json").read_text())):
        yield f"settings {number}", case["text"], case.get("problems", [])


def ordered(problem):
    return {name: problem[name] for name in ("line", "column", "path", "message", "hint")}


def main():
    calls = []
    for name, policy, problems in cases(Path(sys.argv[1])):
        # A text of C ends there.
        if "\0" in policy:
            continue
        variables = environment(policy)
        calls += [f"setenv({text(k.encode())}, {text(v.encode())}, 1);" for k, v in variables.items()]
        expected = wrapped(told([ordered(problem) for problem in problems]))
        calls.append(f"play({text(name.encode())}, {wrapped(policy.encode())},\n    {expected});")
        calls += [f"unsetenv({text(k.encode())});" for k in variables]
    print('#define _POSIX_C_SOURCE 200112L\n#include <tidegate.h>\n#include "check.h"\n#include <stdlib.h>')
    print("#include <string.h>\n")
    print("static void play(const char *name, const char *policy, const char *problems) {")
    print("    static char told[1 << 20];\n    size_t length = 0;")
    print("    CHECK_EQ(tg_policy_check(policy, told, sizeof told, &length), TG_OK);")
    print("    if (strcmp(told, problems) != 0) printf(\"%s\\n%s\\n%s\\n\", name, told, problems);")
    print("    CHECK(strcmp(told, problems) == 0);\n    CHECK_EQ(length, strlen(told));\n}\n")
    print("static void all(void) {\n    " + "\n    ".join(calls) + "\n}\n")
    print("int main(void) {\n    RUN(all);\n    return check_failed != 0;\n}")


if __name__ == "__main__":
    main()
