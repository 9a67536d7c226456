package main

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"slipway/internal/api"
)

func memberCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "member", GroupID: "people", Short: "list, set and remove the members of a project",
		Long: `Manage who works in a project. The roles are
  reader         sees everything but secrets
  contributor    also pushes, queues runs, edits work items, uploads images
  administrator  also changes settings, members, environments' secrets, and deletes`,
		Example: `  slipway member set ada contributor --project shop
  slipway member list --project shop
  slipway member remove ada --project shop`}
	cmd.AddCommand(memberListCommand(), memberSetCommand(), memberRemoveCommand())
	return cmd
}

func membersPath(project string, user ...string) string {
	path := "/" + url.PathEscape(project) + "/_apis/slipway/members"
	for _, u := range user {
		path += "/" + url.PathEscape(u)
	}
	return path
}

func memberListCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "list a project's members with their roles", Args: cobra.NoArgs}
	data, project := dataFlag(cmd), projectFlag(cmd)
	cmd.RunE = atServer(data, func(cmd *cobra.Command, _ []string, a access) error {
		var members listOf[api.Member]
		if err := a.call(cmd.Context(), http.MethodGet, membersPath(*project), nil, &members); err != nil {
			return err
		}
		if len(members.Value) == 0 {
			fmt.Println("nobody is a member of this project: only the installation's administrators see it")
			return nil
		}
		rows := [][]string{{"NAME", "DISPLAY NAME", "ROLE", "STATE"}}
		for _, m := range members.Value {
			state := ""
			if m.Disabled {
				state = "disabled"
			}
			rows = append(rows, []string{m.Name, m.DisplayName, m.Role, state})
		}
		return table(rows)
	})
	return cmd
}

func memberSetCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "set NAME reader|contributor|administrator", Short: "add a user to a project, or change their role", Args: cobra.ExactArgs(2)}
	data, project := dataFlag(cmd), projectFlag(cmd)
	cmd.RunE = atServer(data, func(cmd *cobra.Command, args []string, a access) error {
		var m api.Member
		if err := a.call(cmd.Context(), http.MethodPut, membersPath(*project, args[0]), map[string]string{"role": args[1]}, &m); err != nil {
			return err
		}
		fmt.Printf("%s is %s of project %s\n", m.Name, m.Role, *project)
		return nil
	})
	return cmd
}

func memberRemoveCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "remove NAME", Short: "take a user out of a project", Args: cobra.ExactArgs(1)}
	data, project := dataFlag(cmd), projectFlag(cmd)
	cmd.RunE = atServer(data, func(cmd *cobra.Command, args []string, a access) error {
		if err := a.call(cmd.Context(), http.MethodDelete, membersPath(*project, args[0]), nil, nil); err != nil {
			return err
		}
		fmt.Printf("%s is no member of project %s\n", args[0], *project)
		return nil
	})
	return cmd
}
