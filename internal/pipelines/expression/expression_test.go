package expression

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// world is the environment of the tables: what the documentation's examples use.
func world() (Scope, Environment) {
	object := func(pairs ...any) Value {
		var f Fields
		for i := 0; i < len(pairs); i += 2 {
			f.Put(pairs[i].(string), pairs[i+1].(Value))
		}
		return Obj(&f)
	}
	env := Environment{
		Names: map[string]Value{
			"variables": object("a.b", Str("dotted"), "MyVar", Str("hello"), "empty", Str(""), "one", Str("1"), "token", Secret("s3cr3t"),
				"Build.SourceBranch", Str("refs/heads/main")),
			"parameters": object("flag", Bool(true), "n", Num(3), "list", List(Str("x"), Str("y")), "zeros", List(Str("01")),
				"groups", List(List(object("id", Num(100)), object("id", Num(101))), List(object("id", Num(200)))),
				"people", List(object("name", Str("ann"), "age", Num(3)), object("name", Str("bob")), Num(5)),
				"map", object("k1", Str("v1"), "k2", List(Num(1), Value{}, Bool(false)))),
			"pipeline": object("startTime", Time(time.Date(2026, 3, 4, 6, 6, 7, 0, time.FixedZone("", 3600)))),
		},
		Status: func(f string, names []string) (bool, error) {
			return f == "always" || f == "succeeded" && len(names) == 0, nil
		},
		Counter: func(prefix string, seed int) (int, error) { return seed + len(prefix), nil },
	}
	return Scope{Names: []string{"variables", "parameters", "pipeline"}, Status: true, Counter: true}, env
}

func evaluate(in string) (Value, error) {
	scope, env := world()
	e, err := Parse(in, scope)
	if err != nil {
		return Value{}, err
	}
	return e.Evaluate(env)
}

