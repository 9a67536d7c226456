package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"slipway"
	"slipway/internal/api"
	"slipway/internal/commandline"
	"slipway/internal/scans"
)

func sbomCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "sbom IMAGE [OTHER]", GroupID: "project", Short: "list the packages in an image, or what differs from another's; print its bill of materials, or give one", Args: cobra.RangeArgs(1, 2),
		Example: `  slipway sbom shop/web:1.1 --project shop
  slipway sbom shop/web:1.0 shop/web:1.1 --project shop
  slipway sbom shop/web:1.1 --format cyclonedx --project shop >web.cdx.json
  slipway sbom shop/web:1.1 --upload firmware.cdx.json --project shop`,
	}
	data, project := dataFlag(cmd), projectFlag(cmd)
	platform := cmd.Flags().String("platform", "", "of an index (default linux/amd64)")
	format := cmd.Flags().String("format", "table", "table, or the whole document: spdx or cyclonedx")
	timeout := cmd.Flags().Duration("timeout", 10*time.Minute, "how long to wait for the inventory, which is taken after a push")
	upload := cmd.Flags().String("upload", "", "file with a bill of materials to keep with the image, CycloneDX or SPDX 2 in JSON; its packages are looked at too")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 2 && (*upload != "" || *format != "table") {
			return errors.New("--format and --upload are about one image")
		}
		a, err := readAccess(*data)
		if err != nil {
			return err
		}
		*project = projectOf(cmd, *project, args[0])
		image := url.Values{"image": {args[0]}, "platform": {*platform}}
		if *upload != "" {
			return a.uploadSBOM(cmd, *project, image, *upload)
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), *timeout)
		defer cancel()
		if *format != "table" {
			image.Set("format", *format)
			var b []byte
			err := inventoried(ctx, func() (err error) {
				b, err = a.raw(ctx, http.MethodGet, imagesPath(*project, "sbom", image), nil)
				return err
			})
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), strings.TrimSpace(string(b)))
			return err
		}
		if len(args) == 2 {
			var changes listOf[scans.Change]
			both := url.Values{"from": {args[0]}, "to": {args[1]}, "platform": {*platform}}
			if err := inventoried(ctx, func() error { return a.image(ctx, *project, "diff", both, &changes) }); err != nil {
				return err
			}
			rows := [][]string{{"CHANGE", "TYPE", "PACKAGE", "BEFORE", "AFTER", "LICENCES BEFORE", "LICENCES AFTER"}}
			for _, c := range changes.Value {
				rows = append(rows, []string{c.Kind(), c.Type, c.Name, c.Before, c.After, strings.Join(c.LicensesBefore, ", "), strings.Join(c.LicensesAfter, ", ")})
			}
			return tableTo(cmd.OutOrStdout(), rows)
		}
		var packages listOf[scans.Package]
		if err := inventoried(ctx, func() error { return a.image(ctx, *project, "packages", image, &packages) }); err != nil {
			return err
		}
		rows := [][]string{{"TYPE", "PACKAGE", "VERSION", "LICENCES"}}
		for _, p := range packages.Value {
			rows = append(rows, []string{p.Type, p.Name, p.Version, strings.Join(p.Licenses, ", ")})
		}
		return tableTo(cmd.OutOrStdout(), rows)
	}
	return cmd
}

// uploadSBOM gives an image a bill of materials.
func (a access) uploadSBOM(cmd *cobra.Command, project string, image url.Values, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	b, err := a.send(cmd.Context(), http.MethodPost, imagesPath(project, "sbom", image), "application/json", file)
	if err != nil {
		return err
	}
	var taken api.SBOMTaken
	if err := json.Unmarshal(b, &taken); err != nil {
		return fmt.Errorf("the server's answer is not understood: %w", err)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s names %d packages and is kept with the image\n", path, taken.Packages)
	return nil
}

// image asks what the server knows of images.
func (a access) image(ctx context.Context, project, what string, query url.Values, into any) error {
	return a.call(ctx, http.MethodGet, imagesPath(project, what, query), nil, into)
}

// scanWait is how often an inventory that is still being taken is asked for again.
const scanWait = 2 * time.Second

func scanCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "scan IMAGE", GroupID: "project", Short: "list an image's known vulnerabilities, and fail if there are grave ones", Args: cobra.ExactArgs(1),
		Long: `Lists the known vulnerabilities of an image's packages by the records that were imported. An inventory that is still being taken is waited for.

It ends with 0, or with 2 if there is a vulnerability of the severity that --fail-on names or a worse one, for which the project has no
exception, or with --policy one that the project's policy does not accept.`,
		Example: `  slipway scan shop/web:1.1 --project shop --fail-on high
  slipway scan shop/web:1.1 --project shop --policy`,
	}
	data, project := dataFlag(cmd), projectFlag(cmd)
	failOn := cmd.Flags().String("fail-on", "", "critical, high, medium, low or unknown")
	byPolicy := cmd.Flags().Bool("policy", false, "fail if the project's policy does not accept the image")
	platform := cmd.Flags().String("platform", "", "of an index (default linux/amd64)")
	timeout := cmd.Flags().Duration("timeout", 10*time.Minute, "how long to wait for the inventory")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *failOn != "" {
			if err := scans.CheckSeverity(*failOn); err != nil {
				return err
			}
		}
		a, err := readAccess(*data)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), *timeout)
		defer cancel()
		*project = projectOf(cmd, *project, args[0])
		image := url.Values{"image": {args[0]}, "platform": {*platform}}
		var v api.Vulnerabilities
		err = inventoried(ctx, func() error { return a.image(ctx, *project, "vulnerabilities", image, &v) })
		if err != nil {
			return err
		}
		if err := printFindings(cmd, v); err != nil {
			return err
		}
		if *byPolicy {
			var verdict api.Verdict
			if err := a.image(ctx, *project, "verdict", image, &verdict); err != nil {
				return err
			}
			if verdict.Problem != "" {
				fmt.Fprintln(cmd.ErrOrStderr(), "slipway: "+verdict.Problem)
				return &commandline.ExitError{Code: 2}
			}
		}
		if *failOn == "" {
			return nil
		}
		if grave := scans.Unaccepted(scans.AtLeast(v.Findings, *failOn)); len(grave) > 0 {
			fmt.Fprintf(cmd.ErrOrStderr(), "slipway: %d vulnerabilities are %s or worse\n", len(grave), *failOn)
			return &commandline.ExitError{Code: 2}
		}
		return nil
	}
	return cmd
}

