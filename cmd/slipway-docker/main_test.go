package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"slipway/internal/images/imagestest"

	"github.com/google/go-cmp/cmp"
)

// docker is one job's surroundings.
type docker struct {
	t     *testing.T
	env   map[string]string
	dir   string
	stdin string
}

// run runs a command line and gives what it wrote with its exit code.
func (d docker) run(args ...string) (stdout, stderr string, code int) {
	d.t.Helper()
	var out, errs bytes.Buffer
	p := program{getenv: func(k string) string { return d.env[k] }, env: d.env, dir: d.dir, stdin: strings.NewReader(d.stdin), stdout: &out, stderr: &errs}
	code = p.main(d.t.Context(), args)
	return out.String(), errs.String(), code
}

// ok runs a command line that must end well.
func (d docker) ok(args ...string) (stdout, stderr string) {
	d.t.Helper()
	stdout, stderr, code := d.run(args...)
	if code != 0 {
		d.t.Fatalf("docker %s ended with %d:\n%s%s", strings.Join(args, " "), code, stdout, stderr)
	}
	return stdout, stderr
}

func newDocker(t *testing.T) docker {
	return docker{t: t, env: map[string]string{"DOCKER_CONFIG": t.TempDir()}}
}

func TestDockerBuildPush(t *testing.T) {
	t.Parallel()
	w := imagestest.New(t, imagestest.Setup{Protect: func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/v2/team/") }})
	d := newDocker(t)
	d.env["SLIPWAY_BUILDER_URL"] = "unix://" + w.Socket
	d.env["SLIPWAY_REGISTRY_HOST"] = imagestest.Host
	d.env["SLIPWAY_JOB_TOKEN"] = "secret-token" // what imagestest's registry takes, with the user job
	d.env["WHO"] = "job"
	app := imagestest.Host + "/team/app"
	dir := w.Folder(map[string]string{"Dockerfile": "FROM busybox:1\nARG WHO\nRUN echo $WHO > /who\nCOPY a.txt /\n", "a.txt": "a"})

	t.Run("build with several names, then push one, tag and push", func(t *testing.T) {
		d.t = t
		iid, metadata := filepath.Join(t.TempDir(), "iid"), filepath.Join(t.TempDir(), "metadata.json")
		_, log := d.ok("build", "-t", app+":1", "--tag", app, "-f", filepath.Join(dir, "Dockerfile"), "--build-arg", "WHO", "--label", "a=b",
			"--iidfile", iid, "--metadata-file="+metadata, "--progress=plain", dir)
		if !regexp.MustCompile(`(?m)^#\d+ \[2/3\] RUN echo job > /who$`).MatchString(log) {
			t.Errorf("log is\n%s", log)
		}
		var m map[string]any
		b, err := os.ReadFile(metadata)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, &m); err != nil {
			t.Fatal(err)
		}
		out, _ := d.ok("push", app+":1")
		pushed, err := w.Pull("team/app:1").Digest()
		if err != nil {
			t.Fatal(err)
		}
		if m["containerimage.digest"] != pushed.String() {
			t.Errorf("metadata says %v, the registry has %s", m["containerimage.digest"], pushed)
		}
		if want := "1: digest: " + pushed.String() + " size: "; !strings.Contains(out, want) {
			t.Errorf("push says %q, want %q in it", out, want)
		}
		config, err := w.Pull("team/app:1").ConfigName()
		if err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(iid); err != nil || string(b) != config.String() {
			t.Errorf("iidfile holds %q (%v), want %s", b, err, config)
		}

		d.ok("tag", app+":1", app+":release")
		d.ok("push", "-q", app+":release")
		if got := imagestest.Files(t, w.Pull("team/app:release"))["who"]; got != "job\n" {
			t.Errorf("/who is %q", got)
		}
		out, _ = d.ok("images", "-q")
		if got := strings.Fields(out); len(got) != 3 || got[0] != pushed.String() || got[1] != got[0] || got[2] != got[0] {
			t.Errorf("images are %q", out)
		}
	})

	t.Run("push of what has changed since is refused", func(t *testing.T) {
		d.t = t
		dir := w.Folder(map[string]string{"Dockerfile": "FROM scratch\nCOPY a.txt /\n", "a.txt": "a"})
		d.ok("build", "-t", app+":changed", dir)
		if err := os.WriteFile(filepath.Join(dir, "a.txt"), []byte("other"), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, log, code := d.run("push", app+":changed"); code != 1 || !strings.Contains(log, "has changed since") {
			t.Errorf("push ended with %d: %s", code, log)
		}
	})

	t.Run("build --push at once, Dockerfile on standard input", func(t *testing.T) {
		d.t = t
		d.stdin = "FROM scratch\nCOPY a.txt /b.txt\n"
		d.ok("buildx", "build", "--push", "-t", app+":stdin", "-f", "-", dir)
		if diff := cmp.Diff(map[string]string{"b.txt": "a"}, imagestest.Files(t, w.Pull("team/app:stdin"))); diff != "" {
			t.Errorf("files (-want +got):\n%s", diff)
		}
	})

	t.Run("context on standard input", func(t *testing.T) {
		d.t = t
		tarball := func(options ...string) string {
			out, err := exec.CommandContext(t.Context(), "tar", append(options, "-C", w.Folder(map[string]string{"Dockerfile": "FROM scratch\nCOPY a.txt docs /\n", "a.txt": "a", "docs/b.txt": "b",
				"other/Dockerfile": "FROM scratch\nCOPY a.txt /other.txt\n"}), "-c", ".")...).Output()
			if err != nil {
				t.Fatal(err)
			}
			return string(out)
		}
		for _, compression := range []string{"--format=gnu", "--format=pax", "--format=v7", "-z", "-j", "-J", "--zstd"} {
			d.stdin = tarball(compression)
			d.ok("build", "-t", app+":tar", "-")
			d.stdin = ""
			d.ok("push", app+":tar") // of the context that docker kept
			if diff := cmp.Diff(map[string]string{"a.txt": "a", "b.txt": "b"}, imagestest.Files(t, w.Pull("team/app:tar"))); diff != "" {
				t.Errorf("tar %s: files (-want +got):\n%s", compression, diff)
			}
		}
		d.stdin = tarball("-z")
		d.ok("build", "-t", app+":other", "--push", "-f", "other/Dockerfile", "-")
		if diff := cmp.Diff(map[string]string{"other.txt": "a"}, imagestest.Files(t, w.Pull("team/app:other"))); diff != "" {
			t.Errorf("with a Dockerfile of the archive: files (-want +got):\n%s", diff)
		}
		d.stdin = "FROM scratch\nLABEL a=b\n"
		d.ok("build", "-t", app+":alone", "--push", "-")
	})

	t.Run("a failing step shows its log, line and exit code", func(t *testing.T) {
		d.t = t
		dir := w.Folder(map[string]string{"Dockerfile": "FROM busybox:1\nRUN echo why; exit 3\n"})
		_, log, code := d.run("build", dir)
		if code != 1 || !strings.Contains(log, " why\n") || !strings.Contains(log, "Dockerfile:2:1") || !strings.Contains(log, "exit code: 3") {
			t.Errorf("ended with %d:\n%s", code, log)
		}
	})

	t.Run("login goes before the job's token", func(t *testing.T) {
		d.t = t
		d.stdin = "wrong-password\n"
		d.ok("login", "-u", "somebody", "--password-stdin", imagestest.Host)
		if _, log, code := d.run("build", "--push", "-t", app+":login", dir); code != 1 || !strings.Contains(log, "the registry refused") || strings.Contains(log, "wrong-password") {
			t.Errorf("with a wrong login: ended with %d:\n%s", code, log)
		}
		d.ok("logout", imagestest.Host)
		d.ok("build", "--push", "-t", app+":login", dir)
	})
}

func TestLogin(t *testing.T) {
	t.Parallel()
	d := newDocker(t)
	path := filepath.Join(d.env["DOCKER_CONFIG"], "config.json")
	if err := os.WriteFile(path, []byte(`{"credsStore":"kept","auths":{"other":{"auth":"eDp5"}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	d.stdin = "p:w\n"
	d.ok("login", "https://registry.example/v2/", "--username", "u", "--password-stdin")
	d.ok("login", "-u", "hub", "-p", "x")
	var got map[string]any
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	// docker/cli, cli/config/configfile: auths by host, base64 of USER:PASSWORD; "u:p:w" is dTpwOnc=.
	want := map[string]any{"credsStore": "kept", "auths": map[string]any{
		"other": map[string]any{"auth": "eDp5"}, "registry.example": map[string]any{"auth": "dTpwOnc="}, "https://index.docker.io/v1/": map[string]any{"auth": "aHViOng="},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("config.json (-want +got):\n%s", diff)
	}
	d.env["SLIPWAY_REGISTRY_HOST"], d.env["SLIPWAY_JOB_TOKEN"] = "own.example:5000", "of-the-job"
	if d.ok("login", "own.example:5000"); !strings.Contains(readFile(t, path), "am9iOm9mLXRoZS1qb2I=") { // base64 of job:of-the-job
		t.Errorf("the job's token is not in %s", readFile(t, path))
	}
	user, password := program{getenv: func(k string) string { return d.env[k] }}.credentials("registry.example")
	if user != "u" || password != "p:w" {
		t.Errorf("credentials are %q %q", user, password)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"run", 125, "name of an image"},
		{"run -d postgres:16", 1, "`services:`"},
		{"run -p 80:80 nginx", 1, "`services:`"},
		{"run --privileged x", 1, "default rights"},
		{"run --network host x", 1, "the job's services"},
		{"run -v /var/run/docker.sock:/var/run/docker.sock x", 1, "run docker in a step"},
		{"run -v data:/data x", 1, "./data"},
		{"run -v /a:b x", 1, "not absolute"},
		{"run -v /a:/b:zz x", 1, "write ro or rw"},
		{"run --mount type=volume,target=/x x", 1, "type=bind"},
		{"run --env-file none x", 1, "no such file"},
		{"run --frobnicate x", 125, "--frobnicate"},
		{"run x", 1, "SLIPWAY_BUILDER_URL"},
		{"create", 125, "name of an image"},
		{"exec x ls", 1, "`container:` key"},
		{"export x", 1, "no container x"},
		{"start x", 1, "`services:` key"},
		{"compose up", 1, "`services:` key"},
		{"container top x", 1, "the job's page"},
		{"load -i x.tar", 1, "no archive x.tar"},
		{"image load", 1, "crane"},
		{"load x.tar", 125, "with -i"},
		{"cp a:b c", 1, "docker create IMAGE"},
		{"buildx bake --call check", 1, "warnings of every build"},
		{"buildx bake --allow network.host", 1, "--network=host"},
		{"buildx bake https://host/repo.git", 1, "check the repository out"},
		{"buildx bake", 1, "docker-bake.hcl"},
		{"buildx bake --set a=b", 1, "docker-bake.hcl"},
		{"compose", 125, "usage: docker compose"},
		{"compose run web", 1, "`container:` key"},
		{"compose down", 1, "ends with the job"},
		{"compose --dry-run build", 1, "--print"},
		{"compose build -m 1g", 1, "leave it out"},
		{"buildx du", 1, "slipway builder du"},
		{"buildx create --driver remote tcp://x", 1, "Slipway's builder alone"},
		{"manifest sign x", 1, "inspect, create, annotate"},
		{"frobnicate", 1, "it knows build, push"},
		{"", 125, "usage: docker"},
		{"build", 125, "exactly one argument"},
		{"build --frobnicate .", 125, "--frobnicate"},
		{"build --squash .", 1, "FROM scratch"},
		{"build --cpu-shares=3 .", 1, "leave it out"},
		{"build -m=2g .", 1, "leave it out"},
		{"build --network host .", 1, "SLIPWAY_BUILDER_URL"},
		{"build --add-host a:host-gateway .", 1, "SLIPWAY_BUILDER_URL"},
		{"build --shm-size big .", 1, "64m"},
		{"build --progress fancy .", 1, "rawjson"},
		{"build --cache-to type=gha .", 1, "another service's"},
		{"build --ssh default .", 1, "SSH_AUTH_SOCK"},
		{"build --sbom=x .", 1, "KEY=VALUE"},
		{"build --provenance=mode=some .", 1, "min and max"},
		{"build --output type=local .", 1, "dest=FOLDER"},
		{"build --output type=zip .", 1, "not supported"},
		{"build --build-context x=oci-layout://y .", 1, "docker-image://NAME"},
		{"build -f Dockerfile -", 125, "leave -f out"},
		{"build -f - -", 125, "cannot be both"},
		{"build -t UPPER .", 1, "UPPER"},
		{"build --build-context", 125, "--build-context"},
		{"build .", 1, "SLIPWAY_BUILDER_URL"},
		{"push never-built", 1, "docker build -t never-built:latest"},
		{"inspect never-built", 1, "docker build -t never-built:latest"},
		{"save -o x never-built", 1, "docker build -t never-built:latest"},
		{"inspect --type container x", 1, "images alone"},
		{"login", 125, "--password-stdin"},
	} {
		stdout, stderr, code := newDocker(t).run(strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(stderr, c.want) || stdout != "" {
			t.Errorf("docker %s: ended with %d: %s%s", c.args, code, stdout, stderr)
		}
	}
}

// TestDependencies keeps the program that goes into everybody's pod small.
func TestDependencies(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for dep := range strings.Lines(string(out)) {
		dep = strings.TrimSpace(dep)
		own := strings.HasPrefix(dep, "slipway/") && dep != "slipway/internal/images" && dep != "slipway/internal/images/bake" && dep != "slipway/internal/images/goimage" && dep != "slipway/internal/images/progress" && dep != "slipway/internal/images/tunnel" && dep != "slipway/internal/az" && dep != "slipway/internal/registry/dockerarchive" && dep != "slipway/cmd/slipway-docker"
		if own || dep == "database/sql" || dep == "testing" || strings.HasPrefix(dep, "k8s.io/") || strings.HasPrefix(dep, "github.com/moby/buildkit/control") ||
			strings.HasPrefix(dep, "github.com/moby/buildkit/executor/") && dep != "github.com/moby/buildkit/executor/resources/types" || strings.HasPrefix(dep, "github.com/docker/cli/cli/command") || strings.HasPrefix(dep, "github.com/open-policy-agent/") {
			t.Errorf("docker depends on %s", dep)
		}
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	for _, word := range []string{"--help", "-h", "help"} {
		if stdout, stderr, code := newDocker(t).run(word); code != 0 || stderr != "" || !strings.Contains(stdout, "buildx bake") {
			t.Errorf("docker %s: ended with %d: %s%s", word, code, stdout, stderr)
		}
	}
}
