package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"slipway/internal/api"
)

func connectionsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "connections", GroupID: "project", Short: "list, make or delete service connections: what opens registries, clusters and other things outside for pipelines", Args: cobra.NoArgs,
		Example: `  slipway connections add hub --type dockerregistry --parameter username=ada --secret password=hub.token --all-pipelines
  slipway connections add prod --type kubernetes --url https://k8s.example:6443 --secret kubeconfig=$HOME/.kube/config --pipeline shop
  slipway connections update hub --secret password=-
  slipway connections uses hub`,
	}
	data, project := dataFlag(cmd), projectFlag(cmd)
	cmd.RunE = atServer(data, func(cmd *cobra.Command, _ []string, a access) error {
		var list listOf[api.ServiceEndpoint]
		if err := a.call(cmd.Context(), http.MethodGet, connectionsPath(*project), nil, &list); err != nil {
			return err
		}
		if len(list.Value) == 0 {
			fmt.Fprintln(cmd.OutOrStdout(), "there is no service connection")
			return nil
		}
		rows := [][]string{{"NAME", "TYPE", "SCHEME", "URL", "MADE"}}
		for _, c := range list.Value {
			scheme, made := "", ""
			if c.Authorization != nil {
				scheme = c.Authorization.Scheme
			}
			if c.CreationDate != nil {
				made = c.CreationDate.Local().Format(time.DateTime)
			}
			rows = append(rows, []string{c.Name, c.Type, scheme, c.URL, made})
		}
		return tableTo(cmd.OutOrStdout(), rows)
	})
	cmd.AddCommand(connectionsPutCommand(true), connectionsPutCommand(false), connectionsDeleteCommand(), connectionsUsesCommand())
	return cmd
}

func connectionsPath(project string) string {
	return "/" + url.PathEscape(project) + "/_apis/serviceendpoint/endpoints"
}

// connectionNamed finds a connection by its name in any case.
func connectionNamed(ctx context.Context, a access, project, name string) (api.ServiceEndpoint, error) {
	var list listOf[api.ServiceEndpoint]
	if err := a.call(ctx, http.MethodGet, connectionsPath(project), nil, &list); err != nil {
		return api.ServiceEndpoint{}, err
	}
	for _, c := range list.Value {
		if strings.EqualFold(c.Name, name) || strings.EqualFold(c.ID, name) {
			return c, nil
		}
	}
	return api.ServiceEndpoint{}, fmt.Errorf("there is no service connection %q in project %s", name, project)
}

// connectionFlags are what a connection is made of.
type connectionFlags struct {
	name, kind, url, scheme, description string
	parameters, secrets, data, pipelines []string
	all                                  bool
}

