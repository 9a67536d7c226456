package expression

import "strings"

// Description is what there is to say of a function.
type Description struct {
	// Name as people spell it, and Arguments as they are written behind it: (a, b).
	Name, Arguments string
	// Doc says in a sentence what it gives.
	Doc string
	// Status functions stand in conditions only.
	Status bool
}

// Descriptions are of all functions of the language.
func Descriptions() []Description {
	list := make([]Description, len(spelling))
	for i, name := range spelling {
		f := functions[strings.ToLower(name)]
		arguments, doc, _ := strings.Cut(descriptions[name], " ")
		list[i] = Description{Name: name, Arguments: arguments, Doc: doc, Status: f.status}
	}
	return list
}

// descriptions are arguments and a sentence by the names of spelling; the map is never changed.
var descriptions = map[string]string{
	"and":               "(a,b,…) True if all are; it stops at the first that is not.",
	"or":                "(a,b,…) True if one is; it stops at the first that is.",
	"not":               "(a) True if a is not.",
	"xor":               "(a,b) True if exactly one is.",
	"iif":               "(condition,a,b) a if the condition is true, else b. Both are evaluated.",
	"coalesce":          "(a,b,…) The first that is neither null nor empty.",
	"eq":                "(a,b) Whether both are equal; b is converted to a's type, text compares without case.",
	"ne":                "(a,b) Whether both differ.",
	"gt":                "(a,b) Whether a is greater than b.",
	"ge":                "(a,b) Whether a is greater than b or equal.",
	"lt":                "(a,b) Whether a is less than b.",
	"le":                "(a,b) Whether a is less than b or equal.",
	"in":                "(a,b,…) Whether a equals one of the others.",
	"notIn":             "(a,b,…) Whether a equals none of the others.",
	"contains":          "(text,part) Whether the text contains the part, without case.",
	"startsWith":        "(text,part) Whether the text starts with the part, without case.",
	"endsWith":          "(text,part) Whether the text ends with the part, without case.",
	"containsValue":     "(collection,value) Whether a list or map has the value.",
	"length":            "(x) How many characters, items or entries it has.",
	"lower":             "(text) The text in lower case.",
	"upper":             "(text) The text in upper case.",
	"trim":              "(text) The text without space at its ends.",
	"replace":           "(text,old,new) The text with each old replaced.",
	"split":             "(text,separator) The parts of the text between the separators.",
	"join":              "(separator,list) The items of a list as one text.",
	"format":            "(text,a,…) The text with {0}, {1} … replaced by the others.",
	"convertToJson":     "(x) It as JSON text.",
	"succeeded":         "(name…) Whether what came before, or the named, succeeded: the default condition.",
	"failed":            "(name…) Whether something that came before, or the named, failed.",
	"succeededOrFailed": "(name…) Whether the run was not canceled.",
	"always":            "() True, even if the run was canceled.",
	"canceled":          "() Whether the run was canceled.",
	"counter":           "(prefix,seed) A number that grows with each run of the same prefix.",
}
