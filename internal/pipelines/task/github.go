package task

// githubConnection are the types of connections to GitHub.
var githubConnection = []string{"github", "githubenterprise"}

// githubTasks work on repositories of GitHub.
func githubTasks() []Definition {
	return []Definition{
		githubRelease(0, "auto", "manual", "file", "releaseNotesFile", "input", "releaseNotes"),
		githubRelease(1, "gitTag", "userSpecifiedTag", "filePath", "releaseNotesFilePath", "inline", "releaseNotesInline",
			Input{Name: "makeLatest", Doc: "Whether it becomes the latest release; legacy leaves that to GitHub.", Default: "true", Options: []string{"true", "false", "legacy"}}),
		{Name: "DownloadGitHubRelease", Major: 0, Title: "Download GitHub release", Doc: "Downloads files of a release at GitHub.", Inputs: []Input{
			{Name: "connection", Doc: "The service connection to GitHub.", Required: true, Connection: githubConnection},
			{Name: "userRepository", Doc: "The repository at GitHub, as OWNER/NAME.", Required: true},
			{Name: "defaultVersionType", Doc: "Whether the latest release is taken, or that of a number (specificVersion) or of a tag (specificTag).", Default: "latest", Required: true,
				Options: []string{"latest", "specificVersion", "specificTag"}},
			{Name: "version", Doc: "The release's number or tag.", Required: true, visible: rules("defaultVersionType != latest")},
			{Name: "itemPattern", Doc: "Patterns of the files' names, one a line.", Default: "**"},
			{Name: "downloadPath", Doc: "The folder that they are put into.", Default: "$(System.ArtifactsDirectory)", Required: true},
		}},
	}
}

func githubRelease(major int, auto, manual, file, fileInput, inline, inlineInput string, more ...Input) Definition {
	written := rules("action != delete")
	return Definition{Name: "GitHubRelease", Major: major, Title: "GitHub release", Doc: "Makes, changes or deletes a release at GitHub, and uploads files to it.", Inputs: append([]Input{
		{Name: "gitHubConnection", Doc: "The service connection to GitHub.", Required: true, Connection: githubConnection},
		{Name: "repositoryName", Doc: "The repository at GitHub, as OWNER/NAME.", Required: true, Default: "$(Build.Repository.Name)"},
		{Name: "action", Doc: "What is done.", Required: true, Default: "create", Options: []string{"create", "edit", "delete"}},
		{Name: "target", Doc: "The commit or branch at GitHub that the release is of.", Required: true, Default: "$(Build.SourceVersion)", visible: written},
		{Name: "tagSource", Doc: "Whether the tag is that of the run or of the target, or is given.", Required: true, Default: auto, Options: []string{auto, manual}, visible: rules("action = create")},
		{Name: "tagPattern", Doc: "A regular expression that the whole tag of the target must match; without one that does there is no release."},
		{Name: "tag", Doc: "The tag of the release.", Required: true, visible: rules("action = edit || action = delete || tagSource = " + manual)},
		{Name: "title", Doc: "The title; the tag without it."},
		{Name: "releaseNotesSource", Doc: "Where the notes are.", Default: file, Options: []string{file, inline}},
		{Name: fileInput, Doc: "The file with the notes."},
		{Name: inlineInput, Doc: "The notes, in Markdown."},
		{Name: "assets", Doc: "Patterns of the files that are uploaded, one a line.", Default: "$(Build.ArtifactStagingDirectory)/*"},
		{Name: "assetUploadMode", Doc: "Whether files of a release that is changed are all deleted first, or replaced by those of the same name.", Default: "delete", Options: []string{"delete", "replace"}},
		{Name: "isDraft", Doc: "Whether it is a draft.", Default: "false", Boolean: true},
		{Name: "isPreRelease", Doc: "Whether it is a pre-release.", Default: "false", Boolean: true},
		{Name: "addChangeLog", Doc: "Whether the commits since another release are added to the notes.", Default: "true", Boolean: true},
		{Name: "changeLogCompareToRelease", Doc: "Which release that is.", Required: true, Default: "lastFullRelease", Options: []string{"lastFullRelease", "lastNonDraftRelease", "lastNonDraftReleaseByTag"}, visible: rules("addChangeLog = true")},
		{Name: "changeLogCompareToReleaseTag", Doc: "A regular expression that its whole tag must match.", Required: true, visible: rules("addChangeLog = true", "changeLogCompareToRelease = lastNonDraftReleaseByTag")},
		{Name: "changeLogType", Doc: "What is listed.", Required: true, Default: "commitBased", Options: []string{"commitBased", "issueBased"}, visible: rules("addChangeLog = true"),
			Unsupported: map[string]string{"issueBased": "write commitBased, whose messages name their issues, or write the notes in a step before"}},
		{Name: "changeLogLabels", Doc: "Headings of a list of issues.", Default: `[{ "label" : "bug", "displayName" : "Bugs", "state" : "closed" }]`},
	}, more...)}
}
