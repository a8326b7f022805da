# What the parts of the benchmark share. Source it from the root of the repository.
BENCH_OUT=${BENCH_OUT:-$PWD/target/bench}
export BENCH_OUT

# say TEXT: progress, to standard error; standard output carries rows.
say() { echo "== bench: $*" >&2; }

# skip BINDING WORK WHY: a row that was not measured.
skip() { printf '{"binding":"%s","work":"%s","skipped":"%s"}\n' "$1" "$2" "$3"; }

# need BINDING TOOL PACKAGE: ends the part, with a row that says so, where a tool is missing.
need() {
    command -v "$2" >/dev/null && return
    skip "$1" "all rows" "$2 is not installed (Debian: apt-get install $3)"
    exit 0
}

# logged FILE COMMAND...: runs it with its output in target/bench/FILE, which is shown if it fails.
logged() {
    local log=$BENCH_OUT/$1
    shift
    mkdir -p "$BENCH_OUT"
    "$@" >"$log" 2>&1 || { tail -n 30 "$log" >&2; echo "failed: $* (all of it in $log)" >&2; return 1; }
}

# target_dir: where cargo builds this workspace.
target_dir() {
    cargo metadata --format-version 1 --no-deps | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p'
}

machine() {
    echo "$(uname -sm), $(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN) processors, $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo 2>/dev/null | head -n 1)," \
        "clock $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource 2>/dev/null || echo unknown), $(date -u +%F)"
}
