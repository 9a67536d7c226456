package gitlab

import (
	"regexp"
	"strings"

	"slipway"
	"slipway/internal/pipelines/importer/draft"
	"slipway/internal/pipelines/yaml"
)

// decision is when a job runs: an expression without status functions, "true" for always and "false" for never.
type decision struct {
	condition string
	when      string // on_success, on_failure, always, manual
	fails     string // allow_failure, "" if rules do not say
}

// decide reads rules, or only and except, or their default. No job runs where the workflow's own rules make no pipeline.
func (f *file) decide(n *yaml.Node, notes *[]draft.Note) decision {
	d := f.ownRules(n, notes)
	d.condition = and(f.whole, d.condition)
	return d
}

// readWorkflow reads workflow: rules, which say when there is a pipeline at all.
func (f *file) readWorkflow() {
	f.whole = "true"
	rules := f.root.Get("workflow").Get("rules")
	if f.workflow = rules != nil; f.workflow {
		f.whole = f.rules(rules, decision{when: "always"}, &f.header).condition
	}
}

func (f *file) ownRules(n *yaml.Node, notes *[]draft.Note) decision {
	d := decision{condition: "true", when: "on_success"}
	if w := n.Get("when"); w != nil {
		d.when = w.Text
	}
	if rules := n.Get("rules"); rules != nil {
		return f.rules(rules, d, notes)
	}
	only, except := n.Get("only"), n.Get("except")
	if only == nil && except == nil {
		if f.requests && !f.workflow {
			d.condition = "ne(variables['Build.Reason'], 'PullRequest')"
		}
		return d
	}
	if only != nil {
		d.condition = f.refs(only, true, notes)
	}
	if except != nil {
		d.condition = and(d.condition, not(f.refs(except, false, notes)))
	}
	return d
}

// rules reads a list of rules: the first that matches decides.
func (f *file) rules(rules *yaml.Node, d decision, notes *[]draft.Note) decision {
	var list []*yaml.Node
	for _, r := range flat(rules) {
		if r.Kind == yaml.Map {
			list = append(list, r)
		}
	}
	automatic := false
	for _, r := range list {
		if w := whenOf(r, d.when); w != "manual" && w != "never" {
			automatic = true
		}
	}
	d.condition = "false"
	when := ""
	for i := len(list) - 1; i >= 0; i-- {
		r := list[i]
		w := whenOf(r, d.when)
		otherwise := "false" // what is not understood runs nothing: it does not hold, or holds where it says never
		if w == "never" {
			otherwise = "true"
		}
		c := f.rule(r, otherwise, notes)
		if w == "manual" && automatic {
			*notes = append(*notes, f.note(r.At, "a rule that makes the job manual in some cases is left out: the job does not run then", "start the stage again by hand where it is wanted"))
			w = "never"
		}
		if w == "never" {
			d.condition = and(not(c), d.condition)
			continue
		}
		d.condition = or(c, d.condition)
		when = w
		if a := r.Get("allow_failure"); a != nil {
			d.fails = a.Text
		}
		if v := r.Get("variables"); v != nil {
			*notes = append(*notes, f.note(v.At, "variables of a rule are left out", "set them in the script, by the same condition"))
		}
	}
	if when != "" {
		d.when = when
	}
	return d
}

// flat is a list with the lists in it as part of it.
func flat(n *yaml.Node) []*yaml.Node {
	var list []*yaml.Node
	for _, item := range n.Items {
		if item.Kind == yaml.List {
			list = append(list, flat(item)...)
			continue
		}
		list = append(list, item)
	}
	return list
}

func whenOf(r *yaml.Node, other string) string {
	if w := r.Get("when"); w != nil {
		return w.Text
	}
	return other
}

// rule is the condition of one rule, with otherwise in place of what is not understood.
func (f *file) rule(r *yaml.Node, otherwise string, notes *[]draft.Note) string {
	c := "true"
	if text := r.Get("if"); text != nil {
		c = f.expression(text, notes, otherwise)
	}
	for _, key := range []string{"changes", "exists"} {
		if n := r.Get(key); n != nil {
			*notes = append(*notes, f.note(n.At, key+" of a rule is taken to hold: which files there are is not known when a run is planned", "look at the files in the script, or give the paths of trigger"))
		}
	}
	return c
}

// refs reads only or except.
func (f *file) refs(n *yaml.Node, only bool, notes *[]draft.Note) string {
	refs := n
	if n.Kind == yaml.Map {
		refs = n.Get("refs")
	}
	any, given, otherwise := "false", false, "false"
	if !only {
		otherwise = "true"
	}
	for _, item := range texts(refs) {
		given = true
		any = or(any, f.ref(item, otherwise, notes))
	}
	if !given {
		any = "true"
		if only && n.Kind == yaml.Map && f.requests {
			any = "ne(variables['Build.Reason'], 'PullRequest')"
		}
	}
	if n.Kind != yaml.Map {
		return any
	}
	if v := n.Get("variables"); v != nil {
		all := "false"
		for _, item := range texts(v) {
			all = or(all, f.expression(item, notes, otherwise))
		}
		any = and(any, all)
	}
	for _, key := range []string{"changes", "kubernetes"} {
		if c := n.Get(key); c != nil {
			*notes = append(*notes, f.note(c.At, key+" of only or except is left out: it is not known when a run is planned", "look at the files in the script, or give the paths of trigger"))
			if !only && !given {
				any = "false"
			}
		}
	}
	return any
}

