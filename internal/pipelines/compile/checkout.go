package compile

import (
	"cmp"
	"slices"
	"strings"

	"slipway"
	"slipway/internal/pipelines/nearest"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/yaml"
)

func (c *compiler) checkout(o object, s *plan.Step) bool {
	repository := o.needed("checkout")
	switch {
	case strings.EqualFold(repository, "self"), strings.EqualFold(repository, "none"):
		repository = strings.ToLower(repository)
	case repository == "":
		return false
	case strings.Contains(repository, "://"):
		r := c.inlineRepository(repository, o.get("checkout").At)
		if r == nil || !c.atHand(repository, o) {
			return false
		}
		repository = r.Alias
	default:
		r := c.alias(repository)
		if r == nil && c.template {
			r = &plan.Repository{Alias: repository} // the file that includes this one declares it
		}
		if r == nil {
			aliases := []string{"self", "none"}
			for _, known := range c.resources.Repositories {
				aliases = append(aliases, known.Alias)
			}
			c.problems.Add(o.get("checkout").At, "checkout is self, none or a repository declared under resources.repositories, not %q%s", repository, nearest.Suggest(repository, aliases))
			return false
		}
		if !c.atHand(repository, o) {
			return false
		}
		repository = r.Alias
	}
	s.Kind = plan.StepCheckout
	s.Checkout = &plan.Checkout{
		Repository: repository, FetchDepth: c.depth(o), FetchFilter: o.text("fetchFilter"), FetchTags: o.flag("fetchTags"), Clean: o.flag("clean"),
		WorkspaceRepo: o.flag("workspaceRepo"), LFS: o.flag("lfs"), PersistCredentials: o.flag("persistCredentials"), Path: c.checkoutPath(o), Submodules: c.submodules(o),
		SparseDirectories: o.text("sparseCheckoutDirectories"), SparsePatterns: o.text("sparseCheckoutPatterns"),
	}
	byDefault(s.Checkout, c.checkouts[strings.ToLower(repository)])
	c.title(s, "Checkout "+repository)
	return true
}

// atHand reports whether other repositories than the file's own can be checked out.
func (c *compiler) atHand(repository string, o object) bool {
	if c.in.Repository != nil || c.draft {
		return true
	}
	c.problems.Unsupported(o.get("checkout").At, "checkout of %s: other repositories are not at hand here, give its folder with --repository %s=FOLDER", repository, repository)
	return false
}

// inlineRepository is the repository that a checkout names in place of an alias: git://PROJECT/REPOSITORY, or git://REPOSITORY of the pipeline's
// own project, of this server, at the ref after the first @ or else on its default branch (multi-repo-checkout of Azure Pipelines'
// documentation, "Repository declared using inline syntax"). It becomes a resource whose alias is the text itself. nil is after a problem.
func (c *compiler) inlineRepository(text string, at slipway.Position) *plan.Repository {
	scheme, rest, _ := strings.Cut(text, "://")
	name, ref, hasRef := strings.Cut(rest, "@")
	parts := strings.Split(name, "/")
	switch scheme = strings.ToLower(scheme); {
	case scheme == "github" || scheme == "bitbucket":
		c.problems.Unsupported(at, "checkout of %q: in place git:// alone is there, for repositories of this server: declare this one under resources.repositories with type: %s and name: %s, and give its alias",
			text, scheme, cmp.Or(name, "OWNER/REPOSITORY"))
		return nil
	case scheme != "git":
		c.problems.Add(at, "checkout of %q: it takes no URL: write git://PROJECT/REPOSITORY for a repository of this server, or declare the repository under resources.repositories and give its alias", text)
		return nil
	case strings.Contains(text, "$("):
		c.problems.Add(at, "checkout of %q: which repository and ref it is must be known before a run starts, when $( ) is not yet: write ${{ parameters.NAME }} or ${{ variables.NAME }}", text)
		return nil
	case c.drafted && (slices.Contains(parts, "") || hasRef && ref == ""): // a parameter's value is not known yet
		return &plan.Repository{Alias: text}
	case len(parts) > 2 || slices.Contains(parts, ""):
		c.problems.Add(at, "checkout of %q: write git://PROJECT/REPOSITORY, or git://REPOSITORY of the pipeline's own project, and @REF behind it for another ref than the default branch", text)
		return nil
	case hasRef && ref == "":
		c.problems.Add(at, "checkout of %q: there is no ref behind the @: write a branch or refs/tags/TAG, or leave the @ out for the default branch", text)
		return nil
	}
	if known := c.alias(text); known != nil {
		if known.Implied && known.Ref != ref { // aliases are the same in any case, and refs are not
			c.problems.Unsupported(at, "checkout of %q: another step checks out %q, which differs in case alone: declare one of them under resources.repositories and give its alias", text, known.Alias)
			return nil
		}
		return known
	}
	c.resources.Repositories = append(c.resources.Repositories, plan.Repository{Alias: text, Type: "git", Name: name, Ref: ref, Implied: true, At: at})
	return c.alias(text)
}

// byDefault completes a checkout by what resources say of its repository.
func byDefault(own *plan.Checkout, of plan.Checkout) {
	own.Clean, own.LFS, own.Submodules = cmp.Or(own.Clean, of.Clean), cmp.Or(own.LFS, of.LFS), cmp.Or(own.Submodules, of.Submodules)
	own.FetchDepth, own.FetchTags = cmp.Or(own.FetchDepth, of.FetchDepth), cmp.Or(own.FetchTags, of.FetchTags)
	own.PersistCredentials = cmp.Or(own.PersistCredentials, of.PersistCredentials)
}

func (c *compiler) depth(o object) string {
	text := strings.TrimSpace(o.text("fetchDepth"))
	if strings.Contains(text, "$(") || text == "" {
		return text
	}
	return itoa(o.integer("fetchDepth", 0))
}

func (c *compiler) submodules(o object) string {
	n := o.get("submodules")
	switch {
	case n == nil || n.IsNull():
		return ""
	case n.Kind != yaml.Scalar:
		c.problems.Add(n.At, "submodules of checkout is true, false or recursive, not %s", describe(n))
		return ""
	case strings.EqualFold(n.Text, "recursive"):
		return "recursive"
	}
	return o.flag("submodules")
}

func (c *compiler) checkoutPath(o object) string {
	path := strings.ReplaceAll(o.text("path"), `\`, "/")
	if strings.HasPrefix(path, "/") || slices.Contains(strings.Split(path, "/"), "..") {
		c.problems.Add(o.get("path").At, "path of checkout is below $(Pipeline.Workspace), not %q", path)
		return ""
	}
	return path
}
