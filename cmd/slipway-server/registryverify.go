package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"slipway/internal/api"
	"slipway/internal/commandline"
)

// rottenCode is the exit code of a verification that found something: 1 is that of one that could not be made.
const rottenCode = 2

func registryVerifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "verify [REPOSITORY]", Short: "read everything that the registry keeps again and compare it with its digests", Args: cobra.MaximumNArgs(1),
		Long: `Reads every blob and manifest again, of all repositories or of one, and names what is no longer what its digest says, what is
gone from the object store, and images that name what their repository does not have, each with the tags that need it.

What is damaged or lost is not served any more. Push the same image again, and it is whole: clients are told that the
registry does not have the blob, and what they push takes its place.

The exit code is 0 when all is well, 2 when something was found, and 1 when it could not be verified.`,
		Example: "  slipway registry verify\n  slipway registry verify shop/web",
	}
	data := dataFlag(cmd)
	cmd.RunE = atServer(data, func(cmd *cobra.Command, args []string, a access) error {
		done, err := a.verify(cmd.Context(), strings.Join(args, ""), cmd.OutOrStdout(), cmd.ErrOrStderr())
		if err == nil && done.Findings > 0 {
			return &commandline.ExitError{Code: rottenCode}
		}
		return err
	})
	return cmd
}

// verify shows findings on out and progress on status, and returns how it ended.
func (a access) verify(ctx context.Context, repository string, out, status io.Writer) (api.VerifyProgress, error) {
	var done api.VerifyProgress
	body, err := json.Marshal(map[string]string{"repository": repository})
	if err != nil {
		return done, err
	}
	answer, err := a.stream(ctx, http.MethodPost, "/_apis/slipway/registry/verify", body)
	if err != nil {
		return done, err
	}
	defer answer.Close()
	for lines := json.NewDecoder(answer); ; {
		var line api.Verification
		if err := lines.Decode(&line); err != nil {
			return done, fmt.Errorf("the server's answer ended too early: %w", err)
		}
		switch {
		case line.Error != "":
			return done, errors.New(line.Error)
		case line.Finding != nil:
			showFinding(out, *line.Finding)
		case line.Progress != nil:
			fmt.Fprintln(status, verified(*line.Progress))
		case line.Done != nil:
			done = *line.Done
			if done.Findings == 0 {
				fmt.Fprintf(out, "all is well: %s\n", verified(done))
			} else {
				fmt.Fprintf(out, "%s: %s\n", commandline.Count(int(done.Findings), "finding"), verified(done))
			}
			return done, nil
		}
	}
}

func verified(p api.VerifyProgress) string {
	return fmt.Sprintf("%d of %d blobs, %.1f of %.1f MB, %d manifests", p.Blobs, p.BlobsTotal, float64(p.Bytes)/1e6, float64(p.BytesTotal)/1e6, p.Manifests)
}

func showFinding(out io.Writer, f api.VerifyFinding) {
	fmt.Fprintf(out, "%s %s: %s\n", f.Flaw, f.Digest, f.Detail)
	if len(f.Uses) == 0 {
		fmt.Fprintln(out, "  in no repository")
	}
	for _, u := range f.Uses {
		used := "no tag needs it"
		if len(u.Tags) > 0 {
			used = "needed by " + strings.Join(u.Tags, ", ")
		}
		fmt.Fprintf(out, "  in %s: %s\n", u.Repository, used)
	}
}

// stream sends a request whose answer goes on; the caller closes it.
func (a access) stream(ctx context.Context, method, path string, body []byte) (io.ReadCloser, error) {
	r, err := http.NewRequestWithContext(ctx, method, a.URL+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.SetBasicAuth("slipway", a.Token)
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r) //nolint:bodyclose // the caller closes it
	if err != nil {
		return nil, fmt.Errorf("the server at %s does not answer: is it running? (%w)", a.URL, err)
	}
	if answer.StatusCode != http.StatusOK {
		defer answer.Body.Close()
		return nil, refusal(answer)
	}
	return answer.Body, nil
}
