// Package extension reads what tasks are uploaded as: a folder with a task.json, a zip file of one, as `tfx build tasks
// upload` sends it, or a whole extension (.vsix), whose manifest names folders of tasks. Of each task it makes a zip file of
// its own, with the task.json at the root, the same bytes for the same files.
//
// It knows neither servers nor what becomes of the tasks.
package extension
