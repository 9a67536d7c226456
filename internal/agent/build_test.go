package agent

import (
	"archive/zip"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/pipelines/job"
)

func TestNpm(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("npm"); err != nil {
		t.Fatalf("this test needs the program npm: %v", err)
	}
	var published atomic.Value
	registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			var body struct {
				Name string            `json:"name"`
				Tags map[string]string `json:"dist-tags"`
			}
			if err := json.NewDecoder(r.Body).Decode(&body); err == nil {
				published.Store(body.Name + "@" + body.Tags["latest"] + " by " + r.Header.Get("Authorization"))
			}
			_, _ = w.Write([]byte(`{}`))
			return
		}
		http.NotFound(w, r)
	}))
	t.Cleanup(registry.Close)
	j := newToolJob(t, nil)
	j.path = os.Getenv("PATH")
	for _, name := range []string{"update_notifier", "audit", "fund"} { // they would ask the public registry
		j.env["npm_config_"+name] = "false"
	}
	j.write("web/package.json", `{"name":"shop-web","version":"1.2.3","license":"MIT","dependencies":{"local":"file:../local"},"scripts":{"hello":"echo hello $NPM_CONFIG_LOGLEVEL"}}`)
	j.write("local/package.json", `{"name":"local","version":"1.0.0"}`)
	for _, command := range []string{"install", "ci"} {
		j.must("Npm@1", map[string]string{"command": command, "workingDir": "web"})
		if _, err := os.Stat(filepath.Join(j.folders.sources, "web", "node_modules", "local", "package.json")); err != nil {
			t.Errorf("%s: %v", command, err)
		}
	}
	log := j.must("Npm@1", map[string]string{"command": "custom", "customCommand": "run hello", "workingDir": "web", "verbose": "true"})
	if !strings.Contains(log, "##[command]npm run hello\n") || !strings.Contains(log, "\nhello verbose\n") {
		t.Errorf("log\n%s", log)
	}
	j.write("web/.npmrc", strings.TrimPrefix(registry.URL, "http:")+"/:_authToken=${NPM_TOKEN}\n")
	j.env["NPM_TOKEN"] = "token-of-the-registry"
	j.must("Npm@1", map[string]string{"command": "publish", "publishEndpoint": registry.URL + "/", "workingDir": "web"})
	if got := published.Load(); got != "shop-web@1.2.3 by Bearer token-of-the-registry" {
		t.Errorf("published %v", got)
	}
	j.withConnections(job.Connection{Name: "npm", URL: registry.URL + "/", Parameters: map[string]string{"apitoken": "token-of-the-connection"}, Secret: []string{"apitoken"}})
	const project = "@shop:registry=http://elsewhere.invalid/\n"
	j.write("scoped/package.json", `{"name":"@shop/web","version":"1.0.0","license":"MIT"}`)
	j.write("scoped/.npmrc", project)
	j.must("Npm@1", map[string]string{"command": "publish", "publishEndpoint": "npm", "workingDir": "scoped"})
	if got := published.Load(); got != "@shop/web@1.0.0 by Bearer token-of-the-connection" {
		t.Errorf("published %v", got)
	}
	if text := textOf(t, filepath.Join(j.folders.sources, "scoped", ".npmrc")); text != project {
		t.Errorf("the project's .npmrc is %q", text)
	}
	if _, err := j.run("Npm@1", map[string]string{"workingDir": "nowhere"}); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("%v", err)
	}
	if _, err := j.run("Npm@1", map[string]string{"command": "custom", "customCommand": "run no-such-script", "workingDir": "web"}); err == nil || err.Error() != "npm exited with code 1" {
		t.Errorf("%v", err)
	}
}

