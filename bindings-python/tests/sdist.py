"""Whether who gets only the source distribution can build it: core, licences and sources are inside, and Cargo resolves
them.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

NEEDED = (
    "Cargo.lock",
    "Cargo.toml",
    "pyproject.toml",
    "core/Cargo.toml",
    "core/src/lib.rs",
    "cli/Cargo.toml",
    "cli/src/lib.rs",
    "bindings-python/Cargo.toml",
    "bindings-python/src/lib.rs",
    "bindings-python/LICENSE-MIT",
    "bindings-python/LICENSE-APACHE",
    "bindings-python/THIRD-PARTY-NOTICES.txt",
    "bindings-python/sbom.cdx.json",
    "bindings-python/README.md",
    "tidegate/__init__.py",
    "tidegate/_tidegate.pyi",
    "tidegate/py.typed",
)

with tempfile.TemporaryDirectory() as directory:
    with tarfile.open(sys.argv[1]) as archive:
        names = archive.getnames()
        archive.extractall(directory, filter="data")
    (root,) = Path(directory).iterdir()
    subprocess.run(["cargo", "metadata", "--format-version", "1"], cwd=root, check=True, stdout=subprocess.DEVNULL)
missing = [needed for needed in NEEDED if not any(name.endswith("/" + needed) for name in names)]
if missing:
    sys.exit(f"{sys.argv[1]} lacks {', '.join(missing)}")
print(f"{len(names)} files, nothing missing")
