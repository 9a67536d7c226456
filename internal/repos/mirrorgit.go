package repos

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"slipway"
	"slipway/internal/gitremote"
)

// mirrorSpecs are the refs that mirrors have in common: branches and tags.
var mirrorSpecs = []string{"+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"}

// peer is a repository of another host during a transfer.
type peer struct {
	s        *Service
	m        *Mirror
	transfer *transfer
	remote   gitremote.Remote
	access   *gitremote.Access
	limits   TransferLimits
}

func (s *Service) openPeer(ctx context.Context, m *Mirror, t *transfer, limits TransferLimits) (*peer, error) {
	secret, err := s.openMirror(*m)
	if err != nil {
		return nil, err
	}
	p := &peer{s: s, m: m, transfer: t, limits: limits, remote: gitremote.Remote{URL: m.URL, User: m.User, Password: secret.Password, PrivateKey: secret.PrivateKey, KnownHosts: m.KnownHosts}}
	if m.Connection != "" {
		if s.Connections == nil {
			return nil, slipway.Unsupported("this server has no service connections")
		}
		if p.remote.User, p.remote.Password, err = s.Connections.GitCredentials(ctx, m.Project, m.Connection); err != nil {
			return nil, err
		}
	}
	if p.access, err = gitremote.Open(p.remote, gitremote.Options{Networks: p.networks(), MaxBytes: limits.Bytes, Scratch: s.git.scratch}); err != nil {
		return nil, err
	}
	return p, nil
}

// networks are those that the peer may be in besides public ones.
func (p *peer) networks() []netip.Prefix {
	if p.m.Private {
		return gitremote.Everywhere
	}
	return p.s.Networks
}

// git runs one command that reaches the peer, and returns its output; what it says of its progress is shown.
func (p *peer) git(ctx context.Context, args ...string) (string, error) {
	settings := append(p.access.Settings(), "fetch.unpackLimit=1", "fetch.writeCommitGraph=false",
		"fetch.fsck.badTimezone=ignore", "fetch.fsck.missingSpaceBeforeDate=ignore", "fetch.fsck.zeroPaddedFilemode=ignore")
	cmd := p.s.git.prepare(ctx, p.s.dir(p.m.Repository), args...)
	cmd.Env = append(p.s.git.environment(settings), "GIT_DIR="+p.s.dir(p.m.Repository))
	cmd.Env = append(cmd.Env, p.access.Environment()...)
	out, stderr := &limitedBuffer{limit: 64 << 20}, &lastBytes{limit: maxStderr}
	cmd.Stdout, cmd.Stderr = out, io.MultiWriter(stderr, p.transfer)
	err := cmd.Run()
	killGroup(cmd)
	if err != nil {
		return "", &gitError{verb: verb(args), stderr: strings.TrimSpace(string(stderr.b) + out.buf.String()[:min(out.buf.Len(), 1<<10)]), err: err}
	}
	return out.buf.String(), nil
}

// lastBytes keeps the end of what is written: with progress before it, that is where the error is.
type lastBytes struct {
	b     []byte
	limit int
}

func (l *lastBytes) Write(b []byte) (int, error) {
	if l.b = append(l.b, b...); len(l.b) > l.limit {
		l.b = append([]byte{}, l.b[len(l.b)-l.limit:]...)
	}
	return len(b), nil
}

// remoteRefs are the branches and tags of the peer, the branch that is its default one, if it says so, and by what its objects are
// named, empty when it has none.
func (p *peer) remoteRefs(ctx context.Context) (names []string, head string, format ObjectFormat, err error) {
	out, err := p.git(ctx, "ls-remote", "--symref", p.remote.URL, "HEAD", "refs/heads/*", "refs/tags/*")
	if err != nil {
		return nil, "", "", p.access.Failure(ctx, "fetched", err)
	}
	for line := range strings.Lines(out) {
		id, name, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if target, ok := strings.CutPrefix(id, "ref: "); ok {
			head = target
		} else if name != "HEAD" && !strings.HasSuffix(name, "^{}") {
			names, format = append(names, name), formatOf(id)
		}
	}
	return names, strings.TrimPrefix(head, branchPrefix), format, nil
}

