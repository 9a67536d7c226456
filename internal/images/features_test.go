package images_test

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"slipway"
	"slipway/internal/images"
	"slipway/internal/images/imagestest"
	"slipway/internal/images/progress"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/moby/buildkit/client"
)

// warnings are what a build warned of.
func warnings(events []progress.Event) []string {
	var out []string
	for _, e := range events {
		if e.Kind == progress.EventWarning {
			out = append(out, e.Line)
		}
	}
	return out
}

func TestSyntaxLine(t *testing.T) {
	t.Parallel()
	w := imagestest.New(t, imagestest.Setup{})
	const rest = "FROM busybox:1\nRUN <<EOF\necho here\nEOF\n" // here-documents came with docker/dockerfile:1.4
	for _, ref := range []string{"docker/dockerfile:1", "docker.io/docker/dockerfile:1.4", "docker/dockerfile"} {
		_, events, err := w.Build(map[string]string{"Dockerfile": "# syntax=" + ref + "\n" + rest}, images.Options{NoCache: true})
		if err != nil || len(warnings(events)) != 0 {
			t.Errorf("%s: %v, warnings %q", ref, err, warnings(events))
		}
		if diff := cmp.Diff([]string{"here"}, lines(events)); diff != "" {
			t.Errorf("%s: log (-want +got):\n%s", ref, diff)
		}
	}
	_, events, err := w.Build(map[string]string{"Dockerfile": "# syntax=docker/dockerfile:1.999\n" + rest}, images.Options{})
	if err != nil || len(warnings(events)) != 1 || !strings.Contains(warnings(events)[0], "docker/dockerfile:1.999 of the syntax line cannot be had") {
		t.Errorf("a newer one: %v, warnings %q", err, warnings(events))
	}
	_, _, err = w.Build(map[string]string{"Dockerfile": "# syntax=" + imagestest.Host + "/team/frontend:1\nFROM scratch\n"}, images.Options{})
	if slipway.CodeOf(err) != slipway.CodeUnavailable || !strings.Contains(err.Error(), "team/frontend:1, which cannot be had") {
		t.Errorf("one of others: %v", err)
	}
}

// What was asked for is not there: the error says what to write.
func TestAskedForWrong(t *testing.T) {
	t.Parallel()
	w := imagestest.New(t, imagestest.Setup{})
	_, _, err := w.Build(map[string]string{"Dockerfile": "FROM scratch AS app\n"}, images.Options{Target: "none"})
	if slipway.CodeOf(err) != slipway.CodeInvalid || images.Message(err) != `the Dockerfile has no stage "none": name one that stands after AS in a FROM, or its number` {
		t.Errorf("a stage: %v", err)
	}
	_, _, err = images.Solve(t.Context(), w.Dial(), images.Request{SolveOpt: client.SolveOpt{Frontend: "other.v0"}}, nil)
	if slipway.CodeOf(err) != slipway.CodeInvalid || !strings.Contains(images.Message(err), `no frontend "other.v0": write dockerfile.v0`) {
		t.Errorf("a frontend: %v", err)
	}
}