// The expected values are those of the rules and tables of Microsoft's "Expressions" reference.
func TestEvaluate(t *testing.T) {
	t.Parallel()
	f := func(in, want string) {
		t.Helper()
		v, err := evaluate(in)
		if err != nil {
			t.Errorf("%s: %v", in, err)
			return
		}
		if got := v.shown(); got != want {
			t.Errorf("%s is %s, want %s", in, got, want)
		}
	}
	// Literals.
	f("null", "null")
	f("TRUE", "True")
	f("-1.5", "-1.5")
	f(".5", "0.5")
	f("1.2.3", "1.2.3")
	f("'it''s'", "'it''s'")

	// Rule 3: an undefined variable is null. Rule 5: variables['a.b'].
	f("variables.nothing", "null")
	f("variables.nothing.more", "null")
	f("variables['a.b']", "'dotted'")

	// Rule 9: early stop, names without case, filtered arrays.
	f("and(false, gt('x', parameters.list))", "False")
	f("or(true, gt('x', parameters.list))", "True")
	f("VARIABLES.MYVAR", "'hello'")
	f("join(',', parameters.people.*.name)", "'ann,bob'")
	f("join(',', parameters['people'][*]['name'])", "'ann,bob'")
	f("join('-', parameters.map.*)", "'v1-'")
	f("parameters.list[1]", "'y'")
	f("parameters.list['1']", "'y'")
	f("parameters.list[9]", "null")
	f("parameters.list[-1]", "null")

	// Rule 10: the right side becomes what the left is.
	f("eq('A', 'a')", "True")
	f("eq(1, '1')", "True")
	f("eq('1', 1)", "True")
	f("eq(1, 'x')", "False")
	f("eq(true, 'false')", "True")
	f("eq('false', false)", "True")
	f("eq('', null)", "True")
	f("eq(null, '')", "True")
	f("eq(null, 'x')", "False")
	f("eq(null, 0)", "False")
	f("eq(0, null)", "True")
	f("ne(parameters.list, parameters.list)", "False") // the same list is equal, one that is alike is not
	f("gt(5, '1,000')", "False")
	f("gt('b', 'A')", "True")
	f("le(3, 3)", "True")
	f("lt(false, true)", "True")
	f("ge(1.2.3, '1.2')", "True")
	f("lt(1.9.0, '1.10.0')", "True")

	// Rule 11: truth.
	f("not('')", "True")
	f("not('false')", "False")
	f("not(0)", "True")
	f("not(null)", "True")
	f("not(parameters.map)", "False")
	f("xor('x', 0)", "True")

	// Rule 12: conversions. '1.10' is 1.1 as a number and not as a version.
	f("eq(1.1, '1.10')", "True")
	f("eq(1.1.0, '1.10')", "False")
	f("format('{0}{1}{2}', true, null, 1.50)", "'True1.5'")
	f("eq(0, '')", "True")
	f("eq(1, true)", "True")
	f("eq(1.2.3.4, '1.2.3.4')", "True")

	// Rule 13.
	f("format('{0} {{1}} {1}', 'a', 'b')", "'a {1} b'")
	f("coalesce(variables.empty, variables.nothing, 'third')", "'third'")
	f("coalesce(null, '')", "null")
	f("in('B', 'a', 'b')", "True")
	f("in('A', 'a', lt(1, 'x'))", "True") // what comes after the equal one is not evaluated
	f("notIn('A', 'a', lt(1, 'x'))", "False")
	f("notIn(1, '2', '3')", "True")
	f("contains('ABCDE', 'bcd')", "True")
	f("startsWith('ABC', 'ab')", "True")
	f("endsWith('ABC', 'bc')", "True")
	f("counter('ab', 100)", "102")
	f("counter()", "0")

	// The other functions.
	f("containsValue(parameters.list, 'Y')", "True")
	f("containsValue(parameters.map, 'v1')", "True")
	f("containsValue('xy', 'x')", "False")
	f("containsValue(parameters.zeros, 1)", "True") // the value that is sought says how to compare
	f("length('fabrikam')", "8")
	f("length(parameters.list)", "2")
	f("lower('FOO')", "'foo'")
	f("upper('bah')", "'BAH'")
	f("trim('  x ')", "'x'")
	f("replace('https://www.tinfoilsecurity.com/saml/consume','https://www.tinfoilsecurity.com','http://server')", "'http://server/saml/consume'")
	f("length(split('a,b,,c,', ','))", "5")
	f("join(';', split('a, b; c', ', '))", "'a;b; c'")
	f("join(';', split('a,b;c', ',;'))", "'a,b;c'")
	f("join(',', 'text')", "'text'")
	f("iif(true, 'yes', gt('x', 1))", "'yes'")
	f("convertToJson('a\"b')", `'"a\"b"'`)
	f("convertToJson(parameters.map)", "'{\n  \"k1\": \"v1\",\n  \"k2\": [\n    1,\n    null,\n    false\n  ]\n}'")
	f("and(succeeded(), not(failed()))", "True")

	// pipeline.startTime, with the specifiers that the reference lists.
	f("pipeline.startTime", "'2026-03-04 05:06:07+00:00'")
	f("format('{0:yyyyMMdd}-{1}', pipeline.startTime, 'x')", "'20260304-x'")
	f("format('{0:yy.M.d HH:mm:ss}', pipeline.startTime)", "'26.3.4 05:06:07'")
	f("format('[{0:yyyy}]', variables.nothing)", "'[]'")
}

// The rows are those of the table "Type casting" in Microsoft's "Expressions" reference: what a value of one type is as
// another, seen by comparing, which converts the right side to the type of the left.
func TestConversions(t *testing.T) {
	t.Parallel()
	f := func(in, want string) {
		t.Helper()
		v, err := evaluate(in)
		if err != nil {
			t.Errorf("%s: %v", in, err)
			return
		}
		if got := v.shown(); got != want {
			t.Errorf("%s is %s, want %s", in, got, want)
		}
	}
	// From boolean.
	f("eq(0, false)", "True")
	f("eq(1, true)", "True")
	f("eq('False', false)", "True")
	f("eq('True', true)", "True")
	f("eq(1.0.0, true)", "False")
	// From null.
	f("eq(false, null)", "True")
	f("eq(0, null)", "True")
	f("eq('', null)", "True")
	f("eq(0.0.0, null)", "False")
	// From number.
	f("eq(false, 0)", "True")
	f("eq(true, 7)", "True")
	f("eq(true, -0.5)", "True")
	f("eq('1.5', 1.5)", "True")
	f("eq('-3', -3)", "True")
	f("eq('1.2', 1.2)", "True")
	f("eq(1.2.0, 1.2)", "False")
	f("ge(1.2.0, 1.2)", "True")
	// From string.
	f("eq(false, '')", "True")
	f("eq(true, 'false')", "True")
	f("eq(null, '')", "True")
	f("eq(null, 'null')", "False")
	f("eq(0, '')", "True")
	f("eq(1234, '1,234')", "True")
	f("eq(1.5, ' 1.5 ')", "True")
	f("eq(1, '1e0')", "False")
	f("eq(1.2.3, '1.2.3')", "True")
	f("eq(1.2.3, '1')", "False")
	// From version.
	f("eq(true, 1.2.3)", "True")
	f("eq('1.2.3.4', 1.2.3.4)", "True")
	f("eq(1.2, 1.2.3)", "False")
}

