package schema

import "slices"

// Object is a map of the language.
type Object struct {
	// Name is how messages call it, with its article: "a job".
	Name string
	// Mark is the key that makes a map this object where several may stand: a step with `bash` is a bash step.
	Mark string
	// Doc says in a sentence what it is.
	Doc  string
	Keys []Key
	// OneOf are keys of which one must be there.
	OneOf []string
	// Refused are keys of the language, or of its past, that are not there, with what to write instead.
	Refused map[string]string
	// Elsewhere are keys that people write here and that the language has in another place or by another name, with what to write.
	Elsewhere map[string]string
}

// Key is one entry of an Object.
type Key struct {
	Name string
	// Doc says in a sentence what it sets, and the default where there is one.
	Doc      string
	Value    Value
	Required bool
	// With names a key beside which alone this one may stand; "" is anywhere.
	With string
}

// Value is what may stand under a key: every shape that is set is allowed. Null is always allowed.
type Value struct {
	// Text is any scalar.
	Text bool
	// Boolean is true or false, in the words of the language.
	Boolean bool
	// Macro says that a Boolean or an Integer may be a macro as well, since it is read when the step runs.
	Macro bool
	// Runtime says that a Boolean or an Integer may be a macro or $[ ], since it is read when the run is queued.
	Runtime bool
	// Integer is a whole number from Least to Most.
	Integer     bool
	Least, Most int
	// Options are the allowed words, without case unless Exact is set.
	Options []string
	Exact   bool
	// Maps are the objects that a map may be.
	Maps []*Object
	// Names is what stands under the free names of a map: variables, environment, services.
	Names *Value
	// List is what the items of a list are.
	List *Value
	// Any is anything at all.
	Any bool
	// Refers says what the text is the name of.
	Refers Reference
}

// Takes reports whether a value of the shape may stand there: a scalar, a map or a list.
func (v Value) Takes(shape Shape) bool {
	switch shape {
	case MapShape:
		return v.Any || len(v.Maps) > 0 || v.Names != nil
	case ListShape:
		return v.Any || v.List != nil
	}
	return v.Any || v.Text || v.Boolean || v.Integer || len(v.Options) > 0
}

// Reference says what a text names or is.
type Reference uint8

// The references.
const (
	Nothing    Reference = iota
	Stage                // a stage of the file
	Job                  // a job of the stage
	Template             // a file, or FILE@REPOSITORY
	Repository           // an alias under resources.repositories
	Container            // an alias under resources.containers, or an image
	Pipeline             // an alias under resources.pipelines
	Package              // an alias under resources.packages
	Task                 // NAME@MAJOR
	Inputs               // the inputs of the task beside it, under their names
	Arguments            // the parameters of the template beside it, under their names
	Expression           // a condition
	Parameter            // the type of a parameter
)

// Key finds a key by its name, nil without one.
func (o *Object) Key(name string) *Key {
	for i := range o.Keys {
		if o.Keys[i].Name == name {
			return &o.Keys[i]
		}
	}
	return nil
}

// Allowed is the key of that name if it may stand beside the others that has reports.
func (o *Object) Allowed(name string, has func(key string) bool) *Key {
	if k := o.Key(name); k != nil && (k.With == "" || has(k.With)) {
		return k
	}
	return nil
}

// Names are the names of the keys.
func (o *Object) Names() []string {
	names := make([]string, len(o.Keys))
	for i, k := range o.Keys {
		names[i] = k.Name
	}
	return names
}

// Pick is the object of maps that a map with certain keys is, as has reports: the one whose mark is there, or the only one
// without a mark. It is nil if none is.
func Pick(maps []*Object, has func(key string) bool) *Object {
	for _, o := range maps {
		if o.Mark != "" && has(o.Mark) {
			return o
		}
	}
	if i := slices.IndexFunc(maps, func(o *Object) bool { return o.Mark == "" }); i >= 0 {
		return maps[i]
	}
	return nil
}

// The shapes that many keys share.
func text() Value                   { return Value{Text: true} }
func boolean() Value                { return Value{Boolean: true} }
func flag() Value                   { return Value{Boolean: true, Macro: true} }
func whenQueued(v Value) Value      { v.Runtime = true; return v }
func integer(least, most int) Value { return Value{Integer: true, Least: least, Most: most} }
func option(words ...string) Value  { return Value{Options: words} }
func object(maps ...*Object) Value  { return Value{Maps: maps} }
func list(item Value) Value         { return Value{List: &item} }
func names(value Value) Value       { return Value{Names: &value} }
func anything() Value               { return Value{Any: true} }
func refers(r Reference) Value      { return Value{Text: true, Refers: r} }

// texts is one text or a list of them.
func texts() Value { return Value{Text: true, List: &Value{Text: true}} }

// condition is an expression, with or without $[ ].
func condition() Value { return refers(Expression) }

// dependsOn is one name or a list of them.
func dependsOn(r Reference) Value {
	return Value{Text: true, Refers: r, List: &Value{Text: true, Refers: r}}
}
