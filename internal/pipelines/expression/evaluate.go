package expression

import (
	"errors"
	"fmt"
	"strings"
)

// MaxSteps bounds the parts that one evaluation visits.
const MaxSteps = 100_000

// Environment gives an expression its values.
type Environment struct {
	// Names are the named values by lower-case name. An absent one is null.
	Names map[string]Value
	// Status answers succeeded(), failed(), always(), canceled() and succeededOrFailed(), named in lower case, with the
	// names of jobs or stages that they are asked about.
	Status func(function string, names []string) (bool, error)
	// Counter answers counter(prefix, seed).
	Counter func(prefix string, seed int) (int, error)
}

type evaluation struct {
	env   Environment
	text  string
	steps int
	// trace collects what named values and status functions came to, if it is not nil.
	trace *[]string
}

// Evaluate is the value of the expression. The error is an *Error when the place is known.
func (e *Expression) Evaluate(env Environment) (Value, error) {
	run := evaluation{env: env, text: e.text}
	return run.eval(&e.root)
}

// Explain is the value with a sentence that says how it came about: the expression, its result, and what every value and
// status function in it that was looked at came to. Secrets are not shown.
func (e *Expression) Explain(env Environment) (Value, string, error) {
	var trace []string
	run := evaluation{env: env, text: e.text, trace: &trace}
	v, err := run.eval(&e.root)
	if err != nil {
		return v, "", err
	}
	sentence := fmt.Sprintf("%s is %s", strings.TrimSpace(e.text), v.shown())
	if e.root.op == opCall && e.root.fn.status {
		return v, sentence, nil
	}
	if len(trace) > 0 {
		sentence += ": " + strings.Join(trace, ", ")
	}
	return v, sentence, nil
}

// shown is the value in an explanation or a message.
func (v Value) shown() string {
	const longest = 120
	if v.secret {
		return "***"
	}
	switch v.kind {
	case Null:
		return "null"
	case String:
		text := v.text
		if len(text) > longest {
			text = strings.ToValidUTF8(text[:longest], "") + "…"
		}
		return "'" + strings.ReplaceAll(text, "'", "''") + "'"
	case Object:
		return "an object"
	case Array:
		return "an array"
	}
	return v.String()
}

func (e *evaluation) eval(n *node) (Value, error) {
	if e.steps++; e.steps > MaxSteps {
		return Value{}, &Error{Offset: n.offset, Message: fmt.Sprintf("the expression takes more than %d steps", MaxSteps)}
	}
	switch n.op {
	case opLiteral:
		return n.value, nil
	case opCall:
		return e.call(n)
	}
	v, err := e.lookup(n)
	if err == nil {
		e.note(n, v)
	}
	return v, err
}

// note records what a part came to.
func (e *evaluation) note(n *node, v Value) {
	if e.trace == nil || len(*e.trace) >= 20 {
		return
	}
	line := e.text[n.offset:n.end] + " is " + v.shown()
	for _, old := range *e.trace {
		if old == line {
			return
		}
	}
	*e.trace = append(*e.trace, line)
}

// lookup evaluates a path without noting its parts.
func (e *evaluation) lookup(n *node) (Value, error) {
	switch n.op {
	case opName:
		return e.env.Names[strings.ToLower(n.name)], nil
	case opProperty, opIndex, opFilter:
	default:
		return e.eval(n)
	}
	base, err := e.lookup(&n.children[0])
	if err != nil {
		return base, err
	}
	if n.op == opFilter {
		if n.children[0].filtered() && base.kind == Array {
			return e.filterEach(base), nil
		}
		return e.filter(base), nil
	}
	key := Str(n.name)
	if n.op == opIndex {
		if key, err = e.eval(&n.children[1]); err != nil {
			return key, err
		}
	}
	if n.children[0].filtered() && base.kind == Array {
		return e.each(base, key), nil
	}
	v, ok := find(base, key)
	if !ok && base.kind == Object && base.object.Missing != nil {
		if mistake := base.object.Missing(key.String()); mistake != "" {
			return v, &Error{Offset: n.offset, Message: mistake, Missing: true}
		}
	}
	return v, nil
}

// filtered reports a path with a * in it, whose next property is taken from each element.
func (n *node) filtered() bool {
	for n.op == opProperty || n.op == opIndex {
		n = &n.children[0]
	}
	return n.op == opFilter
}

// filter is all elements of an array, or all values of an object.
func (e *evaluation) filter(base Value) Value {
	switch base.kind {
	case Array:
		e.steps += len(base.list)
		return List(base.list...)
	case Object:
		e.steps += base.object.Len()
		return List(base.object.values...)
	}
	return List()
}

// filterEach is one list of what a second * finds in each element that the first one found.
func (e *evaluation) filterEach(base Value) Value {
	var found []Value
	for _, item := range base.list {
		e.steps++
		found = append(found, e.filter(item).list...)
	}
	return List(found...)
}

// each takes the property of every element that has it.
func (e *evaluation) each(base, key Value) Value {
	var found []Value
	for _, item := range base.list {
		e.steps++
		if v, ok := find(item, key); ok {
			found = append(found, v)
		}
	}
	return List(found...)
}

// find is a property or element; ok is false without one.
func find(base, key Value) (Value, bool) {
	switch base.kind {
	case Object:
		return base.object.Get(key.String())
	case Array:
		f, ok := key.asNumber()
		if !ok || key.kind == String && strings.TrimSpace(key.text) == "" || f < 0 || f >= float64(len(base.list)) {
			return Value{}, false
		}
		return base.list[int(f)], true
	}
	return Value{}, false
}

func (e *evaluation) call(n *node) (Value, error) {
	f := n.fn
	if f.lazy != nil {
		return f.lazy(e, n.children)
	}
	args := make([]Value, len(n.children))
	for i := range n.children {
		v, err := e.eval(&n.children[i])
		if err != nil {
			return v, err
		}
		args[i] = v
	}
	var v Value
	var err error
	switch {
	case f.status:
		v, err = e.status(n, args)
	case f.counter:
		v, err = e.counter(args)
	default:
		v, err = f.call(args)
	}
	var placed *Error
	if err != nil && !errors.As(err, &placed) {
		err = &Error{Offset: n.offset, Message: err.Error()}
	}
	return v, err
}

func (e *evaluation) status(n *node, args []Value) (Value, error) {
	if e.env.Status == nil {
		return Value{}, fmt.Errorf("%s() is not known here", n.name)
	}
	names := make([]string, len(args))
	for i, a := range args {
		names[i] = a.String()
	}
	b, err := e.env.Status(strings.ToLower(n.name), names)
	if err != nil {
		return Value{}, err
	}
	e.note(n, Bool(b))
	return Bool(b), nil
}

func (e *evaluation) counter(args []Value) (Value, error) {
	if e.env.Counter == nil {
		return Value{}, errors.New("counter() is not known here")
	}
	prefix, seed := "", 0.0
	if len(args) > 0 {
		prefix = args[0].String()
	}
	if len(args) > 1 {
		f, ok := args[1].asNumber()
		if !ok || f != float64(int(f)) {
			return Value{}, fmt.Errorf("counter: the seed %s is no whole number", args[1].shown())
		}
		seed = f
	}
	n, err := e.env.Counter(prefix, int(seed))
	return Num(float64(n)), err
}
