package task

import "slices"

// What to do instead of what a build task cannot do.
const (
	noFeeds       = "there are no feeds of packages here: name the registry in a file of the repository (.npmrc, NuGet.config, pip.conf), with its token in env"
	noConnections = "the task reads no service connections of feeds: put NuGetAuthenticate@1 with nuGetServiceConnections before it"
	noAzure       = "there are no subscriptions of Azure: give credentials in env"
	byBuild       = "let the build run the coverage tool, and publish its report in a step of its own"
)

// coverageByBuild refuses the tools that a task would put into the build. The map is never changed.
var coverageByBuild = map[string]string{"Cobertura": byBuild, "JaCoCo": byBuild}

// The types of connections to registries of packages.
var (
	npmConnection   = []string{"externalnpmregistry"}
	pipConnection   = []string{"externalpythondownloadfeed"}
	twineConnection = []string{"externalpythonuploadfeed"}
)

// buildTasks run build tools and package managers.
func buildTasks() []Definition {
	return []Definition{
		{Name: "Npm", Major: 1, Title: "Npm", Doc: "Runs npm.", Inputs: []Input{
			{Name: "command", Doc: "What to do.", Default: "install", Options: []string{"ci", "install", "publish", "custom"}},
			{Name: "workingDir", Doc: "The folder of package.json."},
			{Name: "verbose", Doc: "Whether npm says more.", Boolean: true},
			{Name: "customCommand", Doc: "The command and its arguments, as `run test`.", NeededFor: "command", NeededForValues: []string{"custom"}},
			{Name: "customRegistry", Doc: "Where packages come from.", Default: "useNpmrc", Options: []string{"useNpmrc", "useFeed"}, Unsupported: map[string]string{"useFeed": noFeeds}},
			{Name: "customFeed", Doc: "A feed of Azure Artifacts.", Unsupported: map[string]string{"": noFeeds}},
			{Name: "customEndpoint", Doc: "Service connections of registries, parted by commas, with whose credentials npm runs.", Connection: npmConnection, Several: true},
			{Name: "publishRegistry", Doc: "Where it is published.", Default: "useExternalRegistry", Options: []string{"useExternalRegistry", "useFeed"}, Unsupported: map[string]string{"useFeed": noFeeds}},
			{Name: "publishFeed", Doc: "A feed of Azure Artifacts.", Unsupported: map[string]string{"": noFeeds}},
			{Name: "publishPackageMetadata", Doc: "Whether the feed hears of the run.", Default: "true", Boolean: true},
			{Name: "publishEndpoint", Doc: "The service connection of the registry, or its URL, whose token then stands in .npmrc.", Connection: npmConnection, NeededFor: "command", NeededForValues: []string{"publish"}},
		}},
		{Name: "npmAuthenticate", Major: 0, Title: "npmAuthenticate", Doc: "Writes the credentials of service connections into an .npmrc file until the job ends.", Inputs: []Input{
			{Name: "workingFile", Doc: "The .npmrc file.", Required: true},
			{Name: "customEndpoint", Doc: "Service connections of registries that the file names, parted by commas.", Connection: npmConnection, Several: true},
			identityOf("customEndpoint"), feedOfIdentity,
		}},
		{Name: "Go", Major: 0, Title: "Go", Doc: "Runs a command of go.", Inputs: []Input{
			{Name: "command", Doc: "The command.", Default: "get", Options: []string{"get", "build", "test", "custom"}},
			{Name: "customCommand", Doc: "The command, as vet.", NeededFor: "command", NeededForValues: []string{"custom"}},
			{Name: "arguments", Doc: "Its arguments."},
			{Name: "workingDirectory", Doc: "Where it runs."},
		}},
		dotnetCoreCLI(0),
		dotnetCoreCLI(1),
		gulp(0),
		gulp(1),
		{Name: "Grunt", Major: 0, Title: "Grunt", Doc: "Runs Grunt, by Node.js.", Inputs: taskRunner("grunt",
			Input{Name: "gruntFile", Doc: "Grunt's file.", Default: "gruntfile.js", Required: true},
			Input{Name: "gruntCli", Doc: "The project's own grunt-cli, below the working directory, if none is on PATH.", Default: "node_modules/grunt-cli/bin/grunt", Required: true})},
		{Name: "DotNetCoreCLI", Major: 2, Title: "DotNetCoreCLI", Doc: "Runs dotnet.", Inputs: []Input{
			{Name: "ConnectedServiceName", Doc: "A subscription of Azure.", Aliases: []string{"azureSubscription"}, Unsupported: map[string]string{"": noAzure}},
			{Name: "command", Doc: "What to do.", Default: "build", Options: []string{"build", "push", "pack", "publish", "restore", "run", "test", "custom"}, Unsupported: map[string]string{"push": "run dotnet nuget push in a script step, with its key in env"}},
			{Name: "publishWebProjects", Doc: "Whether web projects are published instead of those that projects names.", Default: "true", Boolean: true},
			{Name: "projects", Doc: "Patterns of project files, one a line; the working directory without one.", PlainBraces: true},
			{Name: "custom", Doc: "The command, as tool.", NeededFor: "command", NeededForValues: []string{"custom"}},
			{Name: "arguments", Doc: "Arguments of the command."},
			{Name: "restoreArguments", Doc: "More arguments of restore."},
			{Name: "publishTestResults", Doc: "Whether the results of tests are published.", Default: "true", Boolean: true},
			{Name: "testRunTitle", Doc: "What the test run is called."},
			{Name: "zipAfterPublish", Doc: "Whether what is published is put into a zip file.", Default: "true", Boolean: true},
			{Name: "modifyOutputPath", Doc: "Whether the project's folder is added to the output path.", Default: "true", Boolean: true},
			{Name: "selectOrConfig", Doc: "Whether sources stand here or in a file.", Aliases: []string{"feedsToUse"}, Default: "select", Options: []string{"select", "config"}},
			{Name: "feedRestore", Doc: "A feed of Azure Artifacts.", Aliases: []string{"vstsFeed"}, Unsupported: map[string]string{"": noFeeds}},
			{Name: "includeNuGetOrg", Doc: "Whether packages of nuget.org are used.", Default: "true", Boolean: true},
			{Name: "nugetConfigPath", Doc: "The NuGet.config file."},
			{Name: "externalEndpoints", Doc: "Service connections of feeds.", Aliases: []string{"externalFeedCredentials"}, Unsupported: map[string]string{"": noConnections}},
			{Name: "noCache", Doc: "Whether the local cache is passed over.", Default: "false", Boolean: true},
			{Name: "packagesDirectory", Doc: "The folder that packages are put into.", Aliases: []string{"restoreDirectory"}},
			{Name: "verbosityRestore", Doc: "How much restore says.", Default: "Normal", Options: []string{"-", "Quiet", "Minimal", "Normal", "Detailed", "Diagnostic"}},
			{Name: "searchPatternPush", Doc: "Patterns of the packages.", Aliases: []string{"packagesToPush"}, Default: "$(Build.ArtifactStagingDirectory)/*.nupkg"},
			{Name: "nuGetFeedType", Doc: "Where packages are pushed to.", Default: "internal", Options: []string{"internal", "external"}},
			{Name: "feedPublish", Doc: "A feed of Azure Artifacts.", Aliases: []string{"publishVstsFeed"}, Unsupported: map[string]string{"": noFeeds}},
			{Name: "publishPackageMetadata", Doc: "Whether the feed hears of the run.", Default: "true", Boolean: true},
			{Name: "externalEndpoint", Doc: "The service connection of the feed.", Aliases: []string{"publishFeedCredentials"}, Unsupported: map[string]string{"": noConnections}},
			{Name: "searchPatternPack", Doc: "Patterns of project or nuspec files.", Aliases: []string{"packagesToPack"}, Default: "**/*.csproj"},
			{Name: "configurationToPack", Doc: "The configuration that is packed.", Aliases: []string{"configuration"}, Default: "$(BuildConfiguration)"},
			{Name: "outputDir", Doc: "The folder of the packages.", Aliases: []string{"packDirectory"}, Default: "$(Build.ArtifactStagingDirectory)"},
			{Name: "nobuild", Doc: "Whether nothing is built before.", Default: "false", Boolean: true},
			{Name: "includesymbols", Doc: "Whether symbol packages are made.", Default: "false", Boolean: true},
			{Name: "includesource", Doc: "Whether sources are in them.", Default: "false", Boolean: true},
			{Name: "versioningScheme", Doc: "Where the packages' version comes from.", Default: "off", Options: []string{"off", "byPrereleaseNumber", "byEnvVar", "byBuildNumber", "bySemVerBuildNumber"}},
			{Name: "versionEnvVar", Doc: "The variable that holds the version.", Required: true, visible: rules("command = pack", "versioningScheme = byEnvVar")},
			{Name: "requestedMajorVersion", Doc: "The first part of the version.", Aliases: []string{"majorVersion"}, Default: "1"},
			{Name: "requestedMinorVersion", Doc: "The second part of the version.", Aliases: []string{"minorVersion"}, Default: "0"},
			{Name: "requestedPatchVersion", Doc: "The third part of the version.", Aliases: []string{"patchVersion"}, Default: "0"},
			{Name: "buildProperties", Doc: "Properties of the build, NAME=VALUE with semicolons between."},
			{Name: "verbosityPack", Doc: "How much pack says.", Default: "Normal", Options: []string{"-", "Quiet", "Minimal", "Normal", "Detailed", "Diagnostic"}},
			{Name: "workingDirectory", Doc: "Where it runs."},
			{Name: "requestTimeout", Doc: "Milliseconds that a request to a feed may take.", Default: "300000", Integer: true},
		}},
		{Name: "NuGetCommand", Major: 2, Title: "NuGetCommand", Doc: "Restores packages of NuGet by dotnet.", Inputs: []Input{
			{Name: "command", Doc: "What to do.", Default: "restore", Options: []string{"restore", "pack", "push", "custom"}, Unsupported: map[string]string{"pack": "use DotNetCoreCLI@2 with command: pack", "push": "run dotnet nuget push in a script step, with its key in env", "custom": "nuget.exe is a program of Windows: run dotnet nuget in a script step"}},
			{Name: "solution", Doc: "Patterns of solutions, projects or packages.config files.", Aliases: []string{"restoreSolution"}, Default: "**/*.sln", NeededFor: "command", NeededForValues: []string{"restore"}},
			{Name: "selectOrConfig", Doc: "Whether sources stand here or in a file.", Aliases: []string{"feedsToUse"}, Default: "select", Options: []string{"select", "config"}},
			{Name: "feedRestore", Doc: "A feed of Azure Artifacts.", Aliases: []string{"vstsFeed"}, Unsupported: map[string]string{"": noFeeds}},
			{Name: "includeNuGetOrg", Doc: "Whether packages of nuget.org are used.", Default: "true", Boolean: true},
			{Name: "nugetConfigPath", Doc: "The NuGet.config file."},
			{Name: "externalEndpoints", Doc: "Service connections of feeds.", Aliases: []string{"externalFeedCredentials"}, Unsupported: map[string]string{"": noConnections}},
			{Name: "noCache", Doc: "Whether the local cache is passed over.", Default: "false", Boolean: true},
			{Name: "disableParallelProcessing", Doc: "Whether packages are fetched one after the other.", Default: "false", Boolean: true},
			{Name: "packagesDirectory", Doc: "The folder that packages are put into.", Aliases: []string{"restoreDirectory"}},
			{Name: "verbosityRestore", Doc: "How much restore says.", Default: "Detailed", Options: []string{"Quiet", "Normal", "Detailed"}},
			{Name: "searchPatternPush", Doc: "Patterns of the packages.", Aliases: []string{"packagesToPush"}, Default: "$(Build.ArtifactStagingDirectory)/**/*.nupkg;!$(Build.ArtifactStagingDirectory)/**/*.symbols.nupkg"},
			{Name: "nuGetFeedType", Doc: "Where packages are pushed to.", Default: "internal", Options: []string{"internal", "external"}},
			{Name: "feedPublish", Doc: "A feed of Azure Artifacts.", Aliases: []string{"publishVstsFeed"}, Unsupported: map[string]string{"": noFeeds}},
			{Name: "publishPackageMetadata", Doc: "Whether the feed hears of the run.", Default: "true", Boolean: true},
			{Name: "allowPackageConflicts", Doc: "Whether packages may be there already.", Default: "false", Boolean: true},
			{Name: "requestTimeout", Doc: "Milliseconds that a request to a feed may take.", Integer: true},
			{Name: "externalEndpoint", Doc: "The service connection of the feed.", Aliases: []string{"publishFeedCredentials"}, Unsupported: map[string]string{"": noConnections}},
			{Name: "verbosityPush", Doc: "How much push says.", Default: "Detailed", Options: []string{"Quiet", "Normal", "Detailed"}},
			{Name: "searchPatternPack", Doc: "Patterns of project or nuspec files.", Aliases: []string{"packagesToPack"}, Default: "**/*.csproj"},
			{Name: "configurationToPack", Doc: "The configuration that is packed.", Aliases: []string{"configuration"}, Default: "$(BuildConfiguration)"},
			{Name: "outputDir", Doc: "The folder of the packages.", Aliases: []string{"packDestination"}, Default: "$(Build.ArtifactStagingDirectory)"},
			{Name: "versioningScheme", Doc: "Where the packages' version comes from.", Default: "off", Options: []string{"off", "byPrereleaseNumber", "byEnvVar", "byBuildNumber"}},
			{Name: "includeReferencedProjects", Doc: "Whether referenced projects are in the package.", Default: "false", Boolean: true},
			{Name: "versionEnvVar", Doc: "The variable that holds the version.", Required: true, visible: rules("command = pack", "versioningScheme = byEnvVar")},
			{Name: "requestedMajorVersion", Doc: "The first part of the version.", Aliases: []string{"majorVersion"}, Default: "1"},
			{Name: "requestedMinorVersion", Doc: "The second part of the version.", Aliases: []string{"minorVersion"}, Default: "0"},
			{Name: "requestedPatchVersion", Doc: "The third part of the version.", Aliases: []string{"patchVersion"}, Default: "0"},
			{Name: "packTimezone", Doc: "The time zone of the version.", Default: "utc", Options: []string{"utc", "local"}},
			{Name: "includeSymbols", Doc: "Whether symbol packages are made.", Default: "false", Boolean: true},
			{Name: "toolPackage", Doc: "Whether the package is a tool.", Default: "false", Boolean: true},
			{Name: "buildProperties", Doc: "Properties of the build, NAME=VALUE with semicolons between."},
			{Name: "basePath", Doc: "The folder of the files in a nuspec file."},
			{Name: "verbosityPack", Doc: "How much pack says.", Default: "Detailed", Options: []string{"Quiet", "Normal", "Detailed"}},
			{Name: "arguments", Doc: "The command and its arguments.", NeededFor: "command", NeededForValues: []string{"custom"}},
		}},
		{Name: "NuGetAuthenticate", Major: 1, Title: "NuGetAuthenticate", Doc: "Gives NuGet the credentials of service connections for sources that a NuGet.config names.", Inputs: []Input{
			{Name: "nuGetServiceConnections", Doc: "Service connections of feeds, parted by commas.", Connection: []string{"externalnugetfeed"}, Several: true},
			{Name: "forceReinstallCredentialProvider", Doc: "Whether the credential provider is installed again, which there is none of.", Default: "false", Boolean: true},
			identityOf("nuGetServiceConnections"), feedOfIdentity,
		}},
		{Name: "NuGetAuthenticate", Major: 0, Title: "NuGetAuthenticate", Doc: "Gives NuGet the credentials of service connections for sources that a NuGet.config names.", Inputs: []Input{
			{Name: "nuGetServiceConnections", Doc: "Service connections of feeds, parted by commas.", Connection: []string{"externalnugetfeed"}, Several: true},
			{Name: "forceReinstallCredentialProvider", Doc: "Whether the credential provider is installed again, which there is none of.", Default: "false", Boolean: true},
		}},
		{Name: "PipAuthenticate", Major: 1, Title: "PipAuthenticate", Doc: "Gives pip indexes with the credentials of service connections.", Inputs: []Input{
			{Name: "artifactFeeds", Doc: "Feeds of Azure Artifacts, which there are none of."},
			{Name: "pythonDownloadServiceConnections", Doc: "Service connections of indexes, parted by commas.", Connection: pipConnection, Several: true},
			{Name: "onlyAddExtraIndex", Doc: "Whether feeds come after the public index.", Default: "false", Boolean: true},
			identityOf("pythonDownloadServiceConnections"), feedOfIdentity,
		}},
		{Name: "PipAuthenticate", Major: 0, Title: "PipAuthenticate", Doc: "Gives pip indexes with the credentials of service connections.", Inputs: []Input{
			{Name: "feedList", Doc: "Feeds of Azure Artifacts, which there are none of.", Aliases: []string{"artifactFeeds"}},
			{Name: "externalSources", Doc: "Service connections of indexes, parted by commas.", Aliases: []string{"externalFeeds"}, Connection: pipConnection, Several: true},
		}},
		{Name: "MavenAuthenticate", Major: 0, Title: "Maven Authenticate", Doc: "Writes the credentials of service connections into Maven's settings until the job ends.", Inputs: []Input{
			{Name: "artifactsFeeds", Doc: "Feeds of Azure Artifacts, which there are none of."},
			{Name: "mavenServiceConnections", Doc: "Service connections of repositories, parted by commas.", Connection: []string{"externalmavenrepository"}, Several: true},
			identityOf("mavenServiceConnections"),
		}},
		{Name: "TwineAuthenticate", Major: 0, Title: "TwineAuthenticate", Doc: "Writes a .pypirc file with the credentials of service connections.", Inputs: []Input{
			{Name: "feedList", Doc: "Feeds of Azure Artifacts, which there are none of.", Aliases: []string{"artifactFeeds"}},
			{Name: "externalFeeds", Doc: "Service connections of indexes, parted by commas.", Aliases: []string{"externalSources"}, Connection: twineConnection, Several: true},
			{Name: "publishPackageMetadata", Doc: "Whether the feed hears of the run, which changes nothing.", Default: "true", Boolean: true},
		}},
		{Name: "TwineAuthenticate", Major: 1, Title: "TwineAuthenticate", Doc: "Writes a .pypirc file with the credentials of a service connection.", Inputs: []Input{
			{Name: "artifactFeed", Doc: "A feed of Azure Artifacts, which there are none of."},
			{Name: "pythonUploadServiceConnection", Doc: "The service connection of an index.", Connection: twineConnection},
		}},
		{Name: "CMake", Major: 1, Title: "CMake", Doc: "Runs cmake.", Inputs: []Input{
			{Name: "cwd", Doc: "Where it runs; it is made if it is not there.", Aliases: []string{"workingDirectory"}, Default: "build"},
			{Name: "cmakeArgs", Doc: "Its arguments."},
			{Name: "runInsideShell", Doc: "Whether a shell reads the arguments, which expands variables of the environment.", Default: "false", Boolean: true},
		}},
		{Name: "Ant", Major: 1, Title: "Ant", Doc: "Runs ant.", Inputs: []Input{
			{Name: "antBuildFile", Doc: "The build file.", Aliases: []string{"buildFile"}, Default: "build.xml", Required: true},
			{Name: "options", Doc: "Options of ant."},
			{Name: "targets", Doc: "The targets, with spaces between."},
			{Name: "publishJUnitResults", Doc: "Whether the results of tests are published.", Default: "true", Boolean: true},
			{Name: "testResultsFiles", Doc: "Patterns of the result files.", Default: "**/TEST-*.xml"},
			{Name: "testRunTitle", Doc: "What the test run is called."},
			{Name: "codeCoverageTool", Doc: "The tool that measures coverage.", Aliases: []string{"codeCoverageToolOptions"}, Default: "None", Options: []string{"None", "Cobertura", "JaCoCo"}, Unsupported: coverageByBuild},
			{Name: "classFilesDirectories", Doc: "Folders of class files for coverage.", Aliases: []string{"codeCoverageClassFilesDirectories"}, Default: "."},
			{Name: "classFilter", Doc: "Which classes count for coverage.", Aliases: []string{"codeCoverageClassFilter"}},
			{Name: "srcDirectories", Doc: "Folders of sources for coverage.", Aliases: []string{"codeCoverageSourceDirectories"}},
			{Name: "failIfCoverageEmpty", Doc: "Whether the step fails without coverage.", Aliases: []string{"codeCoverageFailIfEmpty"}, Default: "false", Boolean: true},
			{Name: "antHomeUserInputPath", Doc: "The value of ANT_HOME.", Aliases: []string{"antHomeDirectory"}},
			{Name: "javaHomeSelection", Doc: "Whether JAVA_HOME is found by a version or is a path.", Aliases: []string{"javaHomeOption"}, Default: "JDKVersion", Options: []string{"JDKVersion", "Path"}},
			{Name: "jdkVersion", Doc: "The version of the JDK.", Aliases: []string{"jdkVersionOption"}, Default: "default", Options: []string{"default", "1.25", "1.21", "1.17", "1.11", "1.10", "1.9", "1.8", "1.7", "1.6"}},
			{Name: "jdkUserInputPath", Doc: "The folder of the JDK.", Aliases: []string{"jdkUserInputDirectory"}, NeededFor: "javaHomeSelection", NeededForValues: []string{"Path"}},
			{Name: "jdkArchitecture", Doc: "The processor of the JDK.", Aliases: []string{"jdkArchitectureOption"}, Default: "x64", Options: []string{"x86", "x64", "arm64"}},
		}},
		maven(3),
		maven(4),
		gradle(2),
		gradle(3),
		gradle(4),
	}
}

