package task

// coverageTasks publish code coverage.
func coverageTasks() []Definition {
	return []Definition{
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
		reportGenerator(4),
		reportGenerator(5),
	}
}

// reportGenerator is the task of the extension ReportGenerator.
func reportGenerator(major int) Definition {
	everything := "+*"
	inputs := []Input{
		{Name: "reports", Doc: "Patterns of the reports of coverage, parted by semicolons.", Default: "coverage.xml", Required: true},
		{Name: "targetdir", Doc: "The folder that the new reports are written into.", Default: "coveragereport", Required: true},
		{Name: "reporttypes", Doc: "The types of the new reports, parted by semicolons.", Default: "HtmlInline_AzurePipelines;Cobertura"},
		{Name: "sourcedirs", Doc: "The folders of the sources, parted by semicolons, for reports that do not say where these are."},
		{Name: "historydir", Doc: "A folder that keeps coverage for the next report."},
		{Name: "plugins", Doc: "Files of plugins, parted by semicolons."},
		{Name: "assemblyfilters", Doc: "Assemblies that count (+NAME) or do not (-NAME), parted by semicolons.", Default: everything},
		{Name: "classfilters", Doc: "Classes that count (+NAME) or do not (-NAME), parted by semicolons.", Default: everything},
		{Name: "filefilters", Doc: "Files that count (+NAME) or do not (-NAME), parted by semicolons.", Default: everything},
	}
	if major >= 5 {
		inputs = append(inputs,
			Input{Name: "riskhotspotassemblyfilters", Doc: "Assemblies that count for risk hotspots.", Default: everything},
			Input{Name: "riskhotspotclassfilters", Doc: "Classes that count for risk hotspots.", Default: everything})
	}
	inputs = append(inputs,
		Input{Name: "verbosity", Doc: "How much the log says.", Default: "Info", Options: []string{"Verbose", "Info", "Warning", "Error", "Off"}},
		Input{Name: "title", Doc: "The title of the reports."},
		Input{Name: "tag", Doc: "The tag or version that the reports name.", Default: "$(build.buildnumber)_#$(build.buildid)"})
	if major >= 5 {
		inputs = append(inputs,
			Input{Name: "publishCodeCoverageResults", Doc: "Whether the coverage and the pages are published, as by PublishCodeCoverageResults@1.", Default: "false", Boolean: true},
			Input{Name: "license", Doc: "The license of ReportGenerator's PRO version."})
	}
	inputs = append(inputs, Input{Name: "customSettings", Doc: "More settings, as KEY=VALUE, parted by semicolons."})
	return Definition{Name: "reportgenerator", Major: major, Extension: "Palmmedia.reportgenerator.reportgenerator-build-release-task", Title: "ReportGenerator",
		Doc: "Makes pages and other reports of reports of code coverage, by the program reportgenerator.", Inputs: inputs}
}
