package expression

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"slipway/internal/pipelines/nearest"
)

// function is a function of the language. Exactly one of call and lazy is set, or status or counter.
type function struct {
	min, max int
	status   bool
	counter  bool
	// call gets its arguments evaluated.
	call func(args []Value) (Value, error)
	// lazy evaluates what it needs.
	lazy func(e *evaluation, args []node) (Value, error)
}

const many = math.MaxInt32

func (f *function) arity() string {
	switch {
	case f.max == 0:
		return "no argument"
	case f.min == f.max && f.min == 1:
		return "1 argument"
	case f.min == f.max:
		return fmt.Sprintf("%d arguments", f.min)
	case f.max == many:
		return fmt.Sprintf("at least %d arguments", f.min)
	}
	return fmt.Sprintf("%d to %d arguments", f.min, f.max)
}

// functions are all functions by lower-case name; the map is never changed.
var functions = map[string]*function{
	"and":      {min: 2, max: many, lazy: evalAnd},
	"or":       {min: 2, max: many, lazy: evalOr},
	"not":      {min: 1, max: 1, call: func(a []Value) (Value, error) { return Bool(!a[0].Truth()), nil }},
	"xor":      {min: 2, max: 2, call: func(a []Value) (Value, error) { return Bool(a[0].Truth() != a[1].Truth()), nil }},
	"iif":      {min: 3, max: 3, call: callIif},
	"coalesce": {min: 2, max: many, lazy: evalCoalesce},

	"eq":    {min: 2, max: 2, call: func(a []Value) (Value, error) { return Bool(equal(a[0], a[1])), nil }},
	"ne":    {min: 2, max: 2, call: func(a []Value) (Value, error) { return Bool(!equal(a[0], a[1])), nil }},
	"gt":    {min: 2, max: 2, call: comparison("gt", func(c int) bool { return c > 0 })},
	"ge":    {min: 2, max: 2, call: comparison("ge", func(c int) bool { return c >= 0 })},
	"lt":    {min: 2, max: 2, call: comparison("lt", func(c int) bool { return c < 0 })},
	"le":    {min: 2, max: 2, call: comparison("le", func(c int) bool { return c <= 0 })},
	"in":    {min: 2, max: many, lazy: func(e *evaluation, args []node) (Value, error) { return evalIn(e, args, true) }},
	"notin": {min: 2, max: many, lazy: func(e *evaluation, args []node) (Value, error) { return evalIn(e, args, false) }},

	"contains":      {min: 2, max: 2, call: folded(strings.Contains)},
	"startswith":    {min: 2, max: 2, call: folded(strings.HasPrefix)},
	"endswith":      {min: 2, max: 2, call: folded(strings.HasSuffix)},
	"containsvalue": {min: 2, max: 2, call: callContainsValue},
	"length":        {min: 1, max: 1, call: callLength},
	"lower":         {min: 1, max: 1, call: onText(strings.ToLower)},
	"upper":         {min: 1, max: 1, call: onText(strings.ToUpper)},
	"trim":          {min: 1, max: 1, call: onText(strings.TrimSpace)},
	"replace":       {min: 3, max: 3, call: callReplace},
	"split":         {min: 2, max: 2, call: callSplit},
	"join":          {min: 2, max: 2, call: callJoin},
	"format":        {min: 1, max: many, call: callFormat},
	"converttojson": {min: 1, max: 1, call: callConvertToJSON},

	"succeeded":         {max: many, status: true},
	"failed":            {max: many, status: true},
	"succeededorfailed": {max: many, status: true},
	"always":            {status: true},
	"canceled":          {status: true},
	"counter":           {max: 2, counter: true},
}

// spelling of the functions for messages.
var spelling = []string{"and", "or", "not", "xor", "iif", "coalesce", "eq", "ne", "gt", "ge", "lt", "le", "in", "notIn", "contains",
	"startsWith", "endsWith", "containsValue", "length", "lower", "upper", "trim", "replace", "split", "join", "format",
	"convertToJson", "succeeded", "failed", "succeededOrFailed", "always", "canceled", "counter"}

func nearestFunction(name string) string {
	lower := strings.ToLower(name)
	for alias, right := range map[string]string{"cancelled": "canceled", "success": "succeeded", "failure": "failed", "tojson": "convertToJson",
		"equals": "eq", "equal": "eq", "notequals": "ne", "notequal": "ne", "neq": "ne", "includes": "contains", "tolower": "lower", "toupper": "upper", "if": "iif", "concat": "format or join"} {
		if lower == alias {
			return ": write " + right
		}
	}
	if s := nearest.Suggest(name, spelling); s != "" {
		return s
	}
	return "; the functions are " + strings.Join(spelling, ", ")
}

func evalAnd(e *evaluation, args []node) (Value, error) {
	for i := range args {
		v, err := e.eval(&args[i])
		if err != nil || !v.Truth() {
			return Bool(false), err
		}
	}
	return Bool(true), nil
}

func evalOr(e *evaluation, args []node) (Value, error) {
	for i := range args {
		v, err := e.eval(&args[i])
		if err != nil || v.Truth() {
			return Bool(err == nil), err
		}
	}
	return Bool(false), nil
}

// callIif gets both values evaluated, as Azure Pipelines does: a mistake in the one that is not taken is one too.
func callIif(a []Value) (Value, error) {
	if a[0].Truth() {
		return a[1], nil
	}
	return a[2], nil
}

func evalCoalesce(e *evaluation, args []node) (Value, error) {
	for i := range args {
		v, err := e.eval(&args[i])
		if err != nil || v.kind != Null && (v.kind != String || v.text != "") {
			return v, err
		}
	}
	return Value{}, nil
}