func TestNpmAuthenticate(t *testing.T) {
	t.Parallel()
	j := newToolJob(t, nil)
	j.write(".npmrc", "registry=https://public.example/\n@shop:registry=https://npm.example/shop/\n; a note\n@other:registry=\"https://other.example/\"\n//npm.example/:_authToken=${TOKEN}\n")
	log := j.must("npmAuthenticate@0", map[string]string{"workingFile": ".npmrc"})
	for _, want := range []string{
		"https://public.example/ has no token in ", "https://npm.example/shop/ has a token of its own.",
		"https://other.example/ has no token in " + j.folders.sources + "/.npmrc: if it is not public, add //other.example/:_authToken=${NPM_TOKEN}",
	} {
		if !strings.Contains(log, want) {
			t.Errorf("%q is not in the log\n%s", want, log)
		}
	}
	for path, want := range map[string]string{"npmrc": "is no .npmrc file", "away/.npmrc": "is not there"} {
		if _, err := j.run("npmAuthenticate@0", map[string]string{"workingFile": path}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
	for _, reference := range []string{"NuGetAuthenticate@1", "PipAuthenticate@1", "TwineAuthenticate@1"} {
		if log := j.must(reference, nil); !strings.Contains(log, "##[warning]There are no feeds of packages here") {
			t.Errorf("%s\n%s", reference, log)
		}
	}
}

// recorder is a program that notes its folder, arguments and the environment that is named, and does what do says.
func (j *toolJob) recorder(path, variables, do string) func() []string {
	j.t.Helper()
	file := filepath.Join(j.t.TempDir(), "calls")
	writeProgram(j.t, path, `#!/bin/bash
{ printf '%s' "$(basename "$0")"; printf ' [%s]' "$@"; for name in `+variables+`; do printf ' %s=%s' "$name" "${!name}"; done; printf ' in %s\n' "$PWD"; } >> '`+file+"'\n"+do+"\n")
	return func() []string {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil
		}
		_ = os.Remove(file)
		return strings.Split(strings.TrimSpace(strings.ReplaceAll(string(text), j.folders.sources, "SOURCES")), "\n")
	}
}

func (j *toolJob) testRuns() []job.TestRun {
	j.mu.Lock()
	defer j.mu.Unlock()
	runs := j.runs
	j.runs = nil
	return runs
}

const junitFile = `<testsuite name="shop"><testcase name="adds" classname="Cart"/><testcase name="removes" classname="Cart"><failure message="no"/></testcase></testsuite>`

func wantCalls(t *testing.T, calls func() []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, calls()); diff != "" {
		t.Errorf("calls (-want +got)\n%s", diff)
	}
}

// The arguments and their order are those of Azure's task (maventask.ts). fakeMaven stands in for mvn, which would fetch its
// plugins.
func TestMaven(t *testing.T) {
	t.Parallel()
	j := newToolJob(t, nil)
	j.path += ":" + sysPath
	fakeMaven := j.recorder(filepath.Join(strings.Split(j.path, ":")[0], "mvn"), "MAVEN_OPTS", `[ "$1" = -version ] || exit ${MVN_EXIT:-0}`)
	j.write("pom.xml", "<project/>")
	j.write("target/surefire-reports/TEST-cart.xml", junitFile)
	j.must("Maven@4", map[string]string{"goals": "clean verify", "options": `-B -Dname="a b"`, "testRunTitle": "unit"})
	wantCalls(t, fakeMaven, "mvn [-version] MAVEN_OPTS=-Xmx1024m in SOURCES", "mvn [-f] [SOURCES/pom.xml] [-B] [-Dname=a b] [clean] [verify] MAVEN_OPTS=-Xmx1024m in SOURCES")
	if runs := j.testRuns(); len(runs) != 1 || runs[0].Title != "unit" || len(runs[0].Results) != 2 {
		t.Errorf("test runs %v", runs)
	}
	j.env["MVN_EXIT"] = "3"
	if _, err := j.run("Maven@3", map[string]string{"mavenPomFile": "pom.xml", "mavenOptions": "-Xmx3g"}); err == nil || err.Error() != "mvn exited with code 3" {
		t.Errorf("%v", err)
	}
	wantCalls(t, fakeMaven, "mvn [-version] MAVEN_OPTS=-Xmx3g in SOURCES", "mvn [-f] [SOURCES/pom.xml] [package] MAVEN_OPTS=-Xmx3g in SOURCES")
	if runs := j.testRuns(); len(runs) != 1 {
		t.Errorf("the results of a build that failed: %v", runs)
	}
	delete(j.env, "MVN_EXIT")
	other := j.recorder(filepath.Join(j.folders.root, "maven", "bin", "mvn"), "JAVA_HOME", "")
	jdk := t.TempDir()
	j.must("Maven@4", map[string]string{"mavenVersionOption": "Path", "mavenDirectory": filepath.Join(j.folders.root, "maven"), "mavenSetM2Home": "true", "javaHomeOption": "Path", "jdkDirectory": jdk, "publishJUnitResults": "false"})
	wantCalls(t, other, "mvn [-version] JAVA_HOME="+jdk+" in SOURCES", "mvn [-f] [SOURCES/pom.xml] [package] JAVA_HOME="+jdk+" in SOURCES")
	if j.value("M2_HOME") != filepath.Join(j.folders.root, "maven") || len(j.testRuns()) > 0 {
		t.Errorf("M2_HOME %s", j.value("M2_HOME"))
	}
	if _, err := j.run("Maven@4", map[string]string{"mavenPomFile": "other/pom.xml"}); err == nil || !strings.Contains(err.Error(), "other/pom.xml is not there") {
		t.Errorf("%v", err)
	}
}

