package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"slipway/internal/api"
)

func secureFilesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "secure-files", GroupID: "project", Short: "list, upload or delete the files that jobs fetch by name (task DownloadSecureFile@1)", Args: cobra.NoArgs,
		Example: `  slipway secure-files upload signing.p12 --project shop
  slipway secure-files --project shop
  slipway secure-files delete signing.p12 --project shop`,
	}
	data, project := dataFlag(cmd), projectFlag(cmd)
	cmd.RunE = atServer(data, func(cmd *cobra.Command, _ []string, a access) error {
		var files listOf[api.SecureFile]
		if err := a.call(cmd.Context(), http.MethodGet, secureFilesPath(*project), nil, &files); err != nil {
			return err
		}
		if len(files.Value) == 0 {
			fmt.Fprintln(cmd.OutOrStdout(), "there is no secure file")
			return nil
		}
		rows := [][]string{{"NAME", "BYTES", "UPLOADED", "BY"}}
		for _, f := range files.Value {
			by := ""
			if f.CreatedBy != nil {
				by = f.CreatedBy.DisplayName
			}
			rows = append(rows, []string{f.Name, fmt.Sprint(f.Size), f.CreatedOn.Local().Format(time.DateTime), by})
		}
		return tableTo(cmd.OutOrStdout(), rows)
	})
	cmd.AddCommand(secureFilesUploadCommand(), secureFilesDeleteCommand())
	return cmd
}

func secureFilesPath(project string) string {
	return "/" + url.PathEscape(project) + "/_apis/distributedtask/securefiles"
}

func secureFilesUploadCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "upload FILE", Short: "upload a file; its content is not shown to anybody again", Args: cobra.ExactArgs(1)}
	data, project := dataFlag(cmd), projectFlag(cmd)
	name := cmd.Flags().String("name", "", "what pipelines call it (default: the file's own name)")
	cmd.RunE = atServer(data, func(cmd *cobra.Command, args []string, a access) error {
		file, err := os.Open(args[0])
		if err != nil {
			return err
		}
		defer file.Close()
		path := secureFilesPath(*project) + "?name=" + url.QueryEscape(cmp.Or(*name, filepath.Base(args[0])))
		b, err := a.send(cmd.Context(), http.MethodPost, path, "application/octet-stream", file)
		if err != nil {
			return err
		}
		var f api.SecureFile
		if err := json.Unmarshal(b, &f); err != nil {
			return fmt.Errorf("the server's answer is not understood: %w", err)
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s is uploaded: %d bytes, id %s\n", f.Name, f.Size, f.ID)
		return nil
	})
	return cmd
}

func secureFilesDeleteCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "delete NAME...", Short: "delete files by their names or ids", Args: cobra.MinimumNArgs(1)}
	data, project := dataFlag(cmd), projectFlag(cmd)
	cmd.RunE = atServer(data, func(cmd *cobra.Command, args []string, a access) error {
		for _, name := range args {
			if err := a.call(cmd.Context(), http.MethodDelete, secureFilesPath(*project)+"/"+url.PathEscape(name), nil, nil); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is deleted\n", name)
		}
		return nil
	})
	return cmd
}
