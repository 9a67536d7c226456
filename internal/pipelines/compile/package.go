package compile

import (
	"slices"
	"strings"

	"slipway/internal/pipelines/nearest"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/schema"
	"slipway/internal/pipelines/yaml"
)

// packageResource reads a package of npm or NuGet.
func (c *compiler) packageResource(n *yaml.Node) (r plan.Package, ok bool) {
	o, ok := c.object(n, schema.PackageResource)
	if !ok {
		return r, false
	}
	r = plan.Package{Alias: o.needed("package"), Kind: plan.PackageNPM, Endpoint: o.needed("connection"), Name: o.needed("name"), Version: o.text("version"),
		Tag: o.text("tag"), At: n.At}
	o.needed("type")
	if strings.EqualFold(o.option("type", ""), string(plan.PackageNuGet)) {
		r.Kind = plan.PackageNuGet
		if r.Tag != "" {
			c.problems.Unsupported(o.at("tag"), "tag goes with packages of npm, NuGet has none: write version")
		}
	}
	if strings.Count(strings.TrimPrefix(r.Name, "@"), "/") > 1 {
		c.problems.Add(o.at("name"), "name of a package is OWNER/NAME or NAME, not %q", r.Name)
	}
	if r.Version != "" && r.Tag != "" {
		c.problems.Add(o.at("tag"), "a package has a version or a tag, not both")
	}
	if t := o.get("trigger"); t != nil && !isNone(t) {
		r.Trigger = o.boolean("trigger", true)
	}
	return r, r.Alias != "" && r.Endpoint != "" && r.Name != ""
}

// getPackage reads a step that downloads a package.
func (c *compiler) getPackage(o object, s *plan.Step) bool {
	alias := o.needed("getPackage")
	if alias == "" {
		return false
	}
	p := c.resources.Package(alias)
	if p == nil {
		if c.template { // the file that includes this one declares it
			p = &plan.Package{Alias: alias}
		} else {
			var known []string
			for i := range c.resources.Packages {
				known = append(known, c.resources.Packages[i].Alias)
			}
			c.problems.Add(o.get("getPackage").At, "getPackage is a package declared under resources.packages, not %q%s", alias, nearest.Suggest(alias, known))
			return false
		}
	}
	path := strings.ReplaceAll(o.text("path"), `\`, "/")
	if slices.Contains(strings.Split(path, "/"), "..") {
		c.problems.Add(o.get("path").At, "path of getPackage is below $(Pipeline.Workspace), not %q", path)
	}
	s.Kind = plan.StepPackage
	s.Package = &plan.GetPackage{Package: *p, Path: path}
	s.Connections = []plan.Connection{p.Connection()}
	c.title(s, "Get package "+p.Alias)
	return true
}
