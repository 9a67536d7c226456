package compile

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"slipway/internal/pipelines/nearest"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/schema"
	"slipway/internal/pipelines/yaml"
)

// names are the variables that a place sees, as far as the file says.
type names struct {
	list []string
	// open says that there may be more: of a group, an environment, or the file that includes this one.
	open bool
	// outputs are what earlier steps of the job set under their names, STEP.VARIABLE.
	outputs []string
}

// with are the names with those of a variables section.
func (v names) with(list []plan.Variable) names {
	out := names{list: slices.Clone(v.list), open: v.open}
	for _, one := range list {
		if one.Group != "" {
			out.open = true
			continue
		}
		out.list = append(out.list, one.Name)
	}
	return out
}

// macros warns of $(x) in the steps of a job where x is no variable and most likely a slip. A shell reads $(x) too, as the
// output of a command, so nothing is said of a name that is like no other.
func (c *compiler) macros(steps []*yaml.Node, j *plan.Job, hook plan.HookName) {
	v := c.known.with(j.Variables)
	v.open = v.open || c.open() || hook != ""
	if j.Strategy != nil {
		v.open = v.open || j.Strategy.MatrixExpression != ""
		for _, leg := range j.Strategy.Legs {
			v.list = append(v.list, slices.Sorted(maps.Keys(leg.Variables))...)
		}
	}
	set := make([][]string, len(steps))
	for i, s := range steps {
		set[i] = variablesOf(s)
		v.list = append(v.list, set[i]...)
		v.list = append(v.list, c.outputsOf(s)...)
	}
	for i, s := range steps {
		c.macrosOf(s, "", v)
		v.outputs = append(v.outputs, set[i]...)
	}
}

// outputsOf are the variables that an uploaded task says it sets, under the step's name.
func (c *compiler) outputsOf(n *yaml.Node) (list []string) {
	reference, name := n.Get("task"), n.Get("name")
	if reference == nil || reference.Kind != yaml.Scalar || name == nil || name.Kind != yaml.Scalar || name.Text == "" {
		return nil
	}
	if d, err := c.in.Tasks.Find(reference.Text); err == nil && d.Package != nil {
		for _, output := range d.Package.Outputs {
			list = append(list, name.Text+"."+output)
		}
	}
	return list
}

// macrosOf looks at every text of a step but its condition, where macros mean nothing. key is what the text is the value of.
func (c *compiler) macrosOf(n *yaml.Node, key string, v names) {
	for _, item := range n.Items {
		c.macrosOf(item, key, v)
	}
	for _, p := range n.Pairs {
		if p.Key.Text != "condition" {
			c.macrosOf(p.Value, p.Key.Text, v)
		}
	}
	if n.Kind != yaml.Scalar {
		return
	}
	c.loggingCommands(n)
	if !strings.Contains(n.Text, "$(") {
		return
	}
	whole := 0
	for start, name := nextMacro(n.Text, 0); start >= 0; start, name = nextMacro(n.Text, start+2) {
		whole++
		if !slices.ContainsFunc(v.list, func(known string) bool { return strings.EqualFold(known, name) }) {
			c.unknownMacro(n, start, name, v)
		}
	}
	if whole < strings.Count(n.Text, "$(") {
		c.openMacros(n, v, ofShell(key))
	}
}

// nextMacro finds the first $(name) at or after a byte of a text where name can be a variable's: letters, digits, _, . and -, and a
// letter or _ first. start is -1 without one.
func nextMacro(text string, from int) (start int, name string) {
	for from < len(text) {
		i := strings.Index(text[from:], "$(")
		if i < 0 {
			break
		}
		start = from + i
		from = start + 2
		end := from
		for end < len(text) && (isLetter(text[end]) || end > from && strings.IndexByte("0123456789.-", text[end]) >= 0) {
			end++
		}
		if end > from && end < len(text) && text[end] == ')' {
			return start, text[from:end]
		}
	}
	return -1, ""
}

