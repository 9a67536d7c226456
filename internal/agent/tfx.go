package agent

import (
	"fmt"
	"path/filepath"
	"strings"

	"slipway/internal/agent/tool"
)

// useTfx is the task TfxInstaller@3 to @5 of Microsoft's extension Azure DevOps Extension Tasks. npm installs tfx-cli, where it is configured to
// get packages from. The extension brings a version with it (builtin); here that is the one of the image, or else the newest.
func (t *task) useTfx(in inputs) error {
	version := in.text("version")
	builtIn := strings.EqualFold(version, "builtin")
	if builtIn {
		version = "latest"
	}
	want, err := tool.ParseSpec(version)
	if err != nil {
		return fmt.Errorf("tfx: %w", err)
	}
	if builtIn || want.Exact() || !in.flag("checkLatest", true) {
		if c, err := t.installer().Find(t.ctx, tool.Tfx, want); err == nil {
			return t.takeTfx(filepath.Dir(c.Program))
		}
	}
	if _, err := t.look("npm"); err != nil {
		return fmt.Errorf("%w: put UseNode@1 before this step", err)
	}
	folder := filepath.Join(t.folders.tools, "tfx", "npm")
	if err := t.runShown(process{name: "npm", args: []string{"install", "tfx-cli@" + version, "-g", "--prefix", folder, "--no-fund"}, dir: t.folders.temp}); err != nil {
		return fmt.Errorf("install tfx-cli: %w: npm gets packages from where its registry says; let an .npmrc file or NPM_CONFIG_REGISTRY name one that the job reaches", err)
	}
	return t.takeTfx(filepath.Join(folder, "bin"))
}

// takeTfx makes tfx of a folder the one that later steps use, and shows its version.
func (t *task) takeTfx(folder string) error {
	t.assign("__tfxpath", folder) // which the extension's other tasks read
	t.prepend(folder)
	return t.runShown(process{name: filepath.Join(folder, "tfx"), args: []string{"version", "--no-color"}})
}
