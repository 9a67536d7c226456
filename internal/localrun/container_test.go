package localrun_test

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"slipway/internal/pipelines/schedule"
	"slipway/internal/programtest"
)

// podman is a real engine with a storage of its own, and the agent that jobs run in it.
type podman struct{ program, agent string }

// thePodman is made once for all tests; its folder goes when they are over.
var thePodman = sync.OnceValues(func() (podman, error) {
	folder, err := os.MkdirTemp("", "localrun-podman-")
	if err != nil {
		return podman{}, err
	}
	podmanFolder = folder
	program, err := programtest.Podman(folder)
	p := podman{program, filepath.Join(folder, "slipway-agent")}
	if err != nil {
		return p, err
	}
	build := exec.Command("go", "build", "-o", p.agent, "slipway/cmd/slipway-agent")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return p, fmt.Errorf("build the agent: %w: %s", err, out)
	}
	files, err := imageFiles()
	if err != nil {
		return p, err
	}
	return p, programtest.Import(program, files, map[string]string{
		"localhost/tools:1": "",
		"localhost/web:1":   programtest.WebServer,
		"localhost/user:1":  "USER 1234",
		"localhost/own:1":   "USER 1234", // of tests that others must not see the containers of
	})
})

var podmanFolder string

func TestMain(m *testing.M) {
	if folder := os.Getenv(aloneIn); folder != "" {
		os.Exit(runAlone(folder))
	}
	code := m.Run()
	if podmanFolder != "" {
		os.RemoveAll(podmanFolder)
	}
	os.Exit(code)
}

// imageFiles are a small Linux as a tar file: busybox, and git with the libraries that it needs.
func imageFiles() ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	var errs error
	file := func(name, source string) {
		b, err := os.ReadFile(source)
		if err == nil {
			if err = w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(b))}); err == nil {
				_, err = w.Write(b)
			}
		}
		if err != nil && errs == nil {
			errs = err
		}
	}
	link := func(name, to string) {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: to, Mode: 0o777}); err != nil && errs == nil {
			errs = err
		}
	}
	for _, dir := range []string{"bin/", "tmp/", "etc/"} {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o777}); err != nil {
			return nil, err
		}
	}
	file("bin/busybox", "/bin/busybox")
	for _, applet := range []string{"sh", "cat", "echo", "mkdir", "httpd", "wget", "id", "sleep", "touch", "test"} {
		link("bin/"+applet, "busybox")
	}
	git, err := exec.LookPath("git")
	if err != nil {
		return nil, err
	}
	file("bin/git", git)
	for _, name := range []string{"git-upload-pack", "git-index-pack"} {
		link("bin/"+name, "git")
	}
	libraries, err := exec.Command("ldd", git).Output()
	if err != nil {
		return nil, err
	}
	for _, word := range strings.Fields(string(libraries)) {
		if strings.HasPrefix(word, "/") {
			file(strings.TrimPrefix(word, "/"), word)
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), errs
}

// inPodman is a world whose containers run at podman.
func inPodman(t *testing.T, pipeline string) *world {
	t.Helper()
	p, err := thePodman()
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, pipeline)
	w.options.Engine, w.options.Agent = p.program, p.agent
	return w
}

