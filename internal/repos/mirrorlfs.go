package repos

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/httpx"
)

const (
	lfsMedia     = "application/vnd.git-lfs+json"
	lfsBatch     = 100     // objects that are asked for at once
	lfsPointer   = 1 << 10 // bytes that a pointer has at most (docs/spec.md of git-lfs)
	maxLFSAnswer = 4 << 20
)

// lfsPeer speaks the batch API of Git LFS (docs/api/batch.md of git-lfs) with the other host of a mirror, over HTTP. With a host that is
// reached by SSH, it is told there where that is and what opens it.
type lfsPeer struct {
	*peer
	client *http.Client
	base   string
	header map[string]string // that opens it, of a host of SSH
	until  time.Time         // when it opens nothing any more; zero for never
	left   int64             // bytes that may still come
}

func (p *peer) lfs() *lfsPeer {
	base := strings.TrimSuffix(strings.TrimSuffix(p.remote.URL, "/"), ".git") + ".git/info/lfs"
	return &lfsPeer{peer: p, client: httpx.Outbound(p.networks()), base: base, left: p.limits.Bytes}
}

const (
	// lfsSoon is how long before its end an access is asked for anew.
	lfsSoon = time.Minute
	// authenticateTime bounds a call of git-lfs-authenticate.
	authenticateTime = time.Minute
)

// authenticate asks a host of SSH where its large files are (docs/api/server-discovery.md and authentication.md of git-lfs).
func (l *lfsPeer) authenticate(ctx context.Context, operation string) error {
	if !l.remote.SSH() || l.header != nil && (l.until.IsZero() || l.s.clock.Now().Before(l.until.Add(-lfsSoon))) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, authenticateTime)
	defer cancel()
	args := l.access.SSHCommand("git-lfs-authenticate", operation)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env, cmd.WaitDelay = append([]string{}, l.s.git.base...), stopGrace
	out, stderr := &limitedBuffer{limit: 64 << 10}, &lastBytes{limit: maxStderr}
	cmd.Stdout, cmd.Stderr = out, stderr
	if err := cmd.Run(); err != nil {
		return slipway.Unavailable("the host of %s does not say where its large files are: %s", l.m.URL, said(stderr.b, err)).Because(err)
	}
	var answer struct {
		Href      string            `json:"href"`
		Header    map[string]string `json:"header"`
		ExpiresAt time.Time         `json:"expires_at"`
		ExpiresIn int64             `json:"expires_in"` // seconds, which goes before ExpiresAt
	}
	if err := json.Unmarshal(out.buf.Bytes(), &answer); err != nil {
		return slipway.Unavailable("the host of %s does not answer git-lfs-authenticate as Git LFS has it", l.m.URL).Because(err)
	}
	if u, err := url.Parse(answer.Href); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return slipway.Unavailable("the host of %s says that its large files are at %.200q, which is no address of HTTP", l.m.URL, answer.Href)
	}
	l.base, l.header, l.until = strings.TrimSuffix(answer.Href, "/"), answer.Header, answer.ExpiresAt
	if l.header == nil {
		l.header = map[string]string{}
	}
	if answer.ExpiresIn > 0 {
		l.until = l.s.clock.Now().Add(time.Duration(min(answer.ExpiresIn, int64(24*time.Hour/time.Second))) * time.Second)
	}
	return nil
}

// said is the last line that a program wrote before it failed.
func said(stderr []byte, err error) string {
	lines := strings.Split(strings.TrimSpace(string(stderr)), "\n")
	if last := strings.TrimSpace(lines[len(lines)-1]); last != "" {
		return shorten(strings.ToValidUTF8(last, "\uFFFD"), 200)
	}
	return err.Error()
}

// open adds what lets a request in at the peer's own address of large files.
func (l *lfsPeer) open(req *http.Request) {
	for name, value := range l.header {
		req.Header.Set(name, value)
	}
	if l.header == nil && l.remote.Password != "" {
		req.SetBasicAuth(l.remote.User, l.remote.Password)
	}
}

// fetchLarge brings the large files that the branches and tags name and that are not here, besides those of commits that were here.
func (p *peer) fetchLarge(ctx context.Context, before map[string]Ref) error {
	s, id := p.s, p.m.Repository
	if s.Objects == nil {
		return nil
	}
	wanted, err := s.pointers(ctx, id, before, "--branches", "--tags")
	if err != nil {
		return err
	}
	wanted = slices.DeleteFunc(wanted, func(o LFSObject) bool {
		_, err := s.LFSObject(ctx, id, o.OID)
		return err == nil
	})
	if len(wanted) == 0 {
		return nil
	}
	l, done := p.lfs(), 0
	for part := range slices.Chunk(wanted, lfsBatch) {
		answers, err := l.batch(ctx, "download", part)
		if err != nil {
			return err
		}
		for _, a := range answers {
			if err := l.download(ctx, a); err != nil {
				return err
			}
			done++
			p.transfer.say(fmt.Sprintf("Large files: %d/%d", done, len(wanted)))
		}
	}
	return nil
}