// pull makes the repository's branches and tags those of the peer. Objects come first, and the refs of an import all at once.
func (p *peer) pull(ctx context.Context) error {
	s, id := p.s, p.m.Repository
	if err := s.removeUnfinished(id); err != nil {
		return err
	}
	names, head, format, err := p.remoteRefs(ctx)
	if err != nil {
		return err
	}
	if format != "" {
		if err := s.adoptFormat(ctx, id, format, p.m.URL); err != nil {
			return err
		}
	}
	before, err := s.refsOnDisk(ctx, id)
	if err != nil {
		return err
	}
	if len(names) > maxRefs {
		return slipway.Limit("repository %s has %d branches and tags, more than the %d that are taken here", p.m.URL, len(names), maxRefs)
	}
	if len(names) == 0 && len(before) > 0 { // more likely a fault of the other host than the wish to lose everything
		return slipway.Conflict("repository %s has no branch any more: nothing was changed here", p.m.URL)
	}
	args := []string{"fetch", "--progress", "--force", "--prune", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance"}
	if len(before) == 0 {
		err = p.fetchFirst(ctx, names, args)
	} else {
		_, err = p.git(ctx, slices.Concat(args, []string{p.remote.URL}, mirrorSpecs)...)
	}
	if err != nil {
		return p.access.Failure(ctx, "fetched", err)
	}
	// The refs are on disk: whatever happens now, their events come.
	lasting := context.WithoutCancel(ctx)
	if head != "" && checkBranch(head) == nil {
		if err := s.followHead(lasting, id, head); err != nil {
			return err
		}
	}
	if p.m.State != MirrorSucceeded { // what was here may lack large files
		before = nil
	}
	large := p.fetchLarge(ctx, before) // before the events, whose runs want them
	list, err := s.Announce(lasting, id, p.m.actor())
	if err != nil {
		return err
	}
	p.transfer.say(fmt.Sprintf("%d branches and tags changed", len(list)))
	return large
}

// fetchFirst fetches into a repository that has no branch and no tag, of a peer that has these.
func (p *peer) fetchFirst(ctx context.Context, names, fetch []string) error {
	fetch = slices.Concat(fetch, []string{"--atomic", p.remote.URL}, mirrorSpecs)
	var moves []refMove
	for _, n := range names {
		moves = append(moves, refMove{Ref: n})
	}
	if len(moves) <= movesAlone || slices.ContainsFunc(names, func(n string) bool { return checkRefName(n) != nil }) {
		_, err := p.git(ctx, fetch...)
		return err
	}
	return p.s.moveUnsynced(p.m.Repository, moves, func() error {
		if _, err := p.git(ctx, append([]string{"-c", unsyncedRefs}, fetch...)...); err != nil {
			return err
		}
		// The peer may have got more in the meantime.
		disk, err := p.s.refsOnDisk(ctx, p.m.Repository)
		if err != nil {
			return err
		}
		var all []refMove
		for n := range disk {
			all = append(all, refMove{Ref: n})
		}
		return syncRefs(p.s.dir(p.m.Repository), all)
	})
}

// followHead takes the peer's default branch, if it is there.
func (s *Service) followHead(ctx context.Context, id slipway.RepositoryID, head string) error {
	r, err := s.Get(ctx, id)
	if err != nil || r.DefaultBranch == head {
		return err
	}
	disk, err := s.refsOnDisk(ctx, id, branchPrefix+head)
	if err != nil || len(disk) == 0 {
		return err
	}
	return s.setDefaultBranch(ctx, id, head)
}

// push makes the peer's branches and tags those of the repository.
func (p *peer) push(ctx context.Context) error {
	refs, err := p.s.refsOnDisk(ctx, p.m.Repository)
	if err != nil {
		return err
	}
	if len(refs) == 0 {
		return nil // there is nothing, and nothing of the other is to be lost
	}
	if err := p.pushLarge(ctx); err != nil {
		return err
	}
	args := append([]string{"push", "--progress", "--porcelain", "--force", "--prune", p.remote.URL}, mirrorSpecs...)
	if _, err := p.git(ctx, args...); err != nil {
		if strings.Contains(err.Error(), "does not support this repository's hash algorithm") {
			return p.otherFormat(ctx, err)
		}
		if refused := refusedRefs(err); refused != "" {
			return slipway.Conflict("the host of %s refuses to move %s", p.m.URL, refused).Because(err)
		}
		return p.access.Failure(ctx, "pushed", err)
	}
	return nil
}

// otherFormat says that the peer names its objects by another hash than the repository: git translates none.
func (p *peer) otherFormat(ctx context.Context, err error) error {
	r, getting := p.s.Get(ctx, p.m.Repository)
	if getting != nil {
		return getting
	}
	return slipway.Conflict("repository %s names its objects by %s and %s by the other hash: mirror it to a repository that is made with git init --object-format=%s",
		r.Name, r.ObjectFormat.people(), p.m.URL, r.ObjectFormat).Because(err)
}

// refusedRefs are the refs that a push did not move, with the other host's reasons (git-push(1), output of --porcelain).
func refusedRefs(err error) string {
	var list []string
	for line := range strings.Lines(err.Error()) {
		if f := strings.Split(strings.TrimSpace(line), "\t"); len(f) == 3 && f[0] == "!" {
			_, to, _ := strings.Cut(f[1], ":")
			list = append(list, to+" "+strings.TrimPrefix(f[2], "[remote rejected] "))
		}
	}
	if len(list) > 5 {
		list = append(list[:5], fmt.Sprintf("and %d more", len(list)-5))
	}
	return strings.Join(list, ", ")
}

// removeUnfinished removes packs that a transfer before has not finished, at once, and those that upkeep has not, when they are old.
// Whoever calls it holds working; pushes write elsewhere.
func (s *Service) removeUnfinished(id slipway.RepositoryID) error {
	for pattern, age := range map[string]time.Duration{"tmp_*": 0, "*.temp": 0, ".tmp-*": time.Hour} {
		list, err := filepath.Glob(filepath.Join(s.dir(id), "objects", "pack", pattern))
		if err != nil {
			return fmt.Errorf("look for unfinished packs: %w", err)
		}
		for _, name := range list {
			info, err := os.Stat(name)
			if err == nil && s.clock.Now().Sub(info.ModTime()) >= age {
				err = os.Remove(name)
			}
			if err != nil && !os.IsNotExist(err) {
				return fmt.Errorf("remove unfinished pack: %w", err)
			}
		}
	}
	return nil
}
