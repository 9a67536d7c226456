package main

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"slipway/internal/api"
	"slipway/internal/pipelines"
)

func poolsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "pools", GroupID: "server", Short: "list, make, change or delete the pools of jobs' pods, and of machines", Args: cobra.NoArgs,
		Example: `  slipway pools set big --cpu 4 --memory 8Gi --memory-limit 16Gi --node-label disktype=ssd
  slipway pools set gpu --image registry.example/cuda:13 --toleration nvidia.com/gpu:NoSchedule --capability gpu=a100 --warm 0
  slipway pools set default --warm 3
  slipway pools delete gpu
  slipway pools set metal --machines
  slipway pools machines register metal
  slipway pools machines metal`,
	}
	data := dataFlag(cmd)
	cmd.RunE = atServer(data, func(cmd *cobra.Command, _ []string, a access) error {
		var pools listOf[api.Pool]
		if err := a.call(cmd.Context(), http.MethodGet, "/_apis/slipway/pools", nil, &pools); err != nil {
			return err
		}
		rows := [][]string{{"NAME", "IMAGE", "CPU", "MEMORY", "NODES", "WARM", "CAPABILITIES"}}
		for _, p := range pools.Value {
			if p.Machines {
				rows = append(rows, []string{p.Name, "machines", "", "", "", "", pairText(p.Capabilities)})
				continue
			}
			warm := "as the server"
			if p.Warm != nil {
				warm = fmt.Sprint(*p.Warm)
			}
			rows = append(rows, []string{p.Name, p.Image, bounds(p.CPU, p.CPULimit), bounds(p.Memory, p.MemoryLimit), pairText(p.NodeSelector),
				fmt.Sprintf("%s (%d wait)", warm, p.WarmWaiting), pairText(p.Capabilities)})
		}
		return tableTo(cmd.OutOrStdout(), rows)
	})
	cmd.AddCommand(poolsSetCommand(), poolsDeleteCommand(), machinesCommand("POOL", poolMachines))
	return cmd
}

// bounds are a request and a limit.
func bounds(request, limit string) string {
	if limit != "" {
		return request + " to " + limit
	}
	return request
}

func pairText(m map[string]string) string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(m)) {
		list = append(list, strings.TrimSuffix(name+"="+m[name], "="))
	}
	return strings.Join(list, ",")
}

func poolsSetCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "set NAME", Short: "make a pool, or change what the flags name of one", Args: cobra.ExactArgs(1)}
	data, f := dataFlag(cmd), cmd.Flags()
	var s pipelines.PoolSettings
	var warm int
	var labels, capabilities map[string]string
	var tolerations []string
	f.StringVar(&s.Description, "description", "", "what it is for")
	f.StringVar(&s.Image, "image", "", "image of jobs without a container of their own")
	f.StringVar(&s.CPU, "cpu", "", "processors that a job asks for, as 500m or 2")
	f.StringVar(&s.Memory, "memory", "", "memory that a job asks for, as 512Mi or 4Gi")
	f.StringVar(&s.CPULimit, "cpu-limit", "", "processors that a job may use")
	f.StringVar(&s.MemoryLimit, "memory-limit", "", "memory that a job may use")
	f.StringToStringVar(&labels, "node-label", nil, "LABEL=VALUE that a node must have; may be given again")
	f.StringArrayVar(&tolerations, "toleration", nil, "KEY[=VALUE][:EFFECT] of a taint that a node may have; may be given again")
	f.StringToStringVar(&capabilities, "capability", nil, "NAME=VALUE that demands may ask for; may be given again")
	f.BoolVar(&s.Machines, "machines", false, "its jobs run on machines that register, not in pods")
	f.BoolVar(&s.Forks, "forks", false, "pull requests from forks run on its machines too")
	f.IntVar(&s.RetryLost, "retry-lost", 0, "how often a job whose pod is lost is started again, 0 to 10")
	f.IntVar(&warm, "warm", 0, "how many started pods wait for jobs")
	cmd.RunE = atServer(data, func(cmd *cobra.Command, args []string, a access) error {
		path := "/_apis/slipway/pools/" + url.PathEscape(args[0])
		var pools listOf[api.Pool]
		if err := a.call(cmd.Context(), http.MethodGet, "/_apis/slipway/pools", nil, &pools); err != nil {
			return err
		}
		var now pipelines.PoolSettings
		for _, p := range pools.Value {
			if strings.EqualFold(p.Name, args[0]) {
				now = p.PoolSettings
			}
		}
		for flag, change := range map[string]func(){
			"description": func() { now.Description = s.Description }, "image": func() { now.Image = s.Image },
			"cpu": func() { now.CPU = s.CPU }, "memory": func() { now.Memory = s.Memory },
			"cpu-limit": func() { now.CPULimit = s.CPULimit }, "memory-limit": func() { now.MemoryLimit = s.MemoryLimit },
			"node-label": func() { now.NodeSelector = labels }, "capability": func() { now.Capabilities = capabilities },
			"warm": func() { now.Warm = &warm }, "machines": func() { now.Machines = s.Machines }, "forks": func() { now.Forks = s.Forks },
			"retry-lost": func() { now.RetryLost = s.RetryLost },
		} {
			if f.Changed(flag) {
				change()
			}
		}
		if f.Changed("toleration") {
			now.Tolerations = nil
			for _, text := range tolerations {
				now.Tolerations = append(now.Tolerations, pipelines.ParseToleration(text))
			}
		}
		var p api.Pool
		if err := a.call(cmd.Context(), http.MethodPut, path, now, &p); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "pool %s is set\n", p.Name)
		return nil
	})
	return cmd
}

func poolsDeleteCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "delete NAME", Short: "delete a pool; its jobs get the pool default", Args: cobra.ExactArgs(1)}
	data := dataFlag(cmd)
	cmd.RunE = atServer(data, func(cmd *cobra.Command, args []string, a access) error {
		if err := a.call(cmd.Context(), http.MethodDelete, "/_apis/slipway/pools/"+url.PathEscape(args[0]), nil, nil); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "pool %s is deleted\n", args[0])
		return nil
	})
	return cmd
}
