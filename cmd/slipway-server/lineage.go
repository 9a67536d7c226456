package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"slipway/internal/api"
)

func traceCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "trace THING", GroupID: "deploy", Short: "show everything that hangs together with a thing of the loop",
		Long: `Show everything that hangs together with a thing of the loop. THING is KIND:ID, as run:12, workitem:3, deployment:7,
pullrequest:5, pod:NAMESPACE/NAME, image:sha256:..., commit:4f0c..., trace:0af7...; or AB#3, !5 for a pull request, and the bare commit,
digest or trace id.`,
		Args: cobra.ExactArgs(1),
	}
	data, project := dataFlag(cmd), projectFlag(cmd)
	cmd.RunE = atServer(data, func(cmd *cobra.Command, args []string, a access) error {
		var traces listOf[api.Trace]
		path := "/" + url.PathEscape(*project) + "/_apis/slipway/trace?thing=" + url.QueryEscape(args[0])
		if err := a.call(cmd.Context(), http.MethodGet, path, nil, &traces); err != nil {
			return err
		}
		for _, t := range traces.Value {
			rows := [][]string{{"THING", "WHERE", "BY WAY OF"}}
			for _, n := range t.Nodes {
				way := ""
				if len(n.Path) > 2 {
					way = strings.Join(n.Path[1:len(n.Path)-1], " > ")
				}
				rows = append(rows, []string{n.Kind + ":" + n.ID, n.Direction, way})
			}
			if err := table(rows); err != nil {
				return err
			}
		}
		return nil
	})
	return cmd
}

func rollbackCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "rollback [DEPLOYMENT]", GroupID: "deploy", Short: "undo a deployment: go back to the one before it; or list the deployments", Args: cobra.MaximumNArgs(1)}
	data, project := dataFlag(cmd), projectFlag(cmd)
	to := cmd.Flags().Int64("to", 0, "go back to this earlier deployment instead")
	cmd.RunE = atServer(data, func(cmd *cobra.Command, args []string, a access) error {
		path := "/" + url.PathEscape(*project) + "/_apis/slipway/deployments"
		if len(args) == 0 {
			var all listOf[api.Deployment]
			if err := a.call(cmd.Context(), http.MethodGet, path, nil, &all); err != nil {
				return err
			}
			rows := [][]string{{"DEPLOYMENT", "ENVIRONMENT", "RUN", "COMMIT", "STATE", ""}}
			for _, d := range all.Value {
				note := d.Reason
				if d.RollbackTo != 0 {
					note = fmt.Sprintf("back to %d", d.RollbackTo)
				}
				rows = append(rows, []string{fmt.Sprint(d.ID), d.Environment, fmt.Sprint(d.Run), short(d.Commit), d.State, note})
			}
			return table(rows)
		}
		fmt.Println("rolling back; this waits until it is ready")
		var d api.Deployment
		if err := a.call(cmd.Context(), http.MethodPost, path+"/"+url.PathEscape(args[0])+"/rollback", map[string]int64{"to": *to}, &d); err != nil {
			return err
		}
		fmt.Printf("deployment %d brought %s back to deployment %d: %s\n", d.ID, d.Environment, d.RollbackTo, d.State)
		return nil
	})
	return cmd
}
