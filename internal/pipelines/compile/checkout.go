package compile

import (
	"cmp"
	"slices"
	"strings"

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
		c.problems.Unsupported(o.get("checkout").At, "checkout of %q: declare the repository under resources.repositories and give its alias", repository)
		return false
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
		if c.in.Repository == nil && !c.draft {
			c.problems.Unsupported(o.get("checkout").At, "checkout of %s: other repositories are not at hand here, give its folder with --repository %s=FOLDER", repository, repository)
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
