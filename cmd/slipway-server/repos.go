package main

import (
	"context"
	"errors"
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

func reposCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "repos", GroupID: "project", Short: "list repositories, import them from other hosts and mirror them", Args: cobra.NoArgs,
		Example: `  slipway repos
  slipway repos import https://example.com/shop.git --name shop
  slipway repos import git@example.com:shop.git --name shop --key id_ed25519 --mirror 1h
  slipway repos mirror add shop https://backup.example/shop.git --user ada --password token.txt
  slipway repos mirror sync shop 3
  slipway repos fork shop --from Shop --project Mine
  slipway repos sync shop --branch main --project Mine
  slipway repos fork-builds --comment nonMembers`,
	}
	data, project := dataFlag(cmd), projectFlag(cmd)
	cmd.RunE = atServer(data, func(cmd *cobra.Command, _ []string, a access) error {
		var list listOf[api.GitRepository]
		if err := a.call(cmd.Context(), http.MethodGet, "/"+url.PathEscape(*project)+"/_apis/git/repositories", nil, &list); err != nil {
			return err
		}
		if len(list.Value) == 0 {
			fmt.Fprintln(cmd.OutOrStdout(), "the project has no repository")
			return nil
		}
		rows := [][]string{{"NAME", "DEFAULT BRANCH", "SIZE", "OBJECTS", "URL"}}
		for _, r := range list.Value {
			rows = append(rows, []string{r.Name, strings.TrimPrefix(r.DefaultBranch, "refs/heads/"), fmt.Sprintf("%.1f MiB", float64(r.Size)/(1<<20)), r.ObjectFormat, r.RemoteURL})
		}
		return tableTo(cmd.OutOrStdout(), rows)
	})
	cmd.AddCommand(reposForkCommand(), reposSyncCommand(), reposForkBuildsCommand(), reposImportCommand(), reposMirrorCommand(), reposLimitsCommand(), reposUpkeepCommand(),
		reposChangeCommand("create NAME", "make an empty repository", 1), reposChangeCommand("rename REPOSITORY NAME", "give a repository another name; the old one leads to it", 2),
		reposChangeCommand("disable REPOSITORY", "have a repository neither cloned nor pushed to", 1), reposChangeCommand("enable REPOSITORY", "take that back", 1),
		reposChangeCommand("delete REPOSITORY", "delete a repository; it can be restored for 30 days", 1), reposChangeCommand("restore REPOSITORY", "take a deletion back", 1))
	return cmd
}

// mirrorFlags are what opens a repository of another host.
type mirrorFlags struct {
	user, password, key, connection, knownHosts string
	private                                     bool
}

func (f *mirrorFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.user, "user", "", "user name at the other host, of an https URL")
	flags.StringVar(&f.password, "password", "", "file with the password or token; - is standard input")
	flags.StringVar(&f.key, "key", "", "file of a private key without a passphrase, of an ssh URL")
	flags.StringVar(&f.knownHosts, "known-hosts", "", "file with the keys of an ssh host; without it the first key seen is kept")
	flags.StringVar(&f.connection, "connection", "", "service connection of the project with the credentials, instead of --user and --password")
	flags.BoolVar(&f.private, "private", false, "it may be at a private address; for administrators of the installation")
}

// fill reads the files that the flags name.
func (f *mirrorFlags) fill(cmd *cobra.Command, m *api.NewMirror) error {
	m.Username, m.Connection, m.PrivateAddresses = f.user, f.connection, f.private
	for name, into := range map[string]*string{f.password: &m.Password, f.key: &m.PrivateKey, f.knownHosts: &m.KnownHosts} {
		if name == "" {
			continue
		}
		text, err := readSmallFile(cmd, name)
		if err != nil {
			return err
		}
		if *into = text; into == &m.Password {
			*into = strings.TrimRight(text, "\r\n")
		}
	}
	return nil
}

// maxCredentialFile bounds a file of credentials, in bytes.
const maxCredentialFile = 64 << 10

func readSmallFile(cmd *cobra.Command, name string) (string, error) {
	in := cmd.InOrStdin()
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return "", err
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, maxCredentialFile))
	return string(b), err
}

func mirrorsPath(project, repository string) string {
	return "/" + url.PathEscape(project) + "/_apis/slipway/repositories/" + url.PathEscape(repository) + "/mirrors"
}

func reposImportCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "import URL", Short: "make a repository of one of another host", Args: cobra.ExactArgs(1)}
	data, project := dataFlag(cmd), projectFlag(cmd)
	name := cmd.Flags().String("name", "", "its name here (default: the last part of the URL)")
	every := cmd.Flags().Duration("mirror", 0, "keep it equal to the other by fetching this often, as 1h; nobody pushes here then")
	detach := cmd.Flags().Bool("no-wait", false, "do not wait for its end")
	var f mirrorFlags
	f.add(cmd)
	cmd.RunE = atServer(data, func(cmd *cobra.Command, args []string, a access) error {
		body := api.NewMirror{Name: *name, Kind: "import", URL: args[0]}
		if body.Name == "" {
			body.Name = strings.TrimSuffix(args[0][strings.LastIndexAny(strings.TrimRight(args[0], "/"), "/:")+1:], ".git")
		}
		if *every > 0 {
			body.Kind, body.Every = "pull", every.String()
		}
		if err := f.fill(cmd, &body); err != nil {
			return err
		}
		var made api.Imported
		if err := a.call(cmd.Context(), http.MethodPost, "/"+url.PathEscape(*project)+"/_apis/slipway/imports", body, &made); err != nil {
			return err
		}
		if *detach {
			fmt.Fprintf(cmd.OutOrStdout(), "%s is being imported: slipway repos mirror %s\n", made.Repository.Name, made.Repository.Name)
			return nil
		}
		if err := followMirror(cmd, a, mirrorsPath(*project, made.Repository.ID)+"/"+strconv.FormatInt(made.Mirror.ID, 10)); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "imported: git clone %s\n", made.Repository.RemoteURL)
		return nil
	})
	return cmd
}

