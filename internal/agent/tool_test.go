package agent

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/agent/tool"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/plan"
	catalogue "slipway/internal/pipelines/task"
	"slipway/internal/pipelines/variable"
	"slipway/internal/programtest"
)

// toolJob is a job whose steps are tasks, run one after the other without a server, but for what takes test results.
type toolJob struct {
	*runner
	t     *testing.T
	path  string // PATH of the steps
	env   map[string]string
	steps int
	named string // the name of the next step
	last  *job.StepRecord

	mu    sync.Mutex
	runs  []job.TestRun // guarded by mu
	files []string      // attached to them, as TITLE: NAME: CONTENTS; guarded by mu
}

func newToolJob(t *testing.T, variables map[string]string) *toolJob {
	t.Helper()
	j := &toolJob{t: t, path: filepath.Join(t.TempDir(), "path"), env: map[string]string{"HOME": t.TempDir()}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/attachments") {
			text, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			j.mu.Lock()
			defer j.mu.Unlock()
			j.files = append(j.files, r.URL.Query().Get("title")+": "+r.URL.Query().Get("name")+": "+string(text))
			return
		}
		var run job.TestRun
		if err := json.NewDecoder(r.Body).Decode(&run); err != nil || !strings.HasSuffix(r.URL.Path, "/tests") {
			http.Error(w, "only test results are taken", http.StatusBadRequest)
			return
		}
		j.mu.Lock()
		defer j.mu.Unlock()
		j.runs = append(j.runs, run)
	}))
	t.Cleanup(server.Close)
	c := Config{URL: server.URL, Job: 1, Token: "secret-token", Folder: t.TempDir()}
	work := job.Assignment{}
	for name, text := range variables {
		work.Variables.PutText(name, text)
	}
	hard, stop := context.WithCancelCause(t.Context())
	t.Cleanup(func() { stop(nil) })
	j.runner = newRunner(c, newClient(c), newReporter(nil, t.TempDir(), nil), work, hard, stop)
	for _, folder := range []string{j.path, j.folders.sources, j.folders.staging, j.folders.temp, j.folders.tools} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return j
}

