package task

// msbuildTasks build with MSBuild, which .NET's SDK has on Linux.
func msbuildTasks() []Definition {
	return []Definition{
		{Name: "MSBuild", Major: 1, Title: "MSBuild", Doc: "Builds solutions and projects with msbuild, or with dotnet msbuild.", Inputs: []Input{
			{Name: "solution", Doc: "Patterns of the files, one a line.", Required: true, Default: "**/*.sln"},
			{Name: "msbuildLocationMethod", Doc: "Whether msbuild is looked for, or where it is.", Default: "version", Options: []string{"version", "location"}},
			{Name: "msbuildVersion", Doc: "Changes nothing: there is one msbuild in an image.", Default: "latest", Options: []string{"latest", "18.0", "17.0", "16.0", "15.0", "14.0", "12.0", "4.0"}},
			{Name: "msbuildArchitecture", Doc: "Changes nothing: it is of Windows.", Default: "x86", Options: []string{"x86", "x64", "arm64"}},
			{Name: "msbuildLocation", Doc: "The path of msbuild."},
			{Name: "platform", Doc: "The property Platform."},
			{Name: "configuration", Doc: "The property Configuration."},
			{Name: "msbuildArguments", Doc: "More arguments."},
			{Name: "clean", Doc: "Whether the target Clean comes first.", Default: "false", Boolean: true},
			{Name: "maximumCpuCount", Doc: "Whether projects are built at once.", Default: "false", Boolean: true},
			{Name: "restoreNugetPackages", Doc: "Changes nothing, as in Azure Pipelines: write -restore under msbuildArguments.", Default: "false", Boolean: true},
			{Name: "logProjectEvents", Doc: "Changes nothing: it is of Windows.", Default: "false", Boolean: true},
			{Name: "createLogFile", Doc: "Whether msbuild writes a log file.", Default: "false", Boolean: true, Unsupported: map[string]string{"true": "it is of Windows: write -fileLogger under msbuildArguments"}},
			{Name: "logFileVerbosity", Doc: "How much the log file says.", Default: "normal", Options: []string{"quiet", "minimal", "normal", "detailed", "diagnostic"}},
		}},
	}
}
