package repos

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/hmarr/codeowners"

	"slipway"
	"slipway/internal/identity"
	"slipway/internal/repos/policy"
)

// maxCodeOwners bounds the file, as GitHub does: 3 MB.
const maxCodeOwners = 3 << 20

// codeOwnersPaths are where the file may lie; the first one counts.
var codeOwnersPaths = [...]string{".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS"}

// codeOwners finds out who owns the files that a pull request changes, by the file CODEOWNERS of its target: the pull request itself
// cannot change who must look at it.
func (s *Service) codeOwners(ctx context.Context, p PullRequest, f policy.Facts) (policy.Owners, error) {
	owners, rules, err := s.readCodeOwners(ctx, p)
	if err != nil || owners.Fault != "" || owners.File == "" || !f.AllPaths {
		return owners, err
	}
	members, err := s.owners(ctx, p.Project)
	if err != nil {
		return owners, err
	}
	byLine := map[int]int{} // index of the group
	for _, path := range f.Paths {
		rule, err := rules.Match(path)
		if err != nil {
			return owners, fmt.Errorf("match %s in CODEOWNERS: %w", path, err)
		}
		if rule == nil || len(rule.Owners) == 0 {
			continue
		}
		i, ok := byLine[rule.LineNumber]
		if !ok {
			i = len(owners.Groups)
			byLine[rule.LineNumber] = i
			owners.Groups = append(owners.Groups, members.group(rule))
		}
		owners.Groups[i].Paths = append(owners.Groups[i].Paths, path)
	}
	return owners, nil
}

func (s *Service) readCodeOwners(ctx context.Context, p PullRequest) (policy.Owners, codeowners.Ruleset, error) {
	for _, path := range codeOwnersPaths {
		text, err := s.ReadFile(ctx, p.Repository, p.TargetCommit, path, maxCodeOwners)
		if slipway.CodeOf(err) == slipway.CodeNotFound {
			continue
		}
		if slipway.CodeOf(err) == slipway.CodeLimit {
			return policy.Owners{File: path, Fault: fmt.Sprintf("%s has more than %d bytes", path, maxCodeOwners)}, nil, nil
		}
		if err != nil {
			return policy.Owners{}, nil, err
		}
		rules, err := codeowners.ParseFile(bytes.NewReader(text))
		if err != nil {
			return policy.Owners{File: path, Fault: fmt.Sprintf("%s cannot be read: %v", path, err)}, nil, nil
		}
		return policy.Owners{File: path}, rules, nil
	}
	return policy.Owners{}, nil, nil
}

// ownerNames are those who can own code, by @name and by address, in lower case.
type ownerNames map[string]policy.Person

func (s *Service) owners(ctx context.Context, project slipway.ProjectID) (ownerNames, error) {
	members, err := s.People.Members(ctx, project)
	if err != nil {
		return nil, err
	}
	names := ownerNames{}
	for _, m := range members {
		if !mayReview(m.User, m.Role) {
			continue
		}
		who := policy.Person{ID: string(m.ID), Name: m.Name}
		names["@"+strings.ToLower(m.Name)] = who
		if m.Email != "" {
			names[strings.ToLower(m.Email)] = who
		}
	}
	return names, nil
}

// group is a rule's owners. There are no teams: one is an owner whom nobody knows.
func (n ownerNames) group(rule *codeowners.Rule) policy.OwnedFiles {
	g := policy.OwnedFiles{Line: rule.LineNumber}
	for _, o := range rule.Owners {
		if who, ok := n[strings.ToLower(o.String())]; ok {
			g.Owners = append(g.Owners, who)
		} else {
			g.Unknown = append(g.Unknown, o.String())
		}
	}
	return g
}

var _ People = (*identity.Service)(nil)
