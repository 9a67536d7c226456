package agent

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/pipelines/job"
)

// The lines are those of "MSBuild and Visual Studio format messages", of dotnet build and of Maven's compiler plugin.
func TestDiagnosis(t *testing.T) {
	t.Parallel()
	w := newWorkbench(t, nil)
	at := func(file string, line, column int) *slipway.Position {
		return &slipway.Position{File: file, Line: line, Column: column}
	}
	s := w.folders.sources
	for _, c := range []struct {
		name string
		form string
		text string
		want []job.Issue
	}{
		{"dotnet, which says everything twice", "msbuild", "  Determining projects to restore...\n" +
			s + "/src/Program.cs(7,13): error CS0103: The name 'x' does not exist in the current context [" + s + "/src/app.csproj]\r\n" +
			s + "/src/Program.cs(3,5): warning CS0168: The variable 'e' is declared but never used [" + s + "/src/app.csproj]\n" +
			"Build FAILED.\n\n" + s + "/src/Program.cs(7,13): error CS0103: The name 'x' does not exist in the current context [" + s + "/src/app.csproj]\n    1 Warning(s)\n    1 Error(s)\n",
			[]job.Issue{{Kind: job.IssueError, Message: "The name 'x' does not exist in the current context", Code: "CS0103", At: at("src/Program.cs", 7, 13)},
				{Kind: job.IssueWarning, Message: "The variable 'e' is declared but never used", Code: "CS0168", At: at("src/Program.cs", 3, 5)}}},
		{"without a place", "msbuild", "MSBUILD : error MSB1009: Project file does not exist.\n/a/app.csproj : error NU1101: Unable to find package X. No packages exist with this id in source(s): nuget.org [/a/app.sln]\n",
			[]job.Issue{{Kind: job.IssueError, Message: "Project file does not exist.", Code: "MSB1009"},
				{Kind: job.IssueError, Message: "Unable to find package X. No packages exist with this id in source(s): nuget.org", Code: "NU1101"}}},
		{"a line alone, and a number of the build before it", "msbuild", " 2>Main.fs(17): warning FS0020: ignored\n/a/b.cs(1,2,3,4): error X1: text\n",
			[]job.Issue{{Kind: job.IssueWarning, Message: "ignored", Code: "FS0020", At: at("Main.fs", 17, 0)}, {Kind: job.IssueError, Message: "text", Code: "X1", At: at("/a/b.cs", 1, 2)}}},
		{"what only looks like one", "msbuild", "Tests: error handling works\n  error: none\nan error CS0103: no place\nhttp://x/: warning\n", nil},
		{"Maven, which says everything twice", "maven", "[INFO] Compiling 1 source file\n[ERROR] COMPILATION ERROR : \n[ERROR] " + s + "/src/main/java/App.java:[5,9] cannot find symbol\n  symbol:   class Foo\n" +
			"[WARNING] " + s + "/src/main/java/B.java:[1,2] unchecked cast\n[ERROR] Failed to execute goal\n[ERROR] " + s + "/src/main/java/App.java:[5,9] cannot find symbol\n",
			[]job.Issue{{Kind: job.IssueError, Message: "cannot find symbol", At: at("src/main/java/App.java", 5, 9)}, {Kind: job.IssueWarning, Message: "unchecked cast", At: at("src/main/java/B.java", 1, 2)}}},
	} {
		w.record.Issues = nil
		form := msbuildMessage()
		if c.form == "maven" {
			form = mavenMessage()
		}
		d := &diagnosis{task: w.task, message: form, told: map[string]bool{}}
		for i := range len(c.text) { // output comes in whatever pieces
			if _, err := d.Write([]byte(c.text[i : i+1])); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(c.want, w.record.Issues); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

// A build's messages are issues of the step, and its output stays as it is.
func TestBuildsTellTheirIssues(t *testing.T) {
	t.Parallel()
	j := newToolJob(t, nil)
	j.write("src/app.csproj", "")
	j.write("pom.xml", "")
	j.recorder(j.path+"/dotnet", "", `echo "$2(1,2): error CS1002: ; expected [$2]"; echo "$2(1,2): error CS1002: ; expected [$2]" >&2; exit 1`)
	j.recorder(j.path+"/mvn", "", fmt.Sprintf(`[ "$1" = -version ] || { echo "[ERROR] %s/A.java:[3,4] no"; exit 1; }`, j.folders.sources))
	log, err := j.run("DotNetCoreCLI@2", map[string]string{"command": "build", "projects": "src/*.csproj"})
	if err == nil || j.last.Errors != 1 || j.last.Issues[0].Code != "CS1002" {
		t.Errorf("%v %+v\n%s", err, j.last, log)
	}
	log, err = j.run("Maven@4", map[string]string{"publishJUnitResults": "false"})
	if err == nil || j.last.Errors != 1 || j.last.Issues[0].At.File != "A.java" {
		t.Errorf("%v %+v\n%s", err, j.last, log)
	}
}

// The task Maven sets JAVA_HOME for the steps that follow (maventask.ts), and Gradle for its own program alone (environment.ts).
func TestMavenSetsJavaHome(t *testing.T) {
	t.Parallel()
	j := newToolJob(t, nil)
	j.write("pom.xml", "")
	j.write("jdk/bin/java", "")
	j.write("gradlew", "#!/bin/sh\n")
	called := j.recorder(j.path+"/mvn", "JAVA_HOME", "")
	given := map[string]string{"publishJUnitResults": "false", "jdkUserInputPath": "jdk"}
	f := func(task, option, want string) {
		t.Helper()
		given[option] = "Path"
		j.must(task, given)
		delete(given, option)
		if got := j.vars.Text("JAVA_HOME"); got != want {
			t.Errorf("%s: JAVA_HOME is %q, want %q", task, got, want)
		}
	}
	f("Gradle@3", "javaHomeOption", "")
	f("Maven@4", "javaHomeOption", j.folders.sources+"/jdk")
	if calls := called(); len(calls) != 2 || calls[1] != " [-f] [SOURCES/pom.xml] [package] JAVA_HOME=SOURCES/jdk in SOURCES" {
		t.Errorf("%q", calls)
	}
}
