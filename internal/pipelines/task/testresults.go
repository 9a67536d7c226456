package task

// testTasks publish what tests found.
func testTasks() []Definition {
	return []Definition{
		{Name: "PublishTestResults", Major: 2, Title: "PublishTestResults", Doc: "Publishes the results of tests, which the run then shows.", Inputs: []Input{
			{Name: "testResultsFormat", Doc: "The format of the files.", Aliases: []string{"testRunner"}, Default: "JUnit", Options: []string{"JUnit", "NUnit", "VSTest", "XUnit", "CTest"}},
			{Name: "testResultsFiles", Doc: "Patterns of the files, one a line.", Default: "**/TEST-*.xml", PlainBraces: true},
			{Name: "searchFolder", Doc: "The folder in which files are looked for.", Default: "$(System.DefaultWorkingDirectory)"},
			{Name: "mergeTestResults", Doc: "Whether all files are one test run.", Default: "false", Boolean: true},
			{Name: "failTaskOnFailedTests", Doc: "Whether the step fails if a test has failed.", Default: "false", Boolean: true},
			{Name: "failTaskOnFailureToPublishResults", Doc: "Whether the step fails if results cannot be published.", Default: "false", Boolean: true},
			{Name: "failTaskOnMissingResultsFile", Doc: "Whether the step fails if no file is found.", Default: "false", Boolean: true},
			{Name: "testRunTitle", Doc: "What the test run is called."},
			{Name: "buildPlatform", Doc: "The platform of the test run.", Aliases: []string{"platform"}},
			{Name: "buildConfiguration", Doc: "The configuration of the test run.", Aliases: []string{"configuration"}},
			{Name: "publishRunAttachments", Doc: "Whether the files are kept with the results.", Default: "true", Boolean: true},
		}},
		{Name: "PublishTestResults", Major: 1, Title: "PublishTestResults", Doc: "Publishes the results of tests, which the run then shows.", Inputs: []Input{
			{Name: "testRunner", Doc: "The format of the files.", Default: "JUnit", Options: []string{"JUnit", "NUnit", "VSTest", "XUnit"}},
			{Name: "testResultsFiles", Doc: "Patterns of the files, one a line.", Default: "**/TEST-*.xml", PlainBraces: true},
			{Name: "mergeTestResults", Doc: "Whether all files are one test run.", Default: "false", Boolean: true},
			{Name: "testRunTitle", Doc: "What the test run is called."},
			{Name: "platform", Doc: "The platform of the test run."},
			{Name: "configuration", Doc: "The configuration of the test run."},
			{Name: "publishRunAttachments", Doc: "Whether the files are kept with the results.", Default: "true", Boolean: true},
		}},
	}
}
