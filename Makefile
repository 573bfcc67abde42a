# Portico: `make demo` and `make test` work in a fresh clone on Debian 12 with a Swift toolchain.
# Each installs what is missing first (Tests/tools/install).

RELEASE := -c release --static-swift-stdlib

# Suites whose tests take seconds each: regular expressions on the identifiers of `swift test list`.
SLOW := cost./|work.of.one.match|Honest.traffic|[.]Memory/|matching.every.rule|many.faults|CompileMemory|real.API.server|of.chance|damaged.objects|JSONFuzz|at.random|A.documented.field

.DEFAULT_GOAL := help
.PHONY: help demo test quick steady sanitize fuzz soak build bench guard format clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

demo: build ## build, start backends and Portico on the seeds' files, show what it does
	@Tests/tools/demo

test: ## install what is missing, build, run every test; the last line is the sum; JOBS=1 for one file at a time
	@Tests/tools/install packages venv
	@RELEASE='$(RELEASE)' Tests/tools/test

quick: ## the Swift tests that need no peer and take no time: all but costs, memory, chance and a real API server
	Tests/tools/swift test --skip '$(SLOW)'

steady: build ## the Swift tests and some suites RUNS=20 times: names the flakes; SUITES=... for others, QUICK=1 as `quick`
	@Tests/tools/install packages venv
	Tests/tools/swift build --build-tests
	@Tests/tools/steady --runs $(or $(RUNS),20) $(if $(QUICK),--skip '$(SLOW)') $(SUITES)

sanitize: ## Swift tests and the gateway's suites under AddressSanitizer and ThreadSanitizer; SUITES=... for others
	@Tests/tools/install packages venv
	@Tests/tools/sanitize $(SUITES)

fuzz: ## libFuzzer on all readers of strangers' octets; SECONDS=60 each, TARGETS=... for some
	@Tests/tools/install packages
	@Tests/tools/fuzz $(if $(SECONDS),--seconds $(SECONDS)) $(TARGETS)

soak: build ## half an hour of mixed traffic, reloads and replaced backends: nothing gets mixed up; SECONDS=... for another time
	@Tests/tools/install packages venv
	PORTICO_SOAK_SECONDS=$(or $(SECONDS),1800) .build/venv/bin/python -m pytest -c Tests/pytest.ini -s Tests/Gateway/test_soak.py

build: ## release build: .build/release/portico
	@Tests/tools/install packages
	Tests/tools/swift build $(RELEASE)

# make bench SCENARIO=a,b PEERS=envoy,portico RUNS=5 SCALE=0.1 JSON=file CHART=file.svg; see docs/performance.md.
# SCENARIO=foundation: only Portico's own short figures.
bench: JSON ?= .build/bench/results.json
bench: CHART ?= .build/bench/chart.svg
bench: build ## Portico beside Envoy, HAProxy, nginx, nghttpx and caddy: processor time per request
	@Tests/tools/install packages bench venv
	@mkdir -p .build/bench
ifneq ($(SCENARIO),foundation)
	@Tests/Benchmarks/bench $(if $(SCENARIO),--scenario $(SCENARIO)) $(if $(PEERS),--peers $(PEERS)) \
		$(if $(RUNS),--runs $(RUNS)) $(if $(SCALE),--scale $(SCALE)) --json $(JSON) --chart $(CHART)
endif
ifeq ($(filter-out foundation,$(SCENARIO)),)
	@Tests/Benchmarks/foundation
	@PORTICO_BENCH=1 Tests/tools/swift test -c release --no-parallel --filter 'MatchBenchmark|CompileBenchmark|EndpointBenchmark|ClusterBenchmark|JSONBenchmark' 2>&1 \
		| grep -E 'rules: |VirtualServices(:| with )|of 50,000: |by two at once|JSON of |✘'
endif

# make guard CASES=unary,http1 SCALE=4 CALLERS=5; UPDATE=1 writes new limits. See docs/performance.md.
guard: build ## instructions and allocations per request, beside their limits
	@Tests/Benchmarks/guard $(if $(CASES),--cases $(CASES)) $(if $(SCALE),--scale $(SCALE)) \
		$(if $(CALLERS),--callers $(CALLERS)) $(if $(UPDATE),--update)

format: ## swift format, in place
	swift format --in-place --recursive --parallel Package.swift Sources Tests

clean: ## remove everything that was built
	rm -rf .build
