package agent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// preferences are PowerShell's variables that say what it does at an error and the like, by the task's input.
var preferences = []struct{ input, variable string }{
	{"errorActionPreference", "ErrorActionPreference"}, {"warningPreference", "WarningPreference"}, {"informationPreference", "InformationPreference"},
	{"verbosePreference", "VerbosePreference"}, {"debugPreference", "DebugPreference"}, {"progressPreference", "ProgressPreference"},
}

// exitWithProgram makes the exit code of the last program that a script ran its own.
const exitWithProgram = `if (Test-Path -LiteralPath variable:\LASTEXITCODE) { exit $LASTEXITCODE }`

// powershell is the task PowerShell@2, which `pwsh` and `powershell` steps are too.
func (t *task) powershell(in inputs) error {
	dir, err := t.workingDirectory(in.text("workingDirectory"))
	if err != nil {
		return err
	}
	var text strings.Builder
	for _, p := range preferences {
		value := in.text(p.input)
		switch strings.ToLower(value) {
		case "", "default":
		case "stop", "continue", "silentlycontinue":
			fmt.Fprintf(&text, "$%s = '%s'\n", p.variable, value)
		default:
			return fmt.Errorf("the input %s is default, stop, continue or silentlyContinue, not %q", p.input, value)
		}
	}
	script := in.m["script"]
	if strings.EqualFold(in.text("targetType"), "inline") {
		t.log.Printf("Script contents:\n%s\n##[section]Output", strings.TrimRight(script, "\n"))
	} else {
		if script, err = t.powershellFile(in.text("filePath"), in.text("arguments")); err != nil {
			return err
		}
		t.log.Printf("Command: %s\n##[section]Output", script)
	}
	if in.flag("showWarnings", false) {
		script = ". {\n" + script + "\n} 3>&1 | ForEach-Object { if ($_ -is [System.Management.Automation.WarningRecord]) " +
			"{ Write-Host ('##vso[task.logissue type=warning]' + ($_.Message -replace '\\r?\\n', '%0A')) } else { $_ } }"
	}
	text.WriteString(script + "\n")
	if !in.flag("ignoreLASTEXITCODE", false) {
		text.WriteString(exitWithProgram + "\n")
	}
	operator := "."
	if in.flag("runScriptInSeparateScope", false) {
		operator = "&"
	}
	return t.pwsh(operator, text.String(), dir, in.flag("failOnStderr", false))
}

// powershell1 is the task PowerShell@1, whose script file runs in its own folder.
func (t *task) powershell1(in inputs) error {
	script, dir := in.m["inlinescript"], in.text("workingFolder")
	if !strings.EqualFold(in.text("scriptType"), "inlineScript") {
		var err error
		if script, err = t.powershellFile(in.text("scriptName"), in.text("arguments")); err != nil {
			return err
		}
		if dir == "" {
			dir = filepath.Dir(t.absolute(in.text("scriptName")))
		}
	} else if arguments := in.text("arguments"); arguments != "" {
		script = ". {\n" + script + "\n} " + arguments
	}
	dir = t.absolute(dir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the working folder: %w", err)
	}
	return t.pwsh(".", script+"\n"+exitWithProgram+"\n", dir, in.flag("failOnStandardError", true))
}

// powershellFile is the command that runs a script file with arguments, which PowerShell itself reads.
func (t *task) powershellFile(path, arguments string) (string, error) {
	path = t.absolute(strings.ReplaceAll(path, `\`, "/"))
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() || !strings.EqualFold(filepath.Ext(path), ".ps1") {
		return "", fmt.Errorf("there is no script file %s whose name ends in .ps1", path)
	}
	return strings.TrimSpace(". " + quotePowerShell(path) + " " + arguments), nil
}

// pwsh runs a script text with the operator `.` or `&`.
func (t *task) pwsh(operator, text, dir string, failOnStderr bool) error {
	program, err := t.look("pwsh")
	if err != nil {
		return errors.New("there is no PowerShell (pwsh) in the job's image: give the job a container that has it, such as mcr.microsoft.com/powershell, or write the step in bash")
	}
	file, err := t.scriptFile(".ps1", "\uFEFF"+text) // the mark says that it is UTF-8
	if err != nil {
		return err
	}
	defer os.Remove(file)
	return t.runScript(process{name: program, args: []string{"-NoLogo", "-NoProfile", "-NonInteractive", "-Command", operator + " " + quotePowerShell(file)}, dir: dir}, failOnStderr)
}

func quotePowerShell(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }
