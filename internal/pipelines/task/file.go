package task

// fileTasks work on files of the workspace.
var fileTasks = []Definition{
	{Name: "CopyFiles", Major: 2, Title: "CopyFiles", Doc: "Copies files from one folder to another by patterns.", Inputs: []Input{
		{Name: "SourceFolder", Doc: "The folder with the files.", Default: "$(System.DefaultWorkingDirectory)"},
		{Name: "Contents", Doc: "Patterns of the files, one a line; ! excludes, and the order matters.", Default: "**"},
		{Name: "TargetFolder", Doc: "The folder that they are copied to.", Required: true},
		{Name: "CleanTargetFolder", Doc: "Whether the target is emptied first.", Default: "false", Boolean: true},
		{Name: "OverWrite", Doc: "Whether files of the target are replaced.", Default: "false", Boolean: true},
		{Name: "flattenFolders", Doc: "Whether all files come into one folder.", Default: "false", Boolean: true},
		{Name: "preserveTimestamp", Doc: "Whether files keep their times.", Default: "false", Boolean: true},
		{Name: "retryCount", Doc: "How often a copy is tried again.", Default: "0"},
		{Name: "delayBetweenRetries", Doc: "Milliseconds between tries.", Default: "1000"},
		{Name: "ignoreMakeDirErrors", Doc: "Whether folders that cannot be made are passed over.", Default: "false", Boolean: true},
	}},
}
