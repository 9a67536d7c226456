package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"slipway/internal/api"
)

func environmentsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "environments", GroupID: "deploy", Short: "list environments, their exclusive locks and their machines", Args: cobra.NoArgs,
		Example: "  slipway environments\n  slipway environments lock production\n  slipway environments unlock production",
	}
	data, project := dataFlag(cmd), projectFlag(cmd)
	cmd.RunE = atServer(data, func(cmd *cobra.Command, _ []string, a access) error {
		var found listOf[api.Environment]
		if err := a.call(cmd.Context(), http.MethodGet, "/"+url.PathEscape(*project)+"/_apis/pipelines/environments", nil, &found); err != nil {
			return err
		}
		return showEnvironments(cmd.OutOrStdout(), found.Value)
	})
	machinesOf := "sample"
	machines := machinesCommand("ENVIRONMENT", environmentMachines(&machinesOf))
	machines.PersistentFlags().StringVarP(&machinesOf, "project", "p", machinesOf, "project")
	cmd.AddCommand(lockCommand(), unlockCommand(), machines)
	return cmd
}

func showEnvironments(out io.Writer, list []api.Environment) error {
	if len(list) == 0 {
		fmt.Fprintln(out, "there is no environment")
		return nil
	}
	rows := [][]string{{"ENVIRONMENT", "CLUSTER", "NAMESPACE", "EXCLUSIVE LOCK"}}
	for _, e := range list {
		lock := "no"
		if e.Locked {
			lock = "free"
		}
		var waiting []string
		for _, l := range e.Locks {
			if l.Status == "held" {
				lock = fmt.Sprintf("run %d, stage %s", l.Run, l.Stage)
			} else {
				waiting = append(waiting, fmt.Sprintf("run %d, stage %s", l.Run, l.Stage))
			}
		}
		if len(waiting) > 0 {
			lock += "; waiting: " + strings.Join(waiting, "; ")
		}
		rows = append(rows, []string{e.Name, e.Cluster, e.Namespace, lock})
	}
	return tableTo(out, rows)
}

// namedEnvironment finds an environment of a project by its name.
func namedEnvironment(cmd *cobra.Command, a access, base, name string) (api.Environment, error) {
	var found listOf[api.Environment]
	if err := a.call(cmd.Context(), http.MethodGet, base+"/pipelines/environments", nil, &found); err != nil {
		return api.Environment{}, err
	}
	for _, e := range found.Value {
		if strings.EqualFold(e.Name, name) {
			return e, nil
		}
	}
	return api.Environment{}, fmt.Errorf("the project has no environment %q: `slipway environments` lists them", name)
}

func lockCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "lock ENVIRONMENT", Short: "let one stage at a time deploy to an environment", Args: cobra.ExactArgs(1)}
	data, project := dataFlag(cmd), projectFlag(cmd)
	timeout := cmd.Flags().Int("timeout", 0, "minutes after which a stage that waits is skipped (default 30 days)")
	cmd.RunE = atServer(data, func(cmd *cobra.Command, args []string, a access) error {
		base := "/" + url.PathEscape(*project) + "/_apis"
		e, err := namedEnvironment(cmd, a, base, args[0])
		if err != nil {
			return err
		}
		body := api.CheckConfiguration{Type: api.CheckType{Name: "ExclusiveLock"}, Resource: api.CheckResource{Type: "environment", ID: fmt.Sprint(e.ID)}, Timeout: *timeout}
		if err := a.call(cmd.Context(), http.MethodPost, base+"/pipelines/checks/configurations", body, nil); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "one stage at a time deploys to %s\n", e.Name)
		return nil
	})
	return cmd
}

func unlockCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "unlock ENVIRONMENT", Short: "remove the exclusive lock of an environment", Args: cobra.ExactArgs(1)}
	data, project := dataFlag(cmd), projectFlag(cmd)
	cmd.RunE = atServer(data, func(cmd *cobra.Command, args []string, a access) error {
		base := "/" + url.PathEscape(*project) + "/_apis"
		e, err := namedEnvironment(cmd, a, base, args[0])
		if err != nil {
			return err
		}
		path := base + "/pipelines/checks/configurations"
		var checks listOf[api.CheckConfiguration]
		if err := a.call(cmd.Context(), http.MethodGet, fmt.Sprintf("%s?resourceType=environment&resourceId=%d", path, e.ID), nil, &checks); err != nil {
			return err
		}
		for _, c := range checks.Value {
			if c.Type.Name != "ExclusiveLock" {
				continue
			}
			if err := a.call(cmd.Context(), http.MethodDelete, fmt.Sprintf("%s/%d", path, c.ID), nil, nil); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s has no exclusive lock any more\n", e.Name)
			return nil
		}
		return fmt.Errorf("environment %s has no exclusive lock", e.Name)
	})
	return cmd
}