// The arguments are those of Azure's task (gradletask.ts).
func TestGradle(t *testing.T) {
	t.Parallel()
	j := newToolJob(t, nil)
	j.path += ":" + sysPath
	fakeGradle := j.recorder(filepath.Join(j.folders.sources, "gradlew"), "GRADLE_OPTS JAVA_HOME AZURE_ARTIFACTS_ENV_ACCESS_TOKEN VSTS_ENV_ACCESS_TOKEN", "")
	if err := os.Chmod(filepath.Join(j.folders.sources, "gradlew"), 0o644); err != nil {
		t.Fatal(err)
	}
	j.write("app/build.gradle", "")
	j.write("app/build/test-results/test/TEST-cart.xml", junitFile)
	j.env["JAVA_HOME_17_X64"] = "/the/jdk"
	j.must("Gradle@3", map[string]string{"workingDirectory": "app", "tasks": "clean build", "options": "--no-daemon", "jdkVersionOption": "1.17"})
	wantCalls(t, fakeGradle, "gradlew [--no-daemon] [clean] [build] GRADLE_OPTS=-Xmx1024m JAVA_HOME=/the/jdk AZURE_ARTIFACTS_ENV_ACCESS_TOKEN=secret-token VSTS_ENV_ACCESS_TOKEN=secret-token in SOURCES/app")
	if runs := j.testRuns(); len(runs) != 1 || len(runs[0].Results) != 2 {
		t.Errorf("test runs %v", runs)
	}
	if _, err := j.run("Gradle@4", map[string]string{"gradleWrapperFile": "app/gradlew"}); err == nil || !strings.Contains(err.Error(), "app/gradlew is not there") {
		t.Errorf("%v", err)
	}
}

func TestAnt(t *testing.T) {
	t.Parallel()
	j := newToolJob(t, nil)
	j.path += ":" + sysPath
	fakeAnt := j.recorder(filepath.Join(strings.Split(j.path, ":")[0], "ant"), "ANT_HOME", "")
	j.write("build.xml", "<project/>")
	j.must("Ant@1", map[string]string{"options": "-Dx=1", "targets": "clean test", "antHomeDirectory": j.folders.temp})
	wantCalls(t, fakeAnt, "ant [-buildfile] [SOURCES/build.xml] [-Dx=1] [clean] [test] ANT_HOME="+j.folders.temp+" in SOURCES")
}