// ref is one word of only or except.
func (f *file) ref(n *yaml.Node, otherwise string, notes *[]draft.Note) string {
	reason := func(name string) string { return "eq(variables['Build.Reason'], '" + name + "')" }
	word := n.Text
	if i := strings.LastIndex(word, "@"); i > 0 {
		word = word[:i]
	}
	switch word {
	case "branches":
		return "startsWith(variables['Build.SourceBranch'], 'refs/heads/')"
	case "tags":
		return "startsWith(variables['Build.SourceBranch'], 'refs/tags/')"
	case "merge_requests":
		return reason("PullRequest")
	case "schedules":
		return reason("Schedule")
	case "web", "api", "triggers":
		return reason("Manual")
	case "pushes":
		return "in(variables['Build.Reason'], 'IndividualCI', 'BatchedCI')"
	case "pipelines":
		return reason("ResourceTrigger")
	case "external", "external_pull_requests", "chat":
		return "false"
	}
	f.use("CI_COMMIT_REF_NAME")
	if strings.HasPrefix(word, "/") {
		c := f.matches("variables['CI_COMMIT_REF_NAME']", word, n.At, notes)
		if c == "" {
			*notes = append(*notes, f.note(n.At, "the pattern "+word+" has no counterpart, since expressions have no regular expressions", "write what is meant as the condition of the job; until then it is "+otherwise))
			return otherwise
		}
		return c
	}
	return "eq(variables['CI_COMMIT_REF_NAME'], " + quote(word) + ")"
}

func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

func not(c string) string {
	switch {
	case c == "true":
		return "false"
	case c == "false":
		return "true"
	case strings.HasPrefix(c, "not(") && strings.Count(c, "not(") == 1 && strings.HasSuffix(c, ")"):
		return strings.TrimSuffix(strings.TrimPrefix(c, "not("), ")")
	}
	return "not(" + c + ")"
}

func and(a, b string) string {
	switch {
	case a == "false" || b == "false":
		return "false"
	case a == "true":
		return b
	case b == "true" || a == b:
		return a
	}
	return "and(" + a + ", " + b + ")"
}

func or(a, b string) string {
	switch {
	case a == "true" || b == "true":
		return "true"
	case a == "false":
		return b
	case b == "false" || a == b:
		return a
	}
	return "or(" + a + ", " + b + ")"
}

// simple are the parts of a regular expression that comparisons can stand for.
var (
	anchored    = regexp.MustCompile(`^/(\^?)(.*?)(\$?)/([im]*)$`)
	plainText   = regexp.MustCompile(`^(?:[\w \-/:@#=,%]|\\[./\-_+#@:()\[\] ])*`)
	plainEnd    = regexp.MustCompile(`(?:[\w \-/:@#=,%]|\\[./\-_+#@:()\[\] ])*$`)
	alternative = regexp.MustCompile(`^\(?(?:\?:)?([^()]*)\)?$`)
)

// matches is a comparison that stands for a regular expression: exact for text, alternatives and anchors, else by the text that it
// begins or ends with, which is told. It is "" where not even that can stand for it.
func (f *file) matches(value, pattern string, at slipway.Position, notes *[]draft.Note) string {
	m := anchored.FindStringSubmatch(strings.TrimSpace(pattern))
	if m == nil {
		return ""
	}
	begins, body, ends := m[1] != "", m[2], m[3] != ""
	if a := alternative.FindStringSubmatch(body); a != nil && strings.Contains(a[1], "|") {
		any := "false"
		for _, one := range strings.Split(a[1], "|") {
			if strings.HasPrefix(body, "(") || !begins && !ends {
				one = m[1] + one + m[3]
			}
			c := f.matches(value, "/"+one+"/", at, notes)
			if c == "" {
				return ""
			}
			any = or(any, c)
		}
		return any
	}
	body = strings.TrimSuffix(strings.TrimSuffix(body, ".*"), ".+")
	if body != m[2] {
		ends = false
	}
	if rest := strings.TrimPrefix(body, ".*"); rest != body {
		body, begins = rest, false
	}
	text := plainText.FindString(body)
	plain := regexp.MustCompile(`\\(.)`).ReplaceAllString(text, "$1")
	if text != body && plain == "" {
		if text = plainEnd.FindString(body); !ends || text == "" {
			return ""
		}
		plain = regexp.MustCompile(`\\(.)`).ReplaceAllString(text, "$1")
		*notes = append(*notes, f.note(at, "the pattern "+pattern+" is not compared whole, since expressions have no regular expressions: what ends with "+quote(plain)+" holds", "write a stricter condition if it matters"))
		return "endsWith(" + value + ", " + quote(plain) + ")"
	}
	if text != body {
		*notes = append(*notes, f.note(at, "the pattern "+pattern+" is not compared whole, since expressions have no regular expressions: what begins with "+quote(plain)+" holds", "write a stricter condition if it matters"))
		ends = false
		if !begins {
			return "contains(" + value + ", " + quote(plain) + ")"
		}
	}
	switch {
	case begins && ends:
		return "eq(" + value + ", " + quote(plain) + ")"
	case begins:
		return "startsWith(" + value + ", " + quote(plain) + ")"
	case ends:
		return "endsWith(" + value + ", " + quote(plain) + ")"
	}
	return "contains(" + value + ", " + quote(plain) + ")"
}
