package compile

import (
	"slices"
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
		p.Name, p.Server = n.Text, strings.EqualFold(n.Text, "server")
		if isImage(n.Text) {
			c.problems.Add(n.At, "pool: %s names a pool: write pool: {vmImage: %s}", n.Text, n.Text)
			return p
		}
		c.checkHosted(n, n.Text)
		c.checkDemands(p)
		return p
	}
	o, ok := c.object(n, schema.Pool.Maps[0])
	if !ok {
		return nil
	}
	p.Name, p.Image, p.Demands = o.text("name"), o.text("vmImage"), o.texts("demands")
	key := "vmImage"
	if p.Image == "" && o.get("vmImageName") != nil {
		key, p.Image = "vmImageName", o.text("vmImageName")
	}
	if version, old := strings.CutPrefix(strings.ToLower(p.Image), "ubuntu "); old { // as images were named at first: Ubuntu 16.04
		p.Image = "ubuntu-" + version
	}
	if isRuntime(p.Image) {
		p.Image = c.runtimeName(o.get(key), "vmImage")
	}
	switch {
	case !c.checkSystem(o): // the image is of that system too
	case p.Image != "":
		c.checkImage(o.get(key), p.Image)
	case o.text("image") != "":
		p.Image = o.text("image")
		c.checkManagedImage(o.get("image"), p.Image)
	default:
		c.checkHosted(o.get("name"), p.Name)
	}
	c.poolWithoutEffect(o)
	c.checkDemands(p)
	return p
}

// checkDemands refuses demands that a pool of the installation does not meet. Those with macros are compared when the job starts.
func (c *compiler) checkDemands(p *plan.Pool) {
	if c.in.Pools == nil {
		return
	}
	for _, name := range []string{p.Name, p.Image} {
		capabilities, ok := c.in.Pools(name)
		if !ok {
			continue
		}
		p.Managed = true
		known := slices.DeleteFunc(slices.Clone(p.Demands), func(d string) bool { return strings.Contains(d, "$(") })
		if unmet := plan.Unmet(known, capabilities); unmet != "" && capabilities != nil { // machines differ: a job waits for one that has it
			c.problems.Add(p.At, "the pool %s does not meet the demand %q: name another pool, or ask an administrator to give this one the capability", name, unmet)
		}
		return
	}
}

// checkSystem refuses pools that say that they are of another system than Linux.
func (c *compiler) checkSystem(o object) bool {
	for _, key := range []string{"os", "type"} {
		text := o.text(key)
		switch lower := strings.ToLower(text); {
		case text == "" || strings.Contains(text, "$("):
		case strings.HasPrefix(lower, "win"):
			c.problems.Unsupported(o.get(key).At, "%s: %s of a pool: jobs run in Linux containers, there is no Windows; write linux", key, text)
			return false
		case lower == "macos", lower == "mac", lower == "osx", lower == "darwin":
			c.problems.Unsupported(o.get(key).At, "%s: %s of a pool: jobs run in Linux containers, there is no macOS; write linux", key, text)
			return false
		case key == "os" && !strings.HasPrefix(lower, "linux"):
			c.problems.Add(o.get(key).At, "os of a pool is linux, windows or macOS, not %q", text)
		case key == "type" && lower != "linux" && lower != "docker":
			c.warnOf(o.at(key), "type: %s of a pool has no effect: every job runs in a Linux pod", text)
		}
	}
	return true
}

// poolWithoutEffect warns of what a pool says and a pod cannot follow.
func (c *compiler) poolWithoutEffect(o object) {
	if text := o.text("hostArchitecture"); text != "" && !strings.EqualFold(text, "amd64") {
		c.warnOf(o.at("hostArchitecture"), "hostArchitecture has no effect: jobs run on the processor of the cluster's nodes")
	}
	if o.get("timeoutInMinutes") != nil {
		c.warnOf(o.at("timeoutInMinutes"), "timeoutInMinutes of a pool has no effect: write it in the job")
	}
	o.boolean("isCustom", false)
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

// system is the system of an image or a hosted pool by its name, as far as that is not Linux.
func system(name string) string {
	lower := strings.ToLower(name)
	switch {
	case strings.Contains(lower, "macos"), strings.HasPrefix(lower, "xcode"):
		return "macOS"
	case strings.HasPrefix(lower, "vs20"), strings.HasPrefix(lower, "win"), strings.Contains(lower, "windows"), strings.Contains(lower, "win1"):
		return "Windows"
	}
	return ""
}

// mapped reports an image or a pool that needs no check: the installation has one for it, or it is a macro, known later.
func (c *compiler) mapped(name string) bool {
	if name == "" || strings.Contains(name, "$(") || c.in.Images != nil && c.in.Images(name) {
		return true
	}
	if c.in.Pools == nil {
		return false
	}
	_, ok := c.in.Pools(name)
	return ok
}

// checkImage refuses images that no machine here has.
func (c *compiler) checkImage(n *yaml.Node, image string) {
	switch other := system(image); {
	case c.mapped(image) || strings.HasPrefix(strings.ToLower(image), "ubuntu-"):
	case other != "":
		c.problems.Unsupported(n.At, "vmImage %s: jobs run in Linux containers, there is no %s; write ubuntu-latest", image, other)
	default:
		c.problems.Unsupported(n.At, "there is no vmImage %q: write ubuntu-latest, or an image under container", image)
	}
}

// checkManagedImage judges `image` of a managed pool, whose names everybody chooses for themselves.
func (c *compiler) checkManagedImage(n *yaml.Node, image string) {
	switch other := system(image); {
	case c.mapped(image) || strings.HasPrefix(strings.ToLower(image), "ubuntu-"):
	case other != "":
		c.problems.Unsupported(n.At, "image %s of a pool: jobs run in Linux containers, there is no %s; name an image of Linux", image, other)
	default:
		c.warnOf(n.At, "image %s of a pool is not there: the job runs in the image of ubuntu-latest; write container for another", image)
	}
}

// checkHosted refuses the old hosted pools of other systems, such as Hosted VS2017.
func (c *compiler) checkHosted(n *yaml.Node, name string) {
	rest, hosted := strings.CutPrefix(strings.ToLower(name), "hosted ")
	if other := system(rest); hosted && other != "" && !c.mapped(name) {
		c.problems.Unsupported(n.At, "pool %s: jobs run in Linux containers, there is no %s; write vmImage: ubuntu-latest", name, other)
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