// inventoried repeats what needs an image's inventory while that is still being taken.
func inventoried(ctx context.Context, ask func() error) error {
	for {
		err := ask()
		if slipway.CodeOf(err) != slipway.CodeConflict {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(scanWait):
		}
	}
}

func printFindings(cmd *cobra.Command, v api.Vulnerabilities) error {
	rows := [][]string{{"SEVERITY", "VULNERABILITY", "PACKAGE", "VERSION", "FIXED IN", "SUMMARY"}}
	for _, f := range v.Findings {
		summary := f.Summary
		if f.Accepted != nil {
			summary = "accepted up to " + f.Accepted.LastDay() + ": " + f.Accepted.Reason
		}
		rows = append(rows, []string{f.Severity, f.ID, f.Package, f.Version, f.Fixed, summary})
	}
	if len(v.Findings) > 0 {
		if err := tableTo(cmd.OutOrStdout(), rows); err != nil {
			return err
		}
	}
	c := v.Counts
	fmt.Fprintf(cmd.OutOrStdout(), "%s: %d packages; vulnerabilities: %d critical, %d high, %d medium, %d low, %d unknown; %d packages of ecosystems without records\n",
		v.Image, v.Packages, c.Critical, c.High, c.Medium, c.Low, c.Unknown, c.Unchecked)
	return nil
}

func vulnerabilitiesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "vulnerabilities", GroupID: "server", Short: "the records of known vulnerabilities, and what a project accepts of them", Args: cobra.NoArgs,
		Example: `  curl -O https://osv-vulnerabilities.storage.googleapis.com/Debian/all.zip
  slipway vulnerabilities import all.zip`,
	}
	data := dataFlag(cmd)
	cmd.RunE = atServer(data, func(cmd *cobra.Command, _ []string, a access) error {
		var all listOf[scans.Ecosystem]
		if err := a.call(cmd.Context(), http.MethodGet, "/_apis/slipway/vulnerabilities", nil, &all); err != nil {
			return err
		}
		return printEcosystems(cmd, all.Value)
	})
	cmd.AddCommand(vulnerabilitiesImportCommand(), scanPolicyCommand(), exceptionsCommand(), acceptVulnerabilityCommand(), withdrawVulnerabilityCommand())
	return cmd
}

func vulnerabilitiesImportCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "import FILE", Short: "replace the records of the ecosystems in a zip of OSV records", Args: cobra.ExactArgs(1)}
	data := dataFlag(cmd)
	cmd.RunE = atServer(data, func(cmd *cobra.Command, args []string, a access) error {
		file, err := os.Open(args[0])
		if err != nil {
			return err
		}
		defer file.Close()
		b, err := a.send(cmd.Context(), http.MethodPost, "/_apis/slipway/vulnerabilities", "application/zip", file)
		if err != nil {
			return err
		}
		var all listOf[scans.Ecosystem]
		if err := json.Unmarshal(b, &all); err != nil {
			return fmt.Errorf("the server's answer is not understood: %w", err)
		}
		return printEcosystems(cmd, all.Value)
	})
	return cmd
}

func printEcosystems(cmd *cobra.Command, list []scans.Ecosystem) error {
	if len(list) == 0 {
		fmt.Fprintln(cmd.OutOrStdout(), "there are no records: import some with `slipway vulnerabilities import FILE`")
		return nil
	}
	rows := [][]string{{"ECOSYSTEM", "RECORDS", "PACKAGES", "NEWEST", "IMPORTED"}}
	for _, e := range list {
		rows = append(rows, []string{e.Name, fmt.Sprint(e.Records), fmt.Sprint(e.Packages), e.Modified, e.Imported.Local().Format(time.DateTime)})
	}
	return tableTo(cmd.OutOrStdout(), rows)
}
