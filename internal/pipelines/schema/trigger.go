package schema

// filter is a map of patterns to include and to exclude.
func filter(name, doc string) Value {
	return object(&Object{Name: name, Doc: doc, Keys: []Key{
		{Name: "include", Value: texts(), Doc: "Patterns of what counts; * stands for anything but a slash in paths, and for anything in branches."},
		{Name: "exclude", Value: texts(), Doc: "Patterns of what does not count, even if it is included."},
	}})
}

// filterElsewhere are keys of a filter that people write without saying of what. The map is never changed.
var filterElsewhere = map[string]string{"include": "write it under branches, paths or tags", "exclude": "write it under branches, paths or tags"}

// Trigger says which pushes start a run.
var Trigger = &Object{
	Name: "trigger", Doc: "Which pushes start a run.", Elsewhere: filterElsewhere,
	Keys: []Key{
		{Name: "enabled", Value: boolean(), Doc: "Whether they do at all, as expanded files say it; true by default."},
		{Name: "batch", Value: boolean(), Doc: "Whether pushes that come while a run is on wait and share the next one."},
		{Name: "branches", Value: filter("branches of trigger", "Branches whose pushes count."), Doc: "Branches whose pushes count; all of them by default."},
		{Name: "paths", Value: filter("paths of trigger", "Files whose changes count."), Doc: "Files, from the root, whose changes count; case matters."},
		{Name: "tags", Value: filter("tags of trigger", "Tags whose pushes count."), Doc: "Tags whose pushes count; none by default."},
	},
}

// PullRequest says which pull requests start a run.
var PullRequest = &Object{
	Name: "pr", Doc: "Which pull requests start a run.", Elsewhere: filterElsewhere,
	Keys: []Key{
		{Name: "enabled", Value: boolean(), Doc: "Whether they do at all, as expanded files say it; true by default."},
		{Name: "autoCancel", Value: boolean(), Doc: "Whether a new push to the pull request cancels the runs of the one before; true by default."},
		{Name: "branches", Value: filter("branches of pr", "Target branches that count."), Doc: "Target branches that count."},
		{Name: "paths", Value: filter("paths of pr", "Files whose changes count."), Doc: "Files, from the root, whose changes count."},
		{Name: "drafts", Value: boolean(), Doc: "Whether drafts start runs too; true by default."},
	},
}

// Schedule is a time at which a run starts.
var Schedule = &Object{
	Name: "a schedule", Doc: "A time at which a run starts.",
	Keys: []Key{
		{Name: "cron", Required: true, Value: text(), Doc: "Minute, hour, day of the month, month and day of the week, in UTC: '0 3 * * 1-5'."},
		{Name: "displayName", Value: text(), Doc: "What the schedule is called."},
		{Name: "branches", Value: filter("branches of a schedule", "Branches that are run."), Doc: "Branches that are run; their own file must have the schedule."},
		{Name: "always", Value: boolean(), Doc: "Whether it runs even if nothing has changed since the last run that succeeded; false by default."},
		{Name: "batch", Value: boolean(), Doc: "Whether it does not run while the run before is still on."},
	},
}