func TestRunOptions(t *testing.T) {
	t.Parallel()
	w := imagestest.New(t, imagestest.Setup{})
	key := filepath.Join(t.TempDir(), "key")
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v: %s", err, out)
	}
	_, events, err := w.Build(map[string]string{"Dockerfile": strings.Join([]string{
		"FROM busybox:1",
		"COPY --from=more note.txt /",
		"COPY --from=tools /bin/busybox /copied",
		"RUN cat /note.txt",
		"RUN cat /etc/hosts | grep elsewhere",
		"RUN ip -o addr show | awk '{print $2}' | head -n 1; ip route | wc -l | tr -d ' '",
		"RUN ulimit -n",
		"RUN df -m /dev/shm | grep shm | awk '{print $2}'",
		"RUN --mount=type=ssh ls $SSH_AUTH_SOCK",
		"",
	}, "\n")}, images.Options{
		Contexts: map[string]string{"more": w.Folder(map[string]string{"note.txt": "of another folder\n"}), "tools": "docker-image://busybox:1"},
		Hosts:    []string{"elsewhere=192.0.2.7"}, Network: "none", Ulimits: []string{"nofile=321:321"}, ShmSize: 7 << 20,
		SSH: []images.SSH{{ID: "default", Paths: []string{key}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"of another folder", "192.0.2.7\telsewhere", "lo", "0", "321", "7", "/run/buildkit/ssh_agent.0"}
	got := lines(events)
	slices.Sort(want) // steps that need one another not may run in any order
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

func TestOutputs(t *testing.T) {
	t.Parallel()
	w, dir := imagestest.New(t, imagestest.Setup{}), t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	_, _, err := w.Build(map[string]string{"Dockerfile": "FROM scratch\nCOPY a.txt /b/a.txt\n", "a.txt": "hello"}, images.Options{
		Tags: []string{imagestest.Host + "/team/out:1"}, Outputs: []images.Output{
			{Type: "local", Dest: file("folder")}, {Type: "tar", Dest: file("files.tar")}, {Type: "oci", Dest: file("oci.tar")}, {Type: "docker", Dest: file("docker.tar")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(file("folder/b/a.txt")); err != nil || string(b) != "hello" {
		t.Errorf("the folder holds %q (%v)", b, err)
	}
	if got := untar(t, file("files.tar"))["b/a.txt"]; got != "hello" {
		t.Errorf("the tar file holds %q", got)
	}
	var layout struct{ ImageLayoutVersion string }
	if err := json.Unmarshal([]byte(untar(t, file("oci.tar"))["oci-layout"]), &layout); err != nil || layout.ImageLayoutVersion != "1.0.0" {
		t.Errorf("the layout is of version %q (%v)", layout.ImageLayoutVersion, err)
	}
	var saved []struct{ RepoTags []string } // docker save's manifest.json
	if err := json.Unmarshal([]byte(untar(t, file("docker.tar"))["manifest.json"]), &saved); err != nil || len(saved) != 1 || saved[0].RepoTags[0] != imagestest.Host+"/team/out:1" {
		t.Errorf("docker's archive names %v (%v)", saved, err)
	}
}

func untar(t *testing.T, path string) map[string]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := map[string]string{}
	for tr := tar.NewReader(f); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		out[h.Name] = string(b)
	}
}

func TestPlatforms(t *testing.T) {
	t.Parallel()
	w := imagestest.New(t, imagestest.Setup{})
	both := []string{"linux/amd64", "linux/arm64"}
	name := imagestest.Host + "/team/both:1"
	_, _, err := w.Build(map[string]string{"Dockerfile": "FROM --platform=$BUILDPLATFORM busybox:1 AS build\nARG TARGETARCH\nRUN echo $TARGETARCH > /arch\nFROM scratch\nCOPY --from=build /arch /\n"},
		images.Options{Platforms: both, Tags: []string{name}, Push: true, Annotations: map[string]string{"index:org.example.of": "both"}})
	if err != nil {
		t.Fatal(err)
	}
	index := w.PullIndex("team/both:1")
	m, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if m.Annotations["org.example.of"] != "both" {
		t.Errorf("annotations are %v", m.Annotations)
	}
	got := map[string]string{}
	for _, d := range m.Manifests {
		img, err := index.Image(d.Digest)
		if err != nil {
			t.Fatal(err)
		}
		got[d.Platform.String()] = imagestest.Files(t, img)["arch"]
	}
	if diff := cmp.Diff(map[string]string{"linux/amd64": "amd64\n", "linux/arm64": "arm64\n"}, got); diff != "" {
		t.Errorf("images (-want +got):\n%s", diff)
	}

	// A program of another processor, as a RUN in a stage of the target's platform is: an ELF header of AArch64 without more.
	elf := append([]byte("\x7fELF\x02\x01\x01"), make([]byte, 57)...)
	elf[16], elf[18], elf[20], elf[52] = 2, 183, 1, 64
	dir := w.Folder(map[string]string{"Dockerfile": "FROM scratch\nCOPY sh /bin/sh\n\nRUN echo never\n", "sh": string(elf)})
	if err := os.Chmod(filepath.Join(dir, "sh"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, _, err = w.BuildFolder(images.Options{ContextDir: dir, Platforms: []string{"linux/arm64"}})
	var p *slipway.Problem
	if !errors.As(err, &p) || p.Position == nil || p.Position.Line != 4 || !strings.Contains(p.Message, "cannot run programs of linux/arm64") || !strings.Contains(p.Message, "FROM --platform=$BUILDPLATFORM") {
		t.Errorf("a RUN that needs emulation: %v", err)
	}
}

func TestAttestations(t *testing.T) {
	t.Parallel()
	w := imagestest.New(t, imagestest.Setup{})
	scanner := imagestest.Host + "/team/scanner:1"
	// BuildKit's protocol for scanners (docs/attestations/sbom-protocol.md): a file NAME.spdx.json in BUILDKIT_SCAN_DESTINATION.
	_, _, err := w.Build(map[string]string{"Dockerfile": `FROM busybox:1
ENTRYPOINT ["/bin/sh", "-c", "echo '{\"_type\": \"https://in-toto.io/Statement/v0.1\", \"predicateType\": \"https://spdx.dev/Document\", \"predicate\": {\"name\": \"of a test\"}}' > $BUILDKIT_SCAN_DESTINATION/a.spdx.json"]
`}, images.Options{Tags: []string{scanner}, Push: true})
	if err != nil {
		t.Fatal(err)
	}
	o := images.Options{Tags: []string{imagestest.Host + "/team/attested:1"}, Push: true, Source: "https://git.example/shop", Revision: strings.Repeat("a", 40), Attestations: []images.Attestation{
		{Kind: "provenance", Attributes: map[string]string{"mode": "max", "builder-id": "https://slipway.example/run/7"}},
		{Kind: "sbom", Attributes: map[string]string{"generator": scanner}},
	}}
	files := map[string]string{"Dockerfile": "FROM busybox:1\nRUN true\n"}
	if _, _, err := w.Build(files, o); err != nil {
		t.Fatal(err)
	}
	statements := attached(t, w.PullIndex("team/attested:1"))
	for predicate, text := range map[string]string{
		"https://slsa.dev/provenance/v1": `"https://slipway.example/run/7"`,
		"https://spdx.dev/Document":      `"of a test"`,
	} {
		if !strings.Contains(statements[predicate], text) {
			t.Errorf("the statement %s has no %s:\n%s", predicate, text, statements[predicate])
		}
	}
	if p := statements["https://slsa.dev/provenance/v1"]; !strings.Contains(p, o.Revision) || !strings.Contains(p, o.Source) {
		t.Errorf("the provenance names no source:\n%s", p)
	}

	o.Attestations = []images.Attestation{{Kind: "sbom", Attributes: map[string]string{"generator": images.DefaultScanner}}}
	if _, _, err := w.Build(files, o); slipway.CodeOf(err) != slipway.CodeUnavailable || !strings.Contains(err.Error(), "--sbom=generator=IMAGE") {
		t.Errorf("without the scanner: %v", err)
	}
}

// attached are the in-toto statements beside an image, by their predicates.
func attached(t *testing.T, index v1.ImageIndex) map[string]string {
	t.Helper()
	m, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, d := range m.Manifests {
		if d.Annotations["vnd.docker.reference.type"] != "attestation-manifest" {
			continue
		}
		img, err := index.Image(d.Digest)
		if err != nil {
			t.Fatal(err)
		}
		layers, err := img.Layers()
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range layers {
			r, err := l.Compressed()
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(r)
			r.Close()
			if err != nil {
				t.Fatal(err)
			}
			var statement struct{ PredicateType string }
			if err := json.Unmarshal(b, &statement); err != nil {
				t.Fatal(err)
			}
			out[statement.PredicateType] = string(b)
		}
	}
	return out
}

func TestExternalCaches(t *testing.T) {
	t.Parallel()
	w := imagestest.New(t, imagestest.Setup{})
	dir := w.Folder(map[string]string{"Dockerfile": "FROM busybox:1\nRUN head -c 16 /dev/urandom > /random\n"})
	local := t.TempDir()
	for kind, attributes := range map[string]struct{ to, from map[string]string }{
		"registry": {map[string]string{"ref": imagestest.Host + "/team/cache:1", "mode": "max"}, map[string]string{"ref": imagestest.Host + "/team/cache:1"}},
		"local":    {map[string]string{"dest": local, "mode": "max"}, map[string]string{"src": local}},
		"inline":   {nil, map[string]string{"ref": imagestest.Host + "/team/inline:1"}},
	} {
		first, _, err := w.BuildIn(images.Scope{Name: "writes-" + kind}, images.Options{ContextDir: dir, CacheTo: []images.Cache{{Type: kind, Attributes: attributes.to}},
			Tags: []string{imagestest.Host + "/team/" + kind + ":1"}, Push: true})
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		from := kind
		if kind == "inline" {
			from = "registry"
		}
		second, events, err := w.BuildIn(images.Scope{Name: "reads-" + kind}, images.Options{ContextDir: dir, CacheFrom: []images.Cache{{Type: from, Attributes: attributes.from}}})
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		if diff := cmp.Diff([]progress.EventKind{progress.EventCached}, ends(events, "RUN ")); diff != "" || kind != "inline" && first.Digest != second.Digest {
			t.Errorf("%s: %s and then %s (-want +got):\n%s", kind, first.Digest, second.Digest, diff)
		}
	}
}

func TestStatusIsBuildKits(t *testing.T) {
	t.Parallel()
	w := imagestest.New(t, imagestest.Setup{})
	var raw bytes.Buffer
	result, _, err := w.Build(map[string]string{"Dockerfile": "FROM busybox:1\nRUN echo hello\n"}, images.Options{Status: &raw})
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	for d := json.NewDecoder(&raw); ; {
		var s struct{ Logs []struct{ Data []byte } } // client.SolveStatus, as buildx --progress=rawjson writes it
		if err := d.Decode(&s); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		for _, l := range s.Logs {
			log.Write(l.Data)
		}
	}
	if log.String() != "hello\n" {
		t.Errorf("the messages hold the log %q", log.String())
	}
	if cached, of := result.Summary.Cached(); cached != 0 || of != 2 {
		t.Errorf("%d of %d steps are cached, want 0 of 2: %+v", cached, of, result.Summary)
	}
}

// When a step fails, another one that is given up for it is no failure of its own.
func TestStepIsGivenUp(t *testing.T) {
	t.Parallel()
	w := imagestest.New(t, imagestest.Setup{})
	const file = `FROM busybox:1 AS slow
RUN --mount=type=cache,target=/c touch /c/began && sleep 600
FROM busybox:1 AS broken
RUN --mount=type=cache,target=/c until [ -e /c/began ]; do sleep 0.1; done; exit 3
FROM scratch
COPY --from=slow /c /c
COPY --from=broken /c /d
`
	_, events, err := w.Build(map[string]string{"Dockerfile": file}, images.Options{})
	if code, ok := images.StepExit(err); !ok || code != 3 || !strings.HasPrefix(images.Message(err), "Dockerfile:4:1: [broken 2/2] RUN") {
		t.Errorf("%v, want step broken with 3", err)
	}
	if diff := cmp.Diff([]progress.EventKind{progress.EventCancelled}, ends(events, "sleep 600")); diff != "" {
		t.Errorf("the slow step (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]progress.EventKind{progress.EventFailed}, ends(events, "exit 3")); diff != "" {
		t.Errorf("the broken step (-want +got):\n%s", diff)
	}
}
