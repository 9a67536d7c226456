package repos

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/events"
	"slipway/internal/repos/secretscan"
)

// EventSecretAllowed says that somebody let a finding of the scan for secrets through. Its subject is the repository, and its payload
// an AllowedSecret.
const EventSecretAllowed events.Kind = "repos.secret_allowed"

// AllowedSecret is a finding that is none.
type AllowedSecret struct {
	Finding string `json:"finding"`
	Reason  string `json:"reason"`
}

const (
	// secretOption is the push option that lets a finding through: git push -o secret.allow=FINDING:REASON.
	secretOption = "secret.allow="
	// maxFindings bounds the findings that a refusal lists.
	maxFindings = 20
	// scanTime bounds the scan of one push; what it has not come to by then is let through.
	scanTime = 90 * time.Second
	// maxOwnTokens bounds the texts of one push that are looked up as tokens of this server.
	maxOwnTokens = 200
)

// found is a finding with its place.
type found struct {
	secretscan.Finding
	path   string
	line   int
	commit slipway.CommitID // zero for what a page is about to commit
}

func (f found) String() string {
	at := ""
	if !f.commit.IsZero() {
		at = " in commit " + f.commit.Short()
	}
	return fmt.Sprintf("%s:%d has %s%s (finding %s)", f.path, f.line, f.Rule, at, f.ID)
}

// own says whether a text is a token of this server that is good.
func (s *Service) own(ctx context.Context) func(string) bool {
	asked := map[string]bool{}
	return func(token string) bool {
		known, ok := asked[token]
		if !ok && len(asked) < maxOwnTokens && s.People != nil {
			_, err := s.People.AuthenticateToken(ctx, token)
			known = err == nil
			asked[token] = known
		}
		return known
	}
}

// secretRefusals scans the lines that a push adds. Findings that were allowed, now or before, do not count.
func (s *Service) secretRefusals(ctx context.Context, r Repository, actor slipway.Actor, ask pushCheck) ([]string, error) {
	list, err := s.scanPush(ctx, r.ID, ask)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	if err := s.allowSecrets(ctx, r, actor, ask, list); err != nil {
		return nil, err
	}
	if list, err = s.notAllowed(ctx, r.ID, list); err != nil || len(list) == 0 {
		return nil, err
	}
	lines := []string{"The push adds what looks like secrets:"}
	for _, f := range list[:min(len(list), maxFindings)] {
		lines = append(lines, "  "+f.String())
	}
	return append(lines, "Take them out of the commits (git commit --amend, git rebase -i), and have each replaced that others may have seen.",
		fmt.Sprintf("If one is no secret: git push -o %q", secretOption+list[0].ID+":REASON")), nil
}

// scanPush looks at the lines that the commits of a push add to what the repository has, unless no file that it brings is suspect.
func (s *Service) scanPush(ctx context.Context, id slipway.RepositoryID, ask pushCheck) ([]found, error) {
	if revisions(ask) == "" { // it only deletes, and there is no quarantine
		return nil, nil
	}
	limited, cancel := context.WithTimeout(ctx, scanTime)
	defer cancel()
	inPart := func() bool {
		if limited.Err() == nil || ctx.Err() != nil {
			return false
		}
		s.logger.Warn("a push was scanned for secrets in part: it brings too much", "repository", id) // as with a long history that is imported
		return true
	}
	if suspect, err := s.suspect(limited, id, ask); err != nil || !suspect {
		if inPart() {
			return nil, nil
		}
		return nil, err
	}
	args := []string{"log", "--format=%x00%H", "-p", "-c", "-U0", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames", "--stdin", "--not", "--all"}
	cmd, err := s.quarantined(limited, id, ask, false, args...)
	if err != nil {
		return nil, err
	}
	cmd.Stdin = strings.NewReader(revisions(ask))
	scan, stderr := &patchScanner{text: secretscan.Text{Own: s.own(ctx)}}, &limitedBuffer{limit: maxStderr}
	cmd.Stdout, cmd.Stderr = scan, stderr
	err = cmd.Run()
	killGroup(cmd)
	if inPart() {
		return scan.found, nil
	}
	if err != nil && !errors.Is(err, errFindings) && !scan.full() {
		return nil, &gitError{verb: "log", stderr: strings.TrimSpace(stderr.buf.String()), err: err}
	}
	return scan.found, nil
}

var errFindings = errors.New("there are enough findings")

// patchScanner reads what git log -p -c -U0 writes, as it comes, and looks at the lines that are new to all parents.
type patchScanner struct {
	text   secretscan.Text
	rest   []byte // a line that is not whole yet
	commit slipway.CommitID
	path   string
	line   int
	signs  int // columns before a line's text: the parents of the commit
	found  []found
}

func (p *patchScanner) full() bool { return len(p.found) >= maxFindings }

// Write takes the next piece.
func (p *patchScanner) Write(b []byte) (int, error) {
	n := len(b)
	for {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			break
		}
		p.take(string(append(p.rest, b[:i]...)))
		p.rest, b = p.rest[:0], b[i+1:]
		if p.full() {
			return n - len(b), errFindings
		}
	}
	if len(p.rest) < maxPatchLine { // of a longer line the beginning counts
		p.rest = append(p.rest, b...)
	}
	return n, nil
}

// maxPatchLine bounds what is kept of a line, in bytes.
const maxPatchLine = 64 << 10

