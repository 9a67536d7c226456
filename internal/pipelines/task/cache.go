package task

// cacheTasks keep folders for later runs.
func cacheTasks() []Definition {
	return []Definition{
		cache("Cache", 2, restoreKeys),
		cache("CacheBeta", 1, restoreKeys),
		cache("CacheBeta", 0),
	}
}

var restoreKeys = Input{Name: "restoreKeys", Doc: "Beginnings of keys, one a line, that are tried in order when there is no cache of the key: the newest that fits is restored."}

func cache(name string, major int, more ...Input) Definition {
	return Definition{Name: name, Major: major, Title: name, Doc: "Restores a folder from an earlier run, and saves it after the job if there was none of the key.", Inputs: append([]Input{
		{Name: "key", Doc: "What the cache is found by: parts parted by |, each text, or a file or pattern whose contents count.", Required: true},
		{Name: "path", Doc: "The folder.", Required: true},
		{Name: "cacheHitVar", Doc: "A variable that becomes true if the cache of the key is restored, inexact if one of a restore key is, else false."},
		{Name: "saveOnPartialSuccess", Doc: "Whether a job that succeeded with issues saves it too.", Default: "false", Boolean: true},
	}, more...)}
}
