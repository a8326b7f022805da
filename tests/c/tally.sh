# Counting for tests/c/run. A test is a line "ok NAME", "not ok NAME" or "skip NAME # why".

declare -A passed failed skipped reasons
order=()

language() { # NAME: what the following tests count for
    current=$1
    order+=("$1")
    passed[$1]=0 failed[$1]=0 skipped[$1]=0 reasons[$1]=
}

ok() { passed[$current]=$((passed[$current] + 1)); }

not_ok() { # NAME [LOG]
    failed[$current]=$((failed[$current] + 1))
    echo "not ok $current: $1"
    [ $# -lt 2 ] || tail -n 30 "$2" | sed 's/^/    /'
}

skip() { # NAME WHY [COUNT]
    skipped[$current]=$((skipped[$current] + ${3:-1}))
    echo "skip $current: $1 # $2"
    case "; ${reasons[$current]}" in *"; $2"*) ;; *) reasons[$current]+="${reasons[$current]:+; }$2" ;; esac
}

expect() { # NAME COMMAND...: one test, passed when the command succeeds
    local name=$1 log=$out/expect.log
    shift
    if "$@" >"$log" 2>&1; then ok; else not_ok "$name" "$log"; fi
}

expect_failure() { # NAME TEXT COMMAND...: one test, passed when the command fails and says TEXT
    local name=$1 text=$2 log=$out/expect.log
    shift 2
    if "$@" >"$log" 2>&1; then
        not_ok "$name: did not fail"
    elif grep -q "$text" "$log"; then
        ok
    else
        not_ok "$name: failed without \"$text\"" "$log"
    fi
}

program() { # NAME COMMAND...: many tests, one for each line that the command prints
    local name=$1 log status line
    log=$out/$(echo "$1" | tr '/ ' '__').log
    shift
    timeout 300 "$@" >"$log" 2>&1
    status=$?
    local before=$((passed[$current] + failed[$current] + skipped[$current])) failures=${failed[$current]}
    while IFS= read -r line; do
        case $line in
            "ok "*) ok ;;
            "not ok "*) not_ok "$name: ${line#not ok }" ;;
            "skip "*) line=${line#skip } && skip "$name: ${line%% # *}" "${line#* # }" ;;
        esac
    done <"$log"
    if [ $((passed[$current] + failed[$current] + skipped[$current])) -eq "$before" ]; then
        not_ok "$name: ran no test (exit status $status)" "$log"
    elif [ "$status" -ne 0 ] && [ "${failed[$current]}" -eq "$failures" ]; then
        not_ok "$name: exit status $status" "$log"
    elif [ "${failed[$current]}" -ne "$failures" ]; then
        grep '^#' "$log" | head -n 30 | sed 's/^/    /'
    fi
}

need() { # COMMAND:PACKAGE...: installs what is missing, or says how
    local pair missing=() sudo=
    for pair in "$@"; do command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}"); done
    [ ${#missing[@]} -gt 0 ] || return 0
    [ "$(id -u)" -eq 0 ] || sudo="sudo -n"
    if command -v apt-get >/dev/null && $sudo true 2>/dev/null; then
        echo "installing ${missing[*]}"
        { $sudo apt-get update && $sudo apt-get install -y --no-install-recommends "${missing[@]}"; } >"$out/apt.log" 2>&1 && return 0
        tail -n 5 "$out/apt.log"
    fi
    echo "missing; run: sudo apt-get install -y ${missing[*]}"
    exit 1
}

summaries() { # prints them; the exit status of the whole run
    local name status=0
    for name in "${order[@]}"; do
        printf 'SUMMARY\t%s\t%d\t%d\t%d\t%s\n' "$name" "${passed[$name]}" "${failed[$name]}" "${skipped[$name]}" "${reasons[$name]}"
        [ "${failed[$name]}" -eq 0 ] || status=1
    done
    return $status
}
