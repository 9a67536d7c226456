package github

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// place is where an expression is evaluated, which decides what it can see.
type place uint8

const (
	inRun  place = iota // variables of the root
	inJob               // conditions and variables of jobs: dependencies
	inStep              // conditions of steps: variables alone
)

// value is an expression of Azure Pipelines.
type value struct {
	expr string
	// macro is how text says it, "" if text needs a variable of its own.
	macro string
	// boolean says that the expression gives true or false.
	boolean bool
	// lit is set if the value is known.
	lit *node
	// equals gives the expression that compares the value with a text of GitHub's, if Azure's words are others.
	equals func(text string) string
}

// translator makes expressions of Azure Pipelines.
type translator struct {
	w     *workflow
	j     *job // nil at the root
	place place
	scope *scope // inputs and env of what the text stands in
	// status is set when the expression asks for the status of what came before.
	status bool
}

// maxEvaluations bounds what expressions that stand in one another come to.
const maxEvaluations = 100_000

func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

func (v value) isLit() bool { return v.lit != nil }

// truth is the value as a condition: text that is not empty is true.
func (v value) truth() string {
	switch {
	case v.isLit():
		if v.lit.truth() {
			return "true"
		}
		return "false"
	case v.boolean:
		return v.expr
	}
	return "ne(" + v.expr + ", '')"
}

// asText is the value as an expression of text, as GitHub writes it.
func (v value) asText() string {
	switch {
	case v.isLit():
		return quote(v.lit.text)
	case v.boolean:
		return "iif(" + v.expr + ", 'true', 'false')"
	}
	return v.expr
}

func known(text string) value {
	return value{expr: quote(text), lit: &node{kind: literal, text: text}}
}

func knownBool(b bool) value {
	text := "false"
	if b {
		text = "true"
	}
	return value{expr: text, boolean: true, lit: &node{kind: literal, text: text, boolean: true}}
}

func boolean(expr string) value {
	switch expr {
	case "true", "false":
		return knownBool(expr == "true")
	}
	return value{expr: expr, boolean: true}
}

// value translates an expression. The error says why it cannot be.
func (t *translator) value(n *node) (value, error) {
	if t.w.evaluations++; t.w.evaluations > maxEvaluations {
		return value{}, fmt.Errorf("the workflow has more than %d expressions", maxEvaluations)
	}
	switch n.kind {
	case literal:
		return value{expr: quote(n.text), lit: n, boolean: n.boolean}, nil
	case contextPath:
		return t.context(n.keys)
	case call:
		return t.call(n)
	case index:
		return t.key(n)
	case not:
		v, err := t.value(n.args[0])
		if err != nil {
			return v, err
		}
		return negate(v.truth()), nil
	}
	if n.name == "&&" || n.name == "||" {
		return t.logic(n)
	}
	return t.compare(n)
}

func negate(truth string) value {
	switch {
	case truth == "true" || truth == "false":
		return knownBool(truth == "false")
	case strings.HasPrefix(truth, "eq("):
		return boolean("ne(" + strings.TrimPrefix(truth, "eq("))
	}
	return boolean("not(" + truth + ")")
}

// logic translates && and ||, whose values are those of one side.
func (t *translator) logic(n *node) (value, error) {
	left, err := t.value(n.args[0])
	if err != nil {
		return left, err
	}
	if left.isLit() && left.lit.truth() == (n.name == "||") {
		return left, nil
	}
	right, err := t.value(n.args[1])
	switch {
	case err != nil:
		return right, err
	case left.isLit():
		return right, nil
	case right.isLit() && right.boolean && right.lit.truth() == (n.name == "&&") && left.boolean:
		return left, nil
	case left.boolean && right.boolean:
		return boolean(join(map[string]string{"&&": "and", "||": "or"}[n.name], left.truth(), right.truth())), nil
	case n.name == "&&":
		return value{expr: "iif(" + left.truth() + ", " + right.asText() + ", '')"}, nil
	case left.boolean:
		return value{expr: "iif(" + left.truth() + ", 'true', " + right.asText() + ")"}, nil
	}
	// CONDITION && 'text' || other: the text is never empty.
	if inner := n.args[0]; inner.kind == binary && inner.name == "&&" && inner.args[1].isText() && inner.args[1].truth() && strings.HasSuffix(left.expr, ", '')") {
		return value{expr: strings.TrimSuffix(left.expr, "'')") + right.asText() + ")"}, nil
	}
	return value{expr: "coalesce(" + left.asText() + ", " + right.asText() + ")"}, nil
}

// join is and or or of both sides, without one in another.
func join(function, left, right string) string {
	open := function + "("
	if strings.HasPrefix(left, open) && closes(left) {
		left = strings.TrimSuffix(strings.TrimPrefix(left, open), ")")
	}
	if strings.HasPrefix(right, open) && closes(right) {
		right = strings.TrimSuffix(strings.TrimPrefix(right, open), ")")
	}
	return open + left + ", " + right + ")"
}