func maven(major int) Definition {
	inputs := []Input{
		{Name: "mavenPOMFile", Doc: "The project file.", Default: "pom.xml", Required: true},
		{Name: "goals", Doc: "The goals.", Default: "package"},
		{Name: "options", Doc: "Options of mvn."},
		{Name: "publishJUnitResults", Doc: "Whether the results of tests are published.", Default: "true", Boolean: true},
		{Name: "testResultsFiles", Doc: "Patterns of the result files.", Default: "**/surefire-reports/TEST-*.xml"},
		{Name: "testRunTitle", Doc: "What the test run is called."},
		{Name: "allowBrokenSymbolicLinks", Doc: "Whether broken links are passed over in the search for results.", Aliases: []string{"allowBrokenSymlinks"}, Default: "true", Boolean: true},
		{Name: "codeCoverageTool", Doc: "The tool that measures coverage.", Aliases: []string{"codeCoverageToolOption"}, Default: "None", Options: []string{"None", "Cobertura", "JaCoCo"}, Unsupported: coverageByBuild},
		{Name: "classFilter", Doc: "Which classes count for coverage.", Aliases: []string{"codeCoverageClassFilter"}},
		{Name: "classFilesDirectories", Doc: "Folders of class files for coverage.", Aliases: []string{"codeCoverageClassFilesDirectories"}},
		{Name: "srcDirectories", Doc: "Folders of sources for coverage.", Aliases: []string{"codeCoverageSourceDirectories"}},
		{Name: "failIfCoverageEmpty", Doc: "Whether the step fails without coverage.", Aliases: []string{"codeCoverageFailIfEmpty"}, Default: "false", Boolean: true},
		{Name: "restoreOriginalPomXml", Doc: "Whether coverage leaves the project file as it was.", Aliases: []string{"codeCoverageRestoreOriginalPomXml"}, Default: "false", Boolean: true},
		{Name: "javaHomeSelection", Doc: "Whether JAVA_HOME is found by a version or is a path.", Aliases: []string{"javaHomeOption"}, Default: "JDKVersion", Options: []string{"JDKVersion", "Path"}},
		{Name: "jdkVersion", Doc: "The version of the JDK.", Aliases: []string{"jdkVersionOption"}, Default: "default", Options: []string{"default", "1.21", "1.17", "1.11", "1.10", "1.9", "1.8", "1.7", "1.6"}},
		{Name: "jdkUserInputPath", Doc: "The folder of the JDK.", Aliases: []string{"jdkDirectory"}, NeededFor: "javaHomeSelection", NeededForValues: []string{"Path"}},
		{Name: "jdkArchitecture", Doc: "The processor of the JDK.", Aliases: []string{"jdkArchitectureOption"}, Default: "x64", Options: []string{"x86", "x64", "arm64"}},
		{Name: "mavenVersionSelection", Doc: "Whether mvn is the one of M2_HOME or PATH, or of a path.", Aliases: []string{"mavenVersionOption"}, Default: "Default", Options: []string{"Default", "Path"}},
		{Name: "mavenPath", Doc: "The folder of Maven.", Aliases: []string{"mavenDirectory"}, NeededFor: "mavenVersionSelection", NeededForValues: []string{"Path"}},
		{Name: "mavenSetM2Home", Doc: "Whether M2_HOME is set to that folder.", Default: "false", Boolean: true},
		{Name: "mavenOpts", Doc: "The value of MAVEN_OPTS.", Aliases: []string{"mavenOptions"}, Default: "-Xmx1024m"},
		{Name: "mavenFeedAuthenticate", Doc: "Whether credentials of feeds are written.", Aliases: []string{"mavenAuthenticateFeed"}, Default: "false", Boolean: true, Unsupported: map[string]string{"true": "write settings.xml in a script step and name it in options, as -s settings.xml"}},
		{Name: "skipEffectivePom", Doc: "Whether feeds are looked for without the effective project file.", Aliases: []string{"effectivePomSkip"}, Default: "false", Boolean: true},
		{Name: "sqAnalysisEnabled", Doc: "Whether SonarQube analyses.", Aliases: []string{"sonarQubeRunAnalysis"}, Default: "false", Boolean: true, Unsupported: map[string]string{"true": "name the goal of its plugin in goals"}},
		{Name: "isJacocoCoverageReportXML", Doc: "Whether SonarQube reads reports in XML.", Default: "false", Boolean: true},
		{Name: "sqMavenPluginVersionChoice", Doc: "Which version of SonarQube's plugin is used.", Default: "latest", Options: []string{"latest", "pom"}},
		{Name: "checkstyleAnalysisEnabled", Doc: "Whether Checkstyle runs.", Aliases: []string{"checkStyleRunAnalysis"}, Default: "false", Boolean: true, Unsupported: map[string]string{"true": "name the goal of its plugin in goals"}},
		{Name: "pmdAnalysisEnabled", Doc: "Whether PMD runs.", Aliases: []string{"pmdRunAnalysis"}, Default: "false", Boolean: true, Unsupported: map[string]string{"true": "name the goal of its plugin in goals"}},
		{Name: "findbugsAnalysisEnabled", Doc: "Whether FindBugs runs.", Aliases: []string{"findBugsRunAnalysis"}, Default: "false", Boolean: true, Unsupported: map[string]string{"true": "name the goal of its plugin in goals"}},
		{Name: "spotBugsAnalysisEnabled", Doc: "Whether SpotBugs runs.", Aliases: []string{"spotBugsRunAnalysis"}, Default: "false", Boolean: true, Unsupported: map[string]string{"true": "name the goal of its plugin in goals"}},
		{Name: "spotBugsMavenPluginVersion", Doc: "The version of the plugin of SpotBugs.", Aliases: []string{"spotBugsVersion"}, Default: "4.5.3.0"},
		{Name: "spotBugsGoal", Doc: "The goal of SpotBugs.", Default: "spotbugs", Options: []string{"spotbugs", "check"}},
		{Name: "spotBugsFailWhenBugsFound", Doc: "Whether bugs fail the step.", Aliases: []string{"failWhenBugsFound", "sbFailWhenBugsFound"}, Default: "true", Boolean: true},
	}
	if major >= 4 {
		inputs = append([]Input{
			{Name: "ConnectedServiceName", Doc: "A subscription of Azure.", Aliases: []string{"azureSubscription"}, Unsupported: map[string]string{"": noAzure}},
		}, inputs...)
	}
	return Definition{Name: "Maven", Major: major, Title: "Maven", Doc: "Runs mvn.", Inputs: inputs}
}

