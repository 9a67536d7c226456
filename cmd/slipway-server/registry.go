package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"slipway"
	"slipway/internal/api"
)

func registryCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "registry", GroupID: "project", Short: "the image registry: its images, their rules, other registries read through it, images in and out", Args: cobra.NoArgs}
	cmd.AddCommand(registryListCommand(), registryTagsCommand(), registryRemoveCommand(), registrySettingsCommand(), registryRetentionCommand(),
		registryLockCommand(), registryUnlockCommand(), registryVerifyCommand(), upstreamsCommand(), imageImportCommand(), imageExportCommand())
	return cmd
}

// registryFlags say whose images are meant.
type registryFlags struct {
	data, project *string
	installation  *bool
	cmd           *cobra.Command
}

func addRegistryFlags(cmd *cobra.Command) registryFlags {
	return registryFlags{dataFlag(cmd), projectFlag(cmd), cmd.Flags().Bool("installation", false, "the installation's own images, library/... and slipway/..., in place of a project's"), cmd}
}

// projectOf is the project that an image's name begins with, unless --project names one.
func projectOf(cmd *cobra.Command, project, image string) string {
	if first, _, ok := strings.Cut(image, "/"); ok && !cmd.Flags().Changed("project") {
		return first
	}
	return project
}

// path is that of a resource of the registry, with a query of names and values; empty values are left out.
func (f registryFlags) path(resource string, query ...string) string {
	values := url.Values{}
	for i := 0; i+1 < len(query); i += 2 {
		if query[i+1] != "" {
			values.Set(query[i], query[i+1])
		}
	}
	path := "/_apis/slipway/registry/" + resource
	if project := projectOf(f.cmd, *f.project, values.Get("repository")); !*f.installation && project != "library" && project != "slipway" {
		path = "/" + url.PathEscape(project) + path
	}
	if len(values) == 0 {
		return path
	}
	return path + "?" + values.Encode()
}

func registryListCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "ls [SEARCH]", Short: "list the repositories of images", Args: cobra.MaximumNArgs(1)}
	f := addRegistryFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		a, err := readAccess(*f.data)
		if err != nil {
			return err
		}
		var found listOf[api.ImageRepository]
		if err := a.call(cmd.Context(), http.MethodGet, f.path("repositories", "search", strings.Join(args, "")), nil, &found); err != nil {
			return err
		}
		rows := [][]string{{"REPOSITORY", "TAGS", "SIZE", "LATEST", "UPDATED", ""}}
		for _, r := range found.Value {
			public := ""
			if r.Public {
				public = "public"
			}
			rows = append(rows, []string{r.Name, fmt.Sprint(r.Tags), byteSize(r.Bytes), r.Latest, moment(r.Updated), public})
		}
		return tableTo(cmd.OutOrStdout(), rows)
	}
	return cmd
}

func registryTagsCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "tags REPOSITORY [SEARCH]", Short: "list the tags of a repository", Args: cobra.RangeArgs(1, 2)}
	f := addRegistryFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		a, err := readAccess(*f.data)
		if err != nil {
			return err
		}
		var found listOf[api.ImageTag]
		if err := a.call(cmd.Context(), http.MethodGet, f.path("tags", "repository", args[0], "search", strings.Join(args[1:], "")), nil, &found); err != nil {
			return err
		}
		rows := [][]string{{"TAG", "DIGEST", "PLATFORMS", "SIZE", "RUN", "COMMIT", "PUSHED", "LAST PULL", "LOCKED AGAINST"}}
		for _, t := range found.Value {
			run := ""
			if t.Run != 0 {
				run = fmt.Sprint(t.Run)
			}
			rows = append(rows, []string{t.Name, slipway.Digest(t.Digest).Short(), strings.Join(t.Platforms, ","), byteSize(t.Bytes), run, short(t.Commit), moment(t.Updated), moment(t.LastPull), strings.Join(t.Forbidden, ",")})
		}
		return tableTo(cmd.OutOrStdout(), rows)
	}
	return cmd
}