// run runs a task with its inputs completed, and gives its log.
func (j *toolJob) run(reference string, given map[string]string) (string, error) {
	j.t.Helper()
	d, err := catalogue.Catalog(nil).Find(reference)
	if err != nil {
		j.t.Fatal(err)
	}
	resolved, mistakes := d.Resolve(given)
	if len(mistakes) > 0 {
		j.t.Fatalf("%s: %v", reference, mistakes)
	}
	j.steps++
	st := &plan.Step{ID: j.steps, Name: j.named, Kind: plan.StepTask, Task: &plan.Task{Name: d.Name, Major: d.Major, Inputs: resolved}, Env: map[string]string{"PATH": j.path}}
	for name, text := range j.env {
		st.Env[name] = text
	}
	spool, err := j.reports.open(st.ID)
	if err != nil {
		j.t.Fatal(err)
	}
	log := &stepLog{spool: spool, mask: j.mask}
	j.last = &job.StepRecord{ID: st.ID}
	t := j.newTask(st, j.last, log)
	t.body = (*task).do
	err = t.try()
	log.Flush()
	text, readErr := os.ReadFile(spool.file.Name())
	if readErr != nil {
		j.t.Fatal(readErr)
	}
	var lines []string
	for _, line := range strings.Split(string(text), "\n") {
		_, line, _ = strings.Cut(line, " ")
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n"), err
}

// must runs a task that succeeds.
func (j *toolJob) must(reference string, given map[string]string) string {
	j.t.Helper()
	log, err := j.run(reference, given)
	if err != nil {
		j.t.Fatalf("%s: %v\n%s", reference, err, log)
	}
	return log
}

// value is a variable as the next step has it.
func (j *toolJob) value(name string) string {
	j.runner.mu.Lock()
	defer j.runner.mu.Unlock()
	return j.vars.Text(name)
}

// says runs a program as the next step would, and gives its output.
func (j *toolJob) says(name string, args ...string) string {
	j.t.Helper()
	st := &plan.Step{ID: 900, Env: map[string]string{"PATH": j.path}}
	spool, err := j.reports.open(st.ID)
	if err != nil {
		j.t.Fatal(err)
	}
	next := j.newTask(st, &job.StepRecord{}, &stepLog{spool: spool, mask: j.mask})
	next.ctx = j.t.Context()
	text, err := next.outputOf(j.folders.temp, nil, name, args...)
	if err != nil {
		j.t.Fatalf("%s: %v\n%s", name, err, text)
	}
	return strings.TrimSpace(text)
}

// write puts a file below the sources.
func (j *toolJob) write(name, text string) string {
	j.t.Helper()
	path := filepath.Join(j.folders.sources, name)
	writeProgram(j.t, path, text)
	return path
}

func writeProgram(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := programtest.Write(path, text); err != nil {
		t.Fatal(err)
	}
}

// sysPath is where the shells of programs come from.
const sysPath = "/usr/local/bin:/usr/bin:/bin"

// fakeMirror is an HTTP server with files of vendors' sites.
func fakeMirror(t *testing.T, files map[string][]byte) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, ok := files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(body)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// toolArchive is a .tar.gz of programs, with its SHA-256.
func toolArchive(t *testing.T, files map[string]string) (archive []byte, sum string) {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for name, text := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(text)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(b.Bytes())
	return b.Bytes(), hex.EncodeToString(digest[:])
}

func says(text string) string { return "#!/bin/sh\necho '" + text + "'\n" }

func TestToolsFromMirror(t *testing.T) {
	t.Parallel()
	node := "node-v20.11.1-linux-" + machineName()
	nodeArchive, nodeSum := toolArchive(t, map[string]string{node + "/bin/node": says("v20.11.1")})
	helmName := "helm-v3.15.2-linux-" + runtime.GOARCH + ".tar.gz"
	helm, helmSum := toolArchive(t, map[string]string{"linux-" + runtime.GOARCH + "/helm": says("v3.15.2")})
	mirror := fakeMirror(t, map[string][]byte{
		"/node/v20.11.1/" + node + ".tar.gz": nodeArchive, "/node/v20.11.1/SHASUMS256.txt": []byte(nodeSum + "  " + node + ".tar.gz\n"),
		"/helm/helm-latest-version": []byte("v3.15.2"), "/helm/" + helmName: helm, "/helm/" + helmName + ".sha256sum": []byte(helmSum + "  " + helmName + "\n"),
	})
	// A variable of the pipeline names one mirror, the server the other.
	j := newToolJob(t, map[string]string{"SLIPWAY_TOOL_MIRROR_NODE": mirror + "/node"})
	j.work.ToolMirrors = map[string]string{"helm": mirror + "/helm", "node": "http://never.invalid"}
	j.write(".nvmrc", "v20.11.1\n")
	log := j.must("NodeTool@0", map[string]string{"versionSource": "fromFile", "versionFilePath": ".nvmrc"})
	if got := j.says("node", "--version"); got != "v20.11.1" {
		t.Errorf("node says %s", got)
	}
	if !strings.Contains(log, "Downloading "+mirror+"/node/v20.11.1/"+node+".tar.gz") || !strings.Contains(log, "and the checksum is right") {
		t.Errorf("log\n%s", log)
	}
	j.must("HelmInstaller@1", nil)
	if got := j.says("helm", "version"); got != "v3.15.2" {
		t.Errorf("helm says %s", got)
	}
	if log := j.must("UseNode@1", map[string]string{"version": "20.x"}); strings.Contains(log, "Downloading") {
		t.Errorf("it is downloaded again\n%s", log)
	}
}

// The tools of this machine are used when their versions fit.
func TestToolsOnPath(t *testing.T) {
	t.Parallel()
	real := func(name string, args ...string) string {
		t.Helper()
		out, err := exec.Command(name, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("this test needs the program %s: %v", name, err)
		}
		return strings.TrimSpace(string(out))
	}
	j := newToolJob(t, nil)
	j.path = os.Getenv("PATH")

	j.must("GoTool@0", map[string]string{"version": strings.TrimPrefix(real("go", "env", "GOVERSION"), "go"), "goPath": "/the/gopath"})
	if got, want := j.value("GOROOT"), real("go", "env", "GOROOT"); got != want || j.value("GOPATH") != "/the/gopath" {
		t.Errorf("GOROOT %s, want %s; GOPATH %s", got, want, j.value("GOPATH"))
	}
	version := real("node", "--version")
	major, _, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	j.must("UseNode@1", map[string]string{"version": major + ".x"})
	if got := j.says("node", "--version"); got != version {
		t.Errorf("node %s, want %s", got, version)
	}
	j.named = "py"
	version = strings.TrimPrefix(real("python3", "--version"), "Python ")
	j.must("UsePythonVersion@0", map[string]string{"versionSpec": "3.x", "disableDownloadFromRegistry": "true"})
	if got := j.says("python", "--version"); got != "Python "+version {
		t.Errorf("python says %s, want %s", got, version)
	}
	if got, want := j.value("pythonLocation"), real("python3", "-c", "import sys; print(sys.prefix)"); got != want || j.value("py.pythonLocation") != want {
		t.Errorf("pythonLocation %s and %s, want %s", got, j.value("py.pythonLocation"), want)
	}
	j.named = ""
	_, rest, _ := strings.Cut(real("java", "-version"), `version "`)
	line := strings.TrimPrefix(rest[:strings.IndexAny(rest, `"`)], "1.")
	line, _, _ = strings.Cut(line, ".")
	j.must("JavaToolInstaller@0", map[string]string{"versionSpec": line, "jdkArchitectureOption": machineName(), "jdkSourceOption": "PreInstalled"})
	home := j.value("JAVA_HOME")
	if _, err := os.Stat(filepath.Join(home, "bin", "java")); err != nil || j.value("JAVA_HOME_"+line+"_"+strings.ToUpper(machineName())) != home {
		t.Errorf("JAVA_HOME %q: %v", home, err)
	}
}

func TestToolsOfTheImage(t *testing.T) {
	t.Parallel()
	j := newToolJob(t, nil)
	cache := t.TempDir()
	j.env["RUNNER_TOOL_CACHE"] = cache
	folder := filepath.Join(cache, "Python", "3.9.1", machineName())
	for _, name := range []string{"python3", "python", "pip"} {
		writeProgram(t, filepath.Join(folder, "bin", name), says("Python 3.9.1"))
	}
	writeProgram(t, folder+".complete", "")
	j.must("UsePythonVersion@0", map[string]string{"versionSpec": "3.9"})
	if got := j.value("pythonLocation"); got != folder {
		t.Errorf("pythonLocation %s, want %s", got, folder)
	}
	if diff := cmp.Diff([]string{filepath.Join(folder, "bin"), folder}, j.runner.path); diff != "" {
		t.Errorf("PATH (-want +got)\n%s", diff)
	}
	_, err := j.run("UsePythonVersion@0", map[string]string{"versionSpec": "3.8", "disableDownloadFromRegistry": "true"})
	want := "Python 3.8 is not there: the image's tool cache has 3.9.1, the job's tool folder has nothing, PATH has "
	if err == nil || !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), "the task allows no download") {
		t.Errorf("%v, want %s", err, want)
	}
	if _, err := j.run("UsePythonVersion@0", map[string]string{"versionSpec": "pypy3.9"}); err == nil || !strings.Contains(err.Error(), "PyPy is not installed") {
		t.Errorf("PyPy: %v", err)
	}
}

