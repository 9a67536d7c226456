package task

import "slices"

// artifactTasks publish and fetch artifacts.
func artifactTasks() []Definition {
	return []Definition{
		{Name: "PublishPipelineArtifact", Major: 1, Title: "PublishPipelineArtifact", Doc: "Stores a file or folder as an artifact of the run.", Inputs: []Input{
			{Name: "targetPath", Doc: "The file or folder.", Aliases: []string{"path"}, Default: "$(Pipeline.Workspace)"},
			{Name: "artifactName", Doc: "The name of the artifact, unique in the run.", Aliases: []string{"artifact"}},
			{Name: "artifactType", Doc: "Where it is stored.", Aliases: []string{"publishLocation"}, Default: "pipeline", Options: []string{"pipeline", "filepath"},
				Unsupported: map[string]string{"filepath": "publish to the pipeline"}},
			{Name: "fileSharePath", Doc: "A folder on a file share.", Unsupported: map[string]string{"": "publish to the pipeline"}},
			{Name: "parallel", Doc: "Whether files are copied side by side.", Default: "false", Boolean: true},
			{Name: "parallelCount", Doc: "How many files are copied side by side.", Default: "8", Integer: true},
			{Name: "properties", Doc: "A JSON object that is stored with the artifact."},
		}},
		{Name: "PublishPipelineArtifact", Major: 0, Title: "PublishPipelineArtifact", Doc: "Stores a file or folder as an artifact of the run.", Inputs: []Input{
			{Name: "artifactName", Doc: "The name of the artifact, unique in the run.", Default: "drop"},
			{Name: "targetPath", Doc: "The file or folder.", Required: true},
			{Name: "properties", Doc: "A JSON object that is stored with the artifact."},
		}},
		{Name: "DownloadPipelineArtifact", Major: 2, Title: "DownloadPipelineArtifact", Doc: "Fetches artifacts of the run.", Inputs: slices.Concat(whichRun([]string{"source"}), []Input{
			{Name: "artifactName", Doc: "The artifact; all of them without a name, each into a folder of its own.", Aliases: []string{"artifact"}},
			{Name: "itemPattern", Doc: "Patterns of the files, one a line.", Aliases: []string{"patterns"}, Default: "**", PlainBraces: true},
			{Name: "targetPath", Doc: "The folder.", Aliases: []string{"path", "downloadPath"}, Default: "$(Pipeline.Workspace)"},
			{Name: "allowFailedBuilds", Doc: "Whether it may have failed.", Boolean: true, Unsupported: map[string]string{"true": useResources}},
		})},
		{Name: "DownloadPipelineArtifact", Major: 1, Title: "DownloadPipelineArtifact", Doc: "Fetches artifacts of the run.", Inputs: slices.Concat(whichRun(nil), []Input{
			{Name: "artifactName", Doc: "The artifact; all of them without a name, each into a folder of its own."},
			{Name: "itemPattern", Doc: "Patterns of the files, one a line.", Default: "**", PlainBraces: true},
			{Name: "targetPath", Doc: "The folder.", Aliases: []string{"downloadPath"}, Default: "$(System.ArtifactsDirectory)"},
		})},
		{Name: "DownloadPipelineArtifact", Major: 0, Title: "DownloadPipelineArtifact", Doc: "Fetches an artifact of the run.", Inputs: []Input{
			{Name: "pipelineId", Doc: "The number of another run of the project; this run without it."},
			{Name: "artifactName", Doc: "The artifact.", Default: "drop"},
			{Name: "targetPath", Doc: "The folder.", Required: true},
		}},
		downloadBuildArtifacts(1),
		downloadBuildArtifacts(0, Input{Name: "retryRedirectDownloadCount", Doc: "How often a redirected download is tried again.", Default: "0"}),
		// The task as it last was in azure-pipelines-tasks (Tasks/CopyPublishBuildArtifacts at b48bce4).
		{Name: "CopyPublishBuildArtifacts", Major: 1, Title: "Copy and publish build artifacts", Doc: "Stores files that patterns choose as an artifact of the run (the oldest task).", Inputs: []Input{
			{Name: "CopyRoot", Doc: "The folder with the files; the sources without it."},
			{Name: "Contents", Doc: "Patterns of the files, one a line.", Required: true},
			{Name: "ArtifactName", Doc: "The name of the artifact.", Required: true},
			{Name: "ArtifactType", Doc: "Where it is stored.", Required: true, Options: []string{"Container", "FilePath"}, Unsupported: map[string]string{"FilePath": "publish to the pipeline (Container)"}},
			{Name: "TargetPath", Doc: "A folder on a file share.", Unsupported: map[string]string{"": "publish to the pipeline (Container)"}},
		}},
		{Name: "PublishBuildArtifacts", Major: 1, Title: "PublishBuildArtifacts", Doc: "Stores a file or folder as an artifact of the run (the older task).", Inputs: []Input{
			{Name: "PathtoPublish", Doc: "The file or folder.", Default: "$(Build.ArtifactStagingDirectory)"},
			{Name: "ArtifactName", Doc: "The name of the artifact, unique in the run.", Default: "drop"},
			{Name: "ArtifactType", Doc: "Where it is stored.", Aliases: []string{"publishLocation"}, Default: "Container", Options: []string{"Container", "FilePath"},
				Unsupported: map[string]string{"FilePath": "publish to the pipeline (Container)"}},
			{Name: "MaxArtifactSize", Doc: "The most bytes; 0 is without a limit.", Default: "0", Integer: true},
			{Name: "TargetPath", Doc: "A folder on a file share.", Unsupported: map[string]string{"": "publish to the pipeline (Container)"}},
			{Name: "Parallel", Doc: "Whether files are copied side by side.", Default: "false", Boolean: true},
			{Name: "ParallelCount", Doc: "How many files are copied side by side.", Default: "8", Integer: true},
			{Name: "FileCopyOptions", Doc: "Options of the copy.", Unsupported: map[string]string{"": "publish to the pipeline (Container)"}},
			{Name: "StoreAsTar", Doc: "Whether the files are stored in a plain tar file of the artifact's name, which keeps links and empty folders.", Default: "false", Boolean: true},
		}},
	}
}

