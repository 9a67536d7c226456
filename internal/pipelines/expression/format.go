package expression

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"slipway/internal/pipelines/variable"
)

// rawJSON is what convertToJson writes without quotes if it was written so.
var rawJSON = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(true|false|-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,15})?)$`)
})

// callFormat fills {0}, {1} ... of its first argument; doubled braces are braces.
func callFormat(a []Value) (Value, error) {
	pattern := a[0].String()
	var b strings.Builder
	secret := a[0].secret
	for i := 0; i < len(pattern); i++ {
		c := pattern[i]
		if (c == '{' || c == '}') && i+1 < len(pattern) && pattern[i+1] == c {
			b.WriteByte(c)
			i++
			continue
		}
		if c == '}' {
			return Value{}, fmt.Errorf("format: a single } in %s: write }}", a[0].shown())
		}
		if c != '{' {
			b.WriteByte(c)
			continue
		}
		end := strings.IndexByte(pattern[i:], '}')
		if end < 0 {
			return Value{}, fmt.Errorf("format: a { without } in %s: write {{ for a brace", a[0].shown())
		}
		hole, form, formed := strings.Cut(pattern[i+1:i+end], ":")
		n, err := strconv.Atoi(hole)
		if err != nil || n < 0 {
			return Value{}, fmt.Errorf("format: {%s} is no number of an argument", hole)
		}
		if n >= len(a)-1 {
			return Value{}, fmt.Errorf("format: {%d} has no argument, there are %d", n, len(a)-1)
		}
		text, err := formatted(a[1+n], form, formed)
		if err != nil {
			return Value{}, err
		}
		b.WriteString(text)
		secret = secret || a[1+n].secret
		if b.Len() > MaxResult {
			return Value{}, fmt.Errorf("format makes more than %d bytes", MaxResult)
		}
		i += end
	}
	v := Str(b.String())
	v.secret = secret
	return v, nil
}

// formatted is an argument of format, in the form that its hole asks for: {0:yyyyMMdd} of a time.
func formatted(v Value, form string, formed bool) (string, error) {
	switch {
	case !formed || v.kind == Null:
		return v.String(), nil
	case v.when == nil:
		return "", fmt.Errorf("format: {…:%s} is for times such as pipeline.startTime, not for a %s", form, v.kind)
	}
	return variable.FormatTime(*v.when, form), nil
}

func callConvertToJSON(a []Value) (Value, error) {
	var b bytes.Buffer
	if err := writeJSON(&b, a[0], 0); err != nil {
		return Value{}, err
	}
	v := Str(b.String())
	v.secret = a[0].secret
	return v, nil
}

// JSON is the value as JSON, indented by two spaces, as convertToJson makes it.
func (v Value) JSON() (string, error) {
	text, err := callConvertToJSON([]Value{v})
	return text.text, err
}

func writeJSON(b *bytes.Buffer, v Value, depth int) error {
	if b.Len() > MaxResult {
		return fmt.Errorf("convertToJson makes more than %d bytes", MaxResult)
	}
	if depth > 2*MaxDepth {
		return fmt.Errorf("convertToJson: the value nests more than %d levels deep", 2*MaxDepth)
	}
	switch v.kind {
	case Null:
		b.WriteString("null")
	case Boolean:
		b.WriteString(strings.ToLower(v.String()))
	case Number:
		b.WriteString(strconv.FormatFloat(v.number, 'f', -1, 64))
	case Array:
		return writeJSONItems(b, '[', ']', len(v.list), depth, func(i int) error { return writeJSON(b, v.list[i], depth+1) })
	case Object:
		return writeJSONItems(b, '{', '}', v.object.Len(), depth, func(i int) error {
			name, value := v.object.At(i)
			writeJSONText(b, name)
			b.WriteString(": ")
			return writeJSON(b, value, depth+1)
		})
	default:
		if v.raw && rawJSON().MatchString(v.text) {
			b.WriteString(v.text)
			return nil
		}
		writeJSONText(b, v.String())
	}
	return nil
}

func writeJSONItems(b *bytes.Buffer, open, end byte, n, depth int, item func(int) error) error {
	b.WriteByte(open)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('\n')
		b.WriteString(strings.Repeat("  ", depth+1))
		if err := item(i); err != nil {
			return err
		}
	}
	if n > 0 {
		b.WriteByte('\n')
		b.WriteString(strings.Repeat("  ", depth))
	}
	b.WriteByte(end)
	return nil
}

func writeJSONText(b *bytes.Buffer, s string) {
	encoder := json.NewEncoder(b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(s) // a string always encodes
	b.Truncate(b.Len() - 1)
}