func TestJavaFromArchive(t *testing.T) {
	t.Parallel()
	j := newToolJob(t, nil)
	archive, _ := toolArchive(t, map[string]string{"jdk-11.0.2/bin/java": says("openjdk"), "jdk-11.0.2/release": ""})
	path := filepath.Join(j.folders.sources, "OpenJDK11.tar.gz")
	if err := os.WriteFile(path, archive, 0o600); err != nil {
		t.Fatal(err)
	}
	given := map[string]string{"versionSpec": "11", "jdkArchitectureOption": "x64", "jdkSourceOption": "LocalDirectory", "jdkFile": "OpenJDK11.tar.gz", "jdkDestinationDirectory": "$(Agent.ToolsDirectory)/java"}
	j.must("JavaToolInstaller@0", given)
	want := filepath.Join(j.folders.tools, "java", "JAVA_HOME_11_X64_OpenJDK11_tar.gz", "jdk-11.0.2")
	if got := j.value("JAVA_HOME"); got != want || j.value("JAVA_HOME_11_X64") != want {
		t.Errorf("JAVA_HOME %s, want %s", got, want)
	}
	given["jdkFile"] = "OpenJDK11.7z"
	j.write("OpenJDK11.7z", "")
	if _, err := j.run("JavaToolInstaller@1", given); err == nil || !strings.Contains(err.Error(), "is neither .tar.gz nor .zip") {
		t.Errorf("%v", err)
	}
}

