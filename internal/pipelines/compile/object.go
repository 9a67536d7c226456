package compile

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"slipway"
	"slipway/internal/pipelines/nearest"
	"slipway/internal/pipelines/schema"
	"slipway/internal/pipelines/yaml"
)

// object is a map whose keys are known; it reads their values and records what is wrong with them.
type object struct {
	c    *compiler
	n    *yaml.Node
	keys *schema.Object
	what string // with its article: "a job"
}

// object checks that n is a map of the keys that s knows.
func (c *compiler) object(n *yaml.Node, s *schema.Object) (object, bool) {
	o := object{c, n, s, s.Name}
	if n.Kind != yaml.Map {
		instead := ""
		if s.Key("include") != nil && n.Kind == yaml.List {
			instead = ": write the list as include: [...] below it"
		}
		switch {
		case (s == schema.Trigger || s == schema.PullRequest) && n.Kind == yaml.Scalar:
			instead = ": write none, or a list of branches"
		case s.Key("include") != nil && n.Kind == yaml.Scalar && n.Text != "":
			instead = ": write include: [" + n.Text + "] below it"
		case s.Key("steps") != nil && n.Kind == yaml.List && s != schema.File:
			instead = ": write steps: below it, and the steps below that"
		case colonWithoutSpace.MatchString(n.Text) && n.Plain:
			instead = ": a space follows the colon of a key"
		case n.Kind == yaml.Scalar && n.Plain && keyOf(n.Text) != "":
			instead = ": a colon follows a key: write " + keyOf(n.Text) + ": " + strings.TrimSpace(n.Text[len(keyOf(n.Text)):])
		case n.Plain && n.Kind == yaml.Scalar && keyAndValue(n.Text) != "":
			key := keyAndValue(n.Text)
			instead = ": a colon follows a key: write " + key + ": " + strings.TrimSpace(n.Text[len(key):])
		}
		c.problems.Add(n.At, "%s is a map of keys, not %s%s", s.Name, describe(n), instead)
		return o, false
	}
	has := func(key string) bool { return n.Get(key) != nil }
	for i, p := range n.Pairs {
		key := p.Key.Text
		if s.Allowed(key, has) != nil {
			continue
		}
		if instead, ok := s.Refused[key]; ok {
			c.problems.Unsupported(p.Key.At, "%s of %s is not there yet: %s", key, s.Name, instead)
			continue
		}
		if instead, ok := s.Elsewhere[key]; ok {
			c.problems.Add(p.Key.At, "unknown key %q of %s: %s", key, s.Name, instead)
			continue
		}
		meant := nearest.Find(key, s.Names())
		c.problems.Add(p.Key.At, "unknown key %q of %s%s", key, s.Name, insteadOf(key, meant))
		if k := s.Allowed(meant, has); k != nil && !has(meant) && k.Value.Takes(shapeOf(p.Value)) {
			o.n = read(o.n, n, i, meant)
		}
	}
	return o, true
}

// keyAndValue is the key that a text begins with whose colon was forgotten, "" if it begins with none of a step.
func keyAndValue(text string) string {
	word, rest, _ := strings.Cut(text, " ")
	if strings.TrimSpace(rest) != "" && (word == "template" || schema.StepObject(word) != nil) {
		return word
	}
	return ""
}

// keyOf is the key of a step that a text begins with, whose colon was forgotten, "" if it begins with none.
func keyOf(text string) string {
	word, rest, _ := strings.Cut(text, " ")
	if strings.TrimSpace(rest) != "" && (word == "template" || schema.StepObject(word) != nil) {
		return word
	}
	return ""
}

// insteadOf says what an unknown key most likely is: meant, if that is not "".
func insteadOf(key, meant string) string {
	switch {
	case strings.HasPrefix(key, "-"):
		return ": a space follows the dash of an entry"
	case strings.ContainsFunc(key, func(r rune) bool { return r != ' ' && unicode.IsSpace(r) }):
		return ": it has a no-break space in it, which looks like a space and is none: write spaces"
	case meant != "":
		return fmt.Sprintf(", did you mean %q?", meant)
	}
	return ""
}

// read is the map with the key at a place of original read as another one, so that one pass tells what is wrong below it too.
func read(m, original *yaml.Node, place int, as string) *yaml.Node {
	out := *m
	if m == original {
		out.Pairs = slices.Clone(m.Pairs)
	}
	out.Pairs[place].Key = yaml.Text(as, original.Pairs[place].Key.At)
	return &out
}

