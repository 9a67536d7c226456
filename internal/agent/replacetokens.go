package agent

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"slipway/internal/agent/token"
	"slipway/internal/pipelines/variable"
	"slipway/internal/pipelines/yaml"
)

// replacing is the task replacetokens at work.
type replacing struct {
	*task
	in        inputs
	major     int
	root      string
	more      map[string]string // additional variables, by lower-case name
	only      bool              // whether these are all
	missing   string            // how loudly a missing variable is told: off, warn, error
	quiet     bool
	notFound  int // variables that were told of as errors
	replacer  *token.Replacer
	encoding  string
	mark      bool
	escape    string
	total     token.Counts
	processed int
}

// tokenMarks are what tokens begin and end with, by the name of the pattern.
var tokenMarks = map[string][2]string{
	"default": {"#{", "}#"}, "rm": {"__", "__"}, "doubleunderscores": {"__", "__"}, "octopus": {"#{", "}"}, "azpipelines": {"$(", ")"},
	"doublebraces": {"{{", "}}"}, "githubactions": {"${{", "}}"},
}

// replaceTokens is the versions 3 to 6 of the task replacetokens. Version 6 renamed the inputs.
func replaceTokens(major int) func(*task, inputs) error {
	return func(t *task, in inputs) error {
		r := &replacing{task: t, in: in, major: major, root: t.absolute(cmp.Or(in.text("root"), in.text("rootDirectory"))),
			only: in.flag("useAdditionalVariablesOnly", false), encoding: in.text("encoding"), more: map[string]string{}}
		switch r.missing = strings.ToLower(r.text("missingVarLog", "actionOnMissing")); r.missing {
		case "":
			r.missing = "warn"
		case "fail": // before version 6
			r.missing = "error"
		}
		r.mark = in.flag("addBOM", in.flag("writeBOM", false))
		r.quiet = slices.Contains([]string{"off", "warn", "error"}, strings.ToLower(r.text("logLevel", "verbosity")))
		if err := r.variables(); err != nil {
			return err
		}
		if err := r.prepare(); err != nil {
			return err
		}
		return r.do()
	}
}

// text is an input under the name of version 6 or the one before.
func (r *replacing) text(now, before string) string { return cmp.Or(r.in.text(now), r.in.text(before)) }

// prepare reads what tokens look like and what becomes of them.
func (r *replacing) prepare() error {
	in := r.in
	marks, ok := tokenMarks[strings.ToLower(in.text("tokenPattern"))]
	if !ok {
		marks = [2]string{in.text("tokenPrefix"), in.text("tokenSuffix")}
	}
	if marks[0] == "" || marks[1] == "" {
		return errors.New("the inputs tokenPrefix and tokenSuffix must not be empty")
	}
	rep := &token.Replacer{Prefix: marks[0], Suffix: marks[1], KeepBlanks: in.flag("useLegacyPattern", false), Lookup: r.lookup, Missing: r.tell,
		Recursive: in.flag("recursive", in.flag("enableRecursion", false)), CountMissing: r.major >= 6, Raw: "raw"}
	if in.flag("transforms", in.flag("enableTransforms", false)) {
		rep.TransformPrefix, rep.TransformSuffix = cmp.Or(r.text("transformsPrefix", "transformPrefix"), "("), cmp.Or(r.text("transformsSuffix", "transformSuffix"), ")")
	}
	r.escape = cmp.Or(strings.ToLower(r.text("escape", "escapeType")), "auto")
	rep.EscapeChar, rep.CharsToEscape = in.text("escapeChar"), in.text("charsToEscape")
	if r.major >= 6 {
		switch strings.ToLower(in.text("missingVarAction")) {
		case "keep":
			rep.Keep = true
		case "replace":
			rep.UseDefault, rep.Default = true, in.text("missingVarDefault")
		}
	} else {
		rep.Raw, rep.Keep, rep.Default = "noescape", in.flag("keepToken", false), in.text("defaultValue")
		if in.flag("useLegacyEmptyFeature", true) {
			rep.EmptyIsMissing, rep.UseDefault, rep.EmptyValue = true, rep.Default != "", in.text("emptyValue")
		} else {
			rep.UseDefault = in.flag("useDefaultValue", false)
		}
	}
	r.replacer = rep
	return nil
}

// lookup finds a variable: an additional one, else the pipeline's, under the name that its environment variable has too.
func (r *replacing) lookup(name string) (string, bool) {
	if text, ok := r.more[strings.ToLower(name)]; ok || r.only {
		return text, ok
	}
	if v, ok := r.vars.Get(name); ok {
		return r.vars.Expand(v.Text), true
	}
	text, ok := r.env[variable.EnvironmentName(name)]
	return text, ok
}

