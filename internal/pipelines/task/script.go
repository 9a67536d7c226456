package task

// scriptTasks run text or files of the user in a shell, or another interpreter.
func scriptTasks() []Definition {
	return []Definition{
		{Name: "Bash", Major: 3, Title: "Bash", Doc: "Runs a script in Bash.", Inputs: []Input{
			{Name: "targetType", Doc: "Whether the script is a file or stands here.", Default: "filePath", Options: []string{"filePath", "inline"}},
			{Name: "filePath", Doc: "The script file.", NeededFor: "targetType", NeededForValues: []string{"filePath"}},
			{Name: "arguments", Doc: "Arguments of the script file."},
			{Name: "script", Doc: "The script.", NeededFor: "targetType", NeededForValues: []string{"inline"}},
			{Name: "workingDirectory", Doc: "Where it runs.", Aliases: []string{"cwd"}},
			{Name: "failOnStderr", Doc: "Whether the step fails if the script writes to standard error.", Default: "false", Boolean: true},
			{Name: "bashEnvValue", Doc: "The value of BASH_ENV: a file that Bash reads before the script."},
		}},
		{Name: "CmdLine", Major: 2, Title: "CmdLine", Doc: "Runs a script in the shell.", Inputs: []Input{
			{Name: "script", Doc: "The script.", Required: true},
			{Name: "workingDirectory", Doc: "Where it runs."},
			{Name: "failOnStderr", Doc: "Whether the step fails if the script writes to standard error.", Default: "false", Boolean: true},
		}},
		{Name: "CmdLine", Major: 1, Title: "CmdLine", Doc: "Runs a program with arguments.", Inputs: []Input{
			{Name: "filename", Doc: "The program: a name in PATH, or a path.", Required: true},
			{Name: "arguments", Doc: "Its arguments; double quotes hold together what has blanks."},
			{Name: "workingFolder", Doc: "Where it runs; the folder is made if it is not there."},
			{Name: "failOnStandardError", Doc: "Whether the step fails if the program writes to standard error.", Default: "false", Boolean: true},
		}},
		{Name: "ShellScript", Major: 2, Title: "ShellScript", Doc: "Runs a script file in Bash, in the script's own folder.", Inputs: []Input{
			{Name: "scriptPath", Doc: "The script file.", Required: true},
			{Name: "args", Doc: "Its arguments; double quotes hold together what has blanks."},
			{Name: "disableAutoCwd", Doc: "Whether it runs in cwd and not in its own folder.", Default: "false", Boolean: true},
			{Name: "cwd", Doc: "Where it runs; the folder is made if it is not there."},
			{Name: "failOnStandardError", Doc: "Whether the step fails if the script writes to standard error.", Default: "false", Boolean: true},
		}},
		{Name: "PythonScript", Major: 0, Title: "PythonScript", Doc: "Runs a script in Python.", Inputs: []Input{
			{Name: "scriptSource", Doc: "Whether the script is a file or stands here.", Default: "filePath", Options: []string{"filePath", "inline"}},
			{Name: "scriptPath", Doc: "The script file.", NeededFor: "scriptSource", NeededForValues: []string{"filePath"}},
			{Name: "script", Doc: "The script.", NeededFor: "scriptSource", NeededForValues: []string{"inline"}},
			{Name: "arguments", Doc: "Arguments of the script; double quotes hold together what has blanks."},
			{Name: "pythonInterpreter", Doc: "The path of the interpreter; python, else python3, in PATH without it."},
			{Name: "workingDirectory", Doc: "Where it runs."},
			{Name: "failOnStderr", Doc: "Whether the step fails if the script writes to standard error.", Default: "false", Boolean: true},
		}},
		{Name: "PowerShell", Major: 2, Title: "PowerShell", Doc: "Runs a script in PowerShell (pwsh), which the job's image must have.", Inputs: []Input{
			{Name: "targetType", Doc: "Whether the script is a file or stands here.", Default: "filePath", Options: []string{"filePath", "inline"}},
			{Name: "filePath", Doc: "The script file, whose name ends in .ps1.", NeededFor: "targetType", NeededForValues: []string{"filePath"}},
			{Name: "arguments", Doc: "Arguments of the script file, as PowerShell reads them."},
			{Name: "script", Doc: "The script.", NeededFor: "targetType", NeededForValues: []string{"inline"}},
			preference("errorActionPreference", "an error", "stop"),
			preference("warningPreference", "a warning", "default"),
			preference("informationPreference", "an information", "default"),
			preference("verbosePreference", "a verbose message", "default"),
			preference("debugPreference", "a debug message", "default"),
			preference("progressPreference", "progress", "silentlyContinue"),
			{Name: "failOnStderr", Doc: "Whether the step fails if the script writes to standard error.", Default: "false", Boolean: true},
			{Name: "showWarnings", Doc: "Whether the script's warnings become issues of the run.", Default: "false", Boolean: true},
			{Name: "ignoreLASTEXITCODE", Doc: "Whether the exit code of the last program that the script ran is ignored.", Default: "false", Boolean: true},
			{Name: "pwsh", Doc: "Whether PowerShell Core is meant, which it always is.", Default: "false", Boolean: true},
			{Name: "workingDirectory", Doc: "Where it runs."},
			{Name: "runScriptInSeparateScope", Doc: "Whether it runs in a scope of its own (&) and not in that of its caller (.).", Default: "false", Boolean: true},
		}},
		{Name: "PowerShell", Major: 1, Title: "PowerShell", Doc: "Runs a script in PowerShell (pwsh), which the job's image must have.", Inputs: []Input{
			{Name: "scriptType", Doc: "Whether the script is a file or stands here.", Default: "filePath", Options: []string{"inlineScript", "filePath"}},
			{Name: "scriptName", Doc: "The script file.", NeededFor: "scriptType", NeededForValues: []string{"filePath"}},
			{Name: "arguments", Doc: "Arguments of the script, as PowerShell reads them."},
			{Name: "workingFolder", Doc: "Where it runs; the folder of the script file by default."},
			{Name: "inlineScript", Doc: "The script.", NeededFor: "scriptType", NeededForValues: []string{"inlineScript"}},
			{Name: "failOnStandardError", Doc: "Whether the step fails if the script writes to standard error.", Default: "true", Boolean: true},
		}},
	}
}

func preference(name, what, byDefault string) Input {
	return Input{Name: name, Doc: "What PowerShell does at " + what + "; default leaves it to PowerShell.", Default: byDefault,
		Options: []string{"default", "stop", "continue", "silentlyContinue"}}
}
