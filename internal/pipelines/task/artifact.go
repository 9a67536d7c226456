package task

// artifactTasks publish and fetch artifacts.
var artifactTasks = []Definition{
	{Name: "PublishPipelineArtifact", Major: 1, Title: "PublishPipelineArtifact", Doc: "Stores a file or folder as an artifact of the run.", Inputs: []Input{
		{Name: "targetPath", Doc: "The file or folder.", Aliases: []string{"path"}, Default: "$(Pipeline.Workspace)"},
		{Name: "artifactName", Doc: "The name of the artifact, unique in the run.", Aliases: []string{"artifact"}},
		{Name: "artifactType", Doc: "Where it is stored.", Aliases: []string{"publishLocation"}, Default: "pipeline", Options: []string{"pipeline", "filepath"},
			Unsupported: map[string]string{"filepath": "publish to the pipeline"}},
		{Name: "fileSharePath", Doc: "A folder on a file share.", Unsupported: map[string]string{"": "publish to the pipeline"}},
		{Name: "parallel", Doc: "Whether files are copied side by side.", Default: "false", Boolean: true},
		{Name: "parallelCount", Doc: "How many files are copied side by side.", Default: "8"},
		{Name: "properties", Doc: "A JSON object that is stored with the artifact."},
	}},
	{Name: "DownloadPipelineArtifact", Major: 2, Title: "DownloadPipelineArtifact", Doc: "Fetches artifacts of the run.", Inputs: []Input{
		{Name: "buildType", Doc: "Which run they are of: this one, or that of a pipeline under resources.pipelines.", Aliases: []string{"source"}, Default: "current", Options: []string{"current", "specific"}},
		{Name: "artifactName", Doc: "The artifact; all of them without a name, each into a folder of its own.", Aliases: []string{"artifact"}},
		{Name: "itemPattern", Doc: "Patterns of the files, one a line.", Aliases: []string{"patterns"}, Default: "**"},
		{Name: "targetPath", Doc: "The folder.", Aliases: []string{"path", "downloadPath"}, Default: "$(Pipeline.Workspace)"},
		{Name: "project", Doc: "The project of the other pipeline, which is this one: $(System.TeamProject)."},
		{Name: "definition", Doc: "The other pipeline, by its name or its alias under resources.pipelines.", Aliases: []string{"pipeline"}, NeededFor: "buildType", NeededForValues: []string{"specific"}},
		{Name: "specificBuildWithTriggering", Doc: "Whether the run is taken that started this one, which it always is.", Aliases: []string{"preferTriggeringPipeline"}, Boolean: true},
		{Name: "buildVersionToDownload", Doc: "Which run of the other pipeline; resources.pipelines says more.", Aliases: []string{"runVersion"}, Options: []string{"latest", "latestFromBranch", "specific"},
			Unsupported: map[string]string{"latestFromBranch": "write branch under resources.pipelines", "specific": "write version under resources.pipelines"}},
		{Name: "branchName", Doc: "The branch of the other run.", Aliases: []string{"runBranch"}, Unsupported: map[string]string{"": "say under resources.pipelines which run is taken"}},
		{Name: "pipelineId", Doc: "The number of the other run.", Aliases: []string{"runId", "buildId"}, Unsupported: map[string]string{"": "say under resources.pipelines which run is taken"}},
		{Name: "tags", Doc: "Tags of the other run.", Unsupported: map[string]string{"": "say under resources.pipelines which run is taken"}},
		{Name: "allowPartiallySucceededBuilds", Doc: "Whether it may have succeeded in part.", Boolean: true, Unsupported: map[string]string{"true": "say under resources.pipelines which run is taken"}},
		{Name: "allowFailedBuilds", Doc: "Whether it may have failed.", Boolean: true, Unsupported: map[string]string{"true": "say under resources.pipelines which run is taken"}},
	}},
	{Name: "PublishBuildArtifacts", Major: 1, Title: "PublishBuildArtifacts", Doc: "Stores a file or folder as an artifact of the run (the older task).", Inputs: []Input{
		{Name: "PathtoPublish", Doc: "The file or folder.", Default: "$(Build.ArtifactStagingDirectory)"},
		{Name: "ArtifactName", Doc: "The name of the artifact, unique in the run.", Default: "drop"},
		{Name: "ArtifactType", Doc: "Where it is stored.", Aliases: []string{"publishLocation"}, Default: "Container", Options: []string{"Container", "FilePath"},
			Unsupported: map[string]string{"FilePath": "publish to the pipeline (Container)"}},
		{Name: "MaxArtifactSize", Doc: "The most bytes; 0 is without a limit.", Default: "0"},
		{Name: "TargetPath", Doc: "A folder on a file share.", Unsupported: map[string]string{"": "publish to the pipeline (Container)"}},
		{Name: "Parallel", Doc: "Whether files are copied side by side.", Default: "false", Boolean: true},
		{Name: "ParallelCount", Doc: "How many files are copied side by side.", Default: "8"},
		{Name: "FileCopyOptions", Doc: "Options of the copy.", Unsupported: map[string]string{"": "publish to the pipeline (Container)"}},
		{Name: "StoreAsTar", Doc: "Whether the files are stored in a tar file.", Default: "false", Boolean: true, Unsupported: map[string]string{"true": "file modes are kept without it"}},
	}},
}