// closes reports that the first bracket of a call ends at its end.
func closes(expr string) bool {
	depth, quoted := 0, false
	for i := range len(expr) {
		switch {
		case expr[i] == '\'':
			quoted = !quoted
		case quoted:
		case expr[i] == '(':
			depth++
		case expr[i] == ')':
			if depth--; depth == 0 {
				return i == len(expr)-1
			}
		}
	}
	return false
}

func (t *translator) compare(n *node) (value, error) {
	if v, ok := t.repository(n); ok {
		return v, nil
	}
	left, err := t.value(n.args[0])
	if err != nil {
		return left, err
	}
	right, err := t.value(n.args[1])
	if err != nil {
		return right, err
	}
	op := n.name
	if left.isLit() && !right.isLit() { // the literal stands on the right
		left, right = right, left
		if turned, ok := map[string]string{"<": ">", ">": "<", "<=": ">=", ">=": "<="}[op]; ok {
			op = turned
		}
	}
	switch equal := op == "=="; {
	case op != "==" && op != "!=":
		return ordered(op, left, right), nil
	case left.isLit() && right.isLit():
		return knownBool(strings.EqualFold(left.lit.text, right.lit.text) == equal), nil
	default:
		same := left.same(right)
		if equal {
			return boolean(same), nil
		}
		return negate(same), nil
	}
}

// same is the expression that says that both are equal.
func (v value) same(right value) string {
	switch {
	case right.isLit() && v.equals != nil:
		return v.equals(right.lit.text)
	case right.isLit() && v.boolean && (right.lit.text == "true" || right.lit.text == "false"):
		if right.lit.text == "true" {
			return v.truth()
		}
		return negate(v.truth()).expr
	}
	return "eq(" + v.asText() + ", " + right.asText() + ")"
}

// ordered compares numbers: the type of the first side decides how Azure Pipelines compares.
func ordered(op string, left, right value) value {
	name := map[string]string{"<": "lt", ">": "gt", "<=": "le", ">=": "ge"}[op]
	if right.isLit() {
		name = map[string]string{"<": "gt", ">": "lt", "<=": "ge", ">=": "le"}[op]
		return boolean(name + "(" + right.lit.text + ", " + left.asText() + ")")
	}
	return boolean(name + "(" + left.asText() + ", " + right.asText() + ")")
}

// fromFork holds for a pull request from a fork.
const fromFork = "eq(variables['System.PullRequest.IsFork'], 'True')"

// repository answers what tells a fork from the repository: by where the branch of a pull request is. What compares the repository's own name
// with that which it has at GitHub holds.
func (t *translator) repository(n *node) (value, bool) {
	if n.name != "==" && n.name != "!=" {
		return value{}, false
	}
	own := ""
	for _, side := range n.args {
		if side.kind != contextPath {
			continue
		}
		switch name := strings.Join(side.keys, "."); name {
		case "github.event.pull_request.head.repo.full_name", "github.event.pull_request.head.repo.owner.login":
			if n.name == "!=" {
				return boolean(fromFork), true
			}
			return negate(fromFork), true
		case "github.repository", "github.repository_owner", "github.event.repository.full_name", "github.event.repository.owner.login":
			own = name
		}
	}
	if own == "" {
		return value{}, false
	}
	t.w.note(t.scope.at, "a comparison of "+own+" is taken to hold, since the repository has another name here", "")
	return knownBool(n.name == "=="), true
}

func (t *translator) call(n *node) (value, error) {
	switch n.name {
	case "success", "failure", "always", "cancelled":
		t.status = true
		return boolean(map[string]string{"success": "succeeded()", "failure": "failed()", "always": "always()", "cancelled": "canceled()"}[n.name]), nil
	case "contains":
		if v, ok, err := t.containsList(n); ok {
			return v, err
		}
	case "fromjson", "tojson":
		if len(n.args) == 1 {
			return t.json(n)
		}
	}
	name, ok := map[string]string{"contains": "contains", "startswith": "startsWith", "endswith": "endsWith", "format": "format"}[n.name]
	if !ok {
		return value{}, fmt.Errorf("the function %s has no counterpart", n.name)
	}
	args := make([]string, len(n.args))
	lits := make([]string, 0, len(n.args))
	for i, arg := range n.args {
		v, err := t.value(arg)
		if err != nil {
			return v, err
		}
		if v.isLit() {
			lits = append(lits, v.lit.text)
		}
		args[i] = v.asText()
	}
	if name != "format" && len(args) == 2 {
		if len(lits) == 2 {
			return knownBool(fold(name, strings.ToLower(lits[0]), strings.ToLower(lits[1]))), nil
		}
		return boolean(name + "(" + strings.Join(args, ", ") + ")"), nil
	}
	return value{expr: name + "(" + strings.Join(args, ", ") + ")"}, nil
}