// pointers are the large files that revisions, as git-rev-list(1) takes them, name by pointers, but for those that the excluded refs name.
func (s *Service) pointers(ctx context.Context, id slipway.RepositoryID, exclude map[string]Ref, revisions ...string) ([]LFSObject, error) {
	args := append([]string{"rev-list", "--objects", "--no-object-names", "--filter=blob:limit=" + strconv.Itoa(lfsPointer), "--stdin"}, revisions...)
	var not strings.Builder
	for _, r := range exclude {
		not.WriteString("^" + r.Target + "\n")
	}
	names, err := s.git.run(ctx, command{dir: s.dir(id), args: args, stdin: strings.NewReader(not.String()), limit: 1 << 30, time: collectTimeout})
	if err != nil {
		return nil, fmt.Errorf("look for large files: %w", err)
	}
	check := command{dir: s.dir(id), args: []string{"cat-file", "--batch-check=%(objectname) %(objecttype) %(objectsize)", "--buffer"}, stdin: bytes.NewReader(names), limit: 1 << 30, time: collectTimeout}
	out, err := s.git.run(ctx, check)
	if err != nil {
		return nil, fmt.Errorf("look for large files: %w", err)
	}
	var small []string
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) == 3 && f[1] == "blob" && len(f[2]) <= 4 {
			small = append(small, f[0])
		}
	}
	seen, list := map[string]bool{}, []LFSObject{}
	err = s.readers.with(ctx, s.dir(id), func(r *reader) error {
		for _, name := range small {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			_, text, err := r.contents(name, lfsPointer)
			if errors.Is(err, errTooLarge) {
				continue
			}
			if err != nil {
				return err
			}
			if o, ok := parsePointer(text); ok && !seen[o.OID] {
				seen[o.OID] = true
				list = append(list, o)
			}
		}
		return nil
	})
	return list, err
}

// parsePointer reads the pointer that stands for a large file (docs/spec.md of git-lfs).
func parsePointer(text []byte) (o LFSObject, ok bool) {
	in := bufio.NewScanner(bytes.NewReader(text))
	if !in.Scan() || in.Text() != "version https://git-lfs.github.com/spec/v1" {
		return o, false
	}
	for in.Scan() {
		key, value, _ := strings.Cut(in.Text(), " ")
		switch key {
		case "oid":
			o.OID = strings.TrimPrefix(value, "sha256:")
		case "size":
			o.Size, _ = strconv.ParseInt(value, 10, 64)
		}
	}
	return o, CheckOID(o.OID) == nil && o.Size >= 0
}

// lfsAnswer is what a batch tells of one object.
type lfsAnswer struct {
	OID     string               `json:"oid"`
	Size    int64                `json:"size"`
	Actions map[string]lfsAction `json:"actions"`
	Error   *struct {
		Message string `json:"message"`
	} `json:"error"`
}

type lfsAction struct {
	Href   string            `json:"href"`
	Header map[string]string `json:"header"`
}

