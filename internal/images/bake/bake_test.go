package bake_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/images/bake"

	"github.com/google/go-cmp/cmp"
)

// Cases and what they mean are those of buildx's own tests (docker/buildx v0.37.2, bake/bake_test.go, hcl_test.go, compose_test.go).
var cases = []struct {
	name    string
	files   map[string]string
	targets []string
	set     []string
	vars    map[string]string
	environ map[string]string
	want    string // of the targets, with context and Dockerfile left out where they are . and Dockerfile
}{
	{
		name: "TestHCLBasic: groups and targets that inherit from two",
		files: map[string]string{"docker-bake.hcl": `
group "default" { targets = ["db", "webapp-plus"] }
target "db" {
  context = "./db"
  tags = ["docker.io/tonistiigi/db"]
  output = ["type=image"]
}
target "webapp" {
  context = "./dir"
  dockerfile = "Dockerfile-alternate"
  args = { buildno = "123" }
  output = [{ type = "image" }]
}
target "cross" { platforms = ["linux/amd64", "linux/arm64"] }
target "webapp-plus" {
  inherits = ["webapp", "cross"]
  args = { IAMCROSS = "true" }
}`},
		want: `{"db": {"context": "./db", "tags": ["docker.io/tonistiigi/db"], "output": [{"type": "image"}]},
			"webapp-plus": {"context": "./dir", "dockerfile": "Dockerfile-alternate", "args": {"buildno": "123", "IAMCROSS": "true"},
				"platforms": ["linux/amd64", "linux/arm64"], "output": [{"type": "image"}]}}`,
	},
	{
		name: "TestNestedInherits: nested with overrides last", targets: []string{"d"}, set: []string{"a.args.foo=321", "c.args.bar=432"},
		files: map[string]string{"docker-bake.hcl": `
target "a" { args = { foo = "123", bar = "234" } }
target "b" {
  inherits = ["a"]
  args = { bar = "567" }
}
target "c" {
  inherits = ["a"]
  args = { baz = "890" }
}
target "d" { inherits = ["b", "c"] }`},
		want: `{"d": {"args": {"bar": "432", "baz": "890", "foo": "321"}}}`,
	},
	{
		name: "TestNestedInherits: nested simple", targets: []string{"d"},
		files: map[string]string{"docker-bake.json": `{"target": {"a": {"args": {"foo": "123", "bar": "234"}}, "b": {"inherits": ["a"], "args": {"bar": "567"}},
			"c": {"inherits": ["a"], "args": {"baz": "890"}}, "d": {"inherits": ["b", "c"]}}}`},
		want: `{"d": {"args": {"bar": "234", "baz": "890", "foo": "123"}}}`,
	},
	{
		name: "TestHCLMatrixMultipleTargets: the label is a group", targets: []string{"x", "y"},
		files: map[string]string{"docker-bake.hcl": `
target "x" {
  matrix = { foo = ["a", "b"] }
  name = foo
}
target "y" {
  matrix = { bar = ["c", "d"] }
  name = bar
  args = { WHICH = bar }
}`},
		want: `{"a": {}, "b": {}, "c": {"args": {"WHICH": "c"}}, "d": {"args": {"WHICH": "d"}}}`,
	},
	{
		name: "TestHCLWithUserDefinedFunctions and TestHCLWithVariables: the environment goes before the default, --var before that",
		vars: map[string]string{"LAST": "flag"}, environ: map[string]string{"BUILD_NUMBER": "456", "LAST": "environment"}, targets: []string{"webapp"},
		files: map[string]string{"docker-bake.hcl": `
variable "BUILD_NUMBER" { default = "123" }
variable "LAST" { default = "none" }
function "increment" {
  params = [number]
  result = number + 1
}
target "webapp" {
  args = { buildno = "${increment(BUILD_NUMBER)}", last = upper(LAST), dollar = "$${x}" }
}`},
		want: `{"webapp": {"args": {"buildno": "457", "last": "FLAG", "dollar": "$${x}"}}}`,
	},
	{
		name: "TestCombineHCLAndJSONTargets: files over one another", targets: []string{"metadata-b"},
		files: map[string]string{"docker-bake.hcl": `
variable "FOO" { default = "a" }
target "metadata-a" {}
target "metadata-b" { args = { who = FOO } }`,
			"docker-bake.json": `{"variable": {"FOO": {"default": "json"}}, "target": {"metadata-b": {"tags": ["foo/a:1.0.0"]}}}`},
		want: `{"metadata-b": {"args": {"who": "a"}, "tags": ["foo/a:1.0.0"]}}`,
	},
	{
		name: "TestReadContextFromTargetChain: what others need is built and goes nowhere", targets: []string{"mid"},
		files: map[string]string{"docker-bake.hcl": `
target "base" {}
target "mid" {
  output = ["foo"]
  contexts = { parent = "target:base" }
}`},
		want: `{"base": {"output": [{"type": "cacheonly"}]}, "mid": {"contexts": {"parent": "target:base"}, "output": ["foo"]}}`,
	},
	{
		name: "TestHCLAttrsCapsuleType: objects and texts", targets: []string{"app"},
		files: map[string]string{"docker-bake.hcl": `
target "app" {
  attest = [{ type = "provenance", mode = "max" }]
  cache-from = [{ type = "registry", ref = "user/app:cache" }, "type=local,src=path/to/cache"]
  cache-to = [{ type = "local", dest = "path/to/cache" }]
  output = [{ type = "oci", dest = "../out.tar" }, "type=local,dest=../out"]
  secret = [{ id = "mysecret", src = "/local/secret" }, { id = "mysecret2", env = "TOKEN" }]
  ssh = [{ id = "default" }, { id = "key", paths = ["path/to/key"] }]
}`},
		want: `{"app": {"attest": [{"type": "provenance", "mode": "max"}],
			"cache-from": [{"type": "registry", "ref": "user/app:cache"}, {"type": "local", "src": "path/to/cache"}], "cache-to": [{"type": "local", "dest": "path/to/cache"}],
			"output": [{"type": "oci", "dest": "../out.tar"}, {"type": "local", "dest": "../out"}],
			"secret": [{"id": "mysecret", "src": "/local/secret"}, {"id": "mysecret2", "env": "TOKEN"}], "ssh": [{"id": "default"}, {"id": "key", "paths": ["path/to/key"]}]}}`,
	},
	{
		name: "TestPushOverride and TestReadTargets: --set", targets: []string{"app"},
		set:   []string{"*.push=true", "app.tag=one", "app.tag=two", "app.platform+=linux/arm64", "*.args.FROMENV", "app.no-cache=true", "app.contexts.x=docker-image://y", "a*.output=type=image"},
		files: map[string]string{"docker-bake.hcl": "target \"app\" {\n tags = [\"zero\"]\n platforms = [\"linux/amd64\"]\n}\n"}, environ: map[string]string{"FROMENV": "env"},
		want: `{"app": {"tags": ["one", "two"], "platforms": ["linux/amd64", "linux/arm64"], "args": {"FROMENV": "env"}, "no-cache": true, "contexts": {"x": "docker-image://y"},
			"output": [{"type": "image"}]}}`,
	},
	{
		name: "TestPushOverride: push without an output", targets: []string{"app"}, set: []string{"app.push=true"},
		files: map[string]string{"docker-bake.hcl": `target "app" {}`},
		want:  `{"app": {"output": [{"type": "image", "push": "true"}]}}`,
	},
	{
		name: "TestParseCompose", environ: map[string]string{"BUILDNO": "123"}, targets: []string{"default"},
		files: map[string]string{"compose.yaml": `
services:
  db:
    build: ./db
    command: ./entrypoint.sh
    image: docker.io/tonistiigi/db
  webapp:
    build:
      context: ./dir
      additional_contexts:
        foo: ./bar
        base: service:db
      dockerfile: Dockerfile-alternate
      network: none
      args:
        buildno: ${BUILDNO}
      cache_from: [ "type=local,src=path/to/cache" ]
      extra_hosts: [ "somehost:162.242.195.82" ]
      ssh: [ key=/path/to/key, default ]
      secrets: [ token, aws ]
  webapp2:
    profiles: [ test ]
    build:
      context: ./dir
      dockerfile_inline: |
        FROM alpine
secrets:
  token:
    environment: ENV_TOKEN
  aws:
    file: /root/.aws/credentials
`},
		want: `{"db": {"context": "db", "tags": ["docker.io/tonistiigi/db"]},
			"webapp": {"context": "dir", "contexts": {"foo": "bar", "base": "target:db"}, "dockerfile": "Dockerfile-alternate", "args": {"buildno": "123"},
				"cache-from": [{"type": "local", "src": "path/to/cache"}], "extra-hosts": {"somehost": "162.242.195.82"}, "network": "none",
				"ssh": [{"id": "default"}, {"id": "key", "paths": ["/path/to/key"]}], "secret": [{"id": "token", "env": "ENV_TOKEN"}, {"id": "aws", "src": "/root/.aws/credentials"}]},
			"webapp2": {"context": "dir", "dockerfile-inline": "FROM alpine\n"}}`,
	},
	{
		name: "TestComposeExt: x-bake",
		files: map[string]string{"compose.yaml": `
services:
  addon:
    image: ct-addon:bar
    build:
      context: .
      dockerfile: ./Dockerfile
      cache_to: [ user/app:cache ]
      tags: [ ct-addon:baz ]
      x-bake:
        contexts:
          alpine: docker-image://alpine:3.13
        tags: [ ct-addon:foo, ct-addon:alp ]
        ssh: default
        platforms: linux/amd64
        cache-to: [ "type=local,dest=path/to/cache" ]
        pull: true
`},
		want: `{"addon": {"dockerfile": "./Dockerfile", "tags": ["ct-addon:baz", "ct-addon:foo", "ct-addon:alp"], "platforms": ["linux/amd64"], "ssh": [{"id": "default"}],
			"cache-to": ["user/app:cache", {"type": "local", "dest": "path/to/cache"}], "contexts": {"alpine": "docker-image://alpine:3.13"}, "pull": true}}`,
	},
	{
		name: "TestHCLCombineCompose: HCL over a compose file", targets: []string{"app"},
		files: map[string]string{"docker-compose.yml": "services:\n  app:\n    build:\n      context: .\n      args:\n        v1: foo\n        v2: foo\n",
			"docker-bake.hcl": `target "app" { args = { v1 = "bar" } }`},
		want: `{"app": {"args": {"v1": "bar", "v2": "foo"}}}`,
	},
}

