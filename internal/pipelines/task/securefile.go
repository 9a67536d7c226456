package task

// secureFileTasks fetch files of the project that are kept apart from its repositories.
func secureFileTasks() []Definition {
	return []Definition{
		{Name: "DownloadSecureFile", Major: 1, Title: "DownloadSecureFile", Doc: "Fetches a secure file of the project, whose path the output variable secureFilePath then is; it is deleted when the job ends.", Inputs: []Input{
			{Name: "secureFile", Doc: "The file's name or id. A variable in it must be known when the job starts.", Required: true},
			{Name: "retryCount", Doc: "How often a download that fails is tried again.", Default: "8"},
			{Name: "socketTimeout", Doc: "How long one try may take, in milliseconds; a minute without it."},
		}},
	}
}
