#!/usr/bin/env python3
"""Checks the vector files against schema.json, and that the schema refuses what it should. Needs the package jsonschema."""

import copy
import json
import pathlib
import sys

import jsonschema

HERE = pathlib.Path(__file__).parent


def main() -> int:
    schema = json.loads((HERE / "schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    # One primitive's rules at a time: an error under `oneOf` names them all.
    def rules(primitive):
        return jsonschema.Draft202012Validator({"$ref": f"#/$defs/{primitive}", "$defs": schema["$defs"]})

    bad = 0
    for path in sorted(HERE.glob("*.json")):
        if path.name == "schema.json":
            continue
        file = json.loads(path.read_text())
        for error in rules(file["primitive"]).iter_errors(file):
            bad += 1
            print(f"{path.name}: {error.json_path}: {error.message[:200]}", file=sys.stderr)
        names = [case["name"] for case in file["cases"]]
        if len(names) != len(set(names)):
            bad += 1
            print(f"{path.name}: a name is given twice", file=sys.stderr)
        # A schema that accepts everything proves nothing: each of these must be refused.
        for spoil in (
            lambda f: f["cases"][0]["steps"][0].update(op="unheard_of"),
            lambda f: f["cases"][0]["steps"][0].update(at_ns=5),
            lambda f: f["cases"][0]["steps"][0]["expect"].update(more=1),
            lambda f: f["cases"][0]["config"].update(more=1),
            lambda f: f["cases"][0].pop("why"),
            lambda f: f.update(version=2),
        ):
            spoiled = copy.deepcopy({**file, "cases": file["cases"][:1]})
            spoil(spoiled)
            if rules(file["primitive"]).is_valid(spoiled):
                bad += 1
                print(f"{path.name}: the schema accepts a spoiled file", file=sys.stderr)
        print(f"{path.name}: {len(names)} cases, {sum(len(case['steps']) for case in file['cases'])} steps")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
