#!/usr/bin/env python3
"""Holds docs/policy.schema.json to the policy files: it takes what is valid, and refuses what of the broken a schema
can tell. Needs Python 3.11 and the package jsonschema.
"""

import json
import sys
import tomllib
from pathlib import Path

import jsonschema

HERE = Path(__file__).parent
# Broken in what a schema cannot tell, or ours does not: names of other objects, what contradicts itself, the
# environment, the ranges of times, the spelling of rates and keys.
BEYOND = set((HERE / "beyond_the_schema.txt").read_text().split())


def main() -> int:
    schema = json.loads((HERE.parents[1] / "docs" / "policy.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    bad = counted = 0
    for path in sorted(HERE.glob("*/*.toml")):
        try:
            policy = tomllib.loads(path.read_bytes().decode().removeprefix("\ufeff"))
        except tomllib.TOMLDecodeError:
            if path.parent.name == "valid":
                bad += 1
                print(f"{path}: another reader of TOML does not take it", file=sys.stderr)
            continue
        counted += 1
        errors = [f"{error.json_path}: {error.message[:150]}" for error in validator.iter_errors(policy)]
        if path.parent.name == "valid" and errors:
            bad += 1
            print(f"{path}: {errors}", file=sys.stderr)
        if path.parent.name == "broken" and not errors and path.stem not in BEYOND:
            bad += 1
            print(f"{path}: the schema takes it", file=sys.stderr)
        if path.parent.name == "broken" and errors and path.stem in BEYOND:
            bad += 1
            print(f"{path}: the schema tells it; strike it from beyond_the_schema.txt", file=sys.stderr)
    for case in json.loads((HERE / "settings.json").read_text()):
        try:
            policy = tomllib.loads(case["text"])
        except tomllib.TOMLDecodeError as error:
            bad += 1
            print(f"{case['text']}: {error}", file=sys.stderr)
            continue
        counted += 1
        errors = [f"{error.json_path}: {error.message[:150]}" for error in validator.iter_errors(policy)]
        if "config" in case and errors:
            bad += 1
            print(f"{case['text']}: {errors}", file=sys.stderr)
        # Of a time a schema tells the form alone.
        messages = [problem["message"] for problem in case.get("problems", [])]
        if any(" got " in message for message in messages) and not errors:
            bad += 1
            print(f"{case['text']}: the schema takes it", file=sys.stderr)
    print(f"policies: {counted} held to the schema")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