// gradle is the task; version 4 no longer measures coverage.
func gradle(major int) Definition {
	inputs := []Input{
		{Name: "wrapperScript", Doc: "The wrapper script.", Aliases: []string{"gradleWrapperFile"}, Default: "gradlew", Required: true},
		{Name: "cwd", Doc: "Where it runs.", Aliases: []string{"workingDirectory"}},
		{Name: "options", Doc: "Options of gradle."},
		{Name: "tasks", Doc: "The tasks, with spaces between.", Default: "build", Required: true},
		{Name: "publishJUnitResults", Doc: "Whether the results of tests are published.", Default: "true", Boolean: true},
		{Name: "testResultsFiles", Doc: "Patterns of the result files.", Default: "**/TEST-*.xml"},
		{Name: "testRunTitle", Doc: "What the test run is called."},
		{Name: "javaHomeSelection", Doc: "Whether JAVA_HOME is found by a version or is a path.", Aliases: []string{"javaHomeOption"}, Default: "JDKVersion", Options: []string{"JDKVersion", "Path"}},
		{Name: "jdkVersion", Doc: "The version of the JDK.", Aliases: []string{"jdkVersionOption"}, Default: "default", Options: []string{"default", "1.17", "1.11", "1.10", "1.9", "1.8", "1.7", "1.6"}},
		{Name: "jdkUserInputPath", Doc: "The folder of the JDK.", Aliases: []string{"jdkDirectory"}, NeededFor: "javaHomeSelection", NeededForValues: []string{"Path"}},
		{Name: "jdkArchitecture", Doc: "The processor of the JDK.", Aliases: []string{"jdkArchitectureOption"}, Default: "x64", Options: []string{"x86", "x64", "arm64"}},
		{Name: "gradleOpts", Doc: "The value of GRADLE_OPTS.", Aliases: []string{"gradleOptions"}, Default: "-Xmx1024m"},
		{Name: "sqAnalysisEnabled", Doc: "Whether SonarQube analyses.", Aliases: []string{"sonarQubeRunAnalysis"}, Default: "false", Boolean: true, Unsupported: map[string]string{"true": "name the plugin's task in tasks"}},
		{Name: "sqGradlePluginVersionChoice", Doc: "Where the version of SonarQube's plugin stands.", Default: "specify", Options: []string{"specify", "build"}},
		{Name: "sqGradlePluginVersion", Doc: "The version of SonarQube's plugin.", Aliases: []string{"sonarQubeGradlePluginVersion"}, Default: "2.6.1"},
		{Name: "checkstyleAnalysisEnabled", Doc: "Whether Checkstyle runs.", Aliases: []string{"checkStyleRunAnalysis"}, Default: "false", Boolean: true, Unsupported: map[string]string{"true": "name the plugin's task in tasks"}},
		{Name: "findbugsAnalysisEnabled", Doc: "Whether FindBugs runs.", Aliases: []string{"findBugsRunAnalysis"}, Default: "false", Boolean: true, Unsupported: map[string]string{"true": "name the plugin's task in tasks"}},
		{Name: "pmdAnalysisEnabled", Doc: "Whether PMD runs.", Aliases: []string{"pmdRunAnalysis"}, Default: "false", Boolean: true, Unsupported: map[string]string{"true": "name the plugin's task in tasks"}},
		{Name: "spotBugsAnalysisEnabled", Doc: "Whether SpotBugs runs.", Aliases: []string{"spotBugsAnalysis"}, Default: "false", Boolean: true, Unsupported: map[string]string{"true": "name the plugin's task in tasks"}},
		{Name: "spotBugsGradlePluginVersionChoice", Doc: "Where the version of the plugin of SpotBugs stands.", Default: "specify", Options: []string{"specify", "build"}},
		{Name: "spotbugsGradlePluginVersion", Doc: "The version of the plugin of SpotBugs.", Default: "4.7.0"},
	}
	if major < 4 {
		inputs = slices.Concat(inputs, []Input{
			{Name: "codeCoverageTool", Doc: "The tool that measures coverage.", Aliases: []string{"codeCoverageToolOption"}, Default: "None", Options: []string{"None", "Cobertura", "JaCoCo"}, Unsupported: coverageByBuild},
			{Name: "classFilesDirectories", Doc: "Folders of class files for coverage.", Aliases: []string{"codeCoverageClassFilesDirectories"}, Default: "build/classes/main/"},
			{Name: "classFilter", Doc: "Which classes count for coverage.", Aliases: []string{"codeCoverageClassFilter"}},
			{Name: "failIfCoverageEmpty", Doc: "Whether the step fails without coverage.", Aliases: []string{"codeCoverageFailIfEmpty"}, Default: "false", Boolean: true},
			{Name: "gradle5xOrHigher", Doc: "Whether Gradle is 5 or newer, for coverage.", Aliases: []string{"codeCoverageGradle5xOrHigher"}, Default: "true", Boolean: true},
		})
	}
	return Definition{Name: "Gradle", Major: major, Title: "Gradle", Doc: "Runs a Gradle wrapper script.", Inputs: inputs}
}

