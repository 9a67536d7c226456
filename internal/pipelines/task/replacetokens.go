package task

import "slices"

// tokenTasks are the versions of the extension Replace Tokens of Guillaume Rouchon (qetza), after its public manifests.
func tokenTasks() []Definition {
	return []Definition{
		replaceTokens(3, []Input{
			{Name: "tokenPrefix", Doc: "What a token begins with.", Default: "#{"},
			{Name: "tokenSuffix", Doc: "What a token ends with.", Default: "}#"},
		}),
		replaceTokens(4, tokenPattern),
		replaceTokens(5, tokenPattern),
		{Name: "replacetokens", Major: 6, Extension: tokenExtension, Title: "Replace tokens", Doc: replaceTokensDoc, Inputs: []Input{
			{Name: "sources", Doc: "The files, one a line: patterns parted by ;, with ! to exclude, and after => where the result goes.", Aliases: []string{"targetFiles"}, Required: true},
			{Name: "root", Doc: "The folder that patterns start from; the sources by default.", Aliases: []string{"rootDirectory"}},
			{Name: "tokenPattern", Doc: "What tokens look like.", Default: "default",
				Options: []string{"default", "azpipelines", "doublebraces", "doubleunderscores", "githubactions", "octopus", "custom"}},
			{Name: "tokenPrefix", Doc: "What a custom token begins with.", NeededFor: "tokenPattern", NeededForValues: []string{"custom"}},
			{Name: "tokenSuffix", Doc: "What a custom token ends with.", NeededFor: "tokenPattern", NeededForValues: []string{"custom"}},
			encodings("windows1252"),
			{Name: "addBOM", Doc: "Whether a byte order mark is written.", Aliases: []string{"writeBOM"}, Default: "false", Boolean: true},
			{Name: "additionalVariables", Doc: "More variables as YAML: a map, '@' and patterns of JSON or YAML files, '$' and an environment variable that holds JSON, or a list of these."},
			{Name: "useAdditionalVariablesOnly", Doc: "Whether the pipeline's own variables are left out.", Default: "false", Boolean: true},
			{Name: "separator", Doc: "What stands between the names of values inside of one another.", Aliases: []string{"variableSeparator"}, Default: "."},
			{Name: "escape", Doc: "How values are escaped.", Aliases: []string{"escapeType"}, Default: "auto", Options: []string{"auto", "off", "json", "xml", "custom"}},
			{Name: "escapeChar", Doc: "What is put before a character that is escaped.", NeededFor: "escape", NeededForValues: []string{"custom"}},
			{Name: "charsToEscape", Doc: "The characters that are escaped.", NeededFor: "escape", NeededForValues: []string{"custom"}},
			{Name: "logLevel", Doc: "How much is logged.", Aliases: []string{"verbosity"}, Default: "info", Options: []string{"debug", "info", "warn", "error"}},
			{Name: "missingVarAction", Doc: "What becomes of a token without a variable: nothing in its place, the token itself, or missingVarDefault.", Default: "none",
				Options: []string{"none", "keep", "replace"}},
			{Name: "missingVarDefault", Doc: "What is put in place of such a token.", Aliases: []string{"defaultValue"}},
			{Name: "missingVarLog", Doc: "How loudly a missing variable is told; error fails the step.", Aliases: []string{"actionOnMissing"}, Default: "warn", Options: []string{"off", "warn", "error"}},
			{Name: "ifNoFilesFound", Doc: "What happens if no file matches; error fails the step.", Aliases: []string{"actionOnNoFiles"}, Default: "ignore", Options: []string{"ignore", "warn", "error"}},
			{Name: "recursive", Doc: "Whether values may hold tokens.", Aliases: []string{"enableRecursion"}, Default: "false", Boolean: true},
			{Name: "transforms", Doc: "Whether a token may be TRANSFORM(NAME): base64, indent, lower, raw, upper.", Aliases: []string{"enableTransforms"}, Default: "false", Boolean: true},
			{Name: "transformsPrefix", Doc: "What stands behind the name of a transformation.", Aliases: []string{"transformPrefix"}, Default: "("},
			{Name: "transformsSuffix", Doc: "What ends a transformation.", Aliases: []string{"transformSuffix"}, Default: ")"},
			{Name: "telemetryOptout", Doc: "Whether nothing is told to the task's author, which it never is.", Default: "false", Boolean: true},
		}},
	}
}

