# Slipway's targets. `make help` lists them from the comments behind their names.
SHELL := /bin/bash
.DEFAULT_GOAL := help
BIN := bin
DATA := /var/lib/slipway
export GOWORK := off
# Without C's resolver and accounts the server shares what is compiled with the node's build, which does without C.
export GOFLAGS := -buildvcs=false -tags=netgo,osusergo
STAMP = -X slipway.version=$$(git describe --tags --always --dirty 2>/dev/null)
GO_TOOL := go tool -modfile=tools/go.mod

.PHONY: help
help: ## list these targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: up
up: setup build ## set up this machine, build all and start Slipway with its sample project; DATA=folder, FLAGS=more flags
	@$(BIN)/slipway images --data $(DATA) & images=$$!; node/build.sh $(BIN) || { kill $$images; exit 1; }; wait $$images
	$(BIN)/slipway up --data $(DATA) --sample samples/shop $(FLAGS)

.PHONY: setup
setup: ## install the Debian packages that building and running need
	tools/setup

.PHONY: build
build: ## build the command line, the server, the agent and the jobs' docker into bin/
	@mkdir -p $(BIN)
	@tools/go-progress "the server" build -ldflags="$(STAMP)" -o $(BIN)/ ./cmd/slipway-server
	@CGO_ENABLED=0 tools/go-progress "the command line" build -ldflags="-s -w $(STAMP)" -o $(BIN)/ ./cmd/slipway
	@CGO_ENABLED=0 tools/go-progress "the agent and the jobs' docker" build -ldflags='-s -w' -o $(BIN)/ ./cmd/slipway-docker ./cmd/slipway-agent

.PHONY: node
node: ## build the Kubernetes node and the image builder into bin/ (ten minutes once, then cached)
	node/build.sh $(BIN)

.PHONY: scanner
scanner: ## build the scanner of images into bin/: packages, SBOMs and known vulnerabilities
	scanner/build.sh $(BIN)

.PHONY: test
test: setup build node scanner ## run every test, those on the real node included
	test/all

.PHONY: unit
unit: ## run the tests that need neither node nor browser
	test/with-postgres go test ./internal/... ./cmd/... .

.PHONY: e2e
e2e: build node scanner ## run the stories on the real node
	test/e2e/run

.PHONY: editor
editor: build ## drive the language server with VS Code's client library (needs node and npm)
	cd test/editor && npm install --silent --no-package-lock && node lsp.mjs ../../$(BIN)/slipway

.PHONY: lint
lint: ## check format, lint (go vet's analyses among it) and the import rules
	@test -z "$$(gofmt -l *.go bench cmd internal test samples node scanner | tee /dev/stderr)"
	$(GO_TOOL) golangci-lint run ./...

.PHONY: generate
generate: setup ## write the generated files anew
	$(GO_TOOL) templ generate -path internal/web
	cd internal/web/editor && npm install --no-audit --no-fund --no-package-lock --silent && node build.mjs
	go generate ./internal/repos/sha1dc

.PHONY: verify
verify: generate ## check that the generated files are fresh and that both modules agree on what they share
	git diff --exit-code -- internal/web internal/repos/sha1dc
	test/shared-modules

.PHONY: bench
bench: ## run the Go benchmarks
	go test -run '^$$' -bench . ./internal/...

.PHONY: bench-round
bench-round: build node ## measure on a real node what Slipway itself costs: a push to the new pod's answer, a push to the first step
	go test -run '^$$' -bench 'Round|FirstStep' -benchtime 5x -timeout 30m ./test/e2e

.PHONY: bench-rebuild
bench-rebuild: node ## measure the rebuild of an image after a change of one line: the commands, BuildKit's steps, and what is around them
	SLIPWAY_BUILDER=$(CURDIR)/$(BIN)/slipway-builder SLIPWAY_RUNC=$(CURDIR)/$(BIN)/runc go test -run '^$$' -bench Rebuild -benchtime 5x -timeout 30m ./internal/images

.PHONY: bench-git
bench-git: ## measure clones and pushes of a large repository beside git's own server behind lighttpd (Debian's package, which it installs) and behind a Go CGI server
	@test -x /usr/sbin/lighttpd || RUNLEVEL=1 apt-get install -y -qq --no-install-recommends lighttpd
	go test -run '^$$' -bench Peers -benchtime 5x -timeout 60m ./internal/gitserver

.PHONY: bench-peers
bench-peers: build bench-git ## measure `slipway run` and the registry beside programs of others that do the same work; WOODPECKER=folder of its source for one more
	go build -o $(BIN)/slipway-registry-alone ./test/registryalone
	@test -z "$(WOODPECKER)" || (cd "$(WOODPECKER)" && CGO_ENABLED=0 go build -mod=mod -o $(CURDIR)/$(BIN)/woodpecker-cli ./cmd/cli)
	cd bench && go build -o ../$(BIN)/act github.com/nektos/act && go build -o ../$(BIN)/distribution github.com/distribution/distribution/v3/cmd/registry && \
		go test -run '^$$' -bench . -benchtime 7x -timeout 60m

.PHONY: clean
clean: ## remove what was built
	rm -rf $(BIN)
