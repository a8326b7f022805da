# The Go part of tests/c/run: the cgo package in tests/go and a program over it.
language Go

go_tests=$(grep -c '^func Test' tests/go/tidegate_test.go)
go_version=$(cd tests/go && go env GOVERSION 2>/dev/null | sed -n 's/^go\([0-9]*\.[0-9]*\).*/\1/p')
if [ -z "$go_version" ]; then
    skip "all" "no Go toolchain (go 1.24 or later; https://go.dev/dl)" $((go_tests + 2))
elif [ "$(printf '1.24\n%s\n' "$go_version" | sort -V | head -n 1)" != 1.24 ]; then
    skip "all" "Go $go_version is older than 1.24" $((go_tests + 2))
else
    in_go() { (cd tests/go && PKG_CONFIG_PATH=$out/release/lib/pkgconfig LD_LIBRARY_PATH=$out/release/lib GOCACHE=$target/go-cache GOFLAGS=-buildvcs=false "$@"); }
    # The runtime checks what cgo code may do with pointers.
    as_lines() { in_go env GODEBUG=cgocheck=1 go test -count=1 -v ./... 2>&1 | tee "$out/go.log" |
        sed -E 's/^--- PASS: (\S+).*/ok \1/; s/^--- FAIL: (\S+).*/not ok \1/; s/^--- SKIP: (\S+).*/skip \1 # skipped by itself/; t; s/^/# /'; }
    as_lines >"$out/go-lines.log"
    program "go test" cat "$out/go-lines.log"
    expect "go vet" in_go go vet ./...
    expect "program" in_go go run ./cmd/protect
fi