// equal converts the right side to the type of the left; what cannot be converted is not equal.
func equal(a, b Value) bool {
	b, ok := b.to(a.kind)
	if !ok {
		return false
	}
	switch a.kind {
	case Null:
		return true
	case Boolean:
		return a.boolean == b.boolean
	case Number:
		return a.number == b.number
	case String:
		return strings.EqualFold(a.text, b.text)
	case Version:
		return a.version == b.version
	case Object: // the same one, not one that is alike
		return a.object != nil && a.object == b.object
	case Array:
		return len(a.list) > 0 && len(a.list) == len(b.list) && &a.list[0] == &b.list[0]
	}
	return false
}

func comparison(name string, holds func(int) bool) func([]Value) (Value, error) {
	return func(a []Value) (Value, error) {
		left := a[0]
		for _, v := range a {
			if v.kind == Object || v.kind == Array {
				return Value{}, fmt.Errorf("%s: %s has no order, only numbers, texts, versions and booleans have", name, v.shown())
			}
		}
		right, ok := a[1].to(left.kind)
		if !ok {
			return Value{}, fmt.Errorf("%s: cannot compare a %s with %s %s", name, left.kind, a[1].kind, a[1].shown())
		}
		switch left.kind {
		case Number:
			switch {
			case left.number < right.number:
				return Bool(holds(-1)), nil
			case left.number > right.number:
				return Bool(holds(1)), nil
			}
			return Bool(holds(0)), nil
		case String:
			return Bool(holds(strings.Compare(strings.ToUpper(left.text), strings.ToUpper(right.text)))), nil
		case Version:
			return Bool(holds(slices.Compare(left.version[:], right.version[:]))), nil
		case Boolean:
			l, _ := left.asNumber()
			r, _ := right.asNumber()
			return Bool(holds(int(l - r))), nil
		}
		return Bool(holds(0)), nil
	}
}

// evalIn evaluates no argument behind the one that is equal.
func evalIn(e *evaluation, args []node, found bool) (Value, error) {
	wanted, err := e.eval(&args[0])
	if err != nil {
		return Value{}, err
	}
	for i := range args[1:] {
		v, err := e.eval(&args[i+1])
		if err != nil {
			return Value{}, err
		}
		if equal(wanted, v) {
			return Bool(found), nil
		}
	}
	return Bool(!found), nil
}

func folded(f func(a, b string) bool) func([]Value) (Value, error) {
	return func(a []Value) (Value, error) {
		for _, v := range a {
			if v.kind == Object || v.kind == Array {
				return Value{}, fmt.Errorf("%s has no text to look in: write containsValue for the values of a list or an object", v.shown())
			}
		}
		return Bool(f(strings.ToUpper(a[0].String()), strings.ToUpper(a[1].String()))), nil
	}
}

func onText(f func(string) string) func([]Value) (Value, error) {
	return func(a []Value) (Value, error) {
		v := Str(f(a[0].String()))
		v.secret = a[0].secret
		return v, nil
	}
}

func callContainsValue(a []Value) (Value, error) {
	values := a[0].list
	if a[0].kind == Object {
		values = a[0].object.values
	}
	return Bool(slices.ContainsFunc(values, func(v Value) bool { return equal(a[1], v) })), nil
}

func callLength(a []Value) (Value, error) {
	switch a[0].kind {
	case Array:
		return Num(float64(len(a[0].list))), nil
	case Object:
		return Num(float64(a[0].object.Len())), nil
	}
	// Lengths count UTF-16 units, as .NET strings do.
	n := 0
	for _, r := range a[0].String() {
		n++
		if r > 0xffff {
			n++
		}
	}
	return Num(float64(n)), nil
}

func callReplace(a []Value) (Value, error) {
	text, old, with := a[0].String(), a[1].String(), a[2].String()
	if old == "" {
		return Str(text), nil
	}
	if len(text)+strings.Count(text, old)*len(with) > MaxResult {
		return Value{}, fmt.Errorf("replace makes more than %d bytes", MaxResult)
	}
	v := Str(strings.ReplaceAll(text, old, with))
	v.secret = a[0].secret || a[2].secret
	return v, nil
}

// callSplit splits at its whole second argument.
func callSplit(a []Value) (Value, error) {
	texts := []string{a[0].String()}
	if separator := a[1].String(); separator != "" {
		texts = strings.Split(texts[0], separator)
	}
	parts := make([]Value, len(texts))
	for i, text := range texts {
		parts[i] = Str(text)
		parts[i].secret = a[0].secret
	}
	return List(parts...), nil
}

func callJoin(a []Value) (Value, error) {
	if a[1].kind != Array {
		return Str(a[1].scalarText()), nil
	}
	parts := make([]string, len(a[1].list))
	total := 0
	secret := false
	for i, v := range a[1].list {
		parts[i] = v.scalarText()
		secret = secret || v.secret
		if total += len(parts[i]) + len(a[0].text); total > MaxResult {
			return Value{}, fmt.Errorf("join makes more than %d bytes", MaxResult)
		}
	}
	v := Str(strings.Join(parts, a[0].String()))
	v.secret = secret
	return v, nil
}

// scalarText is the value as text, empty for objects and arrays.
func (v Value) scalarText() string {
	if v.kind == Object || v.kind == Array {
		return ""
	}
	return v.String()
}

// Functions are the names of all functions, in order.
func Functions() []string { return slices.Sorted(maps.Keys(functions)) }
