package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/spf13/cobra"

	"slipway/internal/api"
	"slipway/internal/pipelines/extension"
)

func tasksCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "tasks", GroupID: "server", Short: "list, upload or delete tasks that are not built in", Args: cobra.NoArgs,
		Long: `Tasks in Azure's format (task.json, with handlers of Node.js) that every pipeline of the server may use. An administrator uploads
them: a folder, a zip file, or a whole extension (.vsix).`,
		Example: `  slipway tasks upload ./hello           # a folder with a task.json
  slipway tasks upload qetza.replacetokens.vsix
  slipway tasks
  slipway tasks delete Hello --version 1.0.3`,
	}
	data := dataFlag(c)
	c.RunE = atServer(data, func(c *cobra.Command, _ []string, a access) error {
		tasks, err := listTasks(c, a)
		if err != nil {
			return err
		}
		if len(tasks) == 0 {
			fmt.Fprintln(c.OutOrStdout(), "no task was uploaded")
			return nil
		}
		rows := [][]string{{"NAME", "VERSION", "EXTENSION", "BYTES", "UPLOADED", "BY", ""}}
		for _, t := range tasks {
			by := ""
			if t.CreatedBy != nil {
				by = t.CreatedBy.DisplayName
			}
			rows = append(rows, []string{t.Name, t.Version, cmp.Or(t.Extension, "-"), fmt.Sprint(t.Size), t.CreatedOn.Local().Format(time.DateTime), by, t.Unsupported})
		}
		return tableTo(c.OutOrStdout(), rows)
	})
	c.AddCommand(tasksUploadCommand(), tasksDeleteCommand())
	return c
}

func listTasks(c *cobra.Command, a access) ([]api.Task, error) {
	var tasks listOf[api.Task]
	err := a.call(c.Context(), http.MethodGet, "/_apis/slipway/tasks", nil, &tasks)
	return tasks.Value, err
}

func tasksUploadCommand() *cobra.Command {
	c := &cobra.Command{Use: "upload FOLDER|FILE...", Short: "upload tasks: folders with a task.json, zip files of such, or extensions (.vsix)", Args: cobra.MinimumNArgs(1)}
	data := dataFlag(c)
	overwrite := c.Flags().Bool("overwrite", false, "replace a version that is there already; runs that are queued with it fail")
	c.RunE = atServer(data, func(c *cobra.Command, args []string, a access) error {
		for _, path := range args {
			if err := uploadTasks(c, a, path, *overwrite); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
		}
		return nil
	})
	return c
}

// uploadTasks sends a file as it is, and of a folder a zip file of each task.
func uploadTasks(c *cobra.Command, a access, path string, overwrite bool) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		return sendTasks(c, a, file, overwrite)
	}
	tasks, err := extension.Open([]string{path})
	if err != nil {
		return err
	}
	defer tasks.Close()
	for i := range tasks.Tasks {
		reader, writer := io.Pipe()
		go func() {
			_, err := tasks.Tasks[i].WriteTo(writer)
			writer.CloseWithError(err)
		}()
		err := sendTasks(c, a, reader, overwrite)
		reader.Close() // ends the writer
		if err != nil {
			return err
		}
	}
	return nil
}

func sendTasks(c *cobra.Command, a access, body io.Reader, overwrite bool) error {
	b, err := a.send(c.Context(), http.MethodPost, fmt.Sprintf("/_apis/slipway/tasks?overwrite=%t", overwrite), "application/zip", body)
	if err != nil {
		return err
	}
	var tasks listOf[api.Task]
	if err := json.Unmarshal(b, &tasks); err != nil {
		return fmt.Errorf("the server's answer is not understood: %w", err)
	}
	for _, t := range tasks.Value {
		fmt.Fprintf(c.OutOrStdout(), "%s %s is uploaded: %d bytes, id %s\n", t.Name, t.Version, t.Size, t.ID)
		if t.Unsupported != "" {
			fmt.Fprintf(c.ErrOrStderr(), "but %s\n", t.Unsupported)
		}
	}
	return nil
}

func tasksDeleteCommand() *cobra.Command {
	c := &cobra.Command{Use: "delete NAME|ID", Short: "delete a task by its name or id, with all of its versions or one", Args: cobra.ExactArgs(1)}
	data := dataFlag(c)
	version := c.Flags().String("version", "", "this version alone, as MAJOR.MINOR.PATCH")
	c.RunE = atServer(data, func(c *cobra.Command, args []string, a access) error {
		id, err := taskID(c, a, args[0])
		if err != nil {
			return err
		}
		path := "/_apis/distributedtask/tasks/" + url.PathEscape(id)
		if *version != "" {
			path += "/" + url.PathEscape(*version)
		}
		if err := a.call(c.Context(), http.MethodDelete, path, nil, nil); err != nil {
			return err
		}
		fmt.Fprintf(c.OutOrStdout(), "%s is deleted\n", args[0])
		return nil
	})
	return c
}

// taskID is the id of the task of that name, or the name itself if it may be an id.
func taskID(c *cobra.Command, a access, name string) (string, error) {
	tasks, err := listTasks(c, a)
	if err != nil {
		return "", err
	}
	id := ""
	for _, t := range tasks {
		switch {
		case t.ID == name:
			return name, nil
		case t.Name != name && t.Extension+"."+t.Name != name:
		case id != "" && id != t.ID:
			return "", fmt.Errorf("there are several tasks %s: give the id", name)
		default:
			id = t.ID
		}
	}
	if id == "" {
		return "", fmt.Errorf("there is no task %s: `slipway tasks` lists them", name)
	}
	return id, nil
}