func TestDotNetSideBySide(t *testing.T) {
	t.Parallel()
	j := newToolJob(t, nil)
	cache := t.TempDir()
	j.env["RUNNER_TOOL_CACHE"] = cache
	for _, one := range [][3]string{{"dotnet-sdk", "8.0.302", "8.0.6"}, {"dotnet-runtime", "6.0.31", "6.0.31"}, {"dotnet-sdk", "8.0.410", "8.0.16"}} {
		folder := filepath.Join(cache, one[0], one[1], machineName())
		writeProgram(t, filepath.Join(folder, "dotnet"), says("host "+one[2]))
		writeProgram(t, filepath.Join(folder, "host", "fxr", one[2], "libhostfxr.so"), "")
		writeProgram(t, folder+".complete", "")
	}
	j.write("global.json", "{\n  // the one that is installed\n  \"sdk\": {\"version\": \"8.0.301\", \"rollForward\": \"latestPatch\"} /* band 3 */\n}\n")
	j.must("UseDotNet@2", map[string]string{"useGlobalJson": "true"})
	j.must("UseDotNet@2", map[string]string{"packageType": "runtime", "version": "6.0.x"})
	root := filepath.Join(j.folders.tools, "dotnet")
	for _, name := range []string{"8.0.6", "6.0.31"} {
		if _, err := os.Stat(filepath.Join(root, "host", "fxr", name)); err != nil {
			t.Error(err)
		}
	}
	if got := j.says("dotnet"); got != "host 8.0.6" {
		t.Errorf("dotnet is %q: the newest host must stay", got)
	}
	if j.value("DOTNET_ROOT") != root || j.value("DOTNET_MULTILEVEL_LOOKUP") != "0" {
		t.Errorf("DOTNET_ROOT %s, DOTNET_MULTILEVEL_LOOKUP %s", j.value("DOTNET_ROOT"), j.value("DOTNET_MULTILEVEL_LOOKUP"))
	}
	j.must("UseDotNet@2", map[string]string{"version": "8.x"})
	if got := j.says("dotnet"); got != "host 8.0.16" {
		t.Errorf("dotnet is %q after a newer SDK", got)
	}
}

// The range that rollForward allows is that of Azure's task (versionutilities.ts, applyRollForwardPolicy).
func TestGlobalVersion(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"sdk":{"version":"6.0.403"}}`:                                    "6.0.403",
		`{"sdk":{"version":"6.0.403","rollForward":"disable"}}`:            "6.0.403",
		`{"sdk":{"version":"6.0.403","rollForward":"latestPatch"}}`:        ">=6.0.400 <6.0.500",
		`{"sdk":{"version":"6.0.403","rollForward":"feature"}}`:            "6.0.x",
		`{"sdk":{"version":"6.0.403","rollForward":"latestMajor"}}`:        "6.x",
		`{"sdk":{"version":"8.0.100" /* "x" */}, "a": "http://b" } // end`: "8.0.100",
		``:                    "",
		`{"msbuild-sdks":{}}`: "",
	} {
		path := filepath.Join(t.TempDir(), "global.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := globalVersion(path); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", text, got, err, want)
		}
	}
}

func TestInstallersThatInstallNothing(t *testing.T) {
	t.Parallel()
	j := newToolJob(t, nil)
	if log := j.must("DockerInstaller@0", nil); !strings.Contains(log, "The job has a docker of its own") {
		t.Errorf("log\n%s", log)
	}
	if log := j.must("NuGetToolInstaller@1", nil); !strings.Contains(log, "##[warning]nuget.exe is a program of Windows and is not installed") {
		t.Errorf("log\n%s", log)
	}
	writeProgram(t, filepath.Join(j.path, "dotnet"), says(""))
	if log := j.must("NuGetToolInstaller@0", nil); strings.Contains(log, "##[warning]") || !strings.Contains(log, "restore packages by dotnet, which is "+j.path) {
		t.Errorf("log\n%s", log)
	}
}

