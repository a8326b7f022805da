#!/usr/bin/env python3
"""Checks the vector files against schema.json and http.schema.json, and that the schema refuses what it should.

Needs the package jsonschema.
"""

import copy
import json
import pathlib
import sys

import jsonschema

HERE = pathlib.Path(__file__).parent


# What a file with steps of a primitive, and one with questions to the HTTP manners, must not contain.
SPOILED_STEPS = (
    lambda f: f["cases"][0]["steps"][0].update(op="unheard_of"),
    lambda f: f["cases"][0]["steps"][0].update(at_ns=5),
    lambda f: f["cases"][0]["steps"][0]["expect"].update(more=1),
)
SPOILED_ASKS = (
    lambda f: f["cases"][0]["asks"][0].update(more=1),
    lambda f: f["cases"][0]["asks"][0].popitem(),
    lambda f: f["cases"][0].update(error="name"),
)
SPOILED = (
    lambda f: f["cases"][0]["config"].update(more=1),
    lambda f: f["cases"][0].pop("why"),
    lambda f: f.update(version=2),
)


def main() -> int:
    schemas = {name: json.loads((HERE / name).read_text()) for name in ("schema.json", "http.schema.json")}
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)

    # One primitive's rules at a time: an error under `oneOf` names them all.
    def rules(file):
        schema = schemas["schema.json" if "primitive" in file else "http.schema.json"]
        kind = file.get("primitive") or file["subject"]
        return jsonschema.Draft202012Validator({"$ref": f"#/$defs/{kind}", "$defs": schema["$defs"]})

    bad = 0
    for path in sorted(HERE.glob("*.json")):
        if path.name in schemas:
            continue
        file = json.loads(path.read_text())
        for error in rules(file).iter_errors(file):
            bad += 1
            print(f"{path.name}: {error.json_path}: {error.message[:200]}", file=sys.stderr)
        names = [case["name"] for case in file["cases"]]
        if len(names) != len(set(names)):
            bad += 1
            print(f"{path.name}: a name is given twice", file=sys.stderr)
        # A schema that accepts everything proves nothing: each of these must be refused.
        for spoil in SPOILED + (SPOILED_STEPS if "primitive" in file else SPOILED_ASKS):
            spoiled = copy.deepcopy({**file, "cases": file["cases"][:1]})
            spoil(spoiled)
            if rules(file).is_valid(spoiled):
                bad += 1
                print(f"{path.name}: the schema accepts a spoiled file", file=sys.stderr)
        steps = sum(len(case.get("steps") or case.get("asks") or "!") for case in file["cases"])
        print(f"{path.name}: {len(names)} cases, {steps} steps")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
