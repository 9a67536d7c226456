package az

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// option is an option of a command.
type option struct {
	names []string // the first is the one by which it is read, as --name
	kind  optionKind
	doc   string
	need  bool
}

type optionKind int

const (
	text optionKind = iota // one value
	flag                   // none, or true or false
	each                   // one value, and the option may be given again
	list                   // several values, after one another or each after the option again
)

func (o option) key() string { return strings.TrimLeft(o.names[0], "-") }

// command is a command of az.
type command struct {
	name       string // as `acr login`
	doc        string
	options    []option
	positional string // what its one argument is, "" if it takes none
	run        func(*call) (any, error)
}

// call is a command with its options.
type call struct {
	Program
	ctx    context.Context
	values map[string][]string
	args   []string
	format string // of the output
}

// text is an option's value, the last if it was given several times.
func (c *call) text(name string) string {
	if v := c.values[name]; len(v) > 0 {
		return v[len(v)-1]
	}
	return ""
}

func (c *call) list(name string) []string { return c.values[name] }

func (c *call) flag(name string) bool { return c.text(name) == "true" }

func (c *call) given(name string) bool { return len(c.values[name]) > 0 }

// note tells what the output does not; --only-show-errors keeps it back.
func (c *call) note(format string, args ...any) {
	if !c.flag("only-show-errors") {
		fmt.Fprintf(c.Stderr, format+"\n", args...)
	}
}

// global options are those of every command.
var global = []option{
	{names: []string{"--output", "-o"}, doc: "json, jsonc, yaml, yamlc, tsv, table or none"},
	{names: []string{"--query"}, doc: "a JMESPath query of the output"},
	{names: []string{"--only-show-errors"}, kind: flag, doc: "no notes on standard error"},
	{names: []string{"--verbose"}, kind: flag, doc: "changes nothing"},
	{names: []string{"--debug"}, kind: flag, doc: "changes nothing"},
	{names: []string{"--subscription"}, doc: "changes nothing: there is one"},
}

// commands is the table of all commands. It is never changed.
var commands = slices.Concat(accountCommands, registryCommands, clusterCommands, pipelineCommands, runCommands, groupCommands, boardCommands, devOpsCommands, repositoryCommands, pullCommands, universalCommands)

// find is the command that the words begin with.
func find(words []string) *command {
	var best *command
	for i := range commands {
		c := &commands[i]
		own := strings.Fields(c.name)
		if len(own) <= len(words) && slices.Equal(own, words[:len(own)]) && (best == nil || len(c.name) > len(best.name)) {
			best = c
		}
	}
	if best != nil && best.positional == "" && len(strings.Fields(best.name)) < len(words) {
		return nil // another command that begins with the same words
	}
	return best
}

func isGroup(words []string) bool {
	prefix := strings.Join(words, " ") + " "
	return slices.ContainsFunc(commands, func(c command) bool { return strings.HasPrefix(c.name, prefix) })
}

func (c *command) option(name string) *option {
	for _, list := range [][]option{c.options, global} {
		for i := range list {
			if slices.Contains(list[i].names, name) {
				return &list[i]
			}
		}
	}
	return nil
}

// parse reads what follows the command's name, as Python's argparse does: --name VALUE, --name=VALUE, -n VALUE, -nVALUE.
func (c *command) parse(args []string) (*call, error) {
	call := &call{values: map[string][]string{}, format: "json"}
	for i := 0; i < len(args); i++ {
		if !isOption(args[i]) {
			call.args = append(call.args, args[i])
			continue
		}
		name, value, hasValue := strings.Cut(args[i], "=")
		o := c.option(name)
		if o == nil && !strings.HasPrefix(name, "--") && len(name) > 2 {
			o, value, hasValue = c.option(name[:2]), args[i][2:], true
		}
		if o == nil {
			return nil, usagef("unrecognized arguments: %s: az %s of Slipway does not know this option", args[i], c.name)
		}
		given := []string{value}
		if !hasValue {
			given = nil
			for i+1 < len(args) && !isOption(args[i+1]) && takes(o, len(given), args[i+1]) {
				i++
				given = append(given, args[i])
			}
		}
		if err := call.put(o, given); err != nil {
			return nil, err
		}
	}
	return call, call.check(c)
}

func isOption(arg string) bool { return len(arg) > 1 && arg[0] == '-' }

// takes says whether an option that has n values takes the next argument too.
func takes(o *option, n int, next string) bool {
	switch o.kind {
	case text, each:
		return n == 0
	case flag:
		return n == 0 && (strings.EqualFold(next, "true") || strings.EqualFold(next, "false"))
	}
	return true
}

func (c *call) put(o *option, given []string) error {
	if o.kind == flag {
		value := "true"
		if len(given) > 0 {
			value = strings.ToLower(given[0])
		}
		if value != "true" && value != "false" {
			return usagef("argument %s: expected true or false, not %q", o.names[0], given[0])
		}
		given = []string{value}
	}
	if len(given) == 0 {
		return usagef("argument %s: expected a value", strings.Join(o.names, "/"))
	}
	c.values[o.key()] = append(c.values[o.key()], given...)
	return nil
}

func (c *call) check(of *command) error {
	var missing []string
	for _, o := range of.options {
		if o.need && c.text(o.key()) == "" {
			missing = append(missing, strings.Join(o.names, "/"))
		}
	}
	if len(missing) > 0 {
		return usagef("the following arguments are required: %s", strings.Join(missing, ", "))
	}
	if allowed := of.positional != ""; len(c.args) > 1 || len(c.args) == 1 && !allowed {
		return usagef("unrecognized arguments: %s", strings.Join(c.args, " "))
	}
	if f := c.text("output"); f != "" {
		c.format = f
	}
	if !slices.Contains(formats, c.format) {
		return usagef("argument --output/-o: invalid choice: %q: write %s", c.format, strings.Join(formats, ", "))
	}
	return nil
}

// help lists the commands that begin with the words.
func (p Program) help(words []string) error {
	prefix := strings.Join(words, " ")
	fmt.Fprintf(p.Stdout, "Slipway's az works on this server's registry, pipelines and repositories; there is no Azure behind it.\n\nCommands:\n")
	for _, c := range commands {
		if strings.HasPrefix(c.name+" ", prefix) {
			fmt.Fprintf(p.Stdout, "    az %-42s %s\n", c.name, c.doc)
		}
	}
	return nil
}

func (p Program) helpOf(c *command) error {
	fmt.Fprintf(p.Stdout, "Command\n    az %s : %s\n\nArguments\n", c.name, c.doc)
	if c.positional != "" {
		fmt.Fprintf(p.Stdout, "    %s\n", c.positional)
	}
	for _, o := range slices.Concat(c.options, global) {
		required := ""
		if o.need {
			required = " [Required]"
		}
		fmt.Fprintf(p.Stdout, "    %-34s : %s\n", strings.Join(o.names, " ")+required, o.doc)
	}
	return nil
}
