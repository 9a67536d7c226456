package task

// coverageTasks publish code coverage.
var coverageTasks = []Definition{
	{Name: "PublishCodeCoverageResults", Major: 2, Title: "PublishCodeCoverageResults", Doc: "Publishes code coverage (Cobertura, JaCoCo), which the run then shows.", Inputs: []Input{
		{Name: "summaryFileLocation", Doc: "Patterns of the reports, one a line; all of them are one.", Required: true, PlainBraces: true},
		{Name: "pathToSources", Doc: "The folder of the sources, for reports that do not say it."},
		{Name: "failIfCoverageEmpty", Doc: "Whether the step fails if there is no coverage.", Default: "false", Boolean: true},
	}},
	{Name: "PublishCodeCoverageResults", Major: 1, Title: "PublishCodeCoverageResults", Doc: "Publishes code coverage (Cobertura, JaCoCo), which the run then shows.", Inputs: []Input{
		{Name: "codeCoverageTool", Doc: "The format of the report.", Default: "JaCoCo", Options: []string{"Cobertura", "JaCoCo"}},
		{Name: "summaryFileLocation", Doc: "A pattern of the report; the first one found is taken.", Required: true, PlainBraces: true},
		{Name: "pathToSources", Doc: "The folder of the sources, for reports that do not say it."},
		{Name: "reportDirectory", Doc: "A folder of pages, which becomes an artifact."},
		{Name: "additionalCodeCoverageFiles", Doc: "A pattern of other files, which become an artifact."},
		{Name: "failIfCoverageEmpty", Doc: "Whether the step fails if there is no coverage.", Default: "false", Boolean: true},
	}},
}
