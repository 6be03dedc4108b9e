# One way to build, test, bench and lint; CI calls the same targets.
# Needs GNU make, bash, git, Go, and gcc for the race detector.

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

# Flags for go test: make test ARGS='-run TestSave -v'
ARGS ?=
# What test-embedded and test-minio test: make test-minio PACKAGES=./core
# "work" is every module of go.work.
PACKAGES ?=
EMBEDDED_PACKAGES = $(or $(PACKAGES),work)
# The other modules do not talk to the engine FILEFIELD_TEST_ENGINE chooses, but for
# faults, whose matrix takes a minute and a half on MinIO: PACKAGES=./faults/...
MINIO_PACKAGES    = $(or $(PACKAGES),./... ./browser/... ./conformance/... ./databases/... ./examples/... ./manage/... ./tusupload/... ./cmd/filefield/...)

FUZZTIME  ?= 10s
BENCH     ?= .
BENCHTIME ?= 1s
# How often "make race" repeats every test.
COUNT     ?= 3
# How long the load of "make soak" lasts.
DURATION  ?= 3m

# Modules whose code is ours, as folders.
MODULES = $(shell go list -m -f '{{.Dir}}')
# Modules that only pin a tool's version. They are no part of go.work.
TOOLS   = internal/tools/lint internal/tools/minio

# The race detector, and time enough to build an engine.
TESTCOUNT = go run ./internal/tools/testcount -args "-race -timeout=30m $(ARGS)"

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Tests

.PHONY: test
test: engines programs ## every test of every module, with the race detector, on both S3 engines
	@$(TESTCOUNT) embedded="$(EMBEDDED_PACKAGES)" minio="$(MINIO_PACKAGES)"

.PHONY: test-embedded
test-embedded: engine-embedded programs ## the tests on the embedded engine alone (PACKAGES=./core ARGS='-run TestSave')
	@$(TESTCOUNT) embedded="$(EMBEDDED_PACKAGES)"

.PHONY: test-minio
test-minio: engine-minio programs ## the tests on MinIO alone (PACKAGES=./core ARGS='-run TestSave')
	@$(TESTCOUNT) minio="$(MINIO_PACKAGES)"

.PHONY: test-uploads
test-uploads: engines programs ## uploads of up to 300 MiB in Chromium, and by tus-js-client, on both S3 engines (some minutes; no part of "make test")
	@for engine in embedded minio; do
		FILEFIELD_TEST_ENGINE=$$engine go test -timeout=30m -tags=uploads $(ARGS) ./browser ./tusupload
	done

.PHONY: soak
soak: ## an app on four MinIO nodes that are killed in turn (DURATION=3m; ARGS='-workers=6 -seed=1')
	@go run ./soak -duration=$(DURATION) $(ARGS)

# The tests build the engine they need and keep it in the user's cache folder.
# This has them do it beforehand, while no test that measures time runs.
.PHONY: engines engine-embedded engine-minio
engines: engine-embedded engine-minio ## build the S3 servers the tests run (some minutes, once)
engine-embedded engine-minio: engine-%: gcc
	@echo "--- the $* engine (the first time, it is built)"
	@FILEFIELD_TEST_ENGINE=$* go test -race -timeout=30m ./internal/s3test

.PHONY: race
race: engine-embedded programs ## look for races and order: every test COUNT times, shuffled, on 1, 2 and 8 threads
	@go run ./internal/tools/testcount \
		-args "-race -timeout=60m -shuffle=on -count=$(COUNT) -cpu=1,2,8 $(ARGS)" embedded="$(EMBEDDED_PACKAGES)"

.PHONY: cover
cover: engine-embedded ## test coverage of the library, in coverage.out
	@library=$$(go list ./... | grep -v /internal/ | paste -sd,)
	go test -coverpkg="$$library" -coverprofile=coverage.out $(ARGS) ./... | grep -v 'no test files'
	go tool cover -func=coverage.out | tail -n 1

