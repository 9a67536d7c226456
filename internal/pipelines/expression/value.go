package expression

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// Kind is the type of a value.
type Kind uint8

// The types of the language.
const (
	Null Kind = iota
	Boolean
	Number
	String
	Version
	Object
	Array
)

// String is the kind's name in messages.
func (k Kind) String() string {
	return [...]string{"null", "boolean", "number", "string", "version", "object", "array"}[k]
}

// Value is a value of the language. The zero value is null. Values are never changed once made.
type Value struct {
	kind Kind
	// secret values are not shown in explanations.
	secret bool
	// raw strings were written without quotes: true and 1 are then JSON's true and 1.
	raw     bool
	boolean bool
	number  float64
	// text of a string, and of a number that keeps the spelling it was written in (1.10).
	text    string
	version [4]int // parts that are absent are -1
	list    []Value
	object  *Fields
	// when is set for a string that stands for a point in time.
	when *time.Time

	// Origin is what the value was made of, if its maker wants it back. The language does not see it.
	Origin any
}

// Bool makes a boolean.
func Bool(b bool) Value { return Value{kind: Boolean, boolean: b} }

// Num makes a number.
func Num(f float64) Value { return Value{kind: Number, number: f} }

// NumText makes a number that prints as it was written, so that 3.10 stays 3.10. ok is false if text is no number.
func NumText(text string) (v Value, ok bool) {
	f, ok := parseNumber(text)
	return Value{kind: Number, number: f, text: text}, ok
}

// Str makes a string.
func Str(s string) Value { return Value{kind: String, text: s} }

// Raw makes the string of a scalar that was written without quotes. It is a string like any other, but for
// convertToJson, which writes true, false and numbers as such.
func Raw(s string) Value { return Value{kind: String, text: s, raw: true} }

// Secret makes a string that explanations do not show.
func Secret(s string) Value { return Value{kind: String, text: s, secret: true} }

// Time makes the string of a point in time, which format can write in another form: {0:yyyyMMdd}.
func Time(t time.Time) Value {
	t = t.UTC()
	return Value{kind: String, text: t.Format(timeText), when: &t}
}

// timeText is how times are written as text.
const timeText = "2006-01-02 15:04:05-07:00"

// ParseTime reads what Time writes; ok is false for other text.
func ParseTime(text string) (v Value, ok bool) {
	t, err := time.Parse(timeText, text)
	return Time(t), err == nil
}

// List makes an array.
func List(items ...Value) Value { return Value{kind: Array, list: items} }

// Obj makes an object of fields, which must not be changed afterwards.
func Obj(f *Fields) Value { return Value{kind: Object, object: f} }

// Kind is the value's type.
func (v Value) Kind() Kind { return v.kind }

// Items are the elements of an array.
func (v Value) Items() []Value { return v.list }

// Fields are the fields of an object, nil for other kinds.
func (v Value) Fields() *Fields { return v.object }

// Fields is an ordered set of named values; names ignore case, unless Exact is set before the first Put.
type Fields struct {
	Exact bool
	// Missing, if it is not nil, gives the mistake of reading a field that is not there, "" if it is none: then it is null.
	Missing func(name string) string

	names  []string
	values []Value
	index  map[string]int
}

// Put sets a field; a name that is there keeps its place.
func (f *Fields) Put(name string, v Value) {
	key := f.key(name)
	if i, ok := f.index[key]; ok {
		f.values[i] = v
		return
	}
	if f.index == nil {
		f.index = map[string]int{}
	}
	f.index[key] = len(f.names)
	f.names = append(f.names, name)
	f.values = append(f.values, v)
}

// Get finds a field.
func (f *Fields) Get(name string) (Value, bool) {
	if f == nil {
		return Value{}, false
	}
	i, ok := f.index[f.key(name)]
	if !ok {
		return Value{}, false
	}
	return f.values[i], true
}