// The calls are the examples that the same reference gives of its functions.
func TestExamplesOfFunctions(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"and(eq('ABCDE', 'abcde'), true)":           "True",
		"coalesce('', null, 'fallback')":            "'fallback'",
		"contains('ABCDE', 'BCD')":                  "True",
		"endsWith('ABCDE', 'DE')":                   "True",
		"eq('ABCDE', 'BCD')":                        "False",
		"format('Hello {0} {1}', 'John', 'Doe')":    "'Hello John Doe'",
		"format('{{0}} is {0}', 'a')":               "'{0} is a'",
		"ge(5, 5)":                                  "True",
		"gt(5, 5)":                                  "False",
		"iif(eq('red', 'RED'), 'same', 'other')":    "'same'",
		"in('B', 'A', 'B', 'C')":                    "True",
		"le(5, 5)":                                  "True",
		"length('fabrikam')":                        "8",
		"lower('FOO')":                              "'foo'",
		"lt(5, 5)":                                  "False",
		"ne('A', 'B')":                              "True",
		"not(eq('ABCDE', 'BCD'))":                   "True",
		"notIn('D', 'A', 'B', 'C')":                 "True",
		"or(eq(1, 1), eq(2, 3))":                    "True",
		"startsWith('ABCDE', 'AB')":                 "True",
		"trim('  variable  ')":                      "'variable'",
		"upper('bah')":                              "'BAH'",
		"xor(true, false)":                          "True",
		"join(';', split('prod1,prod2', ','))":      "'prod1;prod2'",
		"containsValue(parameters.list, 'x')":       "True",
		"eq(variables['nothing'], null)":            "True",
		"and(not(or(false, false)), ne(null, 'x'))": "True",
		"iif(false, 'a', iif(true, 'b', 'c'))":      "'b'",
		"in(variables['Build.SourceBranch'], 'a', 'refs/heads/main')": "True",
	} {
		v, err := evaluate(in)
		if err != nil || v.shown() != want {
			t.Errorf("%s is %s (%v), want %s", in, v.shown(), err, want)
		}
	}
}

func TestNumbersKeepTheirSpelling(t *testing.T) {
	t.Parallel()
	v, ok := NumText("3.10")
	if !ok || v.String() != "3.10" || !equal(v, Str("3.1")) {
		t.Errorf("3.10 is %v", v)
	}
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	f := func(in string, offset int, want string) {
		t.Helper()
		_, err := evaluate(in)
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%s: error %v, want %s", in, err, want)
			return
		}
		if diff := cmp.Diff(want, e.Message); diff != "" || e.Offset != offset {
			t.Errorf("%s: at %d, want %d (-want +got)\n%s", in, e.Offset, offset, diff)
		}
	}
	f("", 0, "the expression is empty")
	f("eq(1", 4, `expected ")" after the arguments of eq, found the end`)
	f("eq(1,", 5, "the expression ends too early")
	f("eq(1,)", 5, `expected a value after ",", found ")"`)
	f("eq(1)", 0, "eq takes 2 arguments, not 1")
	f("always(1)", 0, "always takes no argument, not 1")
	f("a == b", 2, "the language has no operator ==: write eq(a, b)")
	f("eq(a, b)", 3, `unknown value "a": here are variables, parameters, pipeline; text stands in single quotes`)
	f("variables.a == 'b'", 12, "the language has no operator ==: write eq(a, b)")
	f("variables.a && true", 12, "the language has no operator &&: write and(a, b)")
	f(`eq(variables.a, "b")`, 16, `text stands in single quotes: 'text', not "text"`)
	f("eq($(a), 'b')", 3, "a macro $(name) is not expanded in an expression: write variables['name']")
	f("eq('a, b)", 3, "the text has no closing quote")
	f("succeeded", 0, "succeeded is a function: write succeeded(...)")
	f("cancelled()", 0, `unknown function "cancelled": write canceled`)
	f("startWith('a', 'b')", 0, `unknown function "startWith", did you mean "startsWith"?`)
	f("banana()", 0, `unknown function "banana"; the functions are `+strings.Join(spelling, ", "))
	f("variables.", 10, `expected a name after ".", found the end; other names stand in brackets: ['name']`)
	f("true true", 5, `unexpected "true" after the end of the expression`)
	f("1.2.x", 0, `"1.2.x" is no version: write two to four numbers with points between`)
	f("gt(1, 'x')", 0, "gt: cannot compare a number with string 'x'")
	f("iif(true, 'yes', gt(1, 'x'))", 17, "gt: cannot compare a number with string 'x'") // both are evaluated
	f("lt(parameters.map, 1)", 0, "lt: an object has no order, only numbers, texts, versions and booleans have")
	f("ge(1, parameters.list)", 0, "ge: an array has no order, only numbers, texts, versions and booleans have")
	f("format('{1}', 'a')", 0, "format: {1} has no argument, there are 1")
	f("format('{0:yyyy}', 'text')", 0, "format: {…:yyyy} is for times such as pipeline.startTime, not for a string")
	f("format('}')", 0, "format: a single } in '}': write }}")
	f("counter('a', 'x')", 0, "counter: the seed 'x' is no whole number")
	f(strings.Repeat("not(", 60)+"1"+strings.Repeat(")", 60), 200, "the expression nests more than 50 levels deep")
}

