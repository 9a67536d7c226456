package agent

import (
	"cmp"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"slipway/internal/agent/tool"
	"slipway/internal/pipelines/feed"
	"slipway/internal/pipelines/plan"
)

// getPackage downloads the version of a package that the run takes, and unpacks it: of npm what is in its folder package, of NuGet all
// of the file.
func (t *task) getPackage(g *plan.GetPackage) error {
	c, err := t.connection(t.text(g.Package.Endpoint))
	if err != nil {
		return err
	}
	source, err := feed.SourceOf(&g.Package, &c)
	if err != nil {
		return err
	}
	client := feed.Client{HTTP: &http.Client{}}
	number := cmp.Or(t.vars.Text(plan.PackageVariable(g.Package.Alias, "version")), g.Package.Version)
	v, err := client.Find(t.ctx, source, number, g.Package.Tag)
	if err != nil {
		return err
	}
	path := t.text(g.Path)
	if path == "" {
		path = g.Package.Alias
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(t.folders.workspace, path)
	}
	folder, remove, err := t.privateFolder("package-")
	if err != nil {
		return err
	}
	defer remove()
	suffix, strip := ".tgz", 1
	if g.Package.Kind == plan.PackageNuGet {
		suffix, strip = ".zip", 0
	}
	archive := filepath.Join(folder, "package"+suffix)
	f, err := os.OpenFile(archive, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("keep the package: %w", err)
	}
	t.log.Printf("Downloading %s %s of %s to %s", source.Name, v.Number, source.Address, path)
	err = client.Download(t.ctx, source, v, f)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		return fmt.Errorf("make the folder: %w", err)
	}
	return tool.Unpack(t.ctx, archive, path, strip)
}