func TestResolve(t *testing.T) {
	t.Parallel()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := resolve(t, c.files, c.targets, c.set, c.vars, c.environ)
			if err != nil {
				t.Fatal(err)
			}
			var want map[string]map[string]any
			if err := json.Unmarshal([]byte(c.want), &want); err != nil {
				t.Fatal(err)
			}
			for _, target := range got {
				for key, usual := range map[string]string{"context": ".", "dockerfile": "Dockerfile"} {
					if target[key] == usual {
						delete(target, key)
					}
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("targets (-want +got):\n%s", diff)
			}
		})
	}
}

// resolve reads files, resolves targets and reads back what --print shows.
func resolve(t *testing.T, files map[string]string, targets, set []string, vars, environ map[string]string) (map[string]map[string]any, error) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	read, err := bake.ReadFiles(dir, nil, nil)
	if err != nil {
		return nil, err
	}
	config, err := bake.Parse(t.Context(), read, bake.Environment{Variables: vars, Environ: environ, Platform: "linux/amd64"})
	if err != nil {
		return nil, err
	}
	plan, err := config.Resolve(targets, set, environ)
	if err != nil {
		return nil, err
	}
	b, err := plan.Print()
	if err != nil {
		return nil, err
	}
	var out struct {
		Target map[string]map[string]any `json:"target"`
	}
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	// What is printed is a bake file, which means the same.
	again, err := bake.Parse(t.Context(), []bake.File{{Name: "printed.json", Data: b}}, bake.Environment{Platform: "linux/amd64"})
	if err != nil {
		t.Fatalf("what was printed cannot be read: %v\n%s", err, b)
	}
	if plan, err = again.Resolve([]string{"*"}, nil, nil); err != nil {
		t.Fatalf("what was printed cannot be resolved: %v\n%s", err, b)
	}
	if len(plan.Targets) != len(out.Target) {
		t.Errorf("what was printed has %d targets, read back %d", len(out.Target), len(plan.Targets))
	}
	return out.Target, nil
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		file, text, want string
		targets, set     []string
	}{
		"syntax, with its place":       {"docker-bake.hcl", "target \"a\" {\n  args = {\n}\n", "docker-bake.hcl:", nil, nil},
		"unknown variable":             {"docker-bake.hcl", "target \"a\" {\n  args = { x = y }\n}\n", "docker-bake.hcl:2:", nil, nil},
		"variables in a circle":        {"docker-bake.hcl", `variable "A" { default = B }` + "\n" + `variable "B" { default = A }`, "cycle", nil, nil},
		"validation":                   {"docker-bake.hcl", "variable \"A\" {\n  default = 1\n  validation {\n    condition = A > 1\n    error_message = \"A is too small\"\n  }\n}\n", "A is too small", nil, nil},
		"no such target":               {"docker-bake.hcl", `target "a" {}`, "there are a", []string{"b"}, nil},
		"a circle of contexts":         {"docker-bake.hcl", `target "a" { contexts = { x = "target:b" } }` + "\n" + `target "b" { contexts = { x = "target:a" } }`, "circle", []string{"a"}, nil},
		"a circle of inheritance":      {"docker-bake.hcl", `target "a" { inherits = ["b"] }` + "\n" + `target "b" { inherits = ["a"] }`, "inherits from itself", []string{"a"}, nil},
		"a parent that is not there":   {"docker-bake.hcl", `target "a" { inherits = ["z"] }`, "inherits from z", []string{"a"}, nil},
		"platforms of a context":       {"docker-bake.hcl", "target \"a\" {\n  platforms = [\"linux/amd64\", \"linux/arm64\"]\n  contexts = { x = \"target:b\" }\n}\n" + `target "b" { platforms = ["linux/amd64", "linux/386"] }`, "linux/arm64", []string{"a"}, nil},
		"a matrix in a group":          {"docker-bake.hcl", "group \"a\" {\n  matrix = { x = [\"1\"] }\n  targets = []\n}", "no matrix", nil, nil},
		"a name without a matrix":      {"docker-bake.hcl", "target \"a\" {\n  name = \"b\"\n}", "goes with matrix", nil, nil},
		"a name with a slash":          {"docker-bake.hcl", `target "a/b" {}`, "letters, digits", nil, nil},
		"entitlements":                 {"docker-bake.hcl", `target "a" { entitlements = ["network.host"] }`, "--network=host", []string{"a"}, nil},
		"call":                         {"docker-bake.hcl", `target "a" { call = "check" }`, "warnings of every build", []string{"a"}, nil},
		"resources":                    {"docker-bake.hcl", `target "a" { resources = { memory = "1g" } }`, "leave it out", []string{"a"}, nil},
		"--set without a key":          {"docker-bake.hcl", `target "a" {}`, "TARGET.KEY=VALUE", nil, []string{"a=b"}},
		"--set of an unknown key":      {"docker-bake.hcl", `target "a" {}`, "no key frob", nil, []string{"a.frob=b"}},
		"--set of an unknown target":   {"docker-bake.hcl", `target "a" {}`, "no target b", nil, []string{"b.tag=b"}},
		"--set of no boolean":          {"docker-bake.hcl", `target "a" {}`, "true or false", []string{"a"}, []string{"a.pull=perhaps"}},
		"a compose file of no service": {"compose.yaml", "name: x\n", "no services", nil, nil},
		"an unknown key of x-bake":     {"compose.yaml", "services:\n  a:\n    build:\n      context: .\n      x-bake:\n        frob: 1\n", "frob", nil, nil},
		"an external secret":           {"compose.yaml", "services:\n  a:\n    build:\n      context: .\n      secrets: [s]\nsecrets:\n  s:\n    external: true\n", "external", nil, nil},
		"a privileged build":           {"compose.yaml", "services:\n  a:\n    build:\n      context: .\n      privileged: true\n", "no step more rights", nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := resolve(t, map[string]string{c.file: c.text}, c.targets, c.set, nil, nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want %q in it", err, c.want)
			}
		})
	}
	if _, err := bake.ReadFiles(t.TempDir(), nil, nil); err == nil || !strings.Contains(err.Error(), "docker-bake.hcl") {
		t.Errorf("without a file: %v", err)
	}
}
