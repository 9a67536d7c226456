package repos

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"slipway"
	"slipway/internal/db"
)

const (
	branchPrefix = "refs/heads/"
	tagPrefix    = "refs/tags/"
	// maxRefs bounds the branches and tags of one repository.
	maxRefs = 500_000
	// refsBytes bounds what git tells of them, in bytes.
	refsBytes = 256 << 20
	// fewRefs are so few that they are asked for by name.
	fewRefs = 50
)

// Ref is a branch or a tag as it was last announced.
type Ref struct {
	Name    string           // `main`, without the prefix
	Full    string           // `refs/heads/main`
	Target  string           // the object named: for an annotated tag the tag object
	Commit  slipway.CommitID // the commit that it leads to; zero for a tag of something else
	Updated time.Time        // when it was announced
}

// Branches returns the branches in the order of their names.
func (s *Service) Branches(ctx context.Context, id slipway.RepositoryID) ([]Ref, error) {
	return s.refs(ctx, id, branchPrefix)
}

// Tags returns the tags in the order of their names.
func (s *Service) Tags(ctx context.Context, id slipway.RepositoryID) ([]Ref, error) {
	return s.refs(ctx, id, tagPrefix)
}

func scanRef(row interface{ Scan(...any) error }, r *Ref) error {
	var updated int64
	err := row.Scan(&r.Full, &r.Target, (*string)(&r.Commit), &updated)
	r.Updated = db.Time(updated)
	r.Name = strings.TrimPrefix(strings.TrimPrefix(r.Full, branchPrefix), tagPrefix)
	return err
}

// refs reads the announced refs whose full name begins with prefix.
func (s *Service) refs(ctx context.Context, id slipway.RepositoryID, prefix string) ([]Ref, error) {
	const query = `SELECT name, target, commit_id, updated FROM repository_refs WHERE repository = $1 AND substr(name, 1, $2) = $3 LIMIT $4`
	list, err := db.List(ctx, s.db, scanRef, query, string(id), len(prefix), prefix, maxRefs)
	if err != nil {
		return nil, fmt.Errorf("list refs of repository %s: %w", id, err)
	}
	slices.SortFunc(list, func(a, b Ref) int { return strings.Compare(a.Full, b.Full) })
	return list, nil
}

// announcedRefs reads the announced refs of these full names, or all of them.
func (s *Service) announcedRefs(ctx context.Context, id slipway.RepositoryID, names ...string) (map[string]Ref, error) {
	refs := map[string]Ref{}
	query, args := `SELECT name, target, commit_id, updated FROM repository_refs WHERE repository = $1 `, []any{string(id)}
	if len(names) > 0 {
		var places []string
		for _, n := range names {
			args = append(args, n)
			places = append(places, fmt.Sprintf("$%d", len(args)))
		}
		query += `AND name IN (` + strings.Join(places, ", ") + `) `
	}
	list, err := db.List(ctx, s.db, scanRef, query+fmt.Sprintf(`LIMIT %d`, maxRefs), args...)
	if err != nil {
		return nil, fmt.Errorf("list refs of repository %s: %w", id, err)
	}
	for _, r := range list {
		refs[r.Full] = r
	}
	return refs, nil
}

// refsOnDisk reads branches and tags, those named or all of them, from git itself.
func (s *Service) refsOnDisk(ctx context.Context, id slipway.RepositoryID, names ...string) (map[string]Ref, error) {
	args := []string{"for-each-ref", "--format=%(refname) %(objectname) %(objecttype) %(*objectname) %(*objecttype)", "--count=" + fmt.Sprint(maxRefs)}
	wanted := map[string]bool{}
	if len(names) == 0 || len(names) > fewRefs { // git compares each ref with each pattern
		for _, n := range names {
			wanted[n] = true
		}
		names = []string{branchPrefix, tagPrefix}
	}
	out, err := s.git.run(ctx, command{dir: s.dir(id), args: append(args, names...), limit: refsBytes})
	if err != nil {
		return nil, fmt.Errorf("read refs of repository %s: %w", id, err)
	}
	refs := map[string]Ref{}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) < 3 {
			return nil, fmt.Errorf("read refs of repository %s: unexpected line %q", id, line)
		}
		r := Ref{Full: fields[0], Target: fields[1]}
		if len(wanted) > 0 && !wanted[r.Full] {
			continue
		}
		switch {
		case fields[2] == "commit":
			r.Commit = slipway.CommitID(fields[1])
		case len(fields) == 5 && fields[4] == "commit":
			r.Commit = slipway.CommitID(fields[3])
		}
		refs[r.Full] = r
	}
	return refs, nil
}

var (
	hexName   = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9a-fA-F]{4,64}$`) })
	badInRef  = regexp.MustCompile(`[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(/|$)`)
	badAround = regexp.MustCompile(`^[-/.]|[/.]$|^@$`)
)

// checkRefName follows git-check-ref-format(1).
func checkRefName(name string) error {
	if name == "" || len(name) > 250 || badInRef.MatchString(name) || badAround.MatchString(name) {
		return slipway.Invalid("%q is no name of a branch, tag or commit", name)
	}
	return nil
}

func checkBranch(name string) error {
	if err := checkRefName(name); err != nil || strings.HasPrefix(name, "refs/") || name == "HEAD" || hexName().MatchString(name) && len(name) >= 40 {
		return slipway.Invalid("%q cannot be the name of a branch", name)
	}
	return nil
}

// Resolve finds the commit that ref means: a full object name, `refs/...`, a branch, a tag, or the beginning of an
// object name, in this order. It takes no other notation of git's.
func (s *Service) Resolve(ctx context.Context, id slipway.RepositoryID, ref string) (slipway.CommitID, error) {
	if err := checkRefName(ref); err != nil {
		return "", err
	}
	var names []string
	switch {
	case strings.HasPrefix(ref, "refs/"):
		names = []string{ref}
	case hexName().MatchString(ref) && (len(ref) == 40 || len(ref) == 64):
		names = []string{strings.ToLower(ref)}
	default:
		names = []string{branchPrefix + ref, tagPrefix + ref}
		if hexName().MatchString(ref) {
			names = append(names, strings.ToLower(ref))
		}
	}
	for i := range names {
		names[i] += "^{commit}"
	}
	var found object
	err := s.readers.with(ctx, s.dir(id), func(r *reader) error {
		list, err := r.infos(names)
		for _, o := range list {
			if !o.missing() {
				found = o
				break
			}
		}
		return err
	})
	if err != nil {
		return "", fmt.Errorf("resolve %q in repository %s: %w", ref, id, err)
	}
	if found.missing() {
		return "", slipway.NotFound("the repository has no branch, tag or commit %q", ref)
	}
	return slipway.CommitID(found.id), nil
}