func (f *Fields) key(name string) string {
	if f.Exact {
		return name
	}
	return strings.ToLower(name)
}

// Len is the number of fields.
func (f *Fields) Len() int {
	if f == nil {
		return 0
	}
	return len(f.names)
}

// At is the field at place i in the order of Put.
func (f *Fields) At(i int) (string, Value) { return f.names[i], f.values[i] }

// Truth converts to a boolean: null, the empty string and 0 are false, every other value is true.
func (v Value) Truth() bool {
	switch v.kind {
	case Null:
		return false
	case Boolean:
		return v.boolean
	case Number:
		return v.number != 0 && !math.IsNaN(v.number)
	case String:
		return v.text != ""
	}
	return true
}

// String converts to a string: null is empty, booleans are True and False. Objects and arrays are named by their kind.
func (v Value) String() string {
	switch v.kind {
	case Boolean:
		if v.boolean {
			return "True"
		}
		return "False"
	case Number:
		if v.text != "" {
			return v.text
		}
		return strconv.FormatFloat(v.number, 'f', -1, 64)
	case String:
		return v.text
	case Version:
		return formatVersion(v.version)
	case Object:
		return "Object"
	case Array:
		return "Array"
	}
	return ""
}

// asNumber converts to a number; ok is false if the value has none.
func (v Value) asNumber() (f float64, ok bool) {
	switch v.kind {
	case Null:
		return 0, true
	case Boolean:
		if v.boolean {
			return 1, true
		}
		return 0, true
	case Number:
		return v.number, true
	case String:
		text := strings.TrimSpace(v.text)
		if text == "" {
			return 0, true
		}
		return parseNumber(strings.ReplaceAll(text, ",", ""))
	}
	return 0, false
}

// asVersion converts to a version of two to four parts.
func (v Value) asVersion() (version [4]int, ok bool) {
	switch v.kind {
	case Version:
		return v.version, true
	case Number:
		// Only a number with a fraction other than zero has two parts.
		if v.number <= 0 || v.number == math.Trunc(v.number) {
			return version, false
		}
		return parseVersion(strconv.FormatFloat(v.number, 'f', -1, 64))
	case String:
		return parseVersion(v.text)
	}
	return version, false
}

// to converts v to another kind as comparisons do.
func (v Value) to(kind Kind) (Value, bool) {
	if v.kind == kind {
		return v, true
	}
	switch kind {
	case Null:
		return Value{}, v.kind == String && v.text == ""
	case Boolean:
		return Bool(v.Truth()), v.kind != Object && v.kind != Array
	case Number:
		f, ok := v.asNumber()
		return Num(f), ok
	case String:
		return Str(v.String()), v.kind != Object && v.kind != Array
	case Version:
		version, ok := v.asVersion()
		return Value{kind: Version, version: version}, ok
	}
	return Value{}, false
}

// parseNumber reads a decimal number in the invariant format: a sign, digits, a fraction.
func parseNumber(text string) (float64, bool) {
	digits := false
	for i, c := range text {
		switch {
		case c >= '0' && c <= '9':
			digits = true
		case c == '.', (c == '-' || c == '+') && i == 0:
		default:
			return 0, false
		}
	}
	if !digits {
		return 0, false
	}
	f, err := strconv.ParseFloat(text, 64)
	return f, err == nil
}

func parseVersion(text string) (version [4]int, ok bool) {
	parts := strings.Split(text, ".")
	if len(parts) < 2 || len(parts) > 4 {
		return version, false
	}
	version = [4]int{-1, -1, -1, -1}
	for i, p := range parts {
		n, err := strconv.ParseInt(strings.TrimSpace(p), 10, 32)
		if err != nil || n < 0 {
			return version, false
		}
		version[i] = int(n)
	}
	return version, true
}

func formatVersion(version [4]int) string {
	var b strings.Builder
	for i, n := range version {
		if n < 0 {
			break
		}
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(strconv.Itoa(n))
	}
	return b.String()
}
