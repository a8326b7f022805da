# The verbs. Each is a script that a person can read; `make demo` and `make test` work from a fresh clone.
.PHONY: help demo test bench check gen

help:   ## Show this list.
	@grep -E '^[a-z]+: *##' $(MAKEFILE_LIST) | sed 's/: *## /\t/'

demo:   ## The flash sale over real HTTP: builds both packages, runs FastAPI and NestJS, checks what it shows.
	@tests/demo/run

test:   ## Every test in every language, from a fresh clone; ends with a summary.
	@tests/run/prerequisites && tests/run/test

bench:  ## Measure tidegate beside its peers; prints ratios, writes target/bench/results.json.
	@tests/bench/run

check:  ## The loop while working on core, within a minute: format, lines, clippy, unit tests, vectors.
	@tests/run/test format lines core-lint core vectors

gen:    ## Write what is generated and committed: the C header and the test vectors.
	@tests/run/gen
