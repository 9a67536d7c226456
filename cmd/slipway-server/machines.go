package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"slipway/internal/api"
)

// machinesAt is where the server has the machines of a pool or of an environment.
type machinesAt struct {
	machines, registrations string
	agents                  func(ctx context.Context, a access) ([]api.Agent, map[int64][]string, error)
	target                  string // as the options of slipway-agent name it
}

// machinesCommand is the command about machines below `pools` or `environments`.
func machinesCommand(what string, find func(cmd *cobra.Command, a access, name string) (machinesAt, error)) *cobra.Command {
	cmd := &cobra.Command{Use: "machines " + what, Short: "list the machines, and register, enable, disable or remove one", Args: cobra.ExactArgs(1)}
	data := cmd.PersistentFlags().String("data", defaults().Data, "data folder of the server")
	at := func(cmd *cobra.Command, name string, do func(a access, at machinesAt) error) error {
		a, err := readAccess(*data)
		if err != nil {
			return err
		}
		place, err := find(cmd, a, name)
		if err != nil {
			return err
		}
		return do(a, place)
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return at(cmd, args[0], func(a access, at machinesAt) error {
			list, tags, err := at.agents(cmd.Context(), a)
			if err != nil {
				return err
			}
			return showMachines(cmd.OutOrStdout(), list, tags)
		})
	}
	register := &cobra.Command{Use: "register " + what, Short: "make a token with which one machine registers within an hour", Args: cobra.ExactArgs(1)}
	register.RunE = func(cmd *cobra.Command, args []string) error {
		return at(cmd, args[0], func(a access, at machinesAt) error {
			var r api.Registration
			if err := a.call(cmd.Context(), http.MethodPost, at.registrations, struct{}{}, &r); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), r.Token)
			fmt.Fprintf(cmd.ErrOrStderr(), "good for one machine, until %s; on the machine:\n  slipway-agent machine --server %s %s --token-file FILE\n",
				r.ExpiresOn.Local().Format("15:04"), a.URL, at.target)
			return nil
		})
	}
	cmd.AddCommand(register)
	for _, one := range []struct{ use, short, method, done string }{
		{"enable", "let a machine take jobs", http.MethodPatch, "enabled"},
		{"disable", "give a machine no more jobs; the one that it has goes on", http.MethodPatch, "disabled"},
		{"remove", "remove a machine, whose credentials end; the job that it has fails", http.MethodDelete, "removed"},
	} {
		sub := &cobra.Command{Use: one.use + " " + what + " MACHINE", Short: one.short, Args: cobra.ExactArgs(2)}
		sub.RunE = func(cmd *cobra.Command, args []string) error {
			return at(cmd, args[0], func(a access, at machinesAt) error {
				list, _, err := at.agents(cmd.Context(), a)
				if err != nil {
					return err
				}
				id, err := machineNamed(list, args[1])
				if err != nil {
					return err
				}
				var body any
				if one.method == http.MethodPatch {
					body = map[string]bool{"enabled": one.use == "enable"}
				}
				if err := a.call(cmd.Context(), one.method, fmt.Sprintf("%s/%d", at.machines, id), body, nil); err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "machine %s is %s\n", args[1], one.done)
				return nil
			})
		}
		cmd.AddCommand(sub)
	}
	return cmd
}

func machineNamed(list []api.Agent, name string) (int64, error) {
	for _, m := range list {
		if strings.EqualFold(m.Name, name) {
			return m.ID, nil
		}
	}
	return 0, fmt.Errorf("there is no machine %q", name)
}

func showMachines(out io.Writer, list []api.Agent, tags map[int64][]string) error {
	if len(list) == 0 {
		fmt.Fprintln(out, "there is no machine")
		return nil
	}
	rows := [][]string{{"MACHINE", "STATE", "JOB", "TAGS"}}
	for _, m := range list {
		state := m.Status
		if !m.Enabled {
			state += ", disabled"
		}
		work := ""
		if r := m.AssignedRequest; r != nil {
			work = fmt.Sprintf("run %d, %s", r.Run, r.JobName)
		} else if r := m.LastRequest; r != nil {
			work = fmt.Sprintf("last: run %d, %s, %s", r.Run, r.JobName, r.Result)
		}
		rows = append(rows, []string{m.Name, state, work, strings.Join(tags[m.ID], ",")})
	}
	return tableTo(out, rows)
}

// poolMachines finds the machines of a pool.
func poolMachines(cmd *cobra.Command, a access, name string) (machinesAt, error) {
	var pools listOf[api.AgentPool]
	if err := a.call(cmd.Context(), http.MethodGet, "/_apis/distributedtask/pools?poolName="+url.QueryEscape(name), nil, &pools); err != nil {
		return machinesAt{}, err
	}
	if len(pools.Value) == 0 {
		return machinesAt{}, fmt.Errorf("there is no pool %q: `slipway pools` lists them", name)
	}
	at := machinesAt{machines: fmt.Sprintf("/_apis/distributedtask/pools/%d/agents", pools.Value[0].ID),
		registrations: "/_apis/slipway/pools/" + url.PathEscape(name) + "/registrations", target: "--pool " + name}
	at.agents = func(ctx context.Context, a access) ([]api.Agent, map[int64][]string, error) {
		var list listOf[api.Agent]
		err := a.call(ctx, http.MethodGet, at.machines, nil, &list)
		return list.Value, nil, err
	}
	return at, nil
}

// environmentMachines finds the machines of an environment of a project.
func environmentMachines(project *string) func(cmd *cobra.Command, a access, name string) (machinesAt, error) {
	return func(cmd *cobra.Command, a access, name string) (machinesAt, error) {
		base := "/" + url.PathEscape(*project) + "/_apis"
		e, err := namedEnvironment(cmd, a, base, name)
		if err != nil {
			return machinesAt{}, err
		}
		at := machinesAt{machines: fmt.Sprintf("%s/pipelines/environments/%d/providers/virtualmachines", base, e.ID),
			registrations: fmt.Sprintf("%s/slipway/environments/%d/registrations", base, e.ID), target: fmt.Sprintf("--environment %s/%s --tags TAG,TAG", *project, e.Name)}
		at.agents = func(ctx context.Context, a access) ([]api.Agent, map[int64][]string, error) {
			var list listOf[api.VirtualMachine]
			err := a.call(ctx, http.MethodGet, at.machines, nil, &list)
			var agents []api.Agent
			tags := map[int64][]string{}
			for _, v := range list.Value {
				agents = append(agents, v.Agent)
				tags[v.ID] = v.Tags
			}
			return agents, tags, err
		}
		return at, nil
	}
}