func (w *world) podman(args ...string) string {
	w.t.Helper()
	out, err := exec.Command(w.options.Engine, args...).CombinedOutput()
	if err != nil {
		w.t.Fatalf("podman %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// left is what the engine still has of a job's name.
func (w *world) left(name string) string {
	w.t.Helper()
	return w.podman("ps", "--all", "--filter", "name="+name, "--format", "{{.Names}}") +
		w.podman("network", "ls", "--filter", "name="+name, "--format", "{{.Name}}") + w.podman("volume", "ls", "--filter", "name="+name, "--format", "{{.Name}}")
}

func TestJobsInContainers(t *testing.T) {
	t.Parallel()
	w := inPodman(t, `
resources:
  containers:
  - container: page
    image: localhost/web:1
    env: {WORD: of-the-service}
    volumes: [pages:/www]
    options: --health-cmd "wget -qO- http://127.0.0.1/" --health-interval 1s --health-retries 60
variables:
  image: localhost/tools:1
jobs:
- job: inside
  container:
    image: $(image)
    env: {COLOUR: blue}
    volumes: ['pages:/seen:ro']
    options: --tmpfs /fast --shm-size 16m --add-host other:127.0.0.1
  services: {web: page}
  steps:
  - script: |
      echo "$COLOUR in $(Build.SourcesDirectory) as $(id -u)"
      cat hello.txt
      wget -qO- http://web/
      echo "shared $(cat /seen/index.html), $(touch /seen/x 2>/dev/null || echo not to be written)"
      touch /fast/x
      echo "##vso[task.setvariable variable=word;isOutput=true]made inside"
    name: set
  - script: mkdir out && echo artifact >out/file.txt
  - publish: out
    artifact: drop
- job: outside
  dependsOn: inside
  variables: {word: "$[ dependencies.inside.outputs['set.word'] ]"}
  steps:
  - download: current
    artifact: drop
  - bash: echo "$(word), $(cat $(Pipeline.Workspace)/drop/file.txt)"
- job: user
  container: localhost/user:1
  steps:
  - script: touch mine && cat hello.txt && echo "user $(id -u)"
`)
	w.write("hello.txt", "hello from the working tree\n")
	r := w.run(t.Context())
	if !r.Succeeded() {
		t.Fatalf("result %s\n%s", r.Result, w.out.String())
	}
	w.said("inside | blue in /workspace/1/s as 0", "inside | hello from the working tree", "inside | pong of-the-service", "inside | shared pong of-the-service, not to be written", "outside | made inside, artifact",
		"user | user 1234", "user | hello from the working tree")
	if left := w.podman("ps", "--all", "--filter", "ancestor=localhost/user:1", "--format", "{{.Names}}"); left != "" {
		t.Errorf("the engine still has %s", left)
	}
}

// Steps run in other containers than the job, which share its files. Masks, the environment, exit codes and outputs are as anywhere.
func TestTargets(t *testing.T) {
	t.Parallel()
	w := inPodman(t, `
resources:
  containers:
  - container: tools
    image: localhost/tools:1
    env: {KIND: tools}
  - container: page
    image: localhost/web:1
    env: {KIND: page}
variables: {colour: red}
jobs:
- job: outside
  steps:
  - bash: echo "##vso[task.setvariable variable=hidden;issecret=true]sesame-street"
  - script: |
      echo "$KIND $COLOUR $MINE in $PWD, $(test -x /usr/bin/env || echo small)"
      cat hello.txt
      echo "$(hidden)"
      echo "container $(cat /etc/hostname)"
      mkdir -p made; echo inside >made/file.txt
      echo "##vso[task.setvariable variable=word;isOutput=true]of-the-target"
    name: set
    target: tools
    env: {MINE: "own $(hidden)"}
  - bash: echo "here $(cat made/file.txt), $(set.word), ${KIND:-none}"
  - script: echo refused "##vso[build.addbuildtag]x"; exit 3
    target: {container: page, commands: restricted}
    continueOnError: true
  - bash: echo "after $AGENT_JOBSTATUS"
- job: inside
  container: page
  steps:
  - script: echo "$KIND"; echo x >mine.txt
  - script: echo "$KIND $(cat mine.txt) as $(id -u)"
    target: tools
  - task: CmdLine@2
    inputs: {script: echo "the task in $KIND"}
    target: tools
`)
	w.write("hello.txt", "hello from the working tree\n")
	r := w.run(t.Context())
	if r.Result != schedule.SucceededWithIssues {
		t.Fatalf("result %s\n%s", r.Result, w.out.String())
	}
	w.said("outside | here inside, of-the-target, none", "outside | hello from the working tree", "outside | after SucceededWithIssues", "outside | ***",
		"outside | ##[warning]build.addbuildtag is not obeyed, since the step's target restricts its commands.",
		"inside | page", "inside | tools x as 0", "inside | the task in tools")
	for _, want := range []string{"outside | tools red own *** in ", ", small\n", "exited with code 3"} {
		if !strings.Contains(w.out.String(), want) {
			t.Errorf("the log does not say %q:\n%s", want, w.out.String())
		}
	}
	id := regexp.MustCompile(`outside \| container ([0-9a-f]{12})\n`).FindStringSubmatch(w.out.String())
	if id == nil {
		t.Fatalf("the target does not say which container it is:\n%s", w.out.String())
	}
	if left := w.podman("ps", "--all", "--filter", "id="+id[1], "--format", "{{.Names}}"); left != "" {
		t.Errorf("the engine still has %s", left)
	}
}

func TestCancelInTarget(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, job, target string }{
		{"another container", `resources: {containers: [{container: tools, image: "localhost/tools:1"}]}`, "tools"},
		{"the host of a job in a container", "container: localhost/tools:1", "host"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := inPodman(t, fmt.Sprintf(`
%s
steps:
- checkout: none
- script: |
    echo "it runs"
    sleep 600
  target: %[2]s
- script: echo "cleaned up in $PWD"
  condition: always()
  target: %[2]s
`, c.job, c.target))
			ctx, cancel := context.WithCancel(t.Context())
			w.options.Out = &trigger{w.options.Out, "\nit runs\n", cancel, bytes.Buffer{}}
			if r := w.run(ctx); r.Result != schedule.Canceled {
				t.Errorf("result %s", r.Result)
			}
			if !strings.Contains(w.out.String(), "cleaned up in /") {
				t.Errorf("the log:\n%s", w.out.String())
			}
		})
	}
}

// A job on the machine itself reaches a service by the port that is mapped.
func TestServicesOfJobsOnTheMachine(t *testing.T) {
	t.Parallel()
	port := programtest.FreePort(t)
	w := inPodman(t, fmt.Sprintf(`
resources:
  containers:
  - container: page
    image: localhost/web:1
    ports: ["%d:80"]
jobs:
- job: A
  services: {web: page}
  steps:
  - checkout: none
  - bash: |
      for i in 1 2 3 4 5 6 7 8 9 10; do
        if exec 3<>/dev/tcp/127.0.0.1/%d; then break; fi
        sleep 1
      done
      printf 'GET / HTTP/1.0\r\n\r\n' >&3
      cat <&3
`, port, port))
	if r := w.run(t.Context()); !r.Succeeded() {
		t.Errorf("result %s", r.Result)
	}
	if !strings.Contains(w.out.String(), "pong") {
		t.Errorf("the log:\n%s", w.out.String())
	}
}

// A canceled run stops the step in the container, runs what runs after a cancel, and leaves nothing.
func TestCancelInContainer(t *testing.T) {
	t.Parallel()
	w := inPodman(t, `
jobs:
- job: A
  container: localhost/tools:1
  services: {web: "localhost/web:1"}
  steps:
  - checkout: none
  - script: |
      echo "it runs"
      sleep 600
  - script: echo cleaned up
    condition: always()
`)
	ctx, cancel := context.WithCancel(t.Context())
	w.options.Out = &trigger{w.options.Out, "\nit runs\n", cancel, bytes.Buffer{}}
	r := w.run(ctx)
	w.said("it runs", "cleaned up")
	if r.Result != schedule.Canceled {
		t.Errorf("result %s", r.Result)
	}
}

// trigger calls do when what is written holds text.
type trigger struct {
	to interface {
		Write(p []byte) (int, error)
	}
	text string
	do   func()
	all  bytes.Buffer
}

func (t *trigger) Write(p []byte) (int, error) {
	t.all.Write(p)
	if strings.Contains(t.all.String(), t.text) {
		t.do()
	}
	return t.to.Write(p)
}

// What a killed run has left goes when the next one needs the engine; what belongs to one that still runs stays. It runs alone:
// any other run would tidy up as well, while this test is still making what is to be tidied up.
func TestWhatAKilledRunHasLeft(t *testing.T) {
	w := inPodman(t, `
jobs:
- job: A
  container: localhost/tools:1
  steps: [{checkout: none}, {script: echo ok}]
`)
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	gone := fmt.Sprintf("slipway-run-%d-1-77", dead.Process.Pid)
	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		t.Fatal(err)
	}
	began := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))[19]
	here := fmt.Sprintf("slipway-run-%d-%s-78", os.Getpid(), began)
	for _, name := range []string{gone, here} {
		w.podman("network", "create", "--label", "dev.slipway.run=x", name)
		w.podman("volume", "create", "--label", "dev.slipway.run=x", name)
		w.podman("run", "--detach", "--name", name, "--label", "dev.slipway.run=x", "--network", name, "--volume", name+":/data", "localhost/tools:1", "sleep", "600")
	}
	t.Cleanup(func() {
		w.podman("rm", "--force", "--time", "0", here)
		w.podman("network", "rm", here)
		w.podman("volume", "rm", here)
	})
	if r := w.run(t.Context()); !r.Succeeded() {
		t.Errorf("result %s\n%s", r.Result, w.out.String())
	}
	if left := w.left(gone); left != "" {
		t.Errorf("still there: %s", left)
	}
	if left := w.left(here); left != here+here+here {
		t.Errorf("of the run that goes on there is %q", left)
	}
}

