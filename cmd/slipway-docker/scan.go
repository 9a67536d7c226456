package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/pflag"

	"slipway"
)

// severities are in the order of their weight.
var severities = []string{"unknown", "low", "medium", "high", "critical"}

const (
	// scanPoll is how often an inventory that is still being taken is asked for.
	scanPoll = 2 * time.Second
	// maxScan bounds the server's answer, in bytes.
	maxScan = 64 << 20
)

// vulnerabilities is the server's answer about an image.
type vulnerabilities struct {
	Image    string         `json:"image"`
	Packages int            `json:"packages"`
	Counts   map[string]int `json:"counts"`
	Findings []struct {
		ID       string `json:"id"`
		Severity string `json:"severity"`
		Package  string `json:"package"`
		Version  string `json:"version"`
		Fixed    string `json:"fixed"`
		Summary  string `json:"summary"`
		Accepted *struct {
			Reason string    `json:"reason"`
			Until  time.Time `json:"until"`
		} `json:"accepted"`
	} `json:"findings"`
}

// verdict is what the project's policy says of an image.
type verdict struct {
	Enforced bool   `json:"enforced"`
	Problem  string `json:"problem"`
}

// scan lists the known vulnerabilities of an image that was pushed, and fails if there are grave ones.
func (p program) scan(ctx context.Context, args []string) error {
	flags := pflag.NewFlagSet("scan", pflag.ContinueOnError)
	flags.SetOutput(p.stderr)
	failOn := flags.String("fail-on", "", "fail if there is a vulnerability of this severity or a worse one: critical, high, medium, low or unknown")
	byPolicy := flags.Bool("policy", false, "fail if the project's policy does not accept the image")
	platform := flags.String("platform", "", "image of an index (default linux/amd64)")
	timeout := flags.Duration("timeout", 10*time.Minute, "how long to wait until the server has read the image")
	if err := flags.Parse(args); err != nil {
		return usageError{err}
	}
	if flags.NArg() != 1 {
		return usageError{errors.New("usage: docker scan [--fail-on SEVERITY] [--policy] REPOSITORY:TAG")}
	}
	if *failOn != "" && !slices.Contains(severities, *failOn) {
		return usageError{fmt.Errorf("--fail-on %s: write critical, high, medium, low or unknown", *failOn)}
	}
	ctx, cancel := context.WithTimeout(ctx, *timeout)
	defer cancel()
	query := url.Values{"image": {flags.Arg(0)}, "platform": {*platform}}
	var v vulnerabilities
	if err := p.askScan(ctx, "vulnerabilities", query, &v); err != nil {
		return err
	}
	grave := 0
	w := tabwriter.NewWriter(p.stdout, 0, 4, 2, ' ', 0)
	for _, f := range v.Findings {
		if f.Accepted != nil {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\taccepted up to %s: %s\n", f.Severity, f.ID, f.Package, f.Version, f.Fixed, f.Accepted.Until.Add(-time.Microsecond).UTC().Format(time.DateOnly), f.Accepted.Reason)
			continue
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", f.Severity, f.ID, f.Package, f.Version, f.Fixed, f.Summary)
		if *failOn != "" && slices.Index(severities, f.Severity) >= slices.Index(severities, *failOn) {
			grave++
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "%s: %d packages, %d vulnerabilities; %d packages of ecosystems without records\n", v.Image, v.Packages, len(v.Findings), v.Counts["unchecked"])
	if grave > 0 {
		return fmt.Errorf("%d vulnerabilities of %s are %s or worse", grave, v.Image, *failOn)
	}
	if !*byPolicy {
		return nil
	}
	var says verdict
	if err := p.askScan(ctx, "verdict", query, &says); err != nil {
		return err
	}
	return says.refusal()
}

func (v verdict) refusal() error {
	if v.Problem == "" {
		return nil
	}
	return slipway.Forbidden("%s", v.Problem)
}

// askScan asks the job's server, until the image's inventory is there.
func (p program) askScan(ctx context.Context, what string, query url.Values, into any) error {
	server, project, token := strings.TrimSuffix(p.getenv("SYSTEM_COLLECTIONURI"), "/"), p.getenv("SYSTEM_TEAMPROJECT"), p.getenv("SLIPWAY_JOB_TOKEN")
	if server == "" || project == "" || token == "" {
		return slipway.Invalid("docker scan works in a job of Slipway alone: SYSTEM_COLLECTIONURI, SYSTEM_TEAMPROJECT and SLIPWAY_JOB_TOKEN must be set")
	}
	address := server + "/" + url.PathEscape(project) + "/_apis/slipway/images/" + what + "?" + query.Encode()
	for {
		err := p.askScanOnce(ctx, address, token, into)
		if slipway.CodeOf(err) != slipway.CodeConflict {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(scanPoll):
		}
	}
}

func (p program) askScanOnce(ctx context.Context, address, token string, into any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	r.SetBasicAuth(jobUser, token)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return fmt.Errorf("ask the server about the image: %w", err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxScan))
	if err != nil {
		return fmt.Errorf("ask the server about the image: %w", err)
	}
	if answer.StatusCode != http.StatusOK {
		problem := slipway.Problem{Code: slipway.CodeInternal, Message: answer.Status}
		_ = json.Unmarshal(body, &problem) // or what the status says
		return &problem
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("the server's answer about the image is not understood: %w", err)
	}
	return nil
}