func (p *patchScanner) take(line string) {
	switch {
	case strings.HasPrefix(line, "\x00"):
		p.commit, p.path, p.signs = slipway.CommitID(line[1:]), "", 0
	case strings.HasPrefix(line, "diff --"):
		p.path, p.signs = "", 0
	case p.signs == 0 && strings.HasPrefix(line, "+++ "):
		p.path = strings.TrimPrefix(strings.Trim(strings.TrimPrefix(line, "+++ "), `"`), "b/")
	case p.path != "" && strings.HasPrefix(line, "@@"):
		p.signs = len(line) - len(strings.TrimLeft(line, "@")) - 1
		p.line = hunkStart(line)
		p.text = secretscan.Text{Own: p.text.Own}
	case p.signs > 0 && len(line) >= p.signs:
		signs, text := line[:p.signs], line[p.signs:]
		if strings.Contains(signs, "-") || signs[0] == '\\' {
			return
		}
		if strings.Trim(signs, "+") == "" {
			for _, f := range p.text.Line(text) {
				p.found = append(p.found, found{f, p.path, p.line, p.commit})
			}
		}
		p.line++
	}
}

// hunkStart is the line in the new file at which a hunk begins: `@@ -1,2 +3,4 @@`.
func hunkStart(line string) int {
	_, rest, _ := strings.Cut(line, " +")
	digits := strings.TrimLeft(rest, "0123456789")
	n, _ := strconv.Atoi(rest[:len(rest)-len(digits)])
	return n
}

// allowSecrets keeps the findings that push options let through.
func (s *Service) allowSecrets(ctx context.Context, r Repository, actor slipway.Actor, ask pushCheck, list []found) error {
	for _, o := range ask.options {
		text, ok := strings.CutPrefix(o, secretOption)
		if !ok {
			continue
		}
		id, reason, _ := strings.Cut(text, ":")
		there := false
		for _, f := range list {
			there = there || f.ID == id
		}
		if !there {
			return slipway.Invalid("the push has no finding %q", shorten(id, 40))
		}
		if err := s.AllowSecret(ctx, actor, r.ID, AllowedSecret{id, reason}); err != nil {
			return err
		}
	}
	return nil
}

// AllowSecret lets a finding through in a repository, from now on.
func (s *Service) AllowSecret(ctx context.Context, by slipway.Actor, id slipway.RepositoryID, a AllowedSecret) error {
	if a.Reason = strings.TrimSpace(a.Reason); a.Reason == "" || len(a.Reason) > maxReason || strings.ContainsRune(a.Reason, 0) {
		return slipway.Invalid("say why finding %s is no secret, as %s%s:REASON, in at most %d bytes", shorten(a.Finding, 40), secretOption, shorten(a.Finding, 40), maxReason)
	}
	r, err := s.Get(ctx, id)
	if err != nil {
		return err
	}
	actor, err := json.Marshal(by)
	if err != nil {
		return fmt.Errorf("encode actor: %w", err)
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		const insert = `INSERT INTO allowed_secrets (repository, finding, reason, allowed, allowed_by) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`
		if _, err := tx.ExecContext(ctx, insert, string(id), a.Finding, a.Reason, db.Micros(s.clock.Now()), string(actor)); err != nil {
			return err
		}
		return s.log.Append(ctx, tx, r.event(EventSecretAllowed, by), a)
	})
	if err != nil {
		return fmt.Errorf("allow finding %s: %w", a.Finding, err)
	}
	return nil
}

// notAllowed leaves out the findings that somebody let through.
func (s *Service) notAllowed(ctx context.Context, id slipway.RepositoryID, list []found) ([]found, error) {
	var left []found
	for _, f := range list {
		n, err := db.One(ctx, s.db, db.Value[int64], `SELECT count(*) FROM allowed_secrets WHERE repository = $1 AND finding = $2`, string(id), f.ID)
		if err != nil {
			return nil, fmt.Errorf("look up finding %s: %w", f.ID, err)
		}
		if n == 0 {
			left = append(left, f)
		}
	}
	return left, nil
}

// checkSecrets refuses files of a commit that a page makes when they add what looks like a secret.
func (s *Service) checkSecrets(ctx context.Context, req CommitRequest, parent slipway.CommitID) error {
	own := s.own(ctx)
	var list []found
	for _, c := range req.Changes {
		if c.Delete || c.From != "" || bytes.IndexByte(c.Content, 0) >= 0 { // nothing new, or binary
			continue
		}
		had := map[string]bool{}
		if !parent.IsZero() {
			old, err := s.ReadFile(ctx, req.Repository, parent, c.Path, maxChangeBytes)
			if slipway.CodeOf(err) == slipway.CodeInternal { // else there was no such file
				return err
			}
			for line := range strings.Lines(string(old)) {
				had[strings.TrimRight(line, "\r\n")] = true
			}
		}
		text, n := secretscan.Text{Own: own}, 0
		for line := range strings.Lines(string(c.Content)) {
			n++
			line = strings.TrimRight(line, "\r\n")
			for _, f := range text.Line(line) {
				if !had[line] {
					list = append(list, found{Finding: f, path: c.Path, line: n})
				}
			}
		}
	}
	list, err := s.notAllowed(ctx, req.Repository, list)
	if err != nil || len(list) == 0 {
		return err
	}
	return slipway.Invalid("%s: take it out; if it is no secret, push it with git and -o %q", list[0], secretOption+list[0].ID+":REASON")
}
