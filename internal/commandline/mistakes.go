package commandline

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"slipway/internal/pipelines/nearest"
)

// ExplainMistakes makes what is said of a mistake on the command line name what to write instead, at the command and those below it.
func ExplainMistakes(c *cobra.Command) {
	c.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fmt.Errorf("%w%s; see `%s --help`", err, nearFlag(c, err), c.CommandPath())
	})
	for _, below := range c.Commands() {
		ExplainMistakes(below)
	}
	check := c.Args
	if check == nil {
		return
	}
	c.Args = func(c *cobra.Command, args []string) error {
		if err := check(c, args); err != nil {
			return fmt.Errorf("%w: write `%s`", err, c.UseLine())
		}
		return nil
	}
}

// nearFlag suggests the flag that was meant by one that the command does not have.
func nearFlag(c *cobra.Command, err error) string {
	_, given, unknown := strings.Cut(err.Error(), "unknown flag: --")
	if !unknown {
		return ""
	}
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if name := nearest.Find(given, names); name != "" {
		return ", did you mean --" + name + "?"
	}
	return ""
}
