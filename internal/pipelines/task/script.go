package task

// scriptTasks run text in a shell.
var scriptTasks = []Definition{
	{Name: "Bash", Major: 3, Title: "Bash", Doc: "Runs a script in Bash.", Inputs: []Input{
		{Name: "targetType", Doc: "Whether the script is a file or stands here.", Default: "filePath", Options: []string{"filePath", "inline"}},
		{Name: "filePath", Doc: "The script file.", NeededFor: "targetType", NeededForValues: []string{"filePath"}},
		{Name: "arguments", Doc: "Arguments of the script file."},
		{Name: "script", Doc: "The script.", NeededFor: "targetType", NeededForValues: []string{"inline"}},
		{Name: "workingDirectory", Doc: "Where it runs.", Aliases: []string{"cwd"}},
		{Name: "failOnStderr", Doc: "Whether the step fails if the script writes to standard error.", Default: "false", Boolean: true},
		{Name: "bashEnvValue", Doc: "The value of BASH_ENV.", Unsupported: map[string]string{"": "set BASH_ENV under env"}},
	}},
	{Name: "CmdLine", Major: 2, Title: "CmdLine", Doc: "Runs a script in the shell.", Inputs: []Input{
		{Name: "script", Doc: "The script.", Required: true},
		{Name: "workingDirectory", Doc: "Where it runs."},
		{Name: "failOnStderr", Doc: "Whether the step fails if the script writes to standard error.", Default: "false", Boolean: true},
	}},
}