func TestContainersThatCannotBe(t *testing.T) {
	t.Parallel()
	w := inPodman(t, `
jobs:
- job: missing
  container: localhost/not-there:1
  steps: [{checkout: none}, {script: echo no}]
- job: service
  services: {web: "localhost/not-there:2"}
  steps: [{checkout: none}, {script: echo no}]
- job: ill
  services: {web: {image: "localhost/web:1", options: --health-cmd 'test -e /never' --health-interval 1s --health-retries 1}}
  steps: [{checkout: none}, {script: echo no}]
`)
	r := w.run(t.Context())
	if r.Result != schedule.Failed {
		t.Errorf("result %s", r.Result)
	}
	for _, want := range []string{"image localhost/not-there:1 cannot be pulled by ", "image localhost/not-there:2 cannot be pulled by ",
		`service web (localhost/web:1) is not healthy: its check "test -e /never" did not succeed in 1 seconds`} {
		if !strings.Contains(w.out.String(), want) {
			t.Errorf("the log does not say %q:\n%s", want, w.out.String())
		}
	}
	p := w.options
	p.Folder, p.Agent = t.TempDir(), filepath.Join(t.TempDir(), "slipway-agent")
	w2 := &world{t: t, top: w.top, options: p}
	w2.options.Out = &w2.out
	w2.run(t.Context())
	if want := "slipway-agent, which runs in containers, is not beside slipway"; !strings.Contains(w2.out.String(), want) {
		t.Errorf("the log does not say %q:\n%s", want, w2.out.String())
	}
}
