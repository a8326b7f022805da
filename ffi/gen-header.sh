#!/bin/sh
# Regenerates include/tidegate.h and docs/c.md from ffi/src (cbindgen, as a library, through a test of this crate: no tool to install).
set -eu
cd "$(dirname "$0")/.."
TIDEGATE_BLESS=1 cargo test --quiet -p tidegate-ffi --lib header
cargo xtask gen write # docs/c.md follows from it
git --no-pager diff --stat -- include/tidegate.h