// moment is a time as tables of the command line show it.
func moment(t *time.Time) string {
	if t == nil {
		return "never"
	}
	return t.Local().Format("2006-01-02 15:04")
}

func registryRemoveCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "rm REPOSITORY:TAG | REPOSITORY@DIGEST | REPOSITORY ...", Short: "delete tags, manifests, or with --all whole repositories", Args: cobra.MinimumNArgs(1),
		Long: `Delete a tag, which leaves its image; an image by its digest, with all its tags; or, with --all, a repository with all that is in it.
The bytes go with the next collection, unless another image has them too.`}
	f := addRegistryFlags(cmd)
	all := cmd.Flags().Bool("all", false, "delete whole repositories")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		a, err := readAccess(*f.data)
		if err != nil {
			return err
		}
		for _, name := range args {
			path, err := removal(f, name, *all)
			if err == nil {
				err = a.call(cmd.Context(), http.MethodDelete, path, nil, nil)
			}
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), "deleted", name)
		}
		return nil
	}
	return cmd
}

// removal is the resource that a name of an image means.
func removal(f registryFlags, name string, all bool) (string, error) {
	switch repository, reference := splitImage(name); {
	case strings.Contains(name, "@"):
		return f.path("manifests", "repository", repository, "digest", reference), nil
	case reference != "":
		return f.path("tags", "repository", repository, "tag", reference), nil
	case !all:
		return "", fmt.Errorf("%s is a whole repository: write %s:TAG or %s@DIGEST, or add --all to delete all of it", name, name, name)
	}
	return f.path("repositories", "repository", name), nil
}

func registryRetentionCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "retention REPOSITORY", Short: "apply the retention rules now, or with --dry-run say what each tag's fate would be, and why", Args: cobra.ExactArgs(1),
		Long: `Apply the retention policy of a repository, which the server does by itself once an hour, or with --dry-run only say what it would do. With --policy
a policy in a file is tried in place of the one that is set, as "slipway registry settings --retention" would set it.`}
	f := addRegistryFlags(cmd)
	dry := cmd.Flags().Bool("dry-run", false, "remove nothing")
	file := cmd.Flags().String("policy", "", "with --dry-run: file with a policy to try, - for standard input")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		a, err := readAccess(*f.data)
		if err != nil {
			return err
		}
		var plan api.RetentionPlan
		switch {
		case *file != "" && !*dry:
			return errors.New("a policy is tried with --dry-run; set it with `slipway registry settings --retention FILE`")
		case *file != "":
			policy, err := readPolicy(cmd.InOrStdin(), *file)
			if err != nil {
				return err
			}
			err = a.call(cmd.Context(), http.MethodPost, f.path("retention/plan", "repository", args[0]), policy, &plan)
			if err != nil {
				return err
			}
		case *dry:
			err = a.call(cmd.Context(), http.MethodGet, f.path("retention", "repository", args[0]), nil, &plan)
		default:
			err = a.call(cmd.Context(), http.MethodPost, f.path("retention", "repository", args[0]), nil, &plan)
		}
		if err != nil {
			return err
		}
		return showPlan(cmd, plan, *dry)
	}
	return cmd
}

func showPlan(cmd *cobra.Command, plan api.RetentionPlan, dry bool) error {
	rows := [][]string{{"FATE", "TAG", "DIGEST", "SIZE", "BECAUSE IT"}}
	going := 0
	for _, fates := range [][]api.RetentionFate{plan.Tags, plan.Others} {
		for _, f := range fates {
			fate := "stays"
			if !f.Keep {
				fate = "goes"
				going++
			}
			rows = append(rows, []string{fate, f.Tag, slipway.Digest(f.Digest).Short(), byteSize(f.Bytes), f.Reason})
		}
	}
	if err := tableTo(cmd.OutOrStdout(), rows); err != nil {
		return err
	}
	if dry {
		fmt.Fprintf(cmd.OutOrStdout(), "%d would go; nothing was removed\n", going)
	} else {
		fmt.Fprintf(cmd.OutOrStdout(), "%d of %d were removed\n", plan.Removed, going)
	}
	return nil
}