// shapeOf is what a value is, as the schema tells values apart.
func shapeOf(n *yaml.Node) schema.Shape {
	switch n.Kind {
	case yaml.Map:
		return schema.MapShape
	case yaml.List:
		return schema.ListShape
	}
	return schema.ScalarShape
}

// check checks the values of a map that is read no further.
func (o object) check() {
	for _, k := range o.keys.Keys {
		n := o.get(k.Name)
		switch {
		case k.Required:
			o.needed(k.Name)
			if len(k.Value.Options) > 0 {
				o.option(k.Name, "")
			}
		case n == nil || k.Value.Any:
		case k.Value.Boolean && !isNone(n):
			o.boolean(k.Name, false)
		case k.Value.Boolean:
		case k.Value.List != nil:
			for _, item := range o.c.items(n, k.Name+" of "+o.what) {
				if inner, ok := o.c.object(item, k.Value.List.Maps[0]); ok {
					inner.check()
				}
			}
		default:
			o.text(k.Name)
		}
	}
}

// object reads the map under a key; ok is false without one and after a problem.
func (o object) object(key string) (inner object, ok bool) {
	n := o.get(key)
	if n == nil || n.IsNull() {
		return inner, false
	}
	return o.c.object(n, o.keys.Key(key).Value.Maps[0])
}

func (o object) get(key string) *yaml.Node { return o.n.Get(key) }

// at is the place of a key, or of the map without it.
func (o object) at(key string) slipway.Position {
	for _, p := range o.n.Pairs {
		if p.Key.Text == key {
			return p.Key.At
		}
	}
	return o.n.At
}

// text is a scalar's text, "" if it is absent or null.
func (o object) text(key string) string {
	n := o.get(key)
	if n == nil || n.IsNull() {
		return ""
	}
	if n.Kind != yaml.Scalar {
		o.c.problems.Add(n.At, "%s of %s is text, not %s", key, o.what, n.Kind)
		return ""
	}
	return n.Text
}

// needed is text that must be there.
func (o object) needed(key string) string {
	s := o.text(key)
	if n := o.get(key); s == "" && (n == nil || n.Kind == yaml.Scalar) { // that it is of another kind is told
		o.c.problems.Add(o.at(key), "%s needs %s", o.what, key)
	}
	return s
}

func (o object) boolean(key string, otherwise bool) bool {
	n := o.get(key)
	if n == nil || n.IsNull() || n.Kind == yaml.Scalar && n.Text == "" {
		return otherwise
	}
	if n.Kind == yaml.Scalar {
		if b, ok := yaml.Bool(n.Text); ok {
			return b
		}
		if isRuntime(n.Text) || strings.Contains(n.Text, "$(") {
			o.c.problems.Unsupported(n.At, "%s of %s must be known when the run is made: write true, false or ${{ }}, not %q", key, o.what, n.Text)
			return otherwise
		}
	}
	o.c.problems.Add(n.At, "%s of %s is true or false, not %s", key, o.what, describe(n))
	return otherwise
}

// later reads a number or boolean that is known when the run is queued and not before, one $[ ] or one macro, and keeps its
// expression. It is false for other values.
func (o object) later(key string, open *map[string]string) bool {
	n := o.get(key)
	if n == nil || n.Kind != yaml.Scalar {
		return false
	}
	text := strings.TrimSpace(n.Text)
	inside := ""
	if isRuntime(text) {
		inside = o.c.runtime(n, queueScope)
	} else if macro := soleMacro(text); macro != "" {
		inside = "variables['" + macro + "']"
	} else {
		return false
	}
	if *open == nil {
		*open = map[string]string{}
	}
	(*open)[key] = inside
	return true
}

// flag is a boolean as text that may be a macro: "true", "false" or the macro, "" if absent.
func (o object) flag(key string) string {
	s := o.text(key)
	if s == "" || strings.Contains(s, "$(") {
		return s
	}
	b, ok := yaml.Bool(s)
	if !ok {
		// Azure's schema has text here, and its agent takes what is no boolean for false.
		o.c.warnOf(o.get(key).At, "%s of %s is %q, which counts as false: write true or false", key, o.what, s)
		return "false"
	}
	return strconv.FormatBool(b)
}

