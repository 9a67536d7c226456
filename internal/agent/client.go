package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"slipway"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/joblog"
)

// client speaks with the server about one job.
type client struct {
	base     string // URL of the job at the server
	token    string
	patience time.Duration
	plain    bool // logs are sent as they are
	http     *http.Client
}

// requestTimeout bounds a request without a stream.
const requestTimeout = 60 * time.Second

// errTemporary marks a failure after which the same request may succeed.
type errTemporary struct{ err error }

func (e errTemporary) Error() string { return e.err.Error() }
func (e errTemporary) Unwrap() error { return e.err }

func newClient(c Config) *client {
	return newClientAt(c, "/_slipway/jobs/"+c.Job.String())
}

// newClientAt makes a client of what lies below a path of the server.
func newClientAt(c Config, path string) *client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil // the server is never behind the proxy that steps may use
	transport.DialContext = (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}).DialContext
	transport.ResponseHeaderTimeout = 2 * time.Minute
	if socket, ok := strings.CutPrefix(c.URL, "unix://"); ok { // of a run on one machine
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "unix", socket)
		}
		c.URL, c.PlainLogs = "http://localhost", true
	}
	return &client{base: c.URL + path, token: c.Token, patience: c.Patience, plain: c.PlainLogs, http: &http.Client{Transport: transport}}
}

// at is the client for another address of the same server.
func (c *client) at(address string) *client {
	other := *c
	other.base = address
	return &other
}

// send makes one request. The caller closes the answer's body, which is that of a success.
func (c *client) send(ctx context.Context, method, path string, contentType string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	return c.do(req)
}

// do makes a request with the token.
func (c *client) do(req *http.Request) (*http.Response, error) {
	req.Header.Set("Authorization", "Bearer "+c.token)
	ctx := req.Context()
	resp, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, errTemporary{err}
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	var p struct {
		Code    slipway.Code `json:"code"`
		Message string       `json:"message"`
	}
	if json.Unmarshal(text, &p) != nil || p.Code == "" {
		p.Code, p.Message = slipway.CodeInternal, fmt.Sprintf("the server answered %s", resp.Status)
	}
	err = &slipway.Problem{Code: p.Code, Message: p.Message}
	if resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusRequestTimeout {
		return nil, errTemporary{err}
	}
	return nil, err
}

// call sends in as JSON and reads the answer into out; either may be nil.
func (c *client) call(ctx context.Context, method, path string, in, out any) error {
	var body []byte
	contentType := ""
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return fmt.Errorf("encode request: %w", err)
		}
		contentType = "application/json"
	}
	return c.raw(ctx, method, path, contentType, body, out)
}

func (c *client) raw(ctx context.Context, method, path, contentType string, body []byte, out any) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	resp, err := c.send(ctx, method, path, contentType, bytes.NewReader(body))
	return readAnswer(resp, err, out)
}

// readAnswer decodes the answer to a request into out, unless that is nil.
func readAnswer(resp *http.Response, err error, out any) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return errTemporary{err}
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20))
	} else {
		err = json.NewDecoder(io.LimitReader(resp.Body, 64<<20)).Decode(out)
	}
	if err != nil {
		return errTemporary{fmt.Errorf("read answer: %w", err)}
	}
	return nil
}

// again calls f until it succeeds or fails for good, for at most the client's patience after its last progress.
func (c *client) again(ctx context.Context, f func() error) error {
	since, wait := time.Now(), 100*time.Millisecond
	for {
		err := f()
		var temporary errTemporary
		if err == nil || !errors.As(err, &temporary) {
			return err
		}
		if time.Since(since) > c.patience {
			return fmt.Errorf("the server could not be reached for %v: %w", c.patience, err)
		}
		if !pause(ctx, wait/2+rand.N(wait/2+1)) {
			return context.Cause(ctx)
		}
		wait = min(wait*2, 10*time.Second)
	}
}

// pause waits; false says that ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// start asks for the work.
func (c *client) start(ctx context.Context) (a job.Assignment, err error) {
	err = c.again(ctx, func() error { return c.call(ctx, "POST", "/start", nil, &a) })
	return a, err
}

// appendLog sends a part of a step's log once and returns the size that the server has.
func (c *client) appendLog(ctx context.Context, step int, offset int64, data []byte) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	packed, codec := data, joblog.Raw
	if !c.plain {
		packed, codec = joblog.Pack(data)
	}
	url := c.base + "/logs/" + strconv.Itoa(step) + "?offset=" + strconv.FormatInt(offset, 10)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(packed))
	if err != nil {
		return 0, fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	if encoding := codec.Encoding(); encoding != "" {
		req.Header.Set("Content-Encoding", encoding)
	}
	var position job.LogPosition
	resp, err := c.do(req)
	err = readAnswer(resp, err, &position)
	return position.Size, err
}

// control waits at the server for news, for a while.
func (c *client) control(ctx context.Context) (news job.Control, err error) {
	err = c.call(ctx, "GET", "/control?seconds=25", nil, &news)
	return news, err
}

// await waits until the server answers.
func (c *client) await(ctx context.Context) error {
	return c.again(ctx, func() error { return c.call(ctx, "GET", "/control?seconds=0", nil, nil) })
}

// connection asks for the service connection of that name or id, which the step must name when the job starts. A name of none
// is slipway.CodeNotFound.
func (c *client) connection(ctx context.Context, step int, name string) (out job.Connection, err error) {
	path := "/connections?step=" + strconv.Itoa(step) + "&name=" + url.QueryEscape(name)
	err = c.again(ctx, func() error { return c.call(ctx, "GET", path, nil, &out) })
	return out, err
}

// complete ends the job. A token that is refused after an earlier try was lost on its way was revoked by that try.
func (c *client) complete(ctx context.Context, end job.Completion) error {
	tries := 0
	return c.again(ctx, func() error {
		err := c.call(ctx, "POST", "/complete", end, nil)
		if tries++; tries > 1 && slipway.CodeOf(err) == slipway.CodeUnauthenticated {
			return nil
		}
		return err
	})
}

func artifactPath(name string, run slipway.RunID) string {
	path := "/artifacts/" + url.PathEscape(name)
	if run != 0 {
		path += "?run=" + run.String()
	}
	return path
}
