package wiql

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"slipway"
	"slipway/internal/boards"
)

// node is a condition, or several that are joined.
type node interface {
	meets(w World, i boards.Item) bool
}

type (
	anyOf []node
	allOf []node
	notOf struct{ node }
)

func (n anyOf) meets(w World, i boards.Item) bool {
	return slices.ContainsFunc(n, func(one node) bool { return one.meets(w, i) })
}

func (n allOf) meets(w World, i boards.Item) bool {
	return !slices.ContainsFunc(n, func(one node) bool { return !one.meets(w, i) })
}

func (n notOf) meets(w World, i boards.Item) bool { return !n.node.meets(w, i) }

// Meets says that an item is one of those that the query asks for.
func (q Query) Meets(w World, i boards.Item) bool { return q.where == nil || q.where.meets(w, i) }

// Compare sorts items as the query asks; those that are alike by their numbers.
func (q Query) Compare(w World, a, b boards.Item) int {
	for _, o := range q.Order {
		c := compare(o.Field.value(w, a), o.Field.value(w, b))
		if o.Descending {
			c = -c
		}
		if c != 0 {
			return c
		}
	}
	return cmp.Compare(a.ID, b.ID)
}

// compare puts two values of one field in order, texts in any case.
func compare(a, b any) int {
	switch a := a.(type) {
	case int64:
		return cmp.Compare(a, b.(int64))
	case time.Time:
		return a.Compare(b.(time.Time))
	case Person:
		return strings.Compare(strings.ToLower(a.DisplayName), strings.ToLower(b.(Person).DisplayName))
	case []string:
		return strings.Compare(strings.ToLower(strings.Join(a, ";")), strings.ToLower(strings.Join(b.([]string), ";")))
	}
	return strings.Compare(strings.ToLower(a.(string)), strings.ToLower(b.(string)))
}

// value is what a field is compared with.
type value struct {
	macro string // project, me or today; empty for what stands there
	text  string
	days  int // that are added to today
}

func (p *parser) value() (value, error) {
	t := p.peek()
	switch {
	case t.kind == text || t.kind == number:
		return value{text: p.next().text}, nil
	case t.is("-") && p.tokens[1].kind == number:
		p.next()
		return value{text: "-" + p.next().text}, nil
	case t.kind == macro:
		return p.macro()
	case t.kind == name || t.kind == word && t.is("EVER"):
		return value{}, slipway.Unsupported("the query compares with %s at character %d: compare with a text in quotes, a number, @project, @me or @today", t, t.at+1)
	}
	return value{}, p.unexpected("a text in quotes, a number or a macro")
}

func (p *parser) macro() (value, error) {
	t := p.next()
	v := value{macro: strings.ToLower(strings.TrimPrefix(t.text, "@"))}
	switch v.macro {
	case "project", "me":
		return v, nil
	case "today":
		for _, s := range []struct {
			sign string
			by   int
		}{{"-", -1}, {"+", 1}} {
			if p.accept(s.sign) {
				n, err := strconv.Atoi(p.peek().text)
				if p.peek().kind != number || err != nil {
					return v, p.unexpected("a number of days")
				}
				p.next()
				v.days = s.by * n
			}
		}
		return v, nil
	}
	return v, slipway.Unsupported("the macro %s is not known: use @project, @me or @today", t)
}

// condition compares a field with a value, or with several.
type condition struct {
	field    Field
	operator string
	values   []value
}

// check makes sure that the values can be compared with the field.
func (c condition) check() error {
	for _, v := range c.values {
		var err error
		switch {
		case c.field.kind == numberField && v.macro == "" && v.text != "":
			_, err = strconv.ParseInt(v.text, 10, 64)
		case c.field.kind == timeField && v.macro == "":
			_, err = time.Parse(time.DateOnly, v.text)
		case v.macro == "today" && c.field.kind != timeField, v.macro == "me" && c.field.kind != personField, v.macro == "project" && c.field.kind != textField && c.field.kind != pathField,
			c.field.kind == timeField && v.macro != "today":
			return slipway.Invalid("the query compares %s with @%s, which it cannot be", c.field.Reference, v.macro)
		}
		if err != nil {
			return slipway.Invalid("the query compares %s with %.40q: write a whole number, or a day as '2026-11-29'", c.field.Reference, v.text)
		}
	}
	return nil
}

