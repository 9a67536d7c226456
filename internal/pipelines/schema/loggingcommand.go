package schema

import "strings"

// LoggingCommand is a command that a step's output gives the agent: ##vso[AREA.ACTION PROPERTY=VALUE;…]TEXT.
type LoggingCommand struct {
	Name string // AREA.ACTION in lower case; case does not matter
	// Properties are those that the command reads, in lower case; nil if it has some that are not listed.
	Properties []string
}

// LoggingCommands are those of "Logging commands" of Azure Pipelines' documentation, and those of its agent that task libraries write
// (TaskCommandExtension and its neighbours in microsoft/azure-pipelines-agent).
func LoggingCommands() []LoggingCommand { return loggingCommands }

// loggingCommands is never changed.
var loggingCommands = []LoggingCommand{
	{"task.setvariable", []string{"variable", "issecret", "isoutput", "isreadonly"}},
	{"task.logissue", []string{"type", "sourcepath", "linenumber", "columnnumber", "code"}},
	{"task.complete", []string{"result", "done"}},
	{"task.setprogress", []string{"value"}},
	{"task.addattachment", []string{"type", "name"}},
	{"task.setendpoint", []string{"id", "field", "key"}},
	{"task.settaskvariable", []string{"variable", "issecret", "isreadonly"}},
	{"artifact.associate", nil},
	{"artifact.upload", []string{"artifactname", "containerfolder"}},
	{"build.addbuildtag", nil}, {"build.updatebuildnumber", nil}, {"build.uploadlog", nil},
	{"codecoverage.enable", nil}, {"codecoverage.publish", nil}, {"release.updatereleasename", nil}, {"results.publish", nil},
	{"task.debug", nil}, {"task.issue", nil}, {"task.logdetail", nil}, {"task.prependpath", nil}, {"task.setsecret", nil},
	{"task.uploadfile", nil}, {"task.uploadsummary", nil}, {"telemetry.publish", nil},
}

// FindLoggingCommand finds a command by its name, in any case; nil without one.
func FindLoggingCommand(name string) *LoggingCommand {
	for i := range loggingCommands {
		if strings.EqualFold(loggingCommands[i].Name, name) {
			return &loggingCommands[i]
		}
	}
	return nil
}

// FormattingCommands are the words of ##[WORD]TEXT, which say how a line of the log looks ("Formatting commands" of the same page).
var FormattingCommands = []string{"group", "endgroup", "section", "command", "debug", "warning", "error"}