# One run per target, since go test fuzzes one at a time. FUZZTIME may also count
# inputs: 1000x.
.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (10s); new findings go to testdata/fuzz
	@status=0
	while IFS=: read -r file func; do
		package=$$(dirname "$$file") target=$${func#func }
		echo "--- $$package $$target"
		go test -run='^$$' -fuzz="^$$target$$" -fuzztime=$(FUZZTIME) $(ARGS) "$$package" </dev/null || status=1
	done < <(grep -rHoE '^func Fuzz[A-Za-z0-9_]+' --include='*_test.go' . | sort)
	exit $$status

.PHONY: bench
bench: ## benchmarks of every module (BENCH=regexp BENCHTIME=1s ARGS='-count=10')
	@go test -run='^$$' -bench='$(BENCH)' -benchtime=$(BENCHTIME) -benchmem $(ARGS) work | grep -v 'no test files'

##@ Checks

.PHONY: lint
lint: bin/golangci-lint ## go vet, gofumpt and golangci-lint on every module
	@status=0
	go vet work || status=1
	for module in $(MODULES); do
		echo "golangci-lint $$module"
		(cd "$$module" && "$(CURDIR)/bin/golangci-lint" run --config "$(CURDIR)/.golangci.yml" ./...) || status=1
	done
	exit $$status

.PHONY: fmt
fmt: bin/golangci-lint ## format every module
	@for module in $(MODULES); do
		(cd "$$module" && "$(CURDIR)/bin/golangci-lint" fmt --config "$(CURDIR)/.golangci.yml" ./...)
	done

bin/golangci-lint: internal/tools/lint/go.mod internal/tools/lint/go.sum
	@echo "building golangci-lint (some minutes, once)"
	@GOWORK=off go build -C internal/tools/lint -o "$(CURDIR)/$@" github.com/golangci/golangci-lint/v2/cmd/golangci-lint

.PHONY: vuln
vuln: ## known vulnerabilities in what the code calls (asks the database at vuln.go.dev)
	@for module in $(MODULES); do
		echo "govulncheck $$module"
		go run golang.org/x/vuln/cmd/govulncheck@v1.9.0 -C "$$module" ./...
	done

# A program that "go install" can take at a version has no replace directives: it
# is lent some. What it needs of this repository is in this folder.
INSTALLED = $(CURDIR)/cmd/filefield
OWN       = github.com/filefield/filefield

.PHONY: tidy
tidy: ## go mod tidy in every module
	@for module in $(MODULES) $(TOOLS); do
		echo "go mod tidy: $$module"
		if [ "$$module" = "$(INSTALLED)" ]; then
			go mod edit -replace=$(OWN)=../.. -replace=$(OWN)/manage=../../manage "$$module/go.mod"
		fi
		GOWORK=off go -C "$$module" mod tidy || status=1
		if [ "$$module" = "$(INSTALLED)" ]; then
			go mod edit -dropreplace=$(OWN) -dropreplace=$(OWN)/manage "$$module/go.mod"
		fi
		[ -z "$${status:-}" ] || exit 1
	done
	go work sync

##@ What the machine needs

# The tests start these themselves; the modules databases and browser need them.
.PHONY: programs
programs: ## PostgreSQL, MariaDB, nginx, npm and Chromium, from Debian's packages where they are missing
	@missing=()
	ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null || missing+=(postgresql)
	command -v mariadbd >/dev/null || ls /usr/sbin/mariadbd >/dev/null 2>&1 || missing+=(mariadb-server)
	command -v nginx >/dev/null || ls /usr/sbin/nginx >/dev/null 2>&1 || missing+=(nginx-light)
	command -v npm >/dev/null || missing+=(npm) # stock Uppy and tus-js-client, for tests
	command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || missing+=(chromium)
	[ "$${#missing[@]}" -gt 0 ] || exit 0
	if ! command -v apt-get >/dev/null || [ "$$(id -u)" != 0 ]; then
		echo "Missing: $${missing[*]}. Install them, or run \"make programs\" as root on Debian or Ubuntu." >&2
		exit 1
	fi
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -q
	apt-get install -qy --no-install-recommends "$${missing[@]}"

.PHONY: gcc
gcc:
	@command -v "$$(go env CC)" >/dev/null || { echo "The race detector needs a C compiler. On Debian and Ubuntu: apt-get install gcc libc6-dev" >&2; exit 1; }
