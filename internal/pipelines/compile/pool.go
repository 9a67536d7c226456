package compile

import (
	"strings"

	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/schema"
	"slipway/internal/pipelines/yaml"
)

// pool reads a `pool`; nil is a pool that says nothing, the default.
func (c *compiler) pool(n *yaml.Node) *plan.Pool {
	if n == nil || n.IsNull() || n.Kind == yaml.Scalar && n.Text == "" {
		return nil
	}
	p := &plan.Pool{At: n.At}
	if n.Kind == yaml.Scalar {
		p.Name = n.Text
		if isImage(n.Text) {
			c.problems.Add(n.At, "pool: %s names a pool: write pool: {vmImage: %s}", n.Text, n.Text)
		}
		return p
	}
	o, ok := c.object(n, schema.Pool.Maps[0])
	if !ok {
		return nil
	}
	p.Name, p.Image, p.Demands = o.text("name"), o.text("vmImage"), o.texts("demands")
	c.checkImage(o.get("vmImage"), p.Image)
	return p
}

func isImage(name string) bool {
	lower := strings.ToLower(name)
	for _, prefix := range []string{"ubuntu-", "windows-", "macos-", "vs2017-", "vs2015-"} {
		if strings.HasPrefix(lower, prefix) {
			return true
		}
	}
	return false
}

// checkImage refuses images that no machine here has. A macro is not known yet.
func (c *compiler) checkImage(n *yaml.Node, image string) {
	lower := strings.ToLower(image)
	switch {
	case image == "" || strings.Contains(image, "$(") || strings.HasPrefix(lower, "ubuntu-") || c.in.Images != nil && c.in.Images(image):
	case isRuntime(image):
		c.problems.Unsupported(n.At, "vmImage must be known when the job starts: write an image or a macro, not %q", image)
	case strings.HasPrefix(lower, "windows-"), strings.HasPrefix(lower, "vs20"), strings.HasPrefix(lower, "win"), strings.Contains(lower, "win1"):
		c.problems.Unsupported(n.At, "vmImage %s: jobs run in Linux containers, there is no Windows; write ubuntu-latest", image)
	case strings.HasPrefix(lower, "macos"), strings.HasPrefix(lower, "xcode"):
		c.problems.Unsupported(n.At, "vmImage %s: jobs run in Linux containers, there is no macOS; write ubuntu-latest", image)
	default:
		c.problems.Unsupported(n.At, "there is no vmImage %q: write ubuntu-latest, or an image under container", image)
	}
}

// poolOr is the pool of a job: its own, or that of the stage or root around it.
func (c *compiler) poolOr(n *yaml.Node, around *plan.Pool) *plan.Pool {
	if own := c.pool(n); own != nil {
		return own
	}
	return around
}

func poolValue(p *plan.Pool) plan.Pool {
	if p == nil {
		return plan.Pool{}
	}
	return *p
}