func TestGoAndCMake(t *testing.T) {
	t.Parallel()
	j := newToolJob(t, nil)
	j.path += ":" + os.Getenv("PATH")
	want, err := exec.Command("go", "env", "GOARCH").Output()
	if err != nil {
		t.Fatal(err)
	}
	j.write("svc/go.mod", "module svc\n")
	if log := j.must("Go@0", map[string]string{"command": "custom", "customCommand": "env", "arguments": "GOARCH GOMOD", "workingDirectory": "svc"}); !strings.Contains(log, "\n"+string(want)+filepath.Join(j.folders.sources, "svc", "go.mod")+"\n") {
		t.Errorf("log\n%s", log)
	}
	if _, err := j.run("Go@0", map[string]string{"command": "build", "arguments": "./none", "workingDirectory": "svc"}); err == nil || err.Error() != "go exited with code 1" {
		t.Errorf("%v", err)
	}
	fakeCMake := j.recorder(filepath.Join(strings.Split(j.path, ":")[0], "cmake"), "", "")
	j.env["FLAVOUR"] = "sweet"
	j.must("CMake@1", map[string]string{"cmakeArgs": `.. -DNAME="a b" -DF=$FLAVOUR`})
	j.must("CMake@1", map[string]string{"cwd": "out", "cmakeArgs": "--build . -DF=$FLAVOUR -DC=`echo no`", "runInsideShell": "true"})
	wantCalls(t, fakeCMake, "cmake [..] [-DNAME=a b] [-DF=$FLAVOUR] in SOURCES/build", "cmake [--build] [.] [-DF=sweet] [-DC=`echo] [no`] in SOURCES/out")
}

// newDotNet is a job with fakeDotNet in place of dotnet; publish makes the output that it is told of.
func newDotNet(t *testing.T) (*toolJob, func() []string) {
	t.Helper()
	j := newToolJob(t, map[string]string{"Build.BuildNumber": "1.4.2-beta.1"})
	j.path += ":" + sysPath
	fakeDotNet := j.recorder(filepath.Join(strings.Split(j.path, ":")[0], "dotnet"), "", `
[ "$1" = "$DOTNET_FAILS" ] && exit 1
while [ $# -gt 0 ]; do
  [ "$1" = --output ] && mkdir -p "$2" && echo app > "$2/app.dll"
  shift
done`)
	j.write("web/web.csproj", `<Project Sdk="Microsoft.NET.Sdk.Web"></Project>`)
	j.write("lib/lib.csproj", `<Project Sdk="Microsoft.NET.Sdk"></Project>`)
	return j, fakeDotNet
}

// The commands are those of Azure's task (dotnetcore.ts, restorecommand.ts, packcommand.ts).
func TestDotNet(t *testing.T) {
	t.Parallel()
	j, calls := newDotNet(t)
	j.must("DotNetCoreCLI@2", nil)
	wantCalls(t, calls, "dotnet [build] in SOURCES")
	j.must("DotNetCoreCLI@2", map[string]string{"projects": "**/*.csproj", "arguments": "-c Release", "workingDirectory": "web"})
	wantCalls(t, calls, "dotnet [build] [SOURCES/lib/lib.csproj] [-c] [Release] in SOURCES/web", "dotnet [build] [SOURCES/web/web.csproj] [-c] [Release] in SOURCES/web")
	j.must("DotNetCoreCLI@2", map[string]string{"command": "run", "projects": "lib/lib.csproj"})
	wantCalls(t, calls, "dotnet [run] [--project] [SOURCES/lib/lib.csproj] in SOURCES")
	j.must("DotNetCoreCLI@2", map[string]string{"command": "custom", "custom": "tool", "arguments": "install -g x"})
	wantCalls(t, calls, "dotnet [tool] [install] [-g] [x] in SOURCES")
	j.must("DotNetCoreCLI@2", map[string]string{"command": "restore", "projects": "lib/*.csproj", "noCache": "true", "restoreDirectory": "pkgs", "restoreArguments": "--locked-mode"})
	wantCalls(t, calls, "dotnet [restore] [SOURCES/lib/lib.csproj] [--packages] [SOURCES/pkgs] [--no-cache] [--verbosity] [Normal] [--locked-mode] in SOURCES/lib")
	j.write("nuget.config", "<configuration/>")
	j.must("DotNetCoreCLI@2", map[string]string{"command": "restore", "feedsToUse": "config", "nugetConfigPath": "nuget.config", "verbosityRestore": "-"})
	wantCalls(t, calls, "dotnet [restore] [--configfile] [SOURCES/nuget.config] in SOURCES")
	j.must("DotNetCoreCLI@2", map[string]string{"command": "pack", "packagesToPack": "lib/*.csproj", "nobuild": "true", "configuration": "Release", "versioningScheme": "bySemVerBuildNumber", "packDirectory": "out", "verbosityPack": "-"})
	wantCalls(t, calls, "dotnet [pack] [SOURCES/lib/lib.csproj] [--output] [SOURCES/out] [--no-build] [/p:Configuration=Release] [/p:PackageVersion=1.4.2-beta.1] in SOURCES/lib")
	j.must("DotNetCoreCLI@2", map[string]string{"command": "pack", "packagesToPack": "lib/*.csproj", "versioningScheme": "byBuildNumber", "buildProperties": "A=1;B=2", "packDirectory": "out", "verbosityPack": "-"})
	wantCalls(t, calls, "dotnet [pack] [SOURCES/lib/lib.csproj] [--output] [SOURCES/out] [/p:A=1;B=2] [/p:PackageVersion=1.4.2] in SOURCES/lib")
	j.env["DOTNET_FAILS"] = "build"
	if _, err := j.run("DotNetCoreCLI@2", map[string]string{"projects": "**/*.csproj"}); err == nil || !strings.HasPrefix(err.Error(), "dotnet build failed for "+j.folders.sources+"/lib/lib.csproj, ") {
		t.Errorf("%v", err)
	}
	if len(calls()) != 2 {
		t.Error("one project that fails keeps the others from being built")
	}
	if _, err := j.run("DotNetCoreCLI@2", map[string]string{"projects": "none/*.csproj"}); err == nil || !strings.Contains(err.Error(), "no project matches none/*.csproj") {
		t.Errorf("%v", err)
	}
}