// isLetter reports a letter of ASCII or _.
func isLetter(b byte) bool { return b == '_' || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' }

// soleMacro is the name in a text that is one macro, "" for other texts.
func soleMacro(text string) string {
	if start, name := nextMacro(text, 0); start == 0 && len(text) == len("$()")+len(name) {
		return name
	}
	return ""
}

// ofShell reports a key whose text programs read in which $( begins something else, too: a command whose output is meant.
func ofShell(key string) bool {
	key = strings.ToLower(key)
	return slices.ContainsFunc([]string{"script", "bash", "pwsh", "powershell", "command", "argument", "args", "cmd", "inline"}, func(word string) bool { return strings.Contains(key, word) })
}

var openMacro = regexp.MustCompile(`\$\(([A-Za-z_][A-Za-z0-9_]*(?:[.-][A-Za-z0-9_]+)*)`)

// openMacros warns of $(x without its end. In the text of a shell only a predefined variable with a dot in its name is surely meant, which is
// no command; elsewhere also a variable of the file, and any name with which the text ends.
func (c *compiler) openMacros(n *yaml.Node, v names, shell bool) {
	for _, place := range openMacro.FindAllStringSubmatchIndex(n.Text, -1) {
		name, rest := n.Text[place[2]:place[3]], n.Text[place[1]:]
		if strings.HasPrefix(rest, ")") {
			continue
		}
		known := strings.Contains(name, ".") && schema.PredefinedVariable(name) != nil ||
			!shell && slices.ContainsFunc(v.list, func(known string) bool { return strings.EqualFold(known, name) })
		if known || !shell && strings.TrimSpace(rest) == "" {
			c.warnOf(n.Locate(place[0]), "$(%s has no ) behind the name, so it stays as it is written: write $(%s)", name, name)
		}
	}
}

// rootText is a text, or what the variable of the root has whose macro the text is, if that is known before the run exists.
func (c *compiler) rootText(text string) string {
	macro := soleMacro(strings.TrimSpace(text))
	if macro == "" {
		return text
	}
	for name, value := range c.in.Variables {
		if strings.EqualFold(name, macro) {
			return value
		}
	}
	for _, v := range slices.Backward(c.rootVariables) {
		if strings.EqualFold(v.Name, macro) && v.Expression == "" {
			return v.Value
		}
	}
	return text
}

func (c *compiler) unknownMacro(n *yaml.Node, offset int, name string, v names) {
	if schema.PredefinedVariable(name) != nil || strings.HasPrefix(strings.ToLower(name), "agent.services.") { // SERVICE.ports.PORT
		return
	}
	at := n.Locate(offset)
	area, _, dotted := strings.Cut(strings.ToLower(name), ".")
	if dotted && slices.Contains(predefinedAreas, area) {
		if meant := nearest.Suggest(name, predefinedNames()); meant != "" || !c.open() { // who includes a template may have a variable of the name
			c.warnOf(at, "$(%s) is no variable that Slipway sets, so it stays as it is written%s", name, meant)
		}
		return
	}
	_, rest, _ := strings.Cut(name, ".")
	switch known := slices.ContainsFunc(v.list, func(s string) bool { return strings.EqualFold(s, rest) }); {
	case dotted && area == "parameters" && slices.ContainsFunc(c.parameters, func(p plan.Parameter) bool { return strings.EqualFold(p.Name, rest) }): // others may be variables that an export of the old editor names so
		c.warnOf(at, "$(%s) is no variable, so it stays as it is written: write ${{ %s }}", name, name)
		return
	case dotted && area == "variables" && known:
		c.warnOf(at, "$(%s) is no variable, so it stays as it is written: write $(%s)", name, rest)
		return
	}
	if v.open || slices.Contains(commands, strings.ToLower(name)) {
		return
	}
	for _, known := range v.outputs {
		if step, output, _ := strings.Cut(known, "."); output == name { // in other letters it may be a variable that is given when the run is queued
			c.warnOf(at, "$(%s) is no variable, so it stays as it is written: step %s sets it as an output, so write $(%s)", name, step, known)
			return
		}
	}
	if meant := nearest.Slip(name, v.list); meant != "" {
		c.warnOf(at, "$(%s) is no variable, so it stays as it is written, did you mean %q?", name, meant)
	}
}

// predefinedAreas are the first parts of the names of variables that a server sets.
var predefinedAreas = []string{"agent", "build", "common", "environment", "pipeline", "strategy", "system"}

func predefinedNames() []string {
	var list []string
	for _, p := range schema.PredefinedVariables() {
		list = append(list, p.Name)
	}
	return list
}

// commands are programs whose output scripts put in a text, with names that may be near to a variable's.
var commands = []string{"arch", "date", "dirname", "groups", "hostid", "hostname", "locale", "logname", "mktemp", "nproc", "printenv", "tempfile",
	"uname", "uptime", "users", "whoami"}

var setVariable = regexp.MustCompile(`(?i)##vso\[task\.setvariable\s[^\]\n]*?variable=([^;\]\s]+)`)

// setsOutput reports properties of the logging command that make the variable an output, which has the name of its step before it.
func setsOutput(properties string) bool {
	return strings.Contains(strings.ToLower(properties), "isoutput=true")
}

// variablesOf are the variables that a step sets, as far as it can be seen: by logging commands in its script, under its name,
// and by inputs that name a variable.
func variablesOf(n *yaml.Node) (list []string) {
	prefix := ""
	if name := n.Get("name"); name != nil && name.Kind == yaml.Scalar && name.Text != "" {
		prefix = name.Text + "."
	}
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		for _, found := range setCommands(n.Text) {
			name := setVariable.FindStringSubmatch(found[0])
			if name == nil {
				continue
			}
			if list = append(list, prefix+name[1]); !setsOutput(found[1]) {
				list = append(list, name[1])
			}
		}
		for _, p := range n.Pairs {
			if p.Value.Kind == yaml.Scalar && (endsIn(p.Key.Text, "var") || endsIn(p.Key.Text, "variable")) {
				list = append(list, p.Value.Text)
			}
			walk(p.Value)
		}
	}
	walk(n)
	return list
}

// endsIn is strings.HasSuffix without case.
func endsIn(text, suffix string) bool {
	return len(text) >= len(suffix) && strings.EqualFold(text[len(text)-len(suffix):], suffix)
}
