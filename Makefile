# Everything that is done with this repository has a name here; `make` alone lists the names.
.DEFAULT_GOAL := help
SHELL := /bin/bash

VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
COMMIT   ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
# The commit's time, not the clock's: the same commit gives the same binary.
DATE     ?= $(shell TZ=UTC0 git log -1 --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%cd 2>/dev/null || echo unknown)
LDFLAGS  := -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT) -X main.date=$(DATE)
# The race detector needs a C compiler; without one the tests run without it, and say so.
RACE     := $(shell command -v $${CC:-cc} >/dev/null 2>&1 && echo -race)
FUZZTIME ?= 10s
SOAK ?= 30m
KILLS ?= 10000
SEEDS ?= 100000

LINT        := bin/golangci-lint-v2.15.0
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: help
help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/whichlayer: static, reproducible
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/whichlayer ./cmd/whichlayer

.PHONY: demo
demo: ## watch whichlayer find what breaks, on loopback, in about a minute
	go run ./cmd/whichlayer demo

.PHONY: deps
deps: ## install what the tests need (Debian, root); says what is missing elsewhere
	@.ci/install-test-deps

# The chain tests look at edges of fractions of a second on real servers, so they run alone, after the others.
.PHONY: test
test: deps vet ## run every test: race detector, then real stunnel, nginx and haproxy in network namespaces
	@[ -n "$(RACE)" ] || echo "NOTE: no C compiler, testing without the race detector" >&2
	go test $(RACE) -timeout 8m -skip '^TestChain' ./...
	go test -timeout 8m -parallel 6 -run '^TestChain' -v ./cmd/whichlayer

.PHONY: race
race: ## run the tests of every package twice under the race detector, without the chain tests
	go test -race -count 2 -timeout 20m -skip '^TestChain' ./...

.PHONY: soak
soak: deps ## watch a healthy chain under 1 % and 5 % random loss for SOAK (30m): no incident may open
	WHICHLAYER_SOAK=$(SOAK) go test -timeout 24h -run '^TestChainLoss$$' -v ./cmd/whichlayer

# The collector runs only when it must: a world is small, and over in a millisecond or two.
.PHONY: sim
sim: ## go through SEEDS (100000) simulated worlds of outages, crashes and bad receivers; measure detection over years
	GOGC=off GOMEMLIMIT=1GiB go test -timeout 60m -run '^(TestSim|TestDetection)$$' -v ./alert -sim.seeds $(SEEDS) -sim.years 10

.PHONY: crash
crash: ## kill a prober KILLS (10000) times at random instants: nothing may be lost, or told twice without a reason
	WHICHLAYER_KILLS=$(KILLS) go test -timeout 24h -parallel 8 -run '^TestCrash$$' -v ./alert

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME (10s)
	@.ci/fuzz $(FUZZTIME)

.PHONY: bench
bench: ## run every benchmark; probe's print the cost of a round beside that of a bare program
	go test -run '^$$' -bench . -benchmem ./...

.PHONY: fmt
fmt: ## fail if a file is not formatted
	@out=$$(gofmt -l .); [ -z "$$out" ] || { echo "not formatted (gofmt -w):"; echo "$$out"; exit 1; }

.PHONY: vet
vet: ## go vet
	go vet ./...

.PHONY: static
static: ## staticcheck
	go run $(STATICCHECK) ./...

$(LINT):
	GOBIN=$(CURDIR)/bin/tmp go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
	mv bin/tmp/golangci-lint $@ && rmdir bin/tmp

.PHONY: lint
lint: $(LINT) ## golangci-lint (builds it once, some two minutes)
	$(LINT) run ./...

.PHONY: check
check: fmt vet lint test ## all that a change must pass

.PHONY: clean
clean: ## remove what was built
	rm -rf bin dist