func TestScope(t *testing.T) {
	t.Parallel()
	_, err := Parse("succeeded()", Scope{})
	if err == nil || !strings.Contains(err.Error(), "about to start") {
		t.Errorf("succeeded() without status: %v", err)
	}
	_, err = Parse("counter('a')", Scope{})
	if err == nil || !strings.Contains(err.Error(), "counter() stands only in a variable") {
		t.Errorf("counter(): %v", err)
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	scope, env := world()
	f := func(in, want string) {
		t.Helper()
		e, err := Parse(in, scope)
		if err != nil {
			t.Fatal(err)
		}
		_, got, err := e.Explain(env)
		if err != nil || got != want {
			t.Errorf("got  %s (%v)\nwant %s", got, err, want)
		}
	}
	f("and(succeeded(), eq(variables['Build.SourceBranch'], 'refs/heads/dev'))",
		"and(succeeded(), eq(variables['Build.SourceBranch'], 'refs/heads/dev')) is False: succeeded() is True, variables['Build.SourceBranch'] is 'refs/heads/main'")
	f("succeeded()", "succeeded() is True")
	f("eq(variables.token, 'x')", "eq(variables.token, 'x') is False: variables.token is ***")
	f("upper(variables.token)", "upper(variables.token) is ***: variables.token is ***")
}

func TestPaths(t *testing.T) {
	t.Parallel()
	e, err := Parse("and(eq(dependencies.A.outputs['s.x'], 'y'), dependencies[variables.b].result)", Scope{Names: []string{"dependencies", "variables"}})
	if err != nil {
		t.Fatal(err)
	}
	want := []Path{{7, []string{"dependencies", "A", "outputs", "s.x"}}, {44, []string{"dependencies"}}, {57, []string{"variables", "b"}}}
	if diff := cmp.Diff(want, e.Paths()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func FuzzExpression(f *testing.F) {
	for _, s := range []string{"eq(variables.a, 'b')", "parameters.people.*.name", "format('{0}', 1.2.3)", "and(or(not(true)), coalesce(null, ''))", "a[b['c']].d"} {
		f.Add(s)
	}
	scope, env := world()
	f.Fuzz(func(t *testing.T, in string) {
		e, err := Parse(in, scope)
		if err != nil {
			var placed *Error
			if !errors.As(err, &placed) || placed.Offset < 0 || placed.Offset > len(in) {
				t.Fatalf("error without a place: %v", err)
			}
			return
		}
		v, err := e.Evaluate(env)
		w, _, err2 := e.Explain(env)
		if (err == nil) != (err2 == nil) || err == nil && v.shown() != w.shown() {
			t.Fatalf("explaining changes the value: %v %v, %v %v", v, err, w, err2)
		}
	})
}