const (
	tokenExtension   = "qetza.replacetokens.replacetokens-task"
	replaceTokensDoc = "Replaces tokens in text files by the values of variables."
)

// tokenPattern are the inputs that version 4 added, with prefix and suffix for custom patterns alone.
var tokenPattern = []Input{
	{Name: "tokenPattern", Doc: "What tokens look like.", Default: "default", Options: []string{"default", "rm", "octopus", "azpipelines", "doublebraces", "custom"}},
	{Name: "tokenPrefix", Doc: "What a custom token begins with.", Default: "#{"},
	{Name: "tokenSuffix", Doc: "What a custom token ends with.", Default: "}#"},
}

func encodings(windows string) Input {
	return Input{Name: "encoding", Doc: "The encoding of the files; auto finds it out.", Default: "auto",
		Options:     []string{"auto", "ascii", "utf-7", "utf-8", "utf-16le", "utf-16be", windows, "iso88591"},
		Unsupported: map[string]string{"utf-7": "write the files in utf-8"}}
}

// replaceTokens are the versions 3 to 5, which differ in how tokens are chosen.
func replaceTokens(major int, pattern []Input) Definition {
	return Definition{Name: "replacetokens", Major: major, Extension: tokenExtension, Title: "Replace tokens", Doc: replaceTokensDoc, Inputs: slices.Concat([]Input{
		{Name: "rootDirectory", Doc: "The folder that patterns start from; the sources by default."},
		{Name: "targetFiles", Doc: "The files, one a line or with commas between: patterns parted by ;, with ! to exclude, and after => where the result goes.", Default: "**/*.config"},
		encodings("win1252"),
	}, pattern, []Input{
		{Name: "writeBOM", Doc: "Whether a byte order mark is written.", Default: "true", Boolean: true},
		{Name: "escapeType", Doc: "How values are escaped.", Default: "auto", Options: []string{"auto", "none", "json", "xml", "custom"}},
		{Name: "escapeChar", Doc: "What is put before a character that is escaped."},
		{Name: "charsToEscape", Doc: "The characters that are escaped."},
		{Name: "verbosity", Doc: "How much is logged.", Default: "normal", Options: []string{"normal", "detailed", "off"}},
		{Name: "actionOnMissing", Doc: "How loudly a missing variable is told; fail fails the step.", Default: "warn", Options: []string{"continue", "warn", "fail"}},
		{Name: "keepToken", Doc: "Whether a token without a variable stays.", Default: "false", Boolean: true},
		{Name: "actionOnNoFiles", Doc: "What happens if no file matches; fail fails the step.", Default: "continue", Options: []string{"continue", "warn", "fail"}},
		{Name: "enableTransforms", Doc: "Whether a token may be TRANSFORM(NAME): base64, indent, lower, noescape, upper.", Default: "false", Boolean: true},
		{Name: "transformPrefix", Doc: "What stands behind the name of a transformation.", Default: "("},
		{Name: "transformSuffix", Doc: "What ends a transformation.", Default: ")"},
		{Name: "variableFiles", Doc: "Patterns of JSON or YAML files with more variables, one a line or with commas between."},
		{Name: "inlineVariables", Doc: "More variables as YAML."},
		{Name: "variableSeparator", Doc: "What stands between the names of values inside of one another.", Default: "."},
		{Name: "enableRecursion", Doc: "Whether values may hold tokens.", Default: "false", Boolean: true},
		{Name: "useLegacyPattern", Doc: "Whether blanks inside of a token count.", Default: "false", Boolean: true},
		{Name: "useLegacyEmptyFeature", Doc: "Whether an empty variable counts as missing.", Default: "true", Boolean: true},
		{Name: "useDefaultValue", Doc: "Whether defaultValue is put in place of tokens without a variable, when useLegacyEmptyFeature is false.", Default: "false", Boolean: true},
		{Name: "emptyValue", Doc: "The value that stands for an empty one, when useLegacyEmptyFeature is true.", Default: "(empty)"},
		{Name: "defaultValue", Doc: "What is put in place of tokens without a variable."},
		{Name: "useAdditionalVariablesOnly", Doc: "Whether the pipeline's own variables are left out.", Default: "false", Boolean: true},
		{Name: "enableTelemetry", Doc: "Whether the task's author is told of its use, which never happens.", Default: "true", Boolean: true},
	})}
}
