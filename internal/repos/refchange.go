package repos

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"slipway"
)

// RefUpdate asks to make, move or delete a branch or tag.
type RefUpdate struct {
	Name string // refs/heads/topic
	Old  string // the object that it names now; empty or zeros to make it anew
	New  string // the object that it shall name; empty or zeros to delete it
}

// FieldPolicy is the field of a Conflict with branch policies.
const FieldPolicy = "policy"

// maxRefUpdates bounds the refs that change at once.
const maxRefUpdates = 100

// UpdateRefs changes refs as a push would: branch policies hold, and what changed is announced. Each is changed alone; its error, in the order
// of updates, is nil when it was.
func (s *Service) UpdateRefs(ctx context.Context, id slipway.RepositoryID, actor slipway.Actor, updates []RefUpdate) ([]error, error) {
	if len(updates) > maxRefUpdates {
		return nil, slipway.Limit("at most %d refs change at once", maxRefUpdates)
	}
	r, err := s.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	results := make([]error, len(updates))
	var moved []string
	for i, u := range updates {
		if results[i] = s.updateRef(ctx, r, u); results[i] == nil {
			moved = append(moved, u.Name)
		} else if slipway.CodeOf(results[i]) == slipway.CodeInternal {
			return results, results[i]
		}
	}
	if len(moved) == 0 {
		return results, nil
	}
	// The refs are on disk: whether the caller still waits does not matter to their events.
	_, err = s.Announce(context.WithoutCancel(ctx), id, actor, moved...)
	return results, err
}

func (s *Service) updateRef(ctx context.Context, r Repository, u RefUpdate) error {
	m := refMove{Ref: u.Name, Before: objectOrZero(u.Old), After: objectOrZero(u.New)}
	if m.Before.IsZero() && m.After.IsZero() {
		return slipway.Invalid("say which object %s shall name", shorten(u.Name, 100))
	}
	name, isBranch := strings.CutPrefix(u.Name, branchPrefix)
	if !isBranch {
		var isTag bool
		if name, isTag = strings.CutPrefix(u.Name, tagPrefix); !isTag {
			return slipway.Invalid("%q is neither a branch nor a tag: write refs/heads/NAME or refs/tags/NAME", shorten(u.Name, 100))
		}
	}
	if err := checkBranch(name); err != nil {
		return err
	}
	if m.After.IsZero() {
		if isBranch && name == r.DefaultBranch {
			return slipway.Conflict("branch %s is the default branch: choose another one as the default first", name)
		}
	} else if err := s.checkTarget(ctx, r.ID, string(m.After), isBranch); err != nil {
		return err
	}
	if m.Before.IsZero() {
		if err := s.checkFree(ctx, r.ID, u.Name); err != nil {
			return err
		}
	}
	if err := s.checkLocked(ctx, r.ID, m.Ref); err != nil {
		return err
	}
	titles, err := s.refuses(ctx, r, m)
	if err != nil {
		return err
	}
	if len(titles) > 0 {
		p := slipway.Conflict("%s", strings.Join(protectedLines(m, titles)[:len(titles)+1], " "))
		p.Field = FieldPolicy
		return p
	}
	return s.moveRefs(ctx, r.ID, m)
}

// objectOrZero reads an object's name, of which one of zeros means none.
func objectOrZero(name string) slipway.CommitID {
	if strings.Trim(name, "0") == "" {
		return ""
	}
	return slipway.CommitID(strings.ToLower(name))
}

// checkTarget makes sure that a ref may name the object: a branch names a commit.
func (s *Service) checkTarget(ctx context.Context, id slipway.RepositoryID, object string, branch bool) error {
	if !objectLine().MatchString(object) {
		return slipway.Invalid("%q is no object's name", shorten(object, 80))
	}
	return s.readers.with(ctx, s.dir(id), func(r *reader) error {
		o, err := r.info(object)
		switch {
		case err != nil:
			return err
		case o.missing():
			return slipway.NotFound("the repository has no object %s", object)
		case branch && o.kind != "commit":
			return slipway.Invalid("a branch names a commit, and %s is a %s", object, o.kind)
		}
		return nil
	})
}

