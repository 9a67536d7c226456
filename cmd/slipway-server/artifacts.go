package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	jobagent "slipway/internal/agent"
	"slipway/internal/api"
	"slipway/internal/pipelines/job"
)

func artifactsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "artifacts", GroupID: "runs", Short: "list, download or upload the artifacts of a run",
		Example: `  slipway artifacts list 12
  slipway artifacts download 12                       # each into a folder of its name
  slipway artifacts download 12 drop --to out
  slipway artifacts upload 12 measurements ./results`,
	}
	cmd.AddCommand(artifactsListCommand(), artifactsDownloadCommand(), artifactsUploadCommand())
	return cmd
}

// artifactsOf lists the artifacts of a run.
func artifactsOf(cmd *cobra.Command, a access, project, run string) ([]api.BuildArtifact, error) {
	var list listOf[api.BuildArtifact]
	err := a.call(cmd.Context(), http.MethodGet, "/"+url.PathEscape(project)+"/_apis/build/builds/"+url.PathEscape(run)+"/artifacts", nil, &list)
	return list.Value, err
}

func artifactPath(project, run, name string) string {
	return "/" + url.PathEscape(project) + "/_apis/slipway/builds/" + url.PathEscape(run) + "/artifacts/" + url.PathEscape(name)
}

func artifactsListCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "list RUN", Short: "list the artifacts of a run", Args: cobra.ExactArgs(1)}
	data, project := dataFlag(cmd), projectFlag(cmd)
	cmd.RunE = atServer(data, func(cmd *cobra.Command, args []string, a access) error {
		list, err := artifactsOf(cmd, a, *project, args[0])
		if err != nil {
			return err
		}
		if len(list) == 0 {
			fmt.Fprintf(cmd.OutOrStdout(), "run %s has no artifacts\n", args[0])
			return nil
		}
		rows := [][]string{{"ARTIFACT", "BYTES", "UPLOADED BY"}}
		for _, one := range list {
			rows = append(rows, []string{one.Name, one.Resource.Properties["artifactsize"], one.Resource.Properties["uploadedBy"]})
		}
		return tableTo(cmd.OutOrStdout(), rows)
	})
	return cmd
}

func artifactsDownloadCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "download RUN [ARTIFACT...]", Short: "download artifacts of a run, or all, each into a folder of its name", Args: cobra.MinimumNArgs(1)}
	data, project := dataFlag(cmd), projectFlag(cmd)
	to := cmd.Flags().String("to", ".", "folder to which they go")
	cmd.RunE = atServer(data, func(cmd *cobra.Command, args []string, a access) error {
		names := args[1:]
		if len(names) == 0 {
			list, err := artifactsOf(cmd, a, *project, args[0])
			if err != nil {
				return err
			}
			for _, one := range list {
				names = append(names, one.Name)
			}
			if len(names) == 0 {
				return fmt.Errorf("run %s has no artifacts", args[0])
			}
		}
		for _, name := range names {
			if !filepath.IsLocal(name) || strings.ContainsAny(name, `/\`) {
				return fmt.Errorf("artifact %q cannot be the name of a folder", name)
			}
			folder := filepath.Join(*to, name)
			n, err := a.downloadArtifact(cmd, artifactPath(*project, args[0], name), folder)
			if err != nil {
				return fmt.Errorf("download artifact %q: %w", name, err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: %d files in %s\n", name, n, folder)
		}
		return nil
	})
	return cmd
}

// downloadArtifact writes the files of an artifact below a folder and counts them.
func (a access) downloadArtifact(cmd *cobra.Command, path, folder string) (int, error) {
	r, err := http.NewRequestWithContext(cmd.Context(), http.MethodGet, a.URL+path, nil)
	if err != nil {
		return 0, err
	}
	r.SetBasicAuth("slipway", a.Token)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, fmt.Errorf("the server at %s does not answer: is it running? (%w)", a.URL, err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return 0, refusal(answer)
	}
	return jobagent.UnpackArtifact(answer.Body, folder)
}

func artifactsUploadCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "upload RUN ARTIFACT PATH", Args: cobra.ExactArgs(3), Short: "upload a file, or what is in a folder, as an artifact of a run",
		Long: "Upload a file, or what is in a folder, as an artifact of a run. The name must be a new one in the run, the artifact says who uploaded it, and the run deploys nothing afterwards: its files are not all those of its commit.",
	}
	data, project := dataFlag(cmd), projectFlag(cmd)
	cmd.RunE = atServer(data, func(cmd *cobra.Command, args []string, a access) error {
		if _, err := os.Stat(args[2]); err != nil {
			return fmt.Errorf("there is no file or folder %s", args[2])
		}
		reader, writer := io.Pipe()
		go func() { writer.CloseWithError(jobagent.PackArtifact(cmd.Context(), writer, args[2])) }()
		defer reader.Close()
		b, err := a.send(cmd.Context(), http.MethodPut, artifactPath(*project, args[0], args[1]), "application/x-tar", reader)
		if err != nil {
			return err
		}
		var stored job.Artifact
		if err := json.Unmarshal(b, &stored); err != nil {
			return fmt.Errorf("the server's answer is not understood: %w", err)
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s is uploaded: %d files, %d bytes\n", stored.Name, stored.Files, stored.Size)
		return nil
	})
	return cmd
}
