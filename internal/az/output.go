package az

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/jmespath/go-jmespath"
	"go.yaml.in/yaml/v4"
)

// formats are the forms of output; those in colour are the same without.
var formats = []string{"json", "jsonc", "yaml", "yamlc", "tsv", "table", "none"}

// print writes a command's result; a command without one, and a query without an answer, write nothing.
func (p Program) print(result any, format, query string) error {
	plain, err := generic(result)
	if err != nil {
		return err
	}
	if query != "" && plain != nil {
		if plain, err = jmespath.Search(query, plain); err != nil {
			return usagef("argument --query: invalid jmespath_type value: %q: %v", query, err)
		}
		if plain, err = generic(plain); err != nil {
			return err
		}
	}
	if plain == nil || format == "none" {
		return nil
	}
	switch format {
	case "tsv":
		return writeTSV(p.Stdout, plain)
	case "table":
		return writeTable(p.Stdout, plain)
	case "yaml", "yamlc":
		b, err := yaml.Marshal(plain)
		if err != nil {
			return fmt.Errorf("write the result as YAML: %w", err)
		}
		_, err = p.Stdout.Write(b)
		return err
	}
	e := json.NewEncoder(p.Stdout)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(plain); err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	return nil
}

// generic is v as JSON has it: maps, lists, strings, float64, bool and nil.
func generic(v any) (any, error) {
	if v == nil {
		return nil, nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("write the result: %w", err)
	}
	var out any
	if err := json.NewDecoder(bytes.NewReader(b)).Decode(&out); err != nil {
		return nil, fmt.Errorf("write the result: %w", err)
	}
	return out, nil
}

// writeTSV writes a line for each item and a tab between its values, in the order of a list or of an object's names. As in the
// Azure CLI a list inside is written as its length, an object as nothing, and what is not there as None.
func writeTSV(w io.Writer, v any) error {
	rows, ok := v.([]any)
	if !ok {
		rows = []any{v}
	}
	for _, row := range rows {
		var cells []string
		switch row := row.(type) {
		case map[string]any:
			for _, name := range slices.Sorted(maps.Keys(row)) {
				cells = append(cells, cell(row[name]))
			}
		case []any:
			for _, value := range row {
				cells = append(cells, cell(value))
			}
		case bool:
			cells = []string{strconv.FormatBool(row)}
		default:
			cells = []string{cell(row)}
		}
		if _, err := fmt.Fprintln(w, strings.Join(cells, "\t")); err != nil {
			return err
		}
	}
	return nil
}

func cell(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool: // as Python writes it
		if v {
			return "True"
		}
		return "False"
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case string:
		return v
	case []any:
		return strconv.Itoa(len(v))
	}
	return ""
}

// writeTable writes objects as rows; columns are their simple values.
func writeTable(w io.Writer, v any) error {
	rows, ok := v.([]any)
	if !ok {
		rows = []any{v}
	}
	columns := map[string]bool{}
	for _, row := range rows {
		for name, value := range asRow(row) {
			switch value.(type) {
			case map[string]any, []any, nil:
			default:
				columns[name] = true
			}
		}
	}
	names := slices.Sorted(maps.Keys(columns))
	if len(names) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	titles, lines := make([]string, len(names)), make([]string, len(names))
	for i, name := range names {
		titles[i] = strings.ToUpper(name[:1]) + name[1:]
		lines[i] = strings.Repeat("-", max(len(name), longest(rows, name)))
	}
	fmt.Fprintln(t, strings.Join(titles, "\t"))
	fmt.Fprintln(t, strings.Join(lines, "\t"))
	for _, row := range rows {
		cells := make([]string, len(names))
		for i, name := range names {
			if value, ok := asRow(row)[name]; ok && value != nil {
				cells[i] = cell(value)
			}
		}
		fmt.Fprintln(t, strings.Join(cells, "\t"))
	}
	return t.Flush()
}

// asRow gives lists the names Column1, Column2 ..., and a single value the name Result, as the Azure CLI does.
func asRow(v any) map[string]any {
	switch v := v.(type) {
	case map[string]any:
		return v
	case []any:
		row := map[string]any{}
		for i, value := range v {
			row[fmt.Sprintf("Column%d", i+1)] = value
		}
		return row
	}
	return map[string]any{"Result": v}
}

func longest(rows []any, name string) int {
	n := 0
	for _, row := range rows {
		if value, ok := asRow(row)[name]; ok && value != nil {
			n = max(n, len(cell(value)))
		}
	}
	return n
}
