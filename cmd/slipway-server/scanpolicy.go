package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"slipway/internal/scans"
)

// imagesPath is a resource of what is known of a project's images.
func imagesPath(project, resource string, query url.Values) string {
	path := "/" + url.PathEscape(project) + "/_apis/slipway/images/" + resource
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return path
}

func scanPolicyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "policy", Short: "show or change which vulnerabilities a project does not accept in its images", Args: cobra.NoArgs,
		Example: `  slipway vulnerabilities policy --project shop --severity high --environment production
  slipway vulnerabilities policy --project shop --pushes
  slipway vulnerabilities policy --project shop --severity none`,
	}
	data, project := dataFlag(cmd), projectFlag(cmd)
	flags := cmd.Flags()
	severity := flags.String("severity", "", "the least that is refused: critical, high, medium, low or unknown; none for nothing")
	unfixed := flags.Bool("unfixed", false, "refuse also those for which there is no fixed version")
	pushes := flags.Bool("pushes", false, "refuse such an image when a job pushes it")
	environments := flags.StringSlice("environment", nil, `do not deploy such an image to the environments that match, * for any text; "" for none`)
	cmd.RunE = atServer(data, func(cmd *cobra.Command, _ []string, a access) error {
		path := imagesPath(*project, "policy", nil)
		var p scans.Policy
		if err := a.call(cmd.Context(), http.MethodGet, path, nil, &p); err != nil {
			return err
		}
		changed := false
		set := func(name string, f func()) {
			if flags.Changed(name) {
				changed = true
				f()
			}
		}
		set("severity", func() { p.Severity = strings.TrimPrefix(*severity, "none") })
		set("unfixed", func() { p.Unfixed = *unfixed })
		set("pushes", func() { p.Pushes = *pushes })
		set("environment", func() { p.Environments = withoutEmpty(*environments) })
		if changed {
			if err := a.call(cmd.Context(), http.MethodPut, path, p, &p); err != nil {
				return err
			}
		}
		fmt.Fprintln(cmd.OutOrStdout(), policyText(p))
		return nil
	})
	return cmd
}

// policyText says in a sentence or two what a policy means.
func policyText(p scans.Policy) string {
	if p.Severity == "" {
		return "every vulnerability is accepted: there is no policy"
	}
	text := "vulnerabilities of severity " + p.Severity + " or worse are not accepted"
	if !p.Unfixed {
		text += ", once there is a fixed version"
	}
	var follows []string
	if p.Pushes {
		follows = append(follows, "jobs cannot push such an image")
	}
	if len(p.Environments) > 0 {
		follows = append(follows, "such an image is not deployed to "+strings.Join(p.Environments, ", "))
	}
	if len(follows) == 0 {
		return text + "; nothing follows but that `slipway scan --policy` fails"
	}
	return text + "; " + strings.Join(follows, "; ")
}

func exceptionsCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "exceptions", Short: "list the vulnerabilities that a project accepts for a while", Args: cobra.NoArgs}
	data, project := dataFlag(cmd), projectFlag(cmd)
	cmd.RunE = atServer(data, func(cmd *cobra.Command, _ []string, a access) error {
		var all listOf[scans.Exception]
		if err := a.call(cmd.Context(), http.MethodGet, imagesPath(*project, "exceptions", nil), nil, &all); err != nil {
			return err
		}
		if len(all.Value) == 0 {
			fmt.Fprintln(cmd.OutOrStdout(), "there is no exception: make one with `slipway vulnerabilities accept ID`")
			return nil
		}
		rows := [][]string{{"VULNERABILITY", "PACKAGE", "UP TO", "BY", "REASON"}}
		for _, e := range all.Value {
			until := e.LastDay()
			if !e.Until.After(time.Now()) {
				until += " (ended)"
			}
			rows = append(rows, []string{e.Vulnerability, e.Package, until, e.By, e.Reason})
		}
		return tableTo(cmd.OutOrStdout(), rows)
	})
	return cmd
}

func acceptVulnerabilityCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "accept ID", Short: "accept a vulnerability in a project's images for a while", Args: cobra.ExactArgs(1),
		Example: `  slipway vulnerabilities accept CVE-2024-1234 --package openssl --until 2027-03-31 --reason "we do not use TLS 1.0" --project shop`,
	}
	data, project := dataFlag(cmd), projectFlag(cmd)
	packageName := cmd.Flags().String("package", "", "in this package alone (default: in every one)")
	reason := cmd.Flags().String("reason", "", "why it is accepted")
	until := cmd.Flags().String("until", "", "the last day, as 2027-03-31; a year from now at most")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		day, err := time.Parse(time.DateOnly, *until)
		if err != nil {
			return fmt.Errorf("--until %q: write the last day as 2027-03-31", *until)
		}
		a, err := readAccess(*data)
		if err != nil {
			return err
		}
		e := scans.Exception{Vulnerability: args[0], Package: *packageName, Reason: *reason, Until: day.AddDate(0, 0, 1)}
		if err := a.call(cmd.Context(), http.MethodPost, imagesPath(*project, "exceptions", nil), e, nil); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s is accepted up to and including %s\n", e.Vulnerability, *until)
		return nil
	}
	return cmd
}

func withdrawVulnerabilityCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "withdraw ID", Short: "end an exception", Args: cobra.ExactArgs(1)}
	data, project := dataFlag(cmd), projectFlag(cmd)
	packageName := cmd.Flags().String("package", "", "the exception's package, if it names one")
	cmd.RunE = atServer(data, func(cmd *cobra.Command, args []string, a access) error {
		query := url.Values{"vulnerability": {args[0]}, "package": {*packageName}}
		if err := a.call(cmd.Context(), http.MethodDelete, imagesPath(*project, "exceptions", query), nil, nil); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s is accepted no longer\n", args[0])
		return nil
	})
	return cmd
}
