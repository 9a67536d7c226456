package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// Kind says what an upstream's failure means for who asked.
type Kind string

// The kinds.
const (
	Missing     Kind = "missing"     // it has no such thing
	Denied      Kind = "denied"      // it does not show it to us; many registries say so of what does not exist, too
	Limited     Kind = "limited"     // it was asked too much of late
	Unavailable Kind = "unavailable" // it cannot be reached, or is broken
	Invalid     Kind = "invalid"     // its answer is not what the specification says
)

// Error is why an upstream did not give what was asked for.
type Error struct {
	Kind    Kind
	Until   time.Time // of Limited: when it may be asked again
	Message string    // follows the upstream's name: "it has no such image"
	Err     error
}

func (e *Error) Error() string {
	if e.Err != nil {
		return e.Message + ": " + e.Err.Error()
	}
	return e.Message
}

func (e *Error) Unwrap() error { return e.Err }

// Pauses. What a registry asks for is believed within bounds.
const (
	defaultPause = time.Minute
	maxPause     = time.Hour
	downPause    = 15 * time.Second
)

type pause struct {
	until time.Time // no request before
	down  time.Time // not reached: what is there already is good enough until then
}

// wait notes a Retry-After header: seconds or a date (RFC 9110, section 10.2.3).
func (c *Client) wait(header string) {
	now := c.options.Clock.Now()
	d := defaultPause
	if seconds, err := strconv.Atoi(strings.TrimSpace(header)); err == nil && seconds >= 0 {
		d = time.Duration(min(seconds, int(maxPause/time.Second))) * time.Second
	} else if at, err := http.ParseTime(header); err == nil {
		d = max(at.Sub(now), 0)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pause.until = now.Add(min(d, maxPause))
}

// Paused is until when the registry wants to be left alone; zero for not at all.
func (c *Client) Paused() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.options.Clock.Now().Before(c.pause.until) {
		return c.pause.until
	}
	return time.Time{}
}

// Down reports that the registry could not be reached a moment ago.
func (c *Client) Down() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.options.Clock.Now().Before(c.pause.down)
}

func (c *Client) answered() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pause.down = time.Time{}
}

// failed is the error of a request without a usable answer.
func (c *Client) failed(err error) error {
	var mine *Error
	if errors.As(err, &mine) {
		return mine
	}
	var answer *transport.Error // of the sign-in
	if errors.As(err, &answer) {
		message := "it refuses to sign in: "
		if answer.StatusCode != http.StatusUnauthorized && answer.StatusCode != http.StatusForbidden {
			message = fmt.Sprintf("it answers %d %s to who signs in: ", answer.StatusCode, http.StatusText(answer.StatusCode))
		}
		return c.status(answer.StatusCode, message+answer.Error())
	}
	if !errors.Is(err, context.Canceled) {
		c.mu.Lock()
		c.pause.down = c.options.Clock.Now().Add(downPause)
		c.mu.Unlock()
	}
	return &Error{Kind: Unavailable, Message: "it cannot be reached", Err: ofScheme(err)}
}

// ofScheme leaves out of an error what was tried with the other scheme than that of the registry's address, which round refuses.
func ofScheme(err error) error {
	all := strings.Split(err.Error(), "; ")
	kept := slices.DeleteFunc(slices.Clone(all), func(part string) bool { return strings.Contains(part, errScheme.Error()) })
	if len(kept) == 0 || len(kept) == len(all) {
		return err
	}
	return errors.New(strings.Join(kept, "; "))
}

// refused is the error of an answer that is not 200.
func (c *Client) refused(answer *http.Response) error {
	message := fmt.Sprintf("it answers %s", answer.Status)
	var said struct {
		Errors []struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"errors"`
	}
	b, err := io.ReadAll(io.LimitReader(answer.Body, 16<<10))
	if err == nil && json.Unmarshal(b, &said) == nil && len(said.Errors) > 0 {
		message = fmt.Sprintf("it answers %.60s, %.200q", said.Errors[0].Code, said.Errors[0].Message)
	}
	return c.status(answer.StatusCode, message)
}

func (c *Client) status(status int, message string) error {
	e := &Error{Kind: Unavailable, Message: message}
	switch {
	case status == http.StatusNotFound:
		e.Kind = Missing
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		e.Kind = Denied
	case status == http.StatusTooManyRequests:
		e.Kind, e.Until = Limited, c.Paused()
	case status < 500:
		e.Kind = Invalid
	}
	return e
}