// followMirror shows what git says of a transfer until it ends.
func followMirror(cmd *cobra.Command, a access, path string) error {
	shown := map[string]bool{}
	for {
		var m api.Mirror
		if err := a.call(cmd.Context(), http.MethodGet, path, nil, &m); err != nil {
			return err
		}
		for _, line := range m.Progress {
			if !shown[line] {
				shown[line] = true
				fmt.Fprintln(cmd.ErrOrStderr(), line)
			}
		}
		switch m.State {
		case "succeeded":
			return nil
		case "failed":
			return errors.New(m.Problem)
		case "canceled":
			return errors.New("it was canceled")
		}
		if err := wait(cmd.Context(), 500*time.Millisecond); err != nil {
			return err
		}
	}
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func reposMirrorCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "mirror REPOSITORY", Short: "list the mirrors of a repository, or add, change and delete them", Args: cobra.ExactArgs(1)}
	data, project := dataFlag(cmd), projectFlag(cmd)
	cmd.RunE = atServer(data, func(cmd *cobra.Command, args []string, a access) error {
		var list listOf[api.Mirror]
		if err := a.call(cmd.Context(), http.MethodGet, mirrorsPath(*project, args[0]), nil, &list); err != nil {
			return err
		}
		if len(list.Value) == 0 {
			fmt.Fprintln(cmd.OutOrStdout(), "the repository has no mirrors")
			return nil
		}
		rows := [][]string{{"NUMBER", "KIND", "URL", "EVERY", "STATE", "LAST SUCCESS", "PROBLEM"}}
		for _, m := range list.Value {
			state, succeeded := m.State, "never"
			if !m.Enabled {
				state = "off"
			}
			if m.Succeeded != nil {
				succeeded = m.Succeeded.Local().Format(time.DateTime)
			}
			rows = append(rows, []string{fmt.Sprint(m.ID), m.Kind, m.URL, m.Every, state, succeeded, m.Problem})
		}
		return tableTo(cmd.OutOrStdout(), rows)
	})
	cmd.AddCommand(reposMirrorAddCommand())
	for verb, about := range map[string]string{"sync": "transfer now", "cancel": "end the transfer under way", "on": "turn a mirror on", "off": "turn a mirror off", "delete": "delete a mirror; what it brought stays"} {
		cmd.AddCommand(reposMirrorVerb(verb, about))
	}
	return cmd
}

func reposMirrorAddCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "add REPOSITORY URL", Short: "push a repository to another host after each push here, or pull it from there", Args: cobra.ExactArgs(2)}
	data, project := dataFlag(cmd), projectFlag(cmd)
	pull := cmd.Flags().Bool("pull", false, "fill the repository from there; nobody pushes here then")
	every := cmd.Flags().Duration("every", 0, "with --pull: how often, as 1h (default: by hand)")
	var f mirrorFlags
	f.add(cmd)
	cmd.RunE = atServer(data, func(cmd *cobra.Command, args []string, a access) error {
		body := api.NewMirror{Kind: "push", URL: args[1]}
		if *pull {
			body.Kind = "pull"
		}
		if *every > 0 {
			body.Every = every.String()
		}
		if err := f.fill(cmd, &body); err != nil {
			return err
		}
		var m api.Mirror
		if err := a.call(cmd.Context(), http.MethodPost, mirrorsPath(*project, args[0]), body, &m); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "mirror %d is made\n", m.ID)
		return followMirror(cmd, a, mirrorsPath(*project, args[0])+"/"+strconv.FormatInt(m.ID, 10))
	})
	return cmd
}

func reposMirrorVerb(verb, about string) *cobra.Command {
	cmd := &cobra.Command{Use: verb + " REPOSITORY NUMBER", Short: about, Args: cobra.ExactArgs(2)}
	data, project := dataFlag(cmd), projectFlag(cmd)
	cmd.RunE = atServer(data, func(cmd *cobra.Command, args []string, a access) error {
		path := mirrorsPath(*project, args[0]) + "/" + url.PathEscape(args[1])
		var err error
		switch verb {
		case "delete":
			err = a.call(cmd.Context(), http.MethodDelete, path, nil, nil)
		case "on", "off":
			var m api.Mirror
			if err = a.call(cmd.Context(), http.MethodGet, path, nil, &m); err == nil {
				on := verb == "on"
				err = a.call(cmd.Context(), http.MethodPut, path, api.NewMirror{Kind: m.Kind, URL: m.URL, Username: m.Username, Connection: m.Connection, Every: m.Every,
					PrivateAddresses: m.PrivateAddresses, Enabled: &on}, nil)
			}
		default:
			err = a.call(cmd.Context(), http.MethodPost, path+"/"+verb, nil, nil)
		}
		if err != nil {
			return err
		}
		if verb == "sync" {
			err = followMirror(cmd, a, path)
		}
		if err == nil {
			fmt.Fprintf(cmd.OutOrStdout(), "mirror %s of %s: %s\n", args[1], args[0], map[string]string{"sync": "transferred", "cancel": "canceled", "on": "on", "off": "off", "delete": "deleted"}[verb])
		}
		return err
	})
	return cmd
}
