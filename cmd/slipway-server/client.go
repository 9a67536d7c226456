package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"slipway"
)

// access is how the command line reaches a server: what `slipway up` leaves in its data folder for whoever may read
// it, or the environment's SLIPWAY_URL and SLIPWAY_TOKEN.
type access struct {
	URL   string `json:"url"`
	Token string `json:"token"`
}

const accessFile = "access.json"

// maxAnswer bounds what the command line reads of an answer.
const maxAnswer = 64 << 20

func (a access) write(data string) error {
	b, err := json.MarshalIndent(a, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(data, accessFile), append(b, '\n'), 0o600)
}

// dataFlag gives the commands that talk to a server their --data flag.
func dataFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("data", defaults().Data, "data folder of the server on this machine (SLIPWAY_URL and SLIPWAY_TOKEN go before it)")
}

// atServer makes a command of what is done at the server that data, or the environment, names.
func atServer(data *string, do func(cmd *cobra.Command, args []string, a access) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		a, err := readAccess(*data)
		if err != nil {
			return err
		}
		return do(cmd, args, a)
	}
}

func readAccess(data string) (access, error) {
	if url := os.Getenv("SLIPWAY_URL"); url != "" {
		return access{URL: strings.TrimSuffix(url, "/"), Token: os.Getenv("SLIPWAY_TOKEN")}, nil
	}
	a, err := readAccessFile(data)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("no server has run with the data folder %s: start one with `slipway up`, name its folder with --data, or set SLIPWAY_URL and SLIPWAY_TOKEN", data)
	}
	return a, err
}

func readAccessFile(data string) (access, error) {
	b, err := os.ReadFile(filepath.Join(data, accessFile))
	if err != nil {
		return access{}, err
	}
	var a access
	if err := json.Unmarshal(b, &a); err != nil {
		return access{}, fmt.Errorf("read %s: %w", filepath.Join(data, accessFile), err)
	}
	return a, nil
}

// call sends a request to the server's REST API and decodes its JSON answer into out, when that is not nil.
func (a access) call(ctx context.Context, method, path string, in, out any) error {
	body, err := a.raw(ctx, method, path, in)
	if err != nil || out == nil {
		return err
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("the server's answer to %s is not understood: %w", path, err)
	}
	return nil
}

func (a access) raw(ctx context.Context, method, path string, in any) ([]byte, error) {
	if in == nil {
		return a.send(ctx, method, path, "", nil)
	}
	b, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	return a.send(ctx, method, path, "application/json", bytes.NewReader(b))
}

// send sends a body as it is, and returns the answer's.
func (a access) send(ctx context.Context, method, path, contentType string, body io.Reader) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, a.URL+path, body)
	if err != nil {
		return nil, err
	}
	r.SetBasicAuth("slipway", a.Token)
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, fmt.Errorf("the server at %s does not answer: is it running? (%w)", a.URL, err)
	}
	defer answer.Body.Close()
	if answer.StatusCode >= 300 {
		return nil, refusal(answer)
	}
	b, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("read the server's answer: %w", err)
	}
	return b, nil
}

// refusal is what an answer says that is no success.
func refusal(answer *http.Response) error {
	var p struct {
		Code    slipway.Code `json:"code"`
		Message string       `json:"message"`
	}
	b, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil || json.Unmarshal(b, &p) != nil || p.Message == "" {
		p.Message = answer.Status
	}
	return &slipway.Problem{Code: p.Code, Message: p.Message}
}
