# The Go part of tests/c/run: the cgo package in tests/go and a program over it.
language Go

go_tests=$(cat tests/go/*_test.go tests/go/*/*_test.go | grep -c '^func Test')
go_version=$(cd tests/go && go env GOVERSION 2>/dev/null | sed -n 's/^go\([0-9]*\.[0-9]*\).*/\1/p')
if [ -z "$go_version" ]; then
    skip "all" "no Go toolchain (go 1.24 or later; https://go.dev/dl)" $((go_tests + 2))
elif [ "$(printf '1.24\n%s\n' "$go_version" | sort -V | head -n 1)" != 1.24 ]; then
    skip "all" "Go $go_version is older than 1.24" $((go_tests + 2))
else
    in_go() { (cd tests/go && PKG_CONFIG_PATH=$out/release/lib/pkgconfig LD_LIBRARY_PATH=$out/release/lib GOCACHE=$target/go-cache GOFLAGS=-buildvcs=false "$@"); }
    # The runtime checks what cgo code may do with pointers.
    as_lines() { # FOLDER PACKAGES
        in_go env GODEBUG=cgocheck=1 go test -C "$1" -count=1 -v "$2" 2>&1 | tee -a "$out/go.log" |
        sed -E 's/^--- PASS: (\S+).*/ok \1/; s/^--- FAIL: (\S+).*/not ok \1/; s/^--- SKIP: (\S+).*/skip \1 # skipped by itself/; t; s/^/# /'; }
    as_lines . ./... >"$out/go-lines.log"
    program "go test" cat "$out/go-lines.log"
    # The page's code beside that of x/time/rate, a module that comes over the network.
    if in_go go mod download -C from_x_time_rate >"$out/go-mod.log" 2>&1; then
        as_lines from_x_time_rate . >"$out/go-migrate.log"
        program "coming from x/time/rate" cat "$out/go-migrate.log"
    else
        skip "coming from x/time/rate" "golang.org/x/time cannot be downloaded" 2
    fi
    expect "go vet" in_go go vet ./...
    expect "program" in_go go run ./cmd/protect
fi