const useResources = "say under resources.pipelines which run is taken"

// whichRun are the inputs that say whose artifacts are fetched. Those that choose a run of another pipeline are checked by
// the compiler, which knows the pipelines under resources.
func whichRun(buildType []string) []Input {
	return []Input{
		{Name: "buildType", Doc: "Which run they are of: this one, or that of a pipeline under resources.pipelines.", Aliases: buildType, Default: "current", Options: []string{"current", "specific"}},
		{Name: "project", Doc: "The project of the other pipeline, which is this one: $(System.TeamProject)."},
		{Name: "definition", Doc: "The other pipeline, by its name or its alias under resources.pipelines.", Aliases: []string{"pipeline"}, NeededFor: "buildType", NeededForValues: []string{"specific"}},
		{Name: "specificBuildWithTriggering", Doc: "Whether the run is taken that started this one, which it always is.", Aliases: []string{"preferTriggeringPipeline"}, Boolean: true},
		{Name: "buildVersionToDownload", Doc: "Which run of the other pipeline: the one that resources.pipelines chooses, or that of a number.", Aliases: []string{"runVersion"}, Options: []string{"latest", "latestFromBranch", "specific"}},
		{Name: "branchName", Doc: "The branch of the other run: $(resources.pipeline.ALIAS.sourceBranch).", Aliases: []string{"runBranch"}},
		{Name: "pipelineId", Doc: "The number of the other run.", Aliases: []string{"runId", "buildId"}},
		{Name: "tags", Doc: "Tags of the other run.", Unsupported: map[string]string{"": useResources}},
		{Name: "allowPartiallySucceededBuilds", Doc: "Whether it may have succeeded with issues, which it may.", Boolean: true},
	}
}

// downloadBuildArtifacts is the older task, which puts each artifact into a folder of its name.
func downloadBuildArtifacts(major int, more ...Input) Definition {
	return Definition{Name: "DownloadBuildArtifacts", Major: major, Title: "DownloadBuildArtifacts",
		Doc: "Fetches artifacts of the run, each into a folder of its name.", Inputs: slices.Concat(whichRun(nil), []Input{
			{Name: "downloadType", Doc: "Whether one artifact is fetched, or the files of all that match itemPattern.", Default: "single", Options: []string{"single", "specific"}},
			{Name: "artifactName", Doc: "The artifact.", NeededFor: "downloadType", NeededForValues: []string{"single"}},
			{Name: "itemPattern", Doc: "Patterns of the files, which begin with the artifact's name, one a line.", Default: "**", PlainBraces: true},
			{Name: "downloadPath", Doc: "The folder.", Default: "$(System.ArtifactsDirectory)"},
			{Name: "cleanDestinationFolder", Doc: "Whether the folder is emptied first.", Default: "false", Boolean: true},
			{Name: "parallelizationLimit", Doc: "How many files are fetched side by side.", Default: "8"},
			{Name: "checkDownloadedFiles", Doc: "Whether files are checked to be whole, which they always are.", Default: "false", Boolean: true},
			{Name: "retryDownloadCount", Doc: "How often a download is tried again.", Default: "4"},
			{Name: "extractTars", Doc: "Whether tar files are unpacked, each into the folder of its name, and removed.", Boolean: true},
		}, more)}
}