func (l *lfsPeer) batch(ctx context.Context, operation string, list []LFSObject) ([]lfsAnswer, error) {
	if err := l.authenticate(ctx, operation); err != nil {
		return nil, err
	}
	type object struct {
		OID  string `json:"oid"`
		Size int64  `json:"size"`
	}
	ask := struct {
		Operation string   `json:"operation"`
		Transfers []string `json:"transfers"`
		Objects   []object `json:"objects"`
		HashAlgo  string   `json:"hash_algo"`
	}{operation, []string{"basic"}, nil, "sha256"}
	for _, o := range list {
		ask.Objects = append(ask.Objects, object(o))
	}
	b, err := json.Marshal(ask)
	if err != nil {
		return nil, fmt.Errorf("encode request for large files: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.base+"/objects/batch", bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", lfsMedia)
	req.Header.Set("Content-Type", lfsMedia)
	l.open(req)
	res, err := l.client.Do(req)
	if err != nil {
		return nil, slipway.Unavailable("the host of %s does not answer for large files", l.m.URL).Because(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, slipway.Unavailable("the host of %s answers %s to Git LFS: the large files are not mirrored", l.m.URL, res.Status)
	}
	var answer struct {
		Objects []lfsAnswer `json:"objects"`
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, maxLFSAnswer)).Decode(&answer); err != nil {
		return nil, slipway.Unavailable("the host of %s does not speak Git LFS", l.m.URL).Because(err)
	}
	for _, a := range answer.Objects {
		if a.Error != nil {
			return nil, slipway.Unavailable("the host of %s says of large file %s: %s", l.m.URL, shorten(a.OID, 12), shorten(a.Error.Message, 200))
		}
		if CheckOID(a.OID) != nil {
			return nil, slipway.Unavailable("the host of %s does not speak Git LFS", l.m.URL)
		}
	}
	return answer.Objects, nil
}

// do sends a request of an action: with the headers that the batch gave, and no credentials of the mirror's.
func (l *lfsPeer) do(ctx context.Context, method string, a lfsAction, body io.Reader, size int64) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, a.Href, body)
	if err != nil {
		return nil, err
	}
	for name, value := range a.Header {
		req.Header.Set(name, value)
	}
	switch {
	case method == http.MethodPut:
		req.ContentLength = size
		if req.Header.Get("Content-Type") == "" {
			req.Header.Set("Content-Type", "application/octet-stream")
		}
	case method == http.MethodPost:
		req.Header.Set("Accept", lfsMedia)
		req.Header.Set("Content-Type", lfsMedia)
	}
	// A batch that gives no way to sign in leaves that to its own credentials (docs/api/batch.md: authenticated).
	if req.Header.Get("Authorization") == "" && strings.HasPrefix(a.Href, l.base+"/") {
		l.open(req)
	}
	res, err := l.client.Do(req)
	if err != nil {
		return nil, slipway.Unavailable("a large file could not be moved between here and the host of %s", l.m.URL).Because(err)
	}
	if res.StatusCode >= 300 {
		res.Body.Close()
		return nil, slipway.Unavailable("the host of %s answers %s for a large file", l.m.URL, res.Status)
	}
	return res, nil
}

func (l *lfsPeer) download(ctx context.Context, a lfsAnswer) error {
	action, ok := a.Actions["download"]
	if !ok {
		return slipway.Unavailable("the host of %s does not say where large file %s is", l.m.URL, shorten(a.OID, 12))
	}
	if l.left -= a.Size; l.left < 0 {
		return slipway.Limit("the large files have more than %d bytes", l.limits.Bytes)
	}
	res, err := l.do(ctx, http.MethodGet, action, nil, 0)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, err = l.s.PutLFSObject(ctx, l.m.actor(), l.m.Repository, a.OID, io.LimitReader(res.Body, a.Size+1)) // which verifies it
	return err
}

// pushLarge sends the large files that came since the last transfer that succeeded; all, when none has.
func (p *peer) pushLarge(ctx context.Context) error {
	s := p.s
	since := int64(0)
	if p.m.State == MirrorSucceeded && !p.m.Succeeded.IsZero() {
		since = db.Micros(p.m.Succeeded.Add(-time.Hour)) // one may have been under way
	}
	scan := func(row interface{ Scan(...any) error }, o *LFSObject) error { return row.Scan(&o.OID, &o.Size) }
	list, err := db.List(ctx, s.db, scan, `SELECT oid, size FROM lfs_objects WHERE repository = $1 AND created >= $2 ORDER BY oid LIMIT 1000000`, string(p.m.Repository), since)
	if err != nil {
		return fmt.Errorf("list large files: %w", err)
	}
	if len(list) == 0 {
		return nil
	}
	l := p.lfs()
	for part := range slices.Chunk(list, lfsBatch) {
		answers, err := l.batch(ctx, "upload", part)
		if err != nil {
			return err
		}
		for _, a := range answers {
			if err := l.upload(ctx, a); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *lfsPeer) upload(ctx context.Context, a lfsAnswer) error {
	action, ok := a.Actions["upload"]
	if !ok { // it is there
		return nil
	}
	o, err := l.s.OpenLFSObject(ctx, l.m.Repository, a.OID)
	if err != nil {
		return err
	}
	defer o.Close()
	res, err := l.do(ctx, http.MethodPut, action, o, a.Size)
	if err != nil {
		return err
	}
	res.Body.Close()
	l.transfer.say("Large file " + shorten(a.OID, 12) + " sent")
	verify, ok := a.Actions["verify"]
	if !ok {
		return nil
	}
	b, err := json.Marshal(map[string]any{"oid": a.OID, "size": a.Size})
	if err != nil {
		return fmt.Errorf("encode large file: %w", err)
	}
	if res, err = l.do(ctx, http.MethodPost, verify, bytes.NewReader(b), 0); err == nil {
		res.Body.Close()
	}
	return err
}