func (c condition) meets(w World, i boards.Item) bool {
	has := c.field.value(w, i)
	switch c.operator {
	case "IS EMPTY":
		return empty(has)
	case "IS NOT EMPTY":
		return !empty(has)
	case "IN", "=":
		return slices.ContainsFunc(c.values, func(v value) bool { return c.equal(w, has, v) })
	case "NOT IN", "<>":
		return !slices.ContainsFunc(c.values, func(v value) bool { return c.equal(w, has, v) })
	case "CONTAINS", "CONTAINS WORDS":
		return c.contains(has, c.values[0].text)
	case "NOT CONTAINS", "NOT CONTAINS WORDS":
		return !c.contains(has, c.values[0].text)
	case "UNDER":
		return c.equal(w, has, c.values[0])
	case "NOT UNDER":
		return !c.equal(w, has, c.values[0])
	}
	if t, ok := has.(time.Time); ok {
		has = day(t)
	}
	order := compare(has, c.given(w, has, c.values[0]))
	switch c.operator {
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	}
	return order >= 0
}

func empty(has any) bool {
	switch has := has.(type) {
	case string:
		return has == ""
	case []string:
		return len(has) == 0
	}
	return false
}

// day is a moment's day: times are compared by it, as Azure DevOps does unless it is told otherwise.
func day(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

// given is the value in the field's own form.
func (c condition) given(w World, has any, v value) any {
	switch has.(type) {
	case int64:
		n, _ := strconv.ParseInt(v.text, 10, 64) // an empty text is no number: 0, as of an item without a parent
		return n
	case time.Time:
		if v.macro == "today" {
			return day(w.Now).AddDate(0, 0, v.days)
		}
		t, _ := time.Parse(time.DateOnly, v.text) // check has read it
		return t
	}
	if v.macro == "project" {
		return w.Project
	}
	return v.text
}

func (c condition) equal(w World, has any, v value) bool {
	switch has := has.(type) {
	case time.Time:
		return day(has).Equal(c.given(w, has, v).(time.Time))
	case Person:
		if v.macro == "me" {
			return has.ID != "" && has.ID == w.Me.ID
		}
		return has.Named(v.text)
	case []string:
		return strings.EqualFold(strings.Join(has, "; "), strings.Join(boards.SplitTags(v.text), "; "))
	}
	return compare(has, c.given(w, has, v)) == 0
}

// Named says that a text is one of the person's names, also in the form `Ada <ada@example.org>`. The empty text is nobody.
func (p Person) Named(text string) bool {
	if text == "" {
		return p.ID == ""
	}
	if i := strings.LastIndexByte(text, '<'); i > 0 && strings.HasSuffix(text, ">") {
		text = text[i+1 : len(text)-1]
	}
	return slices.ContainsFunc([]string{string(p.ID), p.Name, p.DisplayName, p.Email}, func(n string) bool { return n != "" && strings.EqualFold(n, text) })
}

func (c condition) contains(has any, text string) bool {
	fold := func(s string) string { return strings.ToLower(s) }
	switch has := has.(type) {
	case []string: // tags are whole
		return slices.ContainsFunc(has, func(t string) bool { return strings.EqualFold(t, strings.TrimSpace(text)) })
	case Person:
		return strings.Contains(fold(has.DisplayName), fold(text))
	case string:
		if !strings.HasSuffix(c.operator, "WORDS") {
			return strings.Contains(fold(has), fold(text))
		}
		words := strings.Fields(fold(has))
		for _, w := range strings.Fields(fold(text)) {
			prefix, open := strings.CutSuffix(w, "*")
			if !slices.ContainsFunc(words, func(one string) bool { return one == w || open && strings.HasPrefix(one, prefix) }) {
				return false
			}
		}
		return true
	}
	return false
}
