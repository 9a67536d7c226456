package task

const noOtherFeed = "packages of other servers are not reached: run that server's own tool in a script step"

// universalTasks keep folders under a name and a version in this server's registry.
func universalTasks() []Definition {
	return []Definition{
		{Name: "UniversalPackages", Major: 0, Title: "Universal packages", Doc: "Publishes a folder as a version of a Universal Package, or downloads one.", Inputs: []Input{
			{Name: "command", Doc: "What is done.", Default: "download", Required: true, Options: []string{"download", "publish"}},
			{Name: "downloadDirectory", Doc: "The folder that the package is written to.", Default: "$(System.DefaultWorkingDirectory)"},
			{Name: "internalOrExternalDownload", Aliases: []string{"feedsToUse"}, Doc: "Whose feed it is downloaded from: this server's.", Default: "internal", Options: []string{"internal", "external"},
				Unsupported: map[string]string{"external": noOtherFeed}},
			{Name: "externalEndpoint", Aliases: []string{"externalFeedCredentials"}, Doc: "The connection to another server.", Unsupported: map[string]string{"": noOtherFeed}},
			{Name: "feedListDownload", Aliases: []string{"vstsFeed"}, Doc: "The feed that it is downloaded from, as FEED or PROJECT/FEED.", NeededFor: "command", NeededForValues: []string{"download"}},
			{Name: "packageListDownload", Aliases: []string{"vstsFeedPackage"}, Doc: "The package that is downloaded.", NeededFor: "command", NeededForValues: []string{"download"}},
			{Name: "versionListDownload", Aliases: []string{"vstsPackageVersion"}, Doc: "The version that is downloaded, or the highest of 1.2.*, 1.* or *.", NeededFor: "command", NeededForValues: []string{"download"}},
			{Name: "feedDownloadExternal", Doc: "A feed of another server.", Unsupported: map[string]string{"": noOtherFeed}},
			{Name: "packageDownloadExternal", Doc: "A package of another server.", Unsupported: map[string]string{"": noOtherFeed}},
			{Name: "versionDownloadExternal", Doc: "A version of another server's package.", Unsupported: map[string]string{"": noOtherFeed}},
			{Name: "publishDirectory", Doc: "The folder that is published.", Default: "$(Build.ArtifactStagingDirectory)"},
			{Name: "internalOrExternalPublish", Aliases: []string{"feedsToUsePublish"}, Doc: "Whose feed it is published to: this server's.", Default: "internal", Options: []string{"internal", "external"},
				Unsupported: map[string]string{"external": noOtherFeed}},
			{Name: "externalEndpoints", Aliases: []string{"publishFeedCredentials"}, Doc: "The connection to another server.", Unsupported: map[string]string{"": noOtherFeed}},
			{Name: "feedListPublish", Aliases: []string{"vstsFeedPublish"}, Doc: "The feed that it is published to, as FEED or PROJECT/FEED.", NeededFor: "command", NeededForValues: []string{"publish"}},
			{Name: "publishPackageMetadata", Doc: "Changes nothing: the run and the commit of a push are always known.", Boolean: true, Default: "true"},
			{Name: "packageListPublish", Aliases: []string{"vstsFeedPackagePublish"}, Doc: "The package that is published.", NeededFor: "command", NeededForValues: []string{"publish"}},
			{Name: "feedPublishExternal", Doc: "A feed of another server.", Unsupported: map[string]string{"": noOtherFeed}},
			{Name: "packagePublishExternal", Doc: "A package of another server.", Unsupported: map[string]string{"": noOtherFeed}},
			{Name: "versionPublishSelector", Aliases: []string{"versionOption"}, Doc: "Which part of the highest version is counted up, or that versionPublish gives it.", Default: "patch", Options: []string{"major", "minor", "patch", "custom"}},
			{Name: "versionPublish", Doc: "The version that is published.", Required: true, visible: rules("command = publish", "versionPublishSelector = custom")},
			{Name: "packagePublishDescription", Doc: "What the package is, for people."},
			{Name: "verbosity", Doc: "Changes nothing: the log says what is done.", Default: "None", Options: []string{"None", "Trace", "Debug", "Information", "Warning", "Error", "Critical"}},
			{Name: "publishedPackageVar", Doc: "The variable that gets the package's name and version."},
		}},
		{Name: "UniversalPackages", Major: 1, Title: "Universal packages", Doc: "Publishes a folder as a version of a Universal Package, or downloads one.", Inputs: []Input{
			{Name: "command", Doc: "What is done.", Default: "download", Required: true, Options: []string{"download", "publish"}},
			{Name: "feed", Doc: "The feed, as FEED or PROJECT/FEED.", Required: true},
			{Name: "packageName", Doc: "The package.", Required: true},
			{Name: "packageVersion", Doc: "The version; of one that is downloaded 1.2.*, 1.* and * mean the highest.", NeededFor: "command", NeededForValues: []string{"download"}},
			{Name: "versionIncrement", Doc: "Which part of the highest version is counted up, in place of packageVersion.", Options: []string{"major", "minor", "patch"}},
			{Name: "directory", Doc: "The folder that is published or written to.", Default: "$(System.DefaultWorkingDirectory)", Required: true},
			{Name: "packageDescription", Doc: "What the package is, for people."},
			{Name: "adoServiceConnection", Doc: "The connection to another organization.", Unsupported: map[string]string{"": noOtherFeed}},
			{Name: "organization", Doc: "Another organization.", Unsupported: map[string]string{"": noOtherFeed}},
		}},
	}
}
