package tool

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

const (
	maxIndex     = 64 << 20 // bytes of a list of versions
	maxSums      = 4 << 20  // bytes of a file of checksums
	maxArchive   = 1 << 30  // bytes of an archive
	stall        = time.Minute
	downloadTime = 30 * time.Minute
	progressTime = 5 * time.Second
	defaultTries = 3
	defaultPause = time.Second
	maxTries     = 20
	maxPause     = 5 * time.Minute
)

var errStalled = fmt.Errorf("nothing came for %v", stall)

// newClient is for downloads: it waits for the beginning of an answer for a limited time only, and as long as something
// comes for the rest.
func newClient() *http.Client {
	t := &http.Transport{Proxy: http.ProxyFromEnvironment, ResponseHeaderTimeout: stall, TLSHandshakeTimeout: 30 * time.Second,
		IdleConnTimeout: stall, ForceAttemptHTTP2: true}
	return &http.Client{Transport: t}
}

// errMissing is an answer that says that there is no such file.
var errMissing = errors.New("there is no such file (404)")

// shown is a URL as people may read it, without its password.
func shown(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	return u.Redacted()
}

// get reads a URL, again after failures that may pass, and gives the body to read.
func (i *Installer) get(ctx context.Context, address string, read func(*http.Response) error) error {
	ctx, cancel := context.WithTimeout(ctx, downloadTime)
	defer cancel()
	tries, pause := i.Tries, i.Pause
	if tries <= 0 {
		tries = defaultTries
	}
	if pause <= 0 {
		pause = defaultPause
	}
	for try := 1; ; try++ {
		again, err := i.once(ctx, address, read)
		if err == nil || !again || try >= min(tries, maxTries) || ctx.Err() != nil {
			if err != nil {
				err = fmt.Errorf("%s cannot be read: %w", shown(address), err)
			}
			return err
		}
		i.Logf("%s cannot be read: %v; it is tried again (%d of %d)", shown(address), err, try, tries-1)
		timer := time.NewTimer(min(pause, maxPause))
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

// once reads a URL. The first result says whether another try may help.
func (i *Installer) once(ctx context.Context, address string, read func(*http.Response) error) (bool, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return false, err
	}
	request.Header.Set("User-Agent", "slipway-agent")
	resp, err := i.client().Do(request)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // the sentence names the URL itself
		}
		return true, err
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusNotFound:
		return false, errMissing
	case resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusRequestTimeout:
		return true, fmt.Errorf("the answer was %s", resp.Status)
	case resp.StatusCode != http.StatusOK:
		return false, fmt.Errorf("the answer was %s", resp.Status)
	}
	timer := time.AfterFunc(stall, func() { cancel(errStalled) })
	defer timer.Stop()
	resp.Body = struct {
		io.Reader
		io.Closer
	}{watched{resp.Body, timer}, resp.Body}
	err = read(resp)
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, errStalled) {
		err = cause
	}
	var final errFinal
	return !errors.As(err, &final), err
}

// errFinal is a failure that another try cannot mend.
type errFinal struct{ error }

func (e errFinal) Unwrap() error { return e.error }

// watched puts the timer of a stall off while something comes.
type watched struct {
	io.Reader
	timer *time.Timer
}

func (w watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	w.timer.Reset(stall)
	return n, err
}

// text reads a small file.
func (i *Installer) text(ctx context.Context, address string, limit int64) (string, error) {
	var text []byte
	err := i.get(ctx, address, func(resp *http.Response) error {
		var err error
		if text, err = io.ReadAll(io.LimitReader(resp.Body, limit+1)); err != nil {
			return err
		}
		if int64(len(text)) > limit {
			return errFinal{fmt.Errorf("it has more than %d bytes", limit)}
		}
		return nil
	})
	return string(text), err
}

// json reads a list of versions.
func (i *Installer) json(ctx context.Context, address string, into any) error {
	text, err := i.text(ctx, address, maxIndex)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		return fmt.Errorf("%s is not the JSON that the vendor publishes there: %w", shown(address), err)
	}
	return nil
}