// integer is a whole number in the bounds that the key has.
func (o object) integer(key string, otherwise int) int {
	least, most := o.keys.Key(key).Value.Least, o.keys.Key(key).Value.Most
	n := o.get(key)
	if n == nil || n.IsNull() || n.Kind == yaml.Scalar && n.Text == "" {
		return otherwise
	}
	if n.Kind == yaml.Scalar {
		i, err := strconv.Atoi(strings.TrimSpace(n.Text))
		if err == nil && i >= least && i <= most {
			return i
		}
		if isRuntime(n.Text) || strings.Contains(n.Text, "$(") {
			o.c.problems.Unsupported(n.At, "%s of %s must be known when the run is made: write a number or ${{ }}, not %q", key, o.what, n.Text)
			return otherwise
		}
	}
	o.c.problems.Add(n.At, "%s of %s is a whole number from %d to %d, not %s", key, o.what, least, most, describe(n))
	return otherwise
}

// option is one of the words that the key has, without case.
func (o object) option(key, otherwise string) string {
	options := o.keys.Key(key).Value.Options
	s := o.text(key)
	if s == "" {
		return otherwise
	}
	for _, option := range options {
		if strings.EqualFold(option, s) {
			return option
		}
	}
	o.c.problems.Add(o.get(key).At, "%s of %s is %s, not %q%s", key, o.what, strings.Join(options, " or "), s, nearest.Suggest(s, options))
	return otherwise
}

// texts is a list of scalars, or one scalar.
func (o object) texts(key string) []string { return o.c.texts(o.get(key), key+" of "+o.what) }

func (c *compiler) texts(n *yaml.Node, what string) []string {
	if n == nil || n.IsNull() {
		return nil
	}
	if n.Kind == yaml.Scalar {
		return []string{n.Text}
	}
	var list []string
	for _, item := range c.items(n, what) {
		if item.Kind != yaml.Scalar {
			c.problems.Add(item.At, "%s is a list of texts, this is %s", what, item.Kind)
			continue
		}
		list = append(list, item.Text)
	}
	return list
}

// items are the elements of a list; a problem and none for anything else. Null and absent are an empty list.
func (c *compiler) items(n *yaml.Node, what string) []*yaml.Node {
	if n == nil || n.IsNull() || n.Kind == yaml.Scalar && n.Text == "" {
		return nil
	}
	if n.Kind != yaml.List {
		dash := ""
		if n.Kind == yaml.Map {
			dash = ": begin each entry with a dash and a space"
		}
		c.problems.Add(n.At, "%s is a list, not %s%s", what, describe(n), dash)
		return nil
	}
	return n.Items
}

// textMap is a map of scalars.
func (o object) textMap(key string) map[string]string {
	n := o.get(key)
	if n == nil || n.IsNull() {
		return nil
	}
	if n.Kind != yaml.Map {
		o.c.problems.Add(n.At, "%s of %s is a map of names and texts, not %s", key, o.what, describe(n))
		return nil
	}
	m := map[string]string{}
	for _, p := range n.Pairs {
		if p.Value.Kind != yaml.Scalar {
			o.c.problems.Add(p.Value.At, "%s of %s is text, not %s", p.Key.Text, key, p.Value.Kind)
			continue
		}
		m[p.Key.Text] = p.Value.Text
		if p.Value.IsNull() {
			m[p.Key.Text] = ""
		}
	}
	return m
}

// colonWithoutSpace is a text that was to be a key with its value.
var colonWithoutSpace = regexp.MustCompile(`^[A-Za-z]+:[^\s/:\\]`)

func describe(n *yaml.Node) string {
	switch {
	case n.Kind != yaml.Scalar:
		return n.Kind.String()
	case n.IsNull():
		return "nothing"
	case len(n.Text) > 60:
		return fmt.Sprintf("%q…", strings.ToValidUTF8(n.Text[:60], ""))
	}
	return fmt.Sprintf("%q", n.Text)
}

// isRuntime reports a value that is one `$[ ]`.
func isRuntime(text string) bool {
	text = strings.TrimSpace(text)
	return strings.HasPrefix(text, "$[") && strings.HasSuffix(text, "]")
}

var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// name checks the name of a stage, job, leg or step.
func (c *compiler) name(n *yaml.Node, what string) string {
	if n == nil {
		return ""
	}
	if n.Kind != yaml.Scalar {
		c.problems.Add(n.At, "the name of %s is text, not %s", what, n.Kind)
		return ""
	}
	if n.Text == "" {
		return ""
	}
	switch {
	case !identifier.MatchString(n.Text):
		c.problems.Add(n.At, "%q is no name for %s: names are letters, digits and underscores and do not start with a digit", n.Text, what)
		return ""
	case len(n.Text) > 100:
		c.problems.Limit(n.At, "the name of %s has more than 100 characters", what)
		return ""
	}
	return n.Text
}