func TestDotNetPublish(t *testing.T) {
	t.Parallel()
	j, calls := newDotNet(t)
	out := filepath.Join(j.folders.staging, "out")
	content := func(path string) []string {
		t.Helper()
		r, err := zip.OpenReader(path)
		if err != nil {
			t.Error(err)
			return nil
		}
		defer r.Close()
		var names []string
		for _, f := range r.File {
			names = append(names, f.Name)
		}
		return names
	}
	// By default the web projects are published, each into OUTPUT/PROJECT.zip.
	j.must("DotNetCoreCLI@2", map[string]string{"command": "publish", "arguments": "--output " + out})
	wantCalls(t, calls, "dotnet [publish] [SOURCES/web/web.csproj] [--output] ["+out+"/web] in SOURCES")
	if got := content(out + "/web.zip"); !slices.Equal(got, []string{"app.dll"}) {
		t.Errorf("zip holds %v", got)
	}
	if _, err := os.Stat(out + "/web"); err == nil {
		t.Error("the folder is there beside its zip file")
	}
	// Without a folder of the project's own the zip file lies in the output folder.
	out = filepath.Join(j.folders.staging, "plain")
	j.must("DotNetCoreCLI@2", map[string]string{"command": "publish", "publishWebProjects": "false", "projects": "lib/lib.csproj", "modifyOutputPath": "false", "arguments": "--output " + out})
	wantCalls(t, calls, "dotnet [publish] [SOURCES/lib/lib.csproj] [--output] ["+out+"] in SOURCES")
	if got := content(out + "/plain.zip"); !slices.Equal(got, []string{"app.dll"}) {
		t.Errorf("zip holds %v", got)
	}
	// Without an output folder it is the one that dotnet makes below the project.
	j.write("lib/bin/Release/publish/lib.dll", "")
	j.must("DotNetCoreCLI@2", map[string]string{"command": "publish", "publishWebProjects": "false", "projects": "lib/lib.csproj"})
	if got := content(filepath.Join(j.folders.sources, "lib/bin/Release/publish.zip")); !slices.Equal(got, []string{"lib.dll"}) {
		t.Errorf("zip holds %v", got)
	}
	out = filepath.Join(j.folders.staging, "loose")
	j.must("DotNetCoreCLI@2", map[string]string{"command": "publish", "arguments": "-c Release --output " + out, "zipAfterPublish": "false"})
	if _, err := os.Stat(out + "/web/app.dll"); err != nil {
		t.Error(err)
	}
	if err := os.Remove(filepath.Join(j.folders.sources, "web", "web.csproj")); err != nil {
		t.Fatal(err)
	}
	if _, err := j.run("DotNetCoreCLI@2", map[string]string{"command": "publish"}); err == nil || !strings.Contains(err.Error(), "no web project is below") {
		t.Errorf("%v", err)
	}
}