// download writes a file and compares it with its checksum: SHA-256 or SHA-512 in hexadecimal, known by its length.
func (i *Installer) download(ctx context.Context, r release, to *os.File) error {
	sum, err := newSum(r.sum)
	if err != nil {
		return fmt.Errorf("%s: %w", shown(r.url), err)
	}
	i.Logf("Downloading %s", shown(r.url))
	return i.get(ctx, r.url, func(resp *http.Response) error {
		if resp.ContentLength > maxArchive {
			return errFinal{fmt.Errorf("it has more than %d MiB", maxArchive>>20)}
		}
		if _, err := to.Seek(0, io.SeekStart); err != nil {
			return errFinal{err}
		}
		if err := to.Truncate(0); err != nil {
			return errFinal{err}
		}
		sum.Reset()
		p := &progress{logf: i.Logf, total: resp.ContentLength, last: time.Now()}
		n, err := io.Copy(io.MultiWriter(to, sum, p), io.LimitReader(resp.Body, maxArchive+1))
		if err != nil {
			return err
		}
		if n > maxArchive {
			return errFinal{fmt.Errorf("it has more than %d MiB", maxArchive>>20)}
		}
		if resp.ContentLength >= 0 && n != resp.ContentLength {
			return fmt.Errorf("it broke off after %d of %d bytes", n, resp.ContentLength)
		}
		if r.check != nil {
			i.Logf("Downloaded %.1f MiB", float64(n)/(1<<20))
			return nil
		}
		if got := hex.EncodeToString(sum.Sum(nil)); got != r.sum {
			return errFinal{fmt.Errorf("its checksum is %s, and the one that is published is %s", got, r.sum)}
		}
		i.Logf("Downloaded %.1f MiB, and the checksum is right", float64(n)/(1<<20))
		return nil
	})
}

func newSum(text string) (hash.Hash, error) {
	switch len(text) {
	case 0, 2 * sha256.Size:
		return sha256.New(), nil
	case 2 * sha512.Size:
		return sha512.New(), nil
	}
	return nil, fmt.Errorf("the published checksum %.130q is neither SHA-256 nor SHA-512", text)
}

// progress tells every few seconds how much has come.
type progress struct {
	logf        func(string, ...any)
	done, total int64
	last        time.Time
}

func (p *progress) Write(b []byte) (int, error) {
	p.done += int64(len(b))
	if time.Since(p.last) >= progressTime {
		p.last = time.Now()
		if p.total > 0 {
			p.logf("%d of %d MiB (%d %%)", p.done>>20, p.total>>20, p.done*100/p.total)
		} else {
			p.logf("%d MiB", p.done>>20)
		}
	}
	return len(b), nil
}

// sumOf finds a file's checksum in a list of `CHECKSUM  NAME` lines, or in a file of a checksum alone.
func sumOf(list, name string) (string, error) {
	lines := strings.Split(strings.TrimSpace(list), "\n")
	for _, line := range lines {
		fields := strings.Fields(line)
		if len(fields) == 2 && strings.TrimPrefix(fields[1], "*") == name || len(fields) == 1 && len(lines) == 1 {
			return strings.ToLower(fields[0]), nil
		}
	}
	return "", fmt.Errorf("it holds no checksum of %s", name)
}

// published reads a file of checksums.
func (i *Installer) published(ctx context.Context, address, name string) (string, error) {
	list, err := i.text(ctx, address, maxSums)
	if err != nil {
		return "", err
	}
	sum, err := sumOf(list, name)
	if err != nil {
		return "", fmt.Errorf("%s: %w", shown(address), err)
	}
	if len(sum) != 2*sha256.Size && len(sum) != 2*sha512.Size {
		return "", fmt.Errorf("%s: %.130q is neither SHA-256 nor SHA-512", shown(address), sum)
	}
	return sum, nil
}