func fold(name, a, b string) bool {
	return map[string]func(string, string) bool{"contains": strings.Contains, "startsWith": strings.HasPrefix, "endsWith": strings.HasSuffix}[name](a, b)
}

// containsList translates contains() of a list: of a literal one, or of the results of needs.
func (t *translator) containsList(n *node) (v value, ok bool, err error) {
	if len(n.args) != 2 {
		return v, false, nil
	}
	list := n.args[0]
	if list.kind == call && list.name == "fromjson" && len(list.args) == 1 && list.args[0].isText() {
		var items []any
		if json.Unmarshal([]byte(list.args[0].text), &items) != nil {
			return v, true, fmt.Errorf("fromJSON of text that is no list")
		}
		searched, err := t.value(n.args[1])
		if err != nil {
			return v, true, err
		}
		var any string
		for _, item := range items {
			same := searched.same(known(fmt.Sprint(item)))
			if any == "" {
				any = same
			} else {
				any = join("or", any, same)
			}
		}
		if any == "" {
			any = "false"
		}
		return boolean(any), true, nil
	}
	if list.kind == contextPath && slices.Equal(list.keys, []string{"needs", "*", "result"}) && n.args[1].isText() && t.j != nil {
		var any string
		for _, id := range t.j.needs {
			result, err := t.context([]string{"needs", id, "result"})
			if err != nil {
				return v, true, err
			}
			if same := result.same(known(n.args[1].text)); any == "" {
				any = same
			} else {
				any = join("or", any, same)
			}
		}
		if any == "" {
			any = "false"
		}
		return boolean(any), true, nil
	}
	if list.kind == contextPath && slices.Contains(list.keys, "*") {
		return v, true, fmt.Errorf("%s is not known here", strings.Join(list.keys, "."))
	}
	return v, false, nil
}

// json passes scalars on, which are the same in JSON.
func (t *translator) json(n *node) (value, error) {
	v, err := t.value(n.args[0])
	if err != nil {
		return v, err
	}
	if v.isLit() && n.name == "fromjson" {
		var any any
		if json.Unmarshal([]byte(v.lit.text), &any) == nil {
			switch any := any.(type) {
			case bool:
				return knownBool(any), nil
			case string:
				return known(any), nil
			case float64:
				return known(v.lit.text), nil
			}
		}
	}
	if n.name == "fromjson" && !v.isLit() {
		return v, nil
	}
	return value{}, fmt.Errorf("lists and maps in JSON have no counterpart")
}

// key is a key of JSON text that is known, without case as at GitHub; one that is not there is empty.
func (t *translator) key(n *node) (value, error) {
	root, keys := n, []string(nil)
	for root.kind == index {
		root, keys = root.args[0], append([]string{root.text}, keys...)
	}
	if root.kind != call || root.name != "fromjson" || len(root.args) != 1 {
		return value{}, fmt.Errorf("a key of %s has no counterpart", root)
	}
	text, err := t.value(root.args[0])
	if err != nil {
		return text, err
	}
	var at any
	if !text.isLit() || json.Unmarshal([]byte(text.lit.text), &at) != nil {
		return value{}, fmt.Errorf("a key of %s is not known before the run", root)
	}
	for _, key := range keys {
		at = member(at, key)
	}
	switch at := at.(type) {
	case nil:
		return known(""), nil
	case bool:
		return knownBool(at), nil
	case string:
		return known(at), nil
	case float64:
		return known(strconv.FormatFloat(at, 'f', -1, 64)), nil
	}
	return value{}, fmt.Errorf("lists and maps in JSON have no counterpart")
}

// member is what is under a key of a map, or a number of a list.
func member(in any, key string) any {
	switch in := in.(type) {
	case map[string]any:
		for name, inner := range in {
			if strings.EqualFold(name, key) {
				return inner
			}
		}
	case []any:
		if i, err := strconv.Atoi(key); err == nil && i >= 0 && i < len(in) {
			return in[i]
		}
	}
	return nil
}

// joined is a condition in which a part is written as ${{ }}, in brackets instead. Braces in quotes stay.
func joined(text string) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "${{")
		b.WriteString(before)
		end := endOf(rest)
		if !found || end < 0 {
			b.WriteString(rest)
			return b.String()
		}
		b.WriteString("(" + rest[:end] + ")")
		text = rest[end+2:]
	}
}

// condition is the condition of an `if`, "" for none.
func (t *translator) condition(text string) (string, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return "", nil
	}
	if strings.HasPrefix(text, "${{") && endOf(text) == len(text)-2 {
		text = text[3 : len(text)-2]
	} else {
		text = joined(text)
	}
	n, err := parse(text)
	if err != nil {
		return "", err
	}
	v, err := t.value(n)
	if err != nil {
		return "", err
	}
	switch truth := v.truth(); {
	case truth == "true" && !t.status:
		return "", nil
	case truth == "succeeded()":
		return "", nil
	case t.status || truth == "false":
		return truth, nil
	default:
		return join("and", "succeeded()", truth), nil
	}
}
