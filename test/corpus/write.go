package main

import (
	"bufio"
	"fmt"
	"io"
	"slices"
)

// counts counts reasons.
type counts struct{ by map[string]int }

func (c *counts) add(reason string) {
	if c.by == nil {
		c.by = map[string]int{}
	}
	c.by[reason]++
}

func (c *counts) total() int {
	n := 0
	for _, k := range c.by {
		n += k
	}
	return n
}

// sorted are the reasons, the most frequent first.
func (c *counts) sorted() []string {
	list := make([]string, 0, len(c.by))
	for reason := range c.by {
		list = append(list, reason)
	}
	slices.SortFunc(list, func(a, b string) int {
		if c.by[a] != c.by[b] {
			return c.by[b] - c.by[a]
		}
		if a < b {
			return -1
		}
		return 1
	})
	return list
}

func (s *summary) write(out io.Writer, top int) error {
	w := bufio.NewWriter(out)
	fmt.Fprintf(w, "files                     %6d\n", s.files)
	fmt.Fprintf(w, "  parsed                  %6d\n", s.parsed)
	fmt.Fprintf(w, "  expanded                %6d\n", s.expanded)
	fmt.Fprintf(w, "  need remote templates   %6d\n", s.remote)
	fmt.Fprintf(w, "  without any refusal     %6d\n", s.accepted)
	fmt.Fprintf(w, "steps                     %6d\n", s.steps)
	fmt.Fprintf(w, "  runnable                %6d (%.1f %%)\n", s.runnable, percent(s.runnable, s.steps))
	fmt.Fprintf(w, "  of those that are not Windows', macOS' or a company's own: %.1f %%\n", percent(s.runnable, s.steps-s.foreign))
	fmt.Fprintf(w, "  refused themselves      %6d\n", s.own.total())
	fmt.Fprintf(w, "  in a refused job        %6d\n", s.around.total())
	for _, part := range []struct {
		title string
		c     *counts
	}{
		{"refusals by place and reason, in files", &s.refusals},
		{"steps that are refused, by the first reason", &s.own},
		{"steps in refused jobs, by the first reason", &s.around},
		{"warnings, in files", &s.warnings},
	} {
		fmt.Fprintf(w, "\n%s:\n", part.title)
		list := part.c.sorted()
		for _, reason := range list[:min(len(list), top)] {
			fmt.Fprintf(w, "%6d  %s\n", part.c.by[reason], reason)
		}
		if more := len(list) - top; more > 0 {
			fmt.Fprintf(w, "        and %d more\n", more)
		}
	}
	fmt.Fprintf(w, "\nfiles that do not parse or expand:\n")
	for _, line := range s.broken {
		fmt.Fprintf(w, "        %s\n", line)
	}
	return w.Flush()
}

func percent(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return 100 * float64(part) / float64(whole)
}
