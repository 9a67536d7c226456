package task

// sshConnection is the type of connections to machines.
var sshConnection = []string{"ssh"}

// sshTasks work on other machines.
func sshTasks() []Definition {
	return []Definition{
		{Name: "SSH", Major: 0, Title: "SSH", Doc: "Runs commands or a script on the machine of a service connection.", Inputs: []Input{
			{Name: "sshEndpoint", Doc: "The service connection.", Required: true, Connection: sshConnection},
			{Name: "runOptions", Doc: "What is run.", Default: "commands", Required: true, Options: []string{"commands", "script", "inline"}},
			{Name: "commands", Doc: "Commands, one a line; each runs by itself in the home folder.", NeededFor: "runOptions", NeededForValues: []string{"commands"}},
			{Name: "scriptPath", Doc: "The script file, which is copied to the machine and removed again.", NeededFor: "runOptions", NeededForValues: []string{"script"}},
			{Name: "inline", Doc: "The script.", NeededFor: "runOptions", NeededForValues: []string{"inline"}},
			{Name: "interpreterCommand", Doc: "What reads the inline script.", Default: "/bin/bash"},
			{Name: "args", Doc: "Arguments of the script file."},
			{Name: "failOnStdErr", Doc: "Whether the step fails if the machine writes to standard error.", Default: "true", Boolean: true},
			{Name: "interactiveSession", Doc: "Whether the machine asks questions.", Default: "false", Boolean: true, Unsupported: map[string]string{"true": "nobody answers in a job: leave it out"}},
			{Name: "readyTimeout", Doc: "Milliseconds that signing in may take.", Default: "20000"},
			{Name: "interactiveKeyboardAuthentication", Doc: "Changes nothing: a password answers the machine's questions, too.", Default: "false", Boolean: true},
			{Name: "enableRemoteVsoCommands", Doc: "Whether logging commands that the machine writes are obeyed.", Default: "false", Boolean: true},
		}},
		{Name: "CopyFilesOverSSH", Major: 0, Title: "CopyFilesOverSSH", Doc: "Copies files to the machine of a service connection.", Inputs: []Input{
			{Name: "sshEndpoint", Doc: "The service connection.", Required: true, Connection: sshConnection},
			{Name: "sourceFolder", Doc: "The folder of the files; the sources without one."},
			{Name: "contents", Doc: "Patterns of the files, one a line.", Default: "**", Required: true},
			{Name: "targetFolder", Doc: "The folder on the machine; the home folder without one."},
			{Name: "isWindowsOnTarget", Doc: "Whether the machine runs Windows.", Default: "false", Boolean: true, Unsupported: map[string]string{"true": "files go through a POSIX shell of the machine: copy to Windows with scp in a script step"}},
			{Name: "cleanTargetFolder", Doc: "Whether the folder is emptied first.", Default: "false", Boolean: true},
			{Name: "cleanHiddenFilesInTarget", Doc: "Whether hidden files go then, too.", Default: "false", Boolean: true},
			{Name: "readyTimeout", Doc: "Milliseconds that signing in may take.", Default: "20000"},
			{Name: "overwrite", Doc: "Whether files that are there are replaced.", Default: "true", Boolean: true},
			{Name: "failOnEmptySource", Doc: "Whether it is a failure that no file matches.", Default: "false", Boolean: true},
			{Name: "flattenFolders", Doc: "Whether all files go into the one folder.", Default: "false", Boolean: true},
			{Name: "delayBetweenUploads", Doc: "Milliseconds between two files.", Default: "0"},
			{Name: "concurrentUploads", Doc: "Changes nothing: files are copied one after the other.", Default: "10"},
		}},
		{Name: "InstallSSHKey", Major: 0, Title: "Install an SSH key", Doc: "Gives the programs of the job, from the checkout on, a key for SSH, and the keys by which they know machines; both go when the job ends.", Inputs: []Input{
			{Name: "hostName", Doc: "Lines for the file known_hosts.", Aliases: []string{"knownHostsEntry"}, Required: true},
			{Name: "sshPublicKey", Doc: "The public key, which is compared with that of the file."},
			{Name: "sshPassphrase", Doc: "The passphrase of the key."},
			{Name: "sshKeySecureFile", Doc: "The secure file with the key. A variable in it must be known when the job starts.", Required: true},
			{Name: "addEntryToConfig", Doc: "Whether the file config of SSH gets a host that is reached with the key.", Default: "false", Boolean: true},
			{Name: "configHostAlias", Doc: "The name of that host.", Required: true, visible: rules("addEntryToConfig = true")},
			{Name: "configHostname", Doc: "Its address.", Required: true, visible: rules("addEntryToConfig = true")},
			{Name: "configUser", Doc: "The user there."},
			{Name: "configPort", Doc: "The port there."},
		}},
	}
}
