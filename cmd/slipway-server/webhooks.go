package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"slipway/internal/api"
)

func webhooksCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "webhooks", GroupID: "project", Short: "list, make or delete the incoming webhooks by which other systems start runs", Args: cobra.NoArgs,
		Example: "  slipway webhooks\n  WEBHOOK_SECRET=... slipway webhooks add github --header X-Hub-Signature\n  slipway webhooks delete 3",
	}
	data, project := dataFlag(cmd), projectFlag(cmd)
	cmd.RunE = atServer(data, func(cmd *cobra.Command, _ []string, a access) error {
		var found listOf[api.Webhook]
		if err := a.call(cmd.Context(), http.MethodGet, webhooksPath(*project), nil, &found); err != nil {
			return err
		}
		return showWebhooks(cmd.OutOrStdout(), found.Value)
	})
	cmd.AddCommand(webhooksAddCommand(), webhooksDeleteCommand())
	return cmd
}

func webhooksPath(project string) string {
	return "/" + url.PathEscape(project) + "/_apis/slipway/webhooks"
}

func showWebhooks(out io.Writer, list []api.Webhook) error {
	if len(list) == 0 {
		fmt.Fprintln(out, "there is no incoming webhook")
		return nil
	}
	rows := [][]string{{"NUMBER", "NAME", "SIGNATURE", "LAST CALL", "URL"}}
	for _, w := range list {
		signature, last := "none", "never"
		if w.Secured {
			signature = w.Header
		}
		if w.LastCall != nil {
			last = w.LastCall.Local().Format(time.DateTime)
		}
		rows = append(rows, []string{fmt.Sprint(w.ID), w.Name, signature, last, w.URL})
	}
	return tableTo(out, rows)
}

func webhooksAddCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "add NAME", Short: "make an incoming webhook; its secret is taken from the environment variable WEBHOOK_SECRET", Args: cobra.ExactArgs(1)}
	data, project := dataFlag(cmd), projectFlag(cmd)
	address := cmd.Flags().String("address", "", "the name in the URL (default NAME)")
	header := cmd.Flags().String("header", "", "header with the HMAC-SHA1 of the body (default X-Hub-Signature, with a secret)")
	cmd.RunE = atServer(data, func(cmd *cobra.Command, args []string, a access) error {
		body := api.Webhook{Name: args[0], Address: *address, Header: *header, Secret: strings.TrimSpace(os.Getenv("WEBHOOK_SECRET"))}
		var made api.Webhook
		if err := a.call(cmd.Context(), http.MethodPost, webhooksPath(*project), body, &made); err != nil {
			return err
		}
		fmt.Fprintln(cmd.OutOrStdout(), made.URL)
		return nil
	})
	return cmd
}

func webhooksDeleteCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "delete NUMBER...", Short: "delete incoming webhooks", Args: cobra.MinimumNArgs(1)}
	data, project := dataFlag(cmd), projectFlag(cmd)
	cmd.RunE = atServer(data, func(cmd *cobra.Command, args []string, a access) error {
		for _, id := range args {
			if err := a.call(cmd.Context(), http.MethodDelete, webhooksPath(*project)+"/"+url.PathEscape(id), nil, nil); err != nil {
				return err
			}
		}
		fmt.Fprintf(cmd.OutOrStdout(), "deleted %d webhooks\n", len(args))
		return nil
	})
	return cmd
}
