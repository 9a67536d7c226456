package compile

import (
	"slices"
	"strings"

	"slipway/internal/pipelines/nearest"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/yaml"
)

func (c *compiler) publish(o object, s *plan.Step, key string) bool {
	s.Kind = plan.StepPublish
	s.Publish = &plan.Publish{Path: o.needed(key), Artifact: o.text("artifact"), Properties: o.text("properties")}
	c.checkArtifact(o.get("artifact"))
	title := "Publish artifact"
	if s.Publish.Artifact != "" {
		title += " " + s.Publish.Artifact
	}
	c.title(s, title)
	return s.Publish.Path != ""
}

// checkArtifact refuses names that cannot be a folder's.
func (c *compiler) checkArtifact(n *yaml.Node) {
	if n != nil && n.Kind == yaml.Scalar && strings.ContainsAny(n.Text, `\/":<>|*?`) && !strings.Contains(n.Text, "$(") {
		c.problems.Add(n.At, `artifact name %q holds one of \ / " : < > | * ?`, n.Text)
	}
}

func (c *compiler) download(o object, s *plan.Step, key string) bool {
	source := o.needed(key)
	switch {
	case strings.EqualFold(source, "current"), strings.EqualFold(source, "none"):
		source = strings.ToLower(source)
	case source == "":
		return false
	default:
		known := []string{"current", "none"}
		for _, p := range c.resources.Pipelines {
			known = append(known, p.Alias)
		}
		if slices.Contains(c.builds, strings.ToLower(source)) {
			c.problems.Unsupported(o.get(key).At, "build %s is of another system, from which nothing can be downloaded: fetch its files in a script step", source)
			return false
		}
		if !slices.Contains(known, source) && !c.template {
			c.problems.Add(o.get(key).At, "%s is current, none or a pipeline declared under resources.pipelines, not %q%s", key, source, nearest.Suggest(source, known))
			return false
		}
	}
	s.Kind = plan.StepDownload
	s.Download = &plan.Download{Source: source, Artifact: o.text("artifact"), Patterns: o.text("patterns"), Path: o.text("path")}
	if n := o.get("patterns"); n != nil {
		c.braces(n.At, s.Download.Patterns)
	}
	title := "Download artifacts"
	if s.Download.Artifact != "" {
		title = "Download artifact " + s.Download.Artifact
	}
	c.title(s, title)
	return true
}
