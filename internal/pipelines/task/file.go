package task

// fileTasks work on files of the workspace.
func fileTasks() []Definition {
	return []Definition{
		copyFiles(2,
			Input{Name: "preserveTimestamp", Doc: "Whether files keep their times.", Default: "false", Boolean: true},
			Input{Name: "retryCount", Doc: "How often a copy is tried again.", Default: "0"},
			Input{Name: "delayBetweenRetries", Doc: "Milliseconds between tries.", Default: "1000"},
			Input{Name: "ignoreMakeDirErrors", Doc: "Whether folders that cannot be made are passed over.", Default: "false", Boolean: true},
		),
		copyFiles(1),
		{Name: "DeleteFiles", Major: 1, Title: "DeleteFiles", Doc: "Deletes files and folders by patterns.", Inputs: []Input{
			{Name: "SourceFolder", Doc: "The folder with the files; the sources without it."},
			{Name: "Contents", Doc: "Patterns of the files and folders, one a line, relative to the folder; ! excludes, and the order matters.", Default: "myFileShare"},
			{Name: "RemoveSourceFolder", Doc: "Whether the folder itself is removed if nothing is left in it.", Default: "false", Boolean: true},
			{Name: "RemoveDotFiles", Doc: "Whether * and ** match names that begin with a dot.", Default: "false", Boolean: true},
		}},
		{Name: "ArchiveFiles", Major: 2, Title: "ArchiveFiles", Doc: "Packs a file or folder into an archive.", Inputs: []Input{
			{Name: "rootFolderOrFile", Doc: "The file or folder.", Default: "$(Build.BinariesDirectory)"},
			{Name: "includeRootFolder", Doc: "Whether names in the archive begin with the folder's own.", Default: "true", Boolean: true},
			{Name: "archiveType", Doc: "The format; 7z and wim need the program 7z in the job's image.", Default: "zip", Options: []string{"zip", "7z", "tar", "wim"}},
			{Name: "sevenZipCompression", Doc: "How hard 7z compresses.", Default: "normal", Options: []string{"ultra", "maximum", "normal", "fast", "fastest", "none"}},
			{Name: "tarCompression", Doc: "How a tar file is compressed.", Default: "gz", Options: []string{"gz", "bz2", "xz", "none"}},
			{Name: "archiveFile", Doc: "The archive.", Default: "$(Build.ArtifactStagingDirectory)/$(Build.BuildId).zip"},
			{Name: "replaceExistingArchive", Doc: "Whether an archive that is there is replaced; otherwise files are added to it.", Default: "true", Boolean: true},
			{Name: "verbose", Doc: "Whether each file is named in the log.", Default: "false", Boolean: true},
			{Name: "quiet", Doc: "Whether nothing is said of the files.", Default: "false", Boolean: true},
		}},
		{Name: "DecryptFile", Major: 1, Title: "DecryptFile", Doc: "Decrypts a file by openssl of the job's image.", Inputs: []Input{
			{Name: "cipher", Doc: "The cipher, as openssl calls it.", Default: "des3", Required: true},
			{Name: "inFile", Doc: "The file.", Required: true},
			{Name: "passphrase", Doc: "The passphrase.", Required: true},
			{Name: "outFile", Doc: "The file that is written; the encrypted file's name with .out without it."},
			{Name: "cwd", Doc: "Where openssl runs.", Aliases: []string{"workingDirectory"}},
		}},
		{Name: "cURLUploader", Major: 2, Title: "cURL upload files", Doc: "Uploads files by curl of the job's image.", Inputs: []Input{
			{Name: "files", Doc: "The file, or a pattern of several.", Required: true},
			{Name: "authType", Doc: "Whether a service connection says where to, or the inputs do.", Default: "ServiceEndpoint", Options: []string{"ServiceEndpoint", "UserAndPass"}},
			{Name: "serviceEndpoint", Doc: "The service connection with the URL, a username and a password.", NeededFor: "authType", NeededForValues: []string{"ServiceEndpoint"}, Connection: []string{"generic"}},
			{Name: "username", Doc: "The username."},
			{Name: "password", Doc: "The password."},
			{Name: "url", Doc: "The URL of the folder that files are uploaded to.", NeededFor: "authType", NeededForValues: []string{"UserAndPass"}},
			{Name: "remotePath", Doc: "The path below the URL.", Default: "upload/$(Build.BuildId)/"},
			{Name: "options", Doc: "More arguments of curl."},
			{Name: "redirectStderr", Doc: "Whether curl writes its progress to standard output.", Default: "true", Boolean: true},
		}},
		{Name: "ExtractFiles", Major: 1, Title: "ExtractFiles", Doc: "Unpacks archives: zip, tar, tar.gz, tar.bz2, tar.xz, tar.zst, and others if the job's image has the program 7z.", Inputs: []Input{
			{Name: "archiveFilePatterns", Doc: "Patterns of the archives, one a line.", Default: "**/*.zip"},
			{Name: "destinationFolder", Doc: "The folder that they are unpacked into.", Required: true},
			{Name: "cleanDestinationFolder", Doc: "Whether the folder is emptied first.", Default: "true", Boolean: true},
			{Name: "overwriteExistingFiles", Doc: "Whether files that are there are replaced; otherwise one fails the step.", Default: "false", Boolean: true},
			{Name: "pathToSevenZipTool", Doc: "The path of the program 7z."},
		}},
		{Name: "FileTransform", Major: 1, Title: "FileTransform", Doc: "Puts values of variables into JSON and XML files of a folder or zip file.", Inputs: []Input{
			{Name: "folderPath", Doc: "The folder or zip file; a pattern must match one.", Default: "$(System.DefaultWorkingDirectory)/**/*.zip"},
			{Name: "enableXmlTransform", Doc: "Whether XDT transformations are applied.", Default: "false", Boolean: true, Unsupported: map[string]string{"true": noXDT}},
			{Name: "xmlTransformationRules", Doc: "The transformations.", Default: `-transform **\*.Release.config -xml **\*.config`},
			{Name: "fileType", Doc: "The format of the files.", Options: []string{"xml", "json"}},
			{Name: "targetFiles", Doc: "Patterns of the files, one a line; **/*.json or **/*.config without any."},
		}},
		{Name: "FileTransform", Major: 2, Title: "FileTransform", Doc: "Puts values of variables into JSON and XML files of a folder or zip file.", Inputs: []Input{
			{Name: "folderPath", Doc: "The folder or zip file; a pattern must match one.", Default: "$(System.DefaultWorkingDirectory)/**/*.zip"},
			{Name: "enableXmlTransform", Doc: "Whether XDT transformations are applied, which are of Windows alone and left out on Linux.", Default: "true", Boolean: true},
			{Name: "xmlTransformationRules", Doc: "The transformations.", Default: `-transform **\*.Release.config -xml **\*.config`},
			{Name: "jsonTargetFiles", Doc: "Patterns of JSON files, one a line."},
			{Name: "xmlTargetFiles", Doc: "Patterns of XML files, one a line."},
			{Name: "errorOnInvalidSubstitution", Doc: "Whether it fails the step that no variable fits the JSON files.", Default: "false", Boolean: true},
		}},
	}
}

const noXDT = "XDT transformations run on Windows alone: change the file in a script step"

func copyFiles(major int, more ...Input) Definition {
	return Definition{Name: "CopyFiles", Major: major, Title: "CopyFiles", Doc: "Copies files from one folder to another by patterns.", Inputs: append([]Input{
		{Name: "SourceFolder", Doc: "The folder with the files; the sources without it."},
		{Name: "Contents", Doc: "Patterns of the files, one a line; ! excludes, and the order matters.", Default: "**", PlainBraces: true},
		{Name: "TargetFolder", Doc: "The folder that they are copied to.", Required: true},
		{Name: "CleanTargetFolder", Doc: "Whether the target is emptied first, if there is something to copy.", Default: "false", Boolean: true},
		{Name: "OverWrite", Doc: "Whether files of the target are replaced.", Default: "false", Boolean: true},
		{Name: "flattenFolders", Doc: "Whether all files go into the target folder itself.", Default: "false", Boolean: true},
	}, more...)}
}