func TestDotNetTest(t *testing.T) {
	t.Parallel()
	j, calls := newDotNet(t)
	j.must("DotNetCoreCLI@2", map[string]string{"command": "test", "projects": "lib/*.csproj", "arguments": "--no-build"})
	wantCalls(t, calls, "dotnet [test] [SOURCES/lib/lib.csproj] [--logger] [trx] [--results-directory] ["+j.folders.temp+"] [--no-build] in SOURCES")
	j.must("DotNetCoreCLI@2", map[string]string{"command": "test", "projects": "lib/*.csproj", "publishTestResults": "false"})
	wantCalls(t, calls, "dotnet [test] [SOURCES/lib/lib.csproj] in SOURCES")
	if log := j.must("DotNetCoreCLI@2", map[string]string{"command": "test", "projects": "none/*.csproj"}); !strings.Contains(log, "##[warning]No project matches") {
		t.Errorf("log\n%s", log)
	}
	j.write("global.json", `{"test": {"runner": "Microsoft.Testing.Platform"}}`)
	j.must("DotNetCoreCLI@2", map[string]string{"command": "test", "projects": "lib/*.csproj"})
	wantCalls(t, calls, "dotnet [test] [--project] [SOURCES/lib/lib.csproj] [--report-trx] [--results-directory] ["+j.folders.temp+"] in SOURCES")
	j.env["DOTNET_FAILS"] = "test"
	if _, err := j.run("DotNetCoreCLI@2", map[string]string{"command": "test"}); err == nil || err.Error() != "dotnet exited with code 1" {
		t.Errorf("%v", err)
	}
}

func TestNuGetCommand(t *testing.T) {
	t.Parallel()
	j, calls := newDotNet(t)
	j.write("shop.sln", "")
	j.must("NuGetCommand@2", map[string]string{"disableParallelProcessing": "true"})
	wantCalls(t, calls, "dotnet [restore] [SOURCES/shop.sln] [--verbosity] [Detailed] [--disable-parallel] in SOURCES")
	j.write("old/packages.config", "<packages/>")
	if _, err := j.run("NuGetCommand@2", map[string]string{"restoreSolution": "**/packages.config"}); err == nil || !strings.Contains(err.Error(), "move the project to PackageReference") {
		t.Errorf("%v", err)
	}
}

// The older versions take any command, and that there is no project is no mistake.
func TestOldDotNet(t *testing.T) {
	t.Parallel()
	j, calls := newDotNet(t)
	j.must("DotNetCoreCLI@1", map[string]string{"command": "restore", "projects": "lib/*.csproj", "arguments": "--no-cache"})
	wantCalls(t, calls, "dotnet [restore] [SOURCES/lib/lib.csproj] [--no-cache] in SOURCES")
	j.must("DotNetCoreCLI@0", map[string]string{"command": "test", "projects": "lib/*.csproj"})
	wantCalls(t, calls, "dotnet [test] [SOURCES/lib/lib.csproj] in SOURCES")
	j.must("DotNetCoreCLI@1", map[string]string{"command": "pack"})
	wantCalls(t, calls, "dotnet [pack] in SOURCES")
	out := filepath.Join(j.folders.staging, "out")
	j.must("DotNetCoreCLI@1", map[string]string{"command": "publish", "arguments": "--output " + out})
	wantCalls(t, calls, "dotnet [publish] [SOURCES/web/web.csproj] [--output] ["+out+"/web] in SOURCES")
	if !present(out + "/web.zip") {
		t.Error("what is published is in no zip file")
	}
	if log := j.must("DotNetCoreCLI@0", map[string]string{"projects": "none/*.csproj"}); !strings.Contains(log, "##[warning]No project matches none/*.csproj") || len(calls()) != 0 {
		t.Errorf("log\n%s", log)
	}
}
