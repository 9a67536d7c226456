package scans

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"

	"slipway"
)

const (
	maxAnswer = 256 << 20 // bytes of the scanner's answer
	maxWords  = 4 << 10   // bytes of what it says is wrong
)

// limited is a buffer that refuses more than it may hold, so that the program ends.
type limited struct {
	bytes.Buffer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	if l.left -= len(p); l.left < 0 {
		return 0, errors.New("the scanner's answer is too long")
	}
	return l.Buffer.Write(p)
}

// tail keeps the beginning of what a program says and drops the rest.
type tail struct{ bytes.Buffer }

func (t *tail) Write(p []byte) (int, error) {
	if room := maxWords - t.Len(); room > 0 {
		t.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

// call runs the scanner, which gets what feed writes, and decodes its answer. It has no environment and runs at low priority.
func (s *Service) call(ctx context.Context, into any, feed func(io.Writer) error, args ...string) error {
	if !s.Available() {
		return slipway.Unavailable("there is no scanner at %s: build it with `make scanner`", s.Program)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "nice", append([]string{s.Program}, args...)...)
	cmd.Env = []string{"PATH=/usr/bin:/bin", "GOMAXPROCS=1", "GOMEMLIMIT=1GiB"}
	cmd.WaitDelay = 10 * time.Second
	answer, words := &limited{left: maxAnswer}, &tail{}
	cmd.Stdout, cmd.Stderr = answer, words
	in, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("start the scanner: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the scanner: %w", err)
	}
	fed := feed(in)
	in.Close()
	if err := cmd.Wait(); err != nil {
		if code := slipway.CodeOf(fed); fed != nil && code != slipway.CodeInternal {
			return fed
		}
		return fmt.Errorf("the scanner ended with %w: %s", err, lastLine(words.String()))
	}
	if fed != nil {
		return fed
	}
	if err := json.Unmarshal(answer.Bytes(), into); err != nil {
		return fmt.Errorf("read the scanner's answer: %w", err)
	}
	return nil
}

// lastLine is what a program says at its end, or why it fell.
func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for _, line := range lines {
		if strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") {
			return line
		}
	}
	return strings.TrimPrefix(lines[len(lines)-1], "slipway-scanner: ")
}

func (s *Service) read(ctx context.Context, i image) (Inventory, error) {
	var out Inventory
	err := s.call(ctx, &out, func(w io.Writer) error { return s.Images.Write(ctx, i.repository, i.digest, w) }, "inventory")
	return out, err
}

// pack compresses a value for a row.
func pack(v any) ([]byte, error) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if err := errors.Join(json.NewEncoder(w).Encode(v), w.Close()); err != nil {
		return nil, fmt.Errorf("compress what was found: %w", err)
	}
	return b.Bytes(), nil
}

func unpack(b []byte, into any) error {
	if len(b) == 0 {
		return nil
	}
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err == nil {
		err = json.NewDecoder(io.LimitReader(r, maxAnswer)).Decode(into)
	}
	if err != nil {
		return fmt.Errorf("decompress what was found: %w", err)
	}
	return nil
}
