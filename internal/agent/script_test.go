package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/pipelines/plan"
)

// The expected words are what azure-pipelines-task-lib's ToolRunner.line makes of them.
func TestSplitArguments(t *testing.T) {
	t.Parallel()
	for in, want := range map[string][]string{
		`one  two`:              {"one", "two"},
		`--name "a b" c`:        {"--name", "a b", "c"},
		`a"b c"d`:               {"ab cd"},
		`'a b'`:                 {"'a", "b'"},
		`C:\dir\file "C:\a b\"`: {`C:\dir\file`, `C:\a b"`},
		`"say \"hi\""`:          {`say "hi"`},
		`"a\\b"`:                {`a\\b`},
		`""`:                    {""},
		`-run '^Test$' --set a\,b=1,"c.d\.e"=x\ y`: {"-run", "'^Test$'", "--set", `a\,b=1,c.d\.e=x\`, "y"},
		"--label a=b \\\n --label c=d":             {"--label", "a=b", "--label", "c=d"},
		"":                                         nil,
	} {
		if diff := cmp.Diff(want, splitArguments(in)); diff != "" {
			t.Errorf("%q: %s", in, diff)
		}
	}
}

func TestShellScript(t *testing.T) {
	t.Parallel()
	w := newWorkbench(t, nil, "ci/build.sh", "echo in $(basename \"$PWD\") \"$@\"\n", "ci/fail.sh", "exit 3\n", "ci/warn.sh", "echo oh >&2\n")
	given := func(more ...string) map[string]string {
		m := map[string]string{"scriptPath": "ci/build.sh"}
		for i := 0; i+1 < len(more); i += 2 {
			m[more[i]] = more[i+1]
		}
		return m
	}
	w.must("ShellScript@2", given("args", `-x "a b"`))
	w.says("in ci -x a b")
	w.must("ShellScript@2", given("args", "2", "cwd", "new/folder"))
	w.says("in folder 2")
	w.must("ShellScript@2", given("args", "3", "disableAutoCwd", "true"))
	w.says("in s 3")
	w.must("ShellScript@2", given("args", "4", "cwd", w.folders.sources))
	w.says("in ci 4") // a cwd that is the default counts as none
	w.must("ShellScript@2", given("scriptPath", "ci/warn.sh"))
	w.fails("ShellScript@2", given("scriptPath", "ci/fail.sh"), "bash exited with code 3")
	w.fails("ShellScript@2", given("scriptPath", "ci/warn.sh", "failOnStandardError", "true"), "the script wrote to its standard error, and the step is told to fail then: oh")
	w.fails("ShellScript@2", given("scriptPath", "ci/gone.sh"), "there is no script file S/ci/gone.sh")
}

// A file of Bash@3 runs as in Azure's task (bash.ts): a shell reads the arguments, with variables and globs, and the file is a program of its own.
func TestBashFile(t *testing.T) {
	t.Parallel()
	w := newWorkbench(t, nil, "ci/it's.sh", "echo \"got [$1] [$2] [$3]\"\n", "ci/one.txt", "", "ci/two.txt", "")
	run := func(arguments string) error {
		return w.script(&plan.Script{Shell: plan.ShellBash, FilePath: "ci/it's.sh", Arguments: arguments})
	}
	w.env["WHO"] = "the world"
	for arguments, want := range map[string]string{
		`"$WHO" $WHO`:          "got [the world] [the] [world]",
		`ci/*.txt 'a b'`:       "got [ci/one.txt] [ci/two.txt] [a b]",
		`"say \"hi\"" c\ d`:    `got [say "hi"] [c d] []`,
		"":                     "got [] [] []",
		`$((1+2)) "$(echo x)"`: "got [3] [x] []",
	} {
		if err := run(arguments); err != nil {
			t.Errorf("%s: %v", arguments, err)
		}
		w.says(want)
	}
	w.says(`Command: exec bash 'S/ci/it'\''s.sh' ci/*.txt 'a b'`)
	w.write("ci/it's.sh", "exit 4\n")
	if err := run("x"); err == nil || err.Error() != "bash exited with code 4" {
		t.Errorf("%v", err)
	}
	w.write("ci/it's.sh", "greet() { echo hello $1; }\n")
	w.env["AZP_BASHV3_OLD_SOURCE_BEHAVIOR"] = "true"
	if err := run("&& greet again"); err != nil {
		t.Error(err)
	}
	w.says("hello again")
	if err := w.script(&plan.Script{Shell: plan.ShellBash, FilePath: "gone.sh"}); err == nil || err.Error() != "there is no script file "+w.absolute("gone.sh") {
		t.Errorf("%v", err)
	}
}

func TestPythonScript(t *testing.T) {
	t.Parallel()
	w := newWorkbench(t, nil, "tools/x.py", "import sys, os\nprint('file', sys.argv[1:], os.path.basename(os.getcwd()))\n")
	w.must("PythonScript@0", map[string]string{"scriptPath": "tools/x.py", "arguments": `a "b c"`, "workingDirectory": "tools"})
	w.says("file ['a', 'b c'] tools")
	w.must("PythonScript@0", map[string]string{"scriptSource": "inline", "script": "import sys\nfor i in range(2):\n  print('inline', i, sys.argv[1])\n", "arguments": "z"})
	w.says("inline 1 z")
	python := strings.TrimSpace(program(t, w.folders.sources, "sh", "-c", "command -v python3"))
	w.must("PythonScript@0", map[string]string{"scriptSource": "inline", "script": "print('chosen')", "pythonInterpreter": python})
	w.says("chosen")
	w.fails("PythonScript@0", map[string]string{"scriptSource": "inline", "script": "import sys; sys.exit(4)", "pythonInterpreter": python}, "python3 exited with code 4")
	w.fails("PythonScript@0", map[string]string{"scriptSource": "inline", "script": "import sys; print('x', file=sys.stderr)", "failOnStderr": "true"},
		"the script wrote to its standard error, and the step is told to fail then: x")
	w.fails("PythonScript@0", map[string]string{"scriptPath": "gone.py"}, "there is no script file S/gone.py")
	w.env["PATH"] = "/nowhere"
	w.fails("PythonScript@0", map[string]string{"scriptPath": "tools/x.py"},
		"there is no Python in the job's image: give the job a container that has it, or install it with UsePythonVersion@0")
}

func TestCmdLine1(t *testing.T) {
	t.Parallel()
	w := newWorkbench(t, nil, "run", "#!/bin/sh\necho $# in $(basename $PWD)\n")
	if err := os.Chmod(w.absolute("run"), 0o755); err != nil {
		t.Fatal(err)
	}
	w.must("CmdLine@1", map[string]string{"filename": "echo", "arguments": `hello "big  world"`})
	w.says("hello big  world")
	w.must("CmdLine@1", map[string]string{"filename": "./run", "arguments": "a b", "workingFolder": "new"})
	w.says("2 in new")
	w.fails("CmdLine@1", map[string]string{"filename": "false"}, "false exited with code 1")
	w.fails("CmdLine@1", map[string]string{"filename": "sh", "arguments": `-c "echo x >&2"`, "failOnStandardError": "true"},
		"the script wrote to its standard error, and the step is told to fail then: x")
}

func TestBashEnv(t *testing.T) {
	t.Parallel()
	w := newWorkbench(t, nil, "profile", "greet() { echo hello $1; }\n")
	if err := w.script(&plan.Script{Shell: plan.ShellBash, Text: "greet world", BashEnv: w.absolute("profile")}); err != nil {
		t.Fatal(err)
	}
	w.says("hello world")
	if err := w.script(&plan.Script{Shell: "fish", Text: "x"}); err == nil || err.Error() != `the shell "fish" is not known to this agent` {
		t.Errorf("an unknown shell: %v", err)
	}
}

// fakePwsh stands in for PowerShell, which tests cannot count on: it shows how it is called and the script that it is given.
const fakePwsh = `#!/bin/sh
echo "pwsh $1 $2 $3 $4 in $(basename "$PWD")"
file=$(echo "$5" | sed "s/^[.&] '\(.*\)'$/\1/")
echo "operator $(echo "$5" | cut -c1)"
od -An -tx1 -N3 "$file"
tail -c +4 "$file" | sed "s/##vso/##shown/"
[ -z "$FAKE_STDERR" ] || echo oh >&2
exit ${FAKE_EXIT:-0}
`

func newPowerShell(t *testing.T, files ...string) *workbench {
	t.Helper()
	w := newWorkbench(t, nil, files...)
	bin := filepath.Join(w.folders.temp, "bin")
	w.write(filepath.Join(bin, "pwsh"), fakePwsh)
	if err := os.Chmod(filepath.Join(bin, "pwsh"), 0o755); err != nil {
		t.Fatal(err)
	}
	w.env["PATH"] = bin + ":" + os.Getenv("PATH")
	return w
}

// The expected scripts mean what those mean that Azure's task writes.
func TestPowerShell(t *testing.T) {
	t.Parallel()
	const exit = "if (Test-Path -LiteralPath variable:\\LASTEXITCODE) { exit $LASTEXITCODE }\n"
	const head = "pwsh -NoLogo -NoProfile -NonInteractive -Command in "
	for _, c := range []struct {
		name  string
		task  string
		given map[string]string
		want  string // of the log
	}{
		{"inline", "PowerShell@2", map[string]string{"targetType": "inline", "script": "Write-Host hi\n"},
			"Script contents:\nWrite-Host hi\n##[section]Output\n" + head + "s\noperator .\n ef bb bf\n$ErrorActionPreference = 'stop'\n$ProgressPreference = 'silentlyContinue'\nWrite-Host hi\n\n" + exit},
		{"all preferences", "PowerShell@2", map[string]string{"targetType": "INLINE", "script": "x", "errorActionPreference": "Default", "warningPreference": "stop", "informationPreference": "continue",
			"verbosePreference": "silentlyContinue", "debugPreference": "continue", "progressPreference": "default", "ignoreLASTEXITCODE": "true", "runScriptInSeparateScope": "true", "workingDirectory": "ci"},
			"Script contents:\nx\n##[section]Output\n" + head + "ci\noperator &\n ef bb bf\n$WarningPreference = 'stop'\n$InformationPreference = 'continue'\n$VerbosePreference = 'silentlyContinue'\n$DebugPreference = 'continue'\nx\n"},
		{"a file", "PowerShell@2", map[string]string{"filePath": `ci\it's.ps1`, "arguments": "-Name 'a b' $env:X", "progressPreference": "default"},
			"Command: . 'S/ci/it''s.ps1' -Name 'a b' $env:X\n##[section]Output\n" + head + "s\noperator .\n ef bb bf\n$ErrorActionPreference = 'stop'\n. 'S/ci/it''s.ps1' -Name 'a b' $env:X\n" + exit},
		{"warnings", "PowerShell@2", map[string]string{"targetType": "inline", "script": "Write-Warning x", "showWarnings": "true", "errorActionPreference": "default", "progressPreference": "default"},
			"Script contents:\nWrite-Warning x\n##[section]Output\n" + head + "s\noperator .\n ef bb bf\n. {\nWrite-Warning x\n} 3>&1 | ForEach-Object { if ($_ -is [System.Management.Automation.WarningRecord]) " +
				"{ Write-Host ('##shown[task.logissue type=warning]' + ($_.Message -replace '\\r?\\n', '%0A')) } else { $_ } }\n" + exit},
		{"version 1, a file", "PowerShell@1", map[string]string{"scriptName": "ci/it's.ps1", "arguments": "-A 1"}, head + "ci\noperator .\n ef bb bf\n. 'S/ci/it''s.ps1' -A 1\n" + exit},
		{"version 1, inline", "PowerShell@1", map[string]string{"scriptType": "inlineScript", "inlineScript": "param($a)\n$a", "arguments": "7", "workingFolder": "new"},
			head + "new\noperator .\n ef bb bf\n. {\nparam($a)\n$a\n} 7\n" + exit},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newPowerShell(t, "ci/it's.ps1", "")
			w.must(c.task, c.given)
			if diff := cmp.Diff(c.want, strings.ReplaceAll(w.text(), "##[error]", "")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPowerShellFails(t *testing.T) {
	t.Parallel()
	w := newPowerShell(t, "ci/x.sh", "")
	inline := map[string]string{"targetType": "inline", "script": "x"}
	w.env["FAKE_EXIT"] = "5"
	w.fails("PowerShell@2", inline, "pwsh exited with code 5")
	w.env["FAKE_EXIT"], w.env["FAKE_STDERR"] = "0", "yes"
	w.must("PowerShell@2", inline)
	w.fails("PowerShell@2", map[string]string{"targetType": "inline", "script": "x", "failOnStderr": "true"}, "the script wrote to its standard error, and the step is told to fail then: oh")
	w.fails("PowerShell@1", map[string]string{"scriptType": "inlineScript", "inlineScript": "x"}, "the script wrote to its standard error, and the step is told to fail then: oh")
	w.must("PowerShell@1", map[string]string{"scriptType": "inlineScript", "inlineScript": "x", "failOnStandardError": "false"})
	w.fails("PowerShell@2", map[string]string{"filePath": "ci/x.sh"}, "there is no script file S/ci/x.sh whose name ends in .ps1")
	w.fails("PowerShell@2", map[string]string{"targetType": "inline", "script": "x", "workingDirectory": "gone"}, "the working directory S/gone does not exist")
	w.env["PATH"] = "/nowhere"
	w.fails("PowerShell@2", inline,
		"there is no PowerShell (pwsh) in the job's image: give the job a container that has it, such as mcr.microsoft.com/powershell, or write the step in bash")
}
