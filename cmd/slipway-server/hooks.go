package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"slipway/internal/api"
)

func hooksCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "hooks", GroupID: "project", Short: "list, make or delete service hooks, which tell other systems what happens; see what was sent", Args: cobra.NoArgs,
		Example: `  slipway hooks
  HOOK_SECRET=... slipway hooks add https://chat.example/in --event 'registry.*' --filter repository='shop/**'
  slipway hooks test 0f3c...
  slipway hooks deliveries 0f3c...
  slipway hooks redeliver 0f3c... 12
  slipway hooks delete 0f3c...`,
	}
	f := addHookFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		a, project, err := f.access(cmd)
		if err != nil {
			return err
		}
		var found listOf[api.HookSubscription]
		if err := a.call(cmd.Context(), http.MethodGet, hooksPath+"?projectId="+project, nil, &found); err != nil {
			return err
		}
		rows := [][]string{{"ID", "EVENTS", "TARGET", "FORMAT", "STATUS", "DESCRIPTION"}}
		for _, n := range found.Value {
			if n.PublisherInputs["projectId"] == project {
				rows = append(rows, []string{n.ID, n.EventType, n.ConsumerInputs["url"], n.ConsumerInputs["format"], n.Status, n.EventDescription})
			}
		}
		return tableTo(cmd.OutOrStdout(), rows)
	}
	cmd.AddCommand(hooksAddCommand(), hooksDeleteCommand(), hooksTestCommand(), hooksDeliveriesCommand(), hooksRedeliverCommand())
	return cmd
}

const hooksPath = "/_apis/hooks/subscriptions"

func hookPath(id string) string { return hooksPath + "/" + url.PathEscape(id) }

// hookFlags say whose hooks are meant.
type hookFlags struct {
	data, project *string
	installation  *bool
}

func addHookFlags(cmd *cobra.Command) hookFlags {
	return hookFlags{dataFlag(cmd), projectFlag(cmd), cmd.Flags().Bool("installation", false, "of all projects and the installation itself, in place of one project")}
}

// access reaches the server and finds the project's id, empty for the installation.
func (f hookFlags) access(cmd *cobra.Command) (access, string, error) {
	a, err := readAccess(*f.data)
	if err != nil || *f.installation {
		return a, "", err
	}
	var project struct {
		ID string `json:"id"`
	}
	err = a.call(cmd.Context(), http.MethodGet, "/_apis/projects/"+url.PathEscape(*f.project), nil, &project)
	return a, project.ID, err
}

func hooksAddCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "add URL", Short: "make a service hook; its secrets are taken from the environment: HOOK_SECRET signs, HOOK_PASSWORD goes with --user", Args: cobra.ExactArgs(1)}
	f := addHookFlags(cmd)
	flags := cmd.Flags()
	kinds := flags.StringSlice("event", nil, "kind of event, as registry.pushed or pipelines.*; may be repeated")
	filters := flags.StringToString("filter", nil, "FIELD=PATTERN that a field of the event matches, as repository=shop/**; may be repeated")
	format := flags.String("format", "event", "event, or docker for notifications of Docker Registry")
	user := flags.String("user", "", "user name of basic authentication")
	headers := flags.StringToString("header", nil, "NAME=VARIABLE: a header with the value of an environment variable; may be repeated")
	description := flags.String("description", "", "what it is for")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(*kinds) == 0 {
			return errors.New("say which events: --event registry.pushed, or --event '*' for all")
		}
		a, project, err := f.access(cmd)
		if err != nil {
			return err
		}
		inputs := map[string]string{"url": args[0], "format": *format}
		var lines []string
		for name, variable := range *headers {
			lines = append(lines, name+":"+os.Getenv(variable))
		}
		for name, value := range map[string]string{"secret": os.Getenv("HOOK_SECRET"), "basicAuthUsername": *user, "basicAuthPassword": os.Getenv("HOOK_PASSWORD"), "httpHeaders": strings.Join(lines, "\n")} {
			if value != "" {
				inputs[name] = value
			}
		}
		publisher := map[string]string{"projectId": project}
		for field, pattern := range *filters {
			publisher[field] = pattern
		}
		body := api.HookSubscription{EventType: strings.Join(*kinds, ","), ConsumerID: "webHooks", ConsumerActionID: "httpRequest", EventDescription: *description, PublisherInputs: publisher, ConsumerInputs: inputs}
		var made api.HookSubscription
		if err := a.call(cmd.Context(), http.MethodPost, hooksPath, body, &made); err != nil {
			return err
		}
		fmt.Fprintln(cmd.OutOrStdout(), made.ID)
		return nil
	}
	return cmd
}

func hooksDeleteCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "delete ID...", Short: "delete service hooks", Args: cobra.MinimumNArgs(1)}
	data := dataFlag(cmd)
	cmd.RunE = atServer(data, func(cmd *cobra.Command, args []string, a access) error {
		for _, id := range args {
			if err := a.call(cmd.Context(), http.MethodDelete, hookPath(id), nil, nil); err != nil {
				return err
			}
		}
		fmt.Fprintf(cmd.OutOrStdout(), "deleted %d hooks\n", len(args))
		return nil
	})
	return cmd
}

func hooksTestCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "test ID", Short: "send a service hook an event of kind hooks.test", Args: cobra.ExactArgs(1)}
	data := dataFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return sendHook(cmd, *data, "/_apis/slipway/hooks/"+url.PathEscape(args[0])+"/test")
	}
	return cmd
}

func hooksRedeliverCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "redeliver ID DELIVERY", Short: "send again what was sent before", Args: cobra.ExactArgs(2)}
	data := dataFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return sendHook(cmd, *data, "/_apis/slipway/hooks/"+url.PathEscape(args[0])+"/notifications/"+url.PathEscape(args[1])+"/redeliver")
	}
	return cmd
}

func sendHook(cmd *cobra.Command, data, path string) error {
	a, err := readAccess(data)
	if err != nil {
		return err
	}
	var sent api.HookNotification
	if err := a.call(cmd.Context(), http.MethodPost, path, nil, &sent); err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "delivery %d is queued: slipway hooks deliveries %s %d\n", sent.ID, sent.SubscriptionID, sent.ID)
	return nil
}

func hooksDeliveriesCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "deliveries ID [DELIVERY]", Short: "list what a service hook was sent, or show one with its answer", Args: cobra.RangeArgs(1, 2)}
	data := dataFlag(cmd)
	cmd.RunE = atServer(data, func(cmd *cobra.Command, args []string, a access) error {
		path, out := hookPath(args[0])+"/notifications", cmd.OutOrStdout()
		if len(args) == 2 {
			var one api.HookNotification
			if err := a.call(cmd.Context(), http.MethodGet, path+"/"+url.PathEscape(args[1]), nil, &one); err != nil {
				return err
			}
			fmt.Fprintf(out, "%s after %d attempts %s\n\n%s\n\n%s\n", one.Result, one.Details.RequestAttempts, one.Details.ErrorMessage, one.Details.Request, one.Details.Response)
			return nil
		}
		var found listOf[api.HookNotification]
		if err := a.call(cmd.Context(), http.MethodGet, path, nil, &found); err != nil {
			return err
		}
		rows := [][]string{{"DELIVERY", "EVENT", "RESULT", "ATTEMPTS", "LAST", "ERROR"}}
		for _, n := range found.Value {
			rows = append(rows, []string{fmt.Sprint(n.ID), n.Details.EventType, n.Result, fmt.Sprint(n.Details.RequestAttempts), moment(n.ModifiedDate), n.Details.ErrorMessage})
		}
		return tableTo(out, rows)
	})
	return cmd
}