// The names that the server takes for mirrors are those of the tools.
func TestMirroredTools(t *testing.T) {
	t.Parallel()
	want := []string{"goproxy", "nuget"}
	for _, one := range []*tool.Tool{tool.DotNetSDK, tool.Go, tool.Helm, tool.Java, tool.Kubectl, tool.Kubelogin, tool.Node, tool.OPA, tool.Python, tool.Terraform} {
		want = append(want, one.Name)
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, job.MirroredTools()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	j := newToolJob(t, map[string]string{"SLIPWAY_TOOL_MIRROR_GO": "https://one"})
	j.runner.vars.Put("SLIPWAY_TOOL_MIRROR_NODE", variable.Value{Text: "https://user:password@two", Secret: true})
	j.work.ToolMirrors = map[string]string{"go": "https://three", "helm": "https://four"}
	st := j.newTask(&plan.Step{}, &job.StepRecord{}, &stepLog{mask: j.mask})
	got := fmt.Sprint(st.mirror("go"), " ", st.mirror("node"), " ", st.mirror("helm"), " ", st.mirror("java"))
	if got != "https://one https://user:password@two https://four " {
		t.Errorf("mirrors %s", got)
	}
}

func TestUseRuby(t *testing.T) {
	t.Parallel()
	j := newToolJob(t, nil)
	j.env["PATH"] = j.path + ":" + sysPath
	cache := filepath.Join(t.TempDir(), "tools")
	j.env["RUNNER_TOOL_CACHE"] = cache
	folder := filepath.Join(cache, "Ruby", "3.2.4", machineName())
	writeProgram(t, filepath.Join(folder, "bin", "ruby"), says("ruby 3.2.4"))
	writeProgram(t, folder+".complete", "")
	writeProgram(t, filepath.Join(j.path, "ruby"), says("ruby 3.1.2p20 (2022-04-12 revision 4491bb740a) [x86_64-linux-gnu]"))
	j.must("UseRubyVersion@0", map[string]string{"versionSpec": "3.1.x"})
	if got := j.value("rubyLocation"); got != j.path {
		t.Errorf("rubyLocation of the one on PATH is %s", got)
	}
	log := j.must("UseRubyVersion@0", nil)
	if got := j.value("rubyLocation"); got != filepath.Join(folder, "bin") || !strings.Contains(log, folder+"/bin is put before PATH.") {
		t.Errorf("rubyLocation is %s\n%s", got, log)
	}
	if log := j.must("UseRubyVersion@0", map[string]string{"versionSpec": "= 3.2", "addToPath": "false"}); strings.Contains(log, "before PATH") {
		t.Errorf("log\n%s", log)
	}
	if _, err := j.run("UseRubyVersion@0", map[string]string{"versionSpec": "2.x"}); err == nil || !strings.Contains(err.Error(), "Ruby 2.x is not there: the image's tool cache has 3.2.4") {
		t.Errorf("%v", err)
	}
}

func TestDotNetCoreInstaller(t *testing.T) {
	t.Parallel()
	j := newToolJob(t, nil)
	folder := filepath.Join(j.folders.tools, "dotnet-sdk", "8.0.302", machineName())
	writeProgram(t, filepath.Join(folder, "dotnet"), says("host"))
	writeProgram(t, folder+".complete", "")
	root := filepath.Join(j.folders.tools, "dotnet")
	for task, version := range map[string]string{"DotNetCoreInstaller@0": "8.0.302", "DotNetCoreInstaller@1": "8.x"} {
		log := j.must(task, map[string]string{"version": version})
		if got := j.value("DOTNET_ROOT"); got != root || !strings.Contains(log, root+" is put before PATH.") || j.says("dotnet") != "host" {
			t.Errorf("%s: DOTNET_ROOT is %s\n%s", task, got, log)
		}
	}
}