// dotnetCoreCLI is the versions before the second, as they last were in azure-pipelines-tasks (Tasks/DotNetCoreCLI at bb868e8 and 8f51d16).
func dotnetCoreCLI(major int) Definition {
	return Definition{Name: "DotNetCoreCLI", Major: major, Title: "DotNetCoreCLI", Doc: "Runs dotnet (the older task).", Inputs: []Input{
		{Name: "command", Doc: "The command, as build, publish, restore, test or run.", Default: "build", Required: true},
		{Name: "publishWebProjects", Doc: "Whether web projects are published instead of those that projects names.", Default: "true", Boolean: true},
		{Name: "projects", Doc: "Patterns of project files, one a line; the working directory without one.", PlainBraces: true},
		{Name: "arguments", Doc: "Arguments of the command."},
		{Name: "zipAfterPublish", Doc: "Whether what is published is put into a zip file.", Default: "true", Boolean: true},
	}}
}

func gulp(major int) Definition {
	file, script := Input{Name: "gulpFile", Doc: "gulp's file.", Default: "gulpfile.js"}, Input{Name: "gulpjs", Doc: "The project's own gulp.js, below the working directory, in place of the one on PATH."}
	if major == 0 {
		file.Required = true
		script = Input{Name: "gulpjs", Doc: "The project's own gulp.js, below the working directory, if none is on PATH.", Default: "node_modules/gulp/bin/gulp.js", Required: true}
	}
	return Definition{Name: "gulp", Major: major, Title: "gulp", Doc: "Runs gulp, by Node.js.", Inputs: taskRunner("gulp", file, script)}
}

