package repos

import (
	"context"
	"path"
	"strings"

	"slipway"
)

// maxTemplate bounds the text of a template, in bytes.
const maxTemplate = 16 << 10

// PullRequestTemplate returns the text with which descriptions of pull requests into a branch begin; empty without one. As in Azure Repos it is a file of the
// default branch: `pull_request_template.md`, or for some targets `pull_request_template/branches/TARGET.md`, of which the branch's first part is enough,
// in `.azuredevops`, `.vsts`, `docs`, `.github` or the root.
func (s *Service) PullRequestTemplate(ctx context.Context, r Repository, target string) (string, error) {
	commit, err := s.Resolve(ctx, r.ID, branchPrefix+r.DefaultBranch)
	if err != nil {
		if slipway.CodeOf(err) == slipway.CodeNotFound {
			err = nil
		}
		return "", err
	}
	target = strings.TrimPrefix(target, branchPrefix)
	first, _, _ := strings.Cut(target, "/")
	for _, name := range []string{"pull_request_template/branches/" + target + ".md", "pull_request_template/branches/" + first + ".md", "pull_request_template.md",
		"PULL_REQUEST_TEMPLATE.md"} {
		for _, folder := range []string{".azuredevops", ".vsts", "docs", ".github", ""} {
			text, err := s.ReadFile(ctx, r.ID, commit, path.Join(folder, name), maxTemplate)
			switch slipway.CodeOf(err) {
			case "":
				return strings.ToValidUTF8(strings.ReplaceAll(string(text), "\r\n", "\n"), "\uFFFD"), nil
			case slipway.CodeNotFound, slipway.CodeInvalid, slipway.CodeLimit: // no such file, a folder, or no template
			default:
				return "", err
			}
		}
	}
	return "", nil
}