// tell says that a variable is missing.
func (r *replacing) tell(name string) {
	switch r.missing {
	case "warn":
		r.log.Printf("##[warning]There is no variable %s.", name)
	case "error":
		r.notFound++
		r.log.Printf("##[error]There is no variable %s.", name)
	}
}

// do replaces the tokens of all files.
func (r *replacing) do() error {
	lines := strings.Split(strings.ReplaceAll(r.text("sources", "targetFiles"), "\r", ""), "\n")
	for _, line := range lines {
		list := []string{line}
		if r.major < 6 {
			list = strings.Split(strings.ReplaceAll(line, `\`, "/"), ",")
		}
		for _, rule := range list {
			if strings.TrimSpace(rule) == "" {
				continue
			}
			if err := r.rule(rule); err != nil {
				return err
			}
		}
	}
	r.outputs()
	if !r.quiet {
		r.log.Printf("Replaced %d of %d tokens in %d files", r.total.Replaced, r.total.Tokens, r.processed)
	}
	if r.processed == 0 {
		switch strings.ToLower(r.text("ifNoFilesFound", "actionOnNoFiles")) {
		case "warn":
			r.log.Printf("##[warning]No file matches below %s.", r.root)
		case "error", "fail":
			return fmt.Errorf("no file matches below %s", r.root)
		}
	}
	if r.notFound > 0 {
		return fmt.Errorf("%d tokens have no variable", r.notFound)
	}
	return nil
}

// outputs sets the variables that the versions from 4 on give.
func (r *replacing) outputs() {
	names := []string{"tokenReplacedCount", "tokenFoundCount", "fileProcessedCount", "transformExecutedCount", "defaultValueCount"}
	switch {
	case r.major < 4:
		return
	case r.major >= 6:
		names = []string{"replaced", "tokens", "files", "transforms", "defaults"}
	}
	for i, n := range []int{r.total.Replaced, r.total.Tokens, r.processed, r.total.Transforms, r.total.Defaults} {
		r.setVariable(command{properties: map[string]string{"variable": names[i]}, text: fmt.Sprint(n)})
		if r.step.Name != "" {
			r.setVariable(command{properties: map[string]string{"variable": names[i], "isoutput": "true"}, text: fmt.Sprint(n)})
		}
	}
}

// rule does one line: patterns parted by `;`, and after `=>` where the result goes.
func (r *replacing) rule(line string) error {
	from, to, _ := strings.Cut(line, "=>")
	var list patterns
	for _, pattern := range strings.Split(from, ";") {
		if pattern = strings.TrimSpace(pattern); pattern != "" {
			list = append(list, r.glob(pattern))
		}
	}
	if r.major >= 6 { // fast-glob
		list = list.expanded()
	}
	if len(list) == 0 {
		return fmt.Errorf("the line %q names no file", line)
	}
	files, err := findEverything(r.root, list)
	if err != nil {
		return fmt.Errorf("look for files in %s: %w", r.root, err)
	}
	for _, file := range files {
		if err := r.file(file, r.output(file, list[0], strings.TrimSpace(to))); err != nil {
			return fmt.Errorf("replace tokens in %s: %w", file, err)
		}
		r.processed++
	}
	return nil
}

// group is (a|b), one of these, which version 6 knows besides the extended globs.
var group = regexp.MustCompile(`(^|[^?@!+*])(\([^()]*\|[^()]*\))`)

func (r *replacing) glob(pattern string) string {
	if r.major >= 6 {
		pattern = group.ReplaceAllString(pattern, "$1@$2")
	}
	return pattern
}

// output is where the result of a file goes: itself, or what stands behind `=>`, in which `*` is what the `*` in the
// pattern's file name matched. Relative paths start from the file.
func (r *replacing) output(file, pattern, to string) string {
	if to == "" {
		return file
	}
	base, own := filepath.Base(pattern), filepath.Base(file)
	if star := strings.IndexByte(base, '*'); star >= 0 {
		if end := len(own) - (len(base) - star - 1); end >= star {
			times := -1
			if r.major >= 6 {
				times = 1
			}
			to = strings.Replace(to, "*", own[star:end], times)
		}
	}
	if !filepath.IsAbs(to) {
		to = filepath.Join(filepath.Dir(file), to)
	}
	return to
}

func (r *replacing) file(file, output string) error {
	text, encoding, err := readText(file, r.encoding)
	if err != nil {
		return err
	}
	rep := *r.replacer
	rep.Escape = escapeOf(r.escape, file, output)
	text, counts, err := rep.Replace(text)
	if err != nil {
		return err
	}
	r.total.Add(counts)
	if err := os.MkdirAll(filepath.Dir(output), 0o755); err != nil {
		return err
	}
	switch {
	case counts.Tokens > 0:
		err = writeText(output, text, encoding, r.mark)
	case output != file:
		err = copyFile(file, output, false)
	}
	if err == nil && !r.quiet {
		r.log.Printf("%s: %d of %d tokens", output, counts.Replaced, counts.Tokens)
	}
	return err
}

// escapeOf says how values are escaped; auto goes by the files' names.
func escapeOf(escape string, files ...string) token.Escape {
	switch escape {
	case "json", "xml", "custom":
		return token.Escape(escape)
	case "auto":
		for _, e := range []token.Escape{token.EscapeJSON, token.EscapeXML} {
			if slices.ContainsFunc(files, func(file string) bool { return filepath.Ext(file) == "."+string(e) }) {
				return e
			}
		}
	}
	return token.EscapeNone
}

// variables reads the additional variables of files, of the environment and of the inputs.
func (r *replacing) variables() error {
	if r.major >= 6 {
		return r.additional(r.in.text("additionalVariables"))
	}
	for _, pattern := range r.in.list("variableFiles") {
		if err := r.variableFiles(patterns{strings.ReplaceAll(pattern, `\`, "/")}); err != nil {
			return err
		}
	}
	return r.put("inlineVariables", r.in.m["inlinevariables"])
}

// additional reads the input of version 6: a map, '@' and patterns of files, '$' and an environment variable, or a list.
func (r *replacing) additional(text string) error {
	if text == "" {
		return nil
	}
	if strings.HasPrefix(text, "@") || strings.HasPrefix(text, "$") {
		return r.reference(text)
	}
	n, err := yaml.Read("additionalVariables", []byte(text))
	if err != nil {
		return err
	}
	list := []*yaml.Node{n}
	if n.Kind == yaml.List {
		list = n.Items
	}
	for _, one := range list {
		if one.Kind == yaml.Scalar {
			err = r.reference(one.Text)
		} else {
			r.flatten(one, "")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *replacing) reference(text string) error {
	switch {
	case strings.HasPrefix(text, "@"):
		var list patterns
		for _, pattern := range strings.Split(text[1:], ";") {
			list = append(list, r.glob(strings.TrimSpace(pattern)))
		}
		return r.variableFiles(list)
	case strings.HasPrefix(text, "$"):
		value := r.env[variable.EnvironmentName(text[1:])]
		if value != "" && !strings.HasPrefix(strings.TrimSpace(value), "{") {
			return fmt.Errorf("%s holds no map of variables", text)
		}
		return r.put(text, value)
	}
	return fmt.Errorf("additional variables are a map, or text that begins with @ (files) or $ (an environment variable), not %q", text)
}

func (r *replacing) variableFiles(list patterns) error {
	files, err := findEverything(r.root, list)
	if err != nil {
		return fmt.Errorf("look for files of variables in %s: %w", r.root, err)
	}
	for _, file := range files {
		text, _, err := readText(file, "auto")
		if err == nil {
			err = r.put(file, text)
		}
		if err != nil {
			return fmt.Errorf("read variables: %w", err)
		}
	}
	return nil
}

// put adds the variables of a text in YAML, of which JSON is a part.
func (r *replacing) put(what, text string) error {
	if strings.TrimSpace(text) == "" {
		return nil
	}
	n, err := yaml.Read(what, []byte(text))
	if err != nil {
		return err
	}
	r.flatten(n, "")
	return nil
}

// flatten gives values inside of one another a name each, with the separator between: items of lists by their number.
func (r *replacing) flatten(n *yaml.Node, name string) {
	inside := func(key string) string {
		if name == "" {
			return key
		}
		return name + cmp.Or(r.text("separator", "variableSeparator"), ".") + key
	}
	switch {
	case n.Kind == yaml.Map:
		for _, p := range n.Pairs {
			r.flatten(p.Value, inside(p.Key.Text))
		}
	case n.Kind == yaml.List:
		for i, item := range n.Items {
			r.flatten(item, inside(fmt.Sprint(i)))
		}
	case n.IsNull():
		r.more[strings.ToLower(name)] = ""
	default:
		r.more[strings.ToLower(name)] = n.Text
	}
}