// checkFree says Conflict when there is a ref of that name, or one that leaves no room for it: git keeps refs as files in folders.
func (s *Service) checkFree(ctx context.Context, id slipway.RepositoryID, name string) error {
	list, err := s.refs(ctx, id, "refs/")
	if err != nil {
		return err
	}
	for _, ref := range list {
		switch {
		case ref.Full == name:
			return slipway.Conflict("there is a %s already", shortRef(name))
		case strings.HasPrefix(ref.Full, name+"/"), strings.HasPrefix(name, ref.Full+"/"):
			return slipway.Conflict("%s and %s cannot be there both, since the name of one is a folder of the other", shortRef(name), shortRef(ref.Full))
		}
	}
	return nil
}

// shortRef names a ref as people do.
func shortRef(name string) string {
	if tag, ok := strings.CutPrefix(name, tagPrefix); ok {
		return "tag " + tag
	}
	return "branch " + strings.TrimPrefix(name, branchPrefix)
}

// Protected says whether a branch has required policies, so that it changes by pull requests alone.
func (s *Service) Protected(ctx context.Context, id slipway.RepositoryID, branch string) (bool, error) {
	titles, err := s.protecting(ctx, id, branchPrefix+branch)
	return len(titles) > 0, err
}

// CreateBranch makes a branch that begins at a commit.
func (s *Service) CreateBranch(ctx context.Context, id slipway.RepositoryID, actor slipway.Actor, name string, at slipway.CommitID) error {
	return s.updateOne(ctx, id, actor, RefUpdate{Name: branchPrefix + name, New: string(at)})
}

// DeleteRef deletes a branch or tag that names an object; when it names another one meanwhile, it is a Conflict.
func (s *Service) DeleteRef(ctx context.Context, id slipway.RepositoryID, actor slipway.Actor, name, object string) error {
	return s.updateOne(ctx, id, actor, RefUpdate{Name: name, Old: object})
}

func (s *Service) updateOne(ctx context.Context, id slipway.RepositoryID, actor slipway.Actor, u RefUpdate) error {
	results, err := s.UpdateRefs(ctx, id, actor, []RefUpdate{u})
	if err != nil {
		return err
	}
	return results[0]
}

// TagRequest asks for a tag.
type TagRequest struct {
	Repository slipway.RepositoryID
	Name       string // v1.0
	Object     string // what it names
	Message    string // its notes; empty for a light tag, which has neither notes nor a tagger
	Tagger     Signature
	Actor      slipway.Actor
}

// CreateTag makes a tag and returns the object that its ref names: for one with notes the tag object.
func (s *Service) CreateTag(ctx context.Context, req TagRequest) (string, error) {
	if err := checkBranch(req.Name); err != nil {
		return "", slipway.Invalid("%q cannot be the name of a tag", shorten(req.Name, 100))
	}
	if err := s.checkTarget(ctx, req.Repository, req.Object, false); err != nil {
		return "", err
	}
	if err := s.checkFree(ctx, req.Repository, tagPrefix+req.Name); err != nil {
		return "", err
	}
	object := req.Object
	if strings.TrimSpace(req.Message) != "" {
		var err error
		if object, err = s.writeTag(ctx, req); err != nil {
			return "", err
		}
	}
	return object, s.updateOne(ctx, req.Repository, req.Actor, RefUpdate{Name: tagPrefix + req.Name, New: object})
}

func (s *Service) writeTag(ctx context.Context, req TagRequest) (string, error) {
	if len(req.Message) > maxNewMessage || strings.ContainsRune(req.Message, 0) || !utf8.ValidString(req.Message) {
		return "", slipway.Invalid("the notes of a tag are a text of at most %d bytes", maxNewMessage)
	}
	if err := req.Tagger.check("a tagger"); err != nil {
		return "", err
	}
	if req.Tagger.Time.IsZero() {
		req.Tagger.Time = s.clock.Now()
	}
	var kind string
	err := s.readers.with(ctx, s.dir(req.Repository), func(r *reader) error {
		o, err := r.info(req.Object)
		kind = o.kind
		return err
	})
	if err != nil {
		return "", err
	}
	text := fmt.Sprintf("object %s\ntype %s\ntag %s\ntagger %s <%s> %d %s\n\n%s\n", req.Object, kind, req.Name, req.Tagger.Name, req.Tagger.Email,
		req.Tagger.Time.Unix(), req.Tagger.Time.Format("-0700"), strings.TrimRight(req.Message, "\n"))
	out, err := s.git.run(ctx, command{dir: s.dir(req.Repository), args: []string{"mktag"}, stdin: strings.NewReader(text)})
	if err != nil {
		return "", fmt.Errorf("make tag: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}
