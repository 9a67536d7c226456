package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"slipway/internal/api"
)

func variableGroupsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "variable-groups [NAME]", GroupID: "project", Short: "list, make, change or delete the groups of variables that pipelines use by name", Args: cobra.MaximumNArgs(1),
		Example: `  slipway variable-groups set shared --variable region=eu --secret API_KEY=key.txt
  slipway variable-groups set shared --remove region
  slipway variable-groups shared
  slipway variable-groups delete shared`,
	}
	data, project := dataFlag(cmd), projectFlag(cmd)
	cmd.RunE = atServer(data, func(cmd *cobra.Command, args []string, a access) error {
		if len(args) == 1 {
			g, err := existingGroup(cmd.Context(), a, *project, args[0])
			if err != nil {
				return err
			}
			return tableTo(cmd.OutOrStdout(), variablesOf(g))
		}
		var groups listOf[api.VariableGroup]
		if err := a.call(cmd.Context(), http.MethodGet, variableGroupsPath(*project), nil, &groups); err != nil {
			return err
		}
		if len(groups.Value) == 0 {
			fmt.Fprintln(cmd.OutOrStdout(), "there is no variable group")
			return nil
		}
		rows := [][]string{{"NAME", "VARIABLES", "DESCRIPTION"}}
		for _, g := range groups.Value {
			rows = append(rows, []string{g.Name, strings.Join(slices.Sorted(maps.Keys(g.Variables)), ", "), g.Description})
		}
		return tableTo(cmd.OutOrStdout(), rows)
	})
	cmd.AddCommand(variableGroupsSetCommand(), variableGroupsDeleteCommand())
	return cmd
}

func variablesOf(g api.VariableGroup) [][]string {
	rows := [][]string{{"VARIABLE", "VALUE"}}
	for _, name := range slices.Sorted(maps.Keys(g.Variables)) {
		value := "(secret)"
		if v := g.Variables[name]; !v.IsSecret && v.Value != nil {
			value = *v.Value
		}
		rows = append(rows, []string{name, value})
	}
	return rows
}

func variableGroupsPath(project string) string {
	return "/" + url.PathEscape(project) + "/_apis/distributedtask/variablegroups"
}

// variableGroupNamed finds a group by its name in any case; one without an id is not there.
func variableGroupNamed(ctx context.Context, a access, project, name string) (api.VariableGroup, error) {
	var list listOf[api.VariableGroup]
	if err := a.call(ctx, http.MethodGet, variableGroupsPath(project), nil, &list); err != nil {
		return api.VariableGroup{}, err
	}
	for _, g := range list.Value {
		if strings.EqualFold(g.Name, name) {
			return g, nil
		}
	}
	return api.VariableGroup{Name: name}, nil
}

// existingGroup is variableGroupNamed for one that must be there.
func existingGroup(ctx context.Context, a access, project, name string) (api.VariableGroup, error) {
	g, err := variableGroupNamed(ctx, a, project, name)
	if err == nil && g.ID == 0 {
		err = fmt.Errorf("there is no variable group %q in project %s", name, project)
	}
	return g, err
}

func variableGroupsSetCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "set NAME", Short: "make a group, or change what the flags name of one", Args: cobra.ExactArgs(1)}
	data, project := dataFlag(cmd), projectFlag(cmd)
	variables := cmd.Flags().StringArray("variable", nil, "NAME=VALUE; may be repeated")
	secrets := cmd.Flags().StringArray("secret", nil, "NAME=FILE: a secret variable, whose value is the file's text; - is standard input; may be repeated")
	removed := cmd.Flags().StringArray("remove", nil, "NAME of a variable that goes; may be repeated")
	description := cmd.Flags().String("description", "", "what the group is for")
	cmd.RunE = atServer(data, func(cmd *cobra.Command, args []string, a access) error {
		method, path := http.MethodPost, variableGroupsPath(*project)
		g, err := variableGroupNamed(cmd.Context(), a, *project, args[0])
		if err != nil {
			return err
		}
		if g.ID != 0 {
			method, path = http.MethodPut, fmt.Sprintf("%s/%d", path, g.ID)
		}
		g.Projects = nil
		if cmd.Flags().Changed("description") {
			g.Description = *description
		}
		if err := changeVariables(cmd, &g, *variables, *secrets, *removed); err != nil {
			return err
		}
		if err := a.call(cmd.Context(), method, path, g, &g); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s is stored, with %d variables\n", g.Name, len(g.Variables))
		return nil
	})
	return cmd
}

// changeVariables puts variables into a group, whose names are the same in any case, and takes others out.
func changeVariables(cmd *cobra.Command, g *api.VariableGroup, variables, secrets, removed []string) error {
	if g.Variables == nil {
		g.Variables = map[string]api.VariableValue{}
	}
	drop := func(name string) bool {
		before := len(g.Variables)
		maps.DeleteFunc(g.Variables, func(other string, _ api.VariableValue) bool { return strings.EqualFold(other, name) })
		return len(g.Variables) < before
	}
	for _, name := range removed {
		if !drop(name) {
			return fmt.Errorf("there is no variable %q in group %s", name, g.Name)
		}
	}
	plain, secret := map[string]*string{}, map[string]*string{}
	for _, pair := range variables {
		if err := put(plain, pair, nil); err != nil {
			return err
		}
	}
	for _, pair := range secrets {
		if err := put(secret, pair, cmd.InOrStdin()); err != nil {
			return err
		}
	}
	for name, value := range plain {
		drop(name)
		g.Variables[name] = api.VariableValue{Value: value}
	}
	for name, value := range secret {
		drop(name)
		g.Variables[name] = api.VariableValue{Value: value, IsSecret: true}
	}
	return nil
}

func variableGroupsDeleteCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "delete NAME...", Short: "delete groups; runs that need one fail from then on", Args: cobra.MinimumNArgs(1)}
	data, project := dataFlag(cmd), projectFlag(cmd)
	cmd.RunE = atServer(data, func(cmd *cobra.Command, args []string, a access) error {
		for _, name := range args {
			g, err := existingGroup(cmd.Context(), a, *project, name)
			if err != nil {
				return err
			}
			if err := a.call(cmd.Context(), http.MethodDelete, fmt.Sprintf("%s/%d", variableGroupsPath(*project), g.ID), nil, nil); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is deleted\n", g.Name)
		}
		return nil
	})
	return cmd
}