// taskRunner are the inputs of a program of Node.js that runs tasks.
func taskRunner(program string, file, script Input) []Input {
	return []Input{
		file,
		{Name: "targets", Doc: "The tasks, parted by blanks; the default task without one."},
		{Name: "arguments", Doc: "Arguments of " + program + "."},
		{Name: "cwd", Aliases: []string{"workingDirectory"}, Doc: "Where it runs."},
		script,
		{Name: "publishJUnitResults", Doc: "Whether the results of tests are published.", Default: "false", Boolean: true},
		{Name: "testResultsFiles", Doc: "Patterns of the result files.", Default: "**/TEST-*.xml"},
		{Name: "testRunTitle", Doc: "What the test run is called."},
		{Name: "enableCodeCoverage", Doc: "Whether the tests run once more in Istanbul, which is installed for it, and their coverage is published.", Default: "false", Boolean: true},
		{Name: "testFramework", Doc: "What runs the tests for coverage.", Default: "Mocha", Options: []string{"Mocha", "Jasmine"}},
		{Name: "srcFiles", Doc: "The sources whose coverage counts."},
		{Name: "testFiles", Doc: "The files of tests for coverage.", Default: "test/*.js"},
	}
}

// identityOf is the input of a service connection of Azure DevOps, which the pages of Microsoft's task reference have and the public manifests have
// not: the task opens Azure's feeds with it, and needs others' credentials in another input.
func identityOf(other string) Input {
	return Input{Name: "workloadIdentityServiceConnection", Doc: "A service connection of Azure DevOps, which there is none of.", Aliases: []string{"azureDevOpsServiceConnection"},
		Unsupported: map[string]string{"": noFeeds + ", or give a service connection in " + other}}
}

// feedOfIdentity is the feed that identityOf opens.
var feedOfIdentity = Input{Name: "feedUrl", Doc: "A feed of Azure Artifacts for azureDevOpsServiceConnection."}
