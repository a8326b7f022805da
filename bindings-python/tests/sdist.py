"""Whether a source distribution can be built by whoever gets only that: core, lock file, licences and sources are inside."""

from __future__ import annotations

import sys
import tarfile

NEEDED = (
    "Cargo.lock",
    "Cargo.toml",
    "pyproject.toml",
    "core/Cargo.toml",
    "core/src/lib.rs",
    "bindings-python/Cargo.toml",
    "bindings-python/src/lib.rs",
    "bindings-python/LICENSE-MIT",
    "bindings-python/LICENSE-APACHE",
    "bindings-python/README.md",
    "tidegate/__init__.py",
    "tidegate/_tidegate.pyi",
    "tidegate/py.typed",
)

with tarfile.open(sys.argv[1]) as archive:
    names = archive.getnames()
missing = [needed for needed in NEEDED if not any(name.endswith("/" + needed) for name in names)]
if missing:
    sys.exit(f"{sys.argv[1]} lacks {', '.join(missing)}")
print(f"{len(names)} files, nothing missing")
