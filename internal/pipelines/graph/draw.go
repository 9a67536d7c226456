package graph

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"slipway"
	"slipway/internal/pipelines/plan"
)

// Format is a way to draw.
type Format string

// The formats.
const (
	Text    Format = "text"
	JSON    Format = "json"
	DOT     Format = "dot"
	Mermaid Format = "mermaid"
)

// Write draws g.
func Write(w io.Writer, f Format, g Graph) error {
	var out string
	switch f {
	case Text:
		out = text(g)
	case JSON:
		b, err := json.MarshalIndent(g, "", "  ")
		if err != nil {
			return fmt.Errorf("draw %s: %w", g.File, err)
		}
		out = string(b) + "\n"
	case DOT:
		out = dot(g)
	case Mermaid:
		out = mermaid(g)
	default:
		return slipway.Invalid("format %q: write text, json, dot or mermaid", f)
	}
	if _, err := io.WriteString(w, out); err != nil {
		return fmt.Errorf("draw %s: %w", g.File, err)
	}
	return nil
}

// text is a tree of stages and jobs in the order of the file.
func text(g Graph) string {
	var b strings.Builder
	jobs, steps := 0, 0
	for _, s := range g.Stages {
		jobs += len(s.Jobs)
		for _, j := range s.Jobs {
			steps += j.Steps
		}
	}
	fmt.Fprintf(&b, "%s: %s, %s, %s\n", g.File, count(len(g.Stages), "stage"), count(jobs, "job"), count(steps, "step"))
	for i, s := range g.Stages {
		bar := "│  "
		if i == len(g.Stages)-1 {
			bar = "   "
		}
		b.WriteString(branch(i, len(g.Stages)) + title(s.Name, s.DisplayName) + after(s.DependsOn))
		if s.Manual {
			b.WriteString(", started by hand")
		}
		b.WriteString(condition(bar+"│    ", s.Condition) + "\n")
		for k, j := range s.Jobs {
			inner := bar + "│    "
			if k == len(s.Jobs)-1 {
				inner = bar + "     "
			}
			b.WriteString(bar + branch(k, len(s.Jobs)) + title(j.Name, j.DisplayName) + after(j.DependsOn) + condition(inner, j.Condition) + "\n")
			b.WriteString(inner + strings.Join(details(j), ", ") + "\n")
		}
	}
	return b.String()
}

func branch(i, n int) string {
	if i == n-1 {
		return "└─ "
	}
	return "├─ "
}

func title(name, display string) string {
	if name == plan.DefaultStage {
		name = "(the only stage)"
	}
	if display == "" || strings.EqualFold(display, name) {
		return name
	}
	return name + " “" + display + "”"
}

func after(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return ", after " + strings.Join(names, " and ")
}

// condition stands on a line of its own behind the indentation.
func condition(indent, text string) string {
	if text == "" {
		return ""
	}
	return "\n" + indent + "if " + strings.Join(strings.Fields(text), " ")
}

// details are what there is to say of a job besides its name and what it waits for.
func details(j Job) []string {
	var list []string
	if j.Environment != "" {
		list = append(list, "to environment "+j.Environment)
	}
	switch {
	case j.Matrix != "":
		list = append(list, "legs from "+j.Matrix)
	case len(j.Legs) > 8:
		list = append(list, fmt.Sprintf("%d legs", len(j.Legs)))
	case len(j.Legs) > 0:
		list = append(list, count(len(j.Legs), "leg")+" ("+strings.Join(j.Legs, ", ")+")")
	}
	if j.Pool != "" {
		list = append(list, "on "+j.Pool)
	}
	if j.Container != "" {
		list = append(list, "in container "+j.Container)
	}
	if len(j.Services) > 0 {
		list = append(list, "with "+strings.Join(j.Services, ", "))
	}
	if len(j.Hooks) < 2 {
		return append(list, count(j.Steps, "step"))
	}
	for _, h := range j.Hooks {
		list = append(list, h.Name+" "+count(h.Steps, "step"))
	}
	return list
}

func count(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// dot is the graph in Graphviz's language: a cluster for each stage, edges between clusters by their first and last jobs.
func dot(g Graph) string {
	var b strings.Builder
	fmt.Fprintf(&b, "digraph %s {\n  compound=true; rankdir=LR; node [shape=box, style=rounded];\n", quote(g.File))
	for _, s := range g.Stages {
		fmt.Fprintf(&b, "  subgraph %s {\n    label=%s;\n", quote("cluster_"+s.Name), quote(title(s.Name, s.DisplayName)))
		for _, j := range s.Jobs {
			fmt.Fprintf(&b, "    %s [label=%s];\n", quote(s.Name+"."+j.Name), quote(label(j, "\n")))
		}
		for _, j := range s.Jobs {
			for _, d := range j.DependsOn {
				fmt.Fprintf(&b, "    %s -> %s;\n", quote(s.Name+"."+d), quote(s.Name+"."+j.Name))
			}
		}
		b.WriteString("  }\n")
	}
	for _, s := range g.Stages {
		for _, d := range s.DependsOn {
			i := slices.IndexFunc(g.Stages, func(o Stage) bool { return o.Name == d })
			if i < 0 || len(g.Stages[i].Jobs) == 0 || len(s.Jobs) == 0 {
				continue
			}
			last := g.Stages[i].Jobs[len(g.Stages[i].Jobs)-1]
			fmt.Fprintf(&b, "  %s -> %s [ltail=%s, lhead=%s];\n", quote(d+"."+last.Name), quote(s.Name+"."+s.Jobs[0].Name), quote("cluster_"+d), quote("cluster_"+s.Name))
		}
	}
	b.WriteString("}\n")
	return b.String()
}

func label(j Job, newline string) string {
	return title(j.Name, j.DisplayName) + newline + strings.Join(details(j), ", ")
}

// quote is a quoted identifier of DOT, in which a backslash and a quote are escaped and \n ends a line.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}

// mermaid is a flowchart with a subgraph for each stage.
func mermaid(g Graph) string {
	var b strings.Builder
	b.WriteString("flowchart LR\n")
	for _, s := range g.Stages {
		fmt.Fprintf(&b, "  subgraph stage_%s[\"%s\"]\n", s.Name, entities(title(s.Name, s.DisplayName)))
		for _, j := range s.Jobs {
			fmt.Fprintf(&b, "    job_%s_%s[\"%s\"]\n", s.Name, j.Name, strings.ReplaceAll(entities(label(j, "\n")), "\n", "<br>"))
		}
		for _, j := range s.Jobs {
			for _, d := range j.DependsOn {
				fmt.Fprintf(&b, "    job_%s_%s --> job_%s_%s\n", s.Name, d, s.Name, j.Name)
			}
		}
		b.WriteString("  end\n")
	}
	for _, s := range g.Stages {
		for _, d := range s.DependsOn {
			fmt.Fprintf(&b, "  stage_%s --> stage_%s\n", d, s.Name)
		}
	}
	return b.String()
}

// entities replaces what would end a label of Mermaid.
func entities(s string) string {
	return strings.NewReplacer("#", "#35;", `"`, "#quot;", "<", "#lt;", ">", "#gt;").Replace(s)
}