func connectionsPutCommand(fresh bool) *cobra.Command {
	cmd := &cobra.Command{Use: "add NAME", Short: "make a connection", Args: cobra.ExactArgs(1)}
	if !fresh {
		cmd.Use, cmd.Short = "update NAME", "change a connection; what is not named stays as it is"
	}
	data, project := dataFlag(cmd), projectFlag(cmd)
	var f connectionFlags
	flags := cmd.Flags()
	if fresh {
		flags.StringVar(&f.kind, "type", "generic", "dockerregistry, kubernetes, generic, ssh, github, githubenterprise, bitbucket, externalgit, externalnpmregistry, …")
	} else {
		flags.StringVar(&f.name, "name", "", "another name")
	}
	flags.StringVar(&f.url, "url", "", "where it is")
	flags.StringVar(&f.scheme, "scheme", "", "how it authorizes: UsernamePassword, Token, … (default: the usual one of the type)")
	flags.StringVar(&f.description, "description", "", "what it is for")
	flags.StringArrayVar(&f.parameters, "parameter", nil, "NAME=VALUE of the authorization, as username=ada; repeat it for more")
	flags.StringArrayVar(&f.secrets, "secret", nil, "NAME=FILE: a parameter, or PrivateKey of ssh, whose value is the file's text; - is standard input")
	flags.StringArrayVar(&f.data, "datum", nil, "NAME=VALUE beside the authorization, as Host=example.com")
	flags.BoolVar(&f.all, "all-pipelines", false, "every pipeline of the project may use it")
	flags.StringArrayVar(&f.pipelines, "pipeline", nil, "a pipeline that may use it; repeat it for more")
	cmd.RunE = atServer(data, func(cmd *cobra.Command, args []string, a access) error {
		c := api.ServiceEndpoint{Name: args[0], Type: f.kind}
		method, path := http.MethodPost, connectionsPath(*project)
		if !fresh {
			var err error
			if c, err = connectionNamed(cmd.Context(), a, *project, args[0]); err != nil {
				return err
			}
			method, path = http.MethodPut, path+"/"+url.PathEscape(c.ID)
		}
		if err := f.apply(cmd, &c); err != nil {
			return err
		}
		permissions, err := f.permissions(cmd, a, *project)
		if err != nil {
			return err
		}
		if err := a.call(cmd.Context(), method, path, c, &c); err != nil {
			return err
		}
		if permissions.AllPipelines != nil || len(permissions.Pipelines) > 0 {
			at := "/" + url.PathEscape(*project) + "/_apis/pipelines/pipelinepermissions/endpoint/" + c.ID
			if err := a.call(cmd.Context(), http.MethodPatch, at, permissions, nil); err != nil {
				return err
			}
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s is stored, id %s\n", c.Name, c.ID)
		return nil
	})
	return cmd
}

// apply puts the flags into a connection.
func (f *connectionFlags) apply(cmd *cobra.Command, c *api.ServiceEndpoint) error {
	for flag, field := range map[string]*string{"name": &c.Name, "url": &c.URL, "description": &c.Description} {
		if cmd.Flags().Changed(flag) {
			*field = cmd.Flags().Lookup(flag).Value.String()
		}
	}
	if c.Authorization == nil {
		c.Authorization = &api.EndpointAuthorization{}
	}
	if f.scheme != "" {
		c.Authorization.Scheme = f.scheme
	}
	if c.Authorization.Parameters == nil {
		c.Authorization.Parameters = map[string]*string{}
	}
	if c.Data == nil {
		c.Data = map[string]*string{}
	}
	c.Projects = nil
	for _, pair := range f.parameters {
		if err := put(c.Authorization.Parameters, pair, nil); err != nil {
			return err
		}
	}
	for _, pair := range f.data {
		if err := put(c.Data, pair, nil); err != nil {
			return err
		}
	}
	for _, pair := range f.secrets {
		into := c.Authorization.Parameters
		if name, _, _ := strings.Cut(pair, "="); strings.EqualFold(name, "PrivateKey") {
			into = c.Data
		}
		if err := put(into, pair, cmd.InOrStdin()); err != nil {
			return err
		}
	}
	return nil
}

// put sets NAME=VALUE or, with an input for the file -, NAME=FILE.
func put(into map[string]*string, pair string, input io.Reader) error {
	name, value, ok := strings.Cut(pair, "=")
	if !ok || name == "" {
		return fmt.Errorf("%q is not NAME=VALUE", pair)
	}
	if input != nil {
		var text []byte
		var err error
		if value == "-" {
			text, err = io.ReadAll(io.LimitReader(input, 1<<20))
		} else {
			text, err = os.ReadFile(value)
		}
		if err != nil {
			return fmt.Errorf("secret %s: %w", name, err)
		}
		value = strings.TrimRight(string(text), "\r\n")
	}
	for key := range into {
		if strings.EqualFold(key, name) {
			name = key
		}
	}
	into[name] = &value
	return nil
}

// permissions are for the pipelines that the flags name.
func (f *connectionFlags) permissions(cmd *cobra.Command, a access, project string) (body api.ResourcePermissions, err error) {
	if cmd.Flags().Changed("all-pipelines") {
		body.AllPipelines = &api.Permission{Authorized: f.all}
	}
	if len(f.pipelines) > 0 {
		var list listOf[struct {
			ID   int64  `json:"id"`
			Name string `json:"name"`
		}]
		if err := a.call(cmd.Context(), http.MethodGet, "/"+url.PathEscape(project)+"/_apis/build/definitions", nil, &list); err != nil {
			return body, err
		}
		for _, name := range f.pipelines {
			found := false
			for _, d := range list.Value {
				if strings.EqualFold(d.Name, name) || strconv.FormatInt(d.ID, 10) == name {
					body.Pipelines, found = append(body.Pipelines, api.PipelinePermission{ID: d.ID, Authorized: true}), true
				}
			}
			if !found {
				return body, fmt.Errorf("there is no pipeline %q in project %s", name, project)
			}
		}
	}
	return body, nil
}

func connectionsDeleteCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "delete NAME...", Short: "delete connections by their names or ids", Args: cobra.MinimumNArgs(1)}
	data, project := dataFlag(cmd), projectFlag(cmd)
	cmd.RunE = atServer(data, func(cmd *cobra.Command, args []string, a access) error {
		for _, name := range args {
			c, err := connectionNamed(cmd.Context(), a, *project, name)
			if err != nil {
				return err
			}
			if err := a.call(cmd.Context(), http.MethodDelete, connectionsPath(*project)+"/"+url.PathEscape(c.ID), nil, nil); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is deleted\n", c.Name)
		}
		return nil
	})
	return cmd
}

func connectionsUsesCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "uses NAME", Short: "which runs used a connection of late", Args: cobra.ExactArgs(1)}
	data, project := dataFlag(cmd), projectFlag(cmd)
	cmd.RunE = atServer(data, func(cmd *cobra.Command, args []string, a access) error {
		c, err := connectionNamed(cmd.Context(), a, *project, args[0])
		if err != nil {
			return err
		}
		var list listOf[api.EndpointUse]
		path := "/" + url.PathEscape(*project) + "/_apis/serviceendpoint/" + url.PathEscape(c.ID) + "/executionhistory"
		if err := a.call(cmd.Context(), http.MethodGet, path, nil, &list); err != nil {
			return err
		}
		if len(list.Value) == 0 {
			fmt.Fprintln(cmd.OutOrStdout(), "no run has used it yet")
			return nil
		}
		rows := [][]string{{"RUN", "PIPELINE", "JOB", "STEP", "WHEN"}}
		for _, u := range list.Value {
			when := ""
			if u.Data.StartTime != nil {
				when = u.Data.StartTime.Local().Format(time.DateTime)
			}
			rows = append(rows, []string{strconv.FormatInt(u.Data.Owner.ID, 10), u.Data.Definition.Name, u.Data.Job, u.Data.Step, when})
		}
		return tableTo(cmd.OutOrStdout(), rows)
	})
	return cmd
}
