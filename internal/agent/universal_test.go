package agent

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fakeAz writes the words that it is called with to a file, and answers as Slipway's az does, which cmd/slipway-docker tests.
const fakeAz = `#!/bin/sh
if [ "$1" = --version ]; then echo "azure-cli 2 (Slipway)"; exit; fi
printf '%s\n' "$@" >"$(dirname "$0")/words"
echo "Published 1 files." >&2
echo '{"Description": null, "ManifestId": "sha256:0", "Version": "1.2.4"}'
`

func TestUniversalPackages(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, task string
		inputs     map[string]string
		words      []string // S is the folder of the sources
		variable   string
	}{
		{"publish by 0", "UniversalPackages@0", map[string]string{"command": "publish", "publishDirectory": "out", "feedListPublish": "Shop/tools", "packageListPublish": "web",
			"versionPublishSelector": "patch", "versionPublish": "9.9.9", "publishedPackageVar": "package", "packagePublishDescription": "- what it is"},
			[]string{"publish", "--feed", "Shop/tools", "--name", "web", "--path", "S/out", "--increment", "patch", "--description=- what it is"}, "web 1.2.4"},
		{"publish a version by 0", "UniversalPackages@0", map[string]string{"command": "publish", "publishDirectory": "", "feedListPublish": "tools", "packageListPublish": "web",
			"versionPublishSelector": "custom", "versionPublish": "2.0.0", "publishedPackageVar": "package"},
			[]string{"publish", "--feed", "tools", "--name", "web", "--path", "S", "--version", "2.0.0"}, "web 1.2.4"},
		{"publish by 1", "UniversalPackages@1", map[string]string{"command": "publish", "directory": "out", "feed": "tools", "packageName": "web", "packageVersion": "1.2.4"},
			[]string{"publish", "--feed", "tools", "--name", "web", "--path", "S/out", "--version", "1.2.4"}, ""},
		{"download by 0", "UniversalPackages@0", map[string]string{"command": "download", "downloadDirectory": "in", "feedListDownload": "tools", "packageListDownload": "web", "versionListDownload": "1.*"},
			[]string{"download", "--feed", "tools", "--name", "web", "--version", "1.*", "--path", "S/in"}, ""},
		{"download by 1", "UniversalPackages@1", map[string]string{"command": "download", "directory": "in", "feed": "tools", "packageName": "web", "packageVersion": "1.2.4"},
			[]string{"download", "--feed", "tools", "--name", "web", "--version", "1.2.4", "--path", "S/in"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorkbench(t, nil, "bin/az", fakeAz)
			program(t, w.folders.sources, "chmod", "+x", "bin/az")
			w.path = []string{w.absolute("bin")}
			w.must(c.task, c.inputs)
			words := strings.Split(strings.ReplaceAll(strings.TrimSpace(w.read("bin/words")), w.folders.sources, "S"), "\n")
			if diff := cmp.Diff(append(append([]string{"artifacts", "universal"}, c.words...), "--output", "json"), words); diff != "" {
				t.Error(diff)
			}
			if got := w.runner.vars.Text("package"); got != c.variable {
				t.Errorf("the variable is %q", got)
			}
			if c.name == "publish by 1" && (w.runner.vars.Text("step.packageName") != "web" || w.runner.vars.Text("step.packageVersion") != "1.2.4" || w.runner.vars.Text("packageVersion") != "") {
				t.Error("the outputs are missing, or plain variables too")
			}
		})
	}
}

func TestUniversalPackagesRefused(t *testing.T) {
	t.Parallel()
	w := newWorkbench(t, nil, "bin/az", "#!/bin/sh\necho azure-cli 2.70.0\n", "sh/az", fakeAz)
	program(t, w.folders.sources, "chmod", "+x", "bin/az", "sh/az")
	w.path = []string{w.absolute("bin")}
	w.fails("UniversalPackages@1", map[string]string{"command": "download", "feed": "f", "packageName": "p", "packageVersion": "1.0.0"}, "packages are kept by Slipway's own az, which a server's jobs in pods have and this one has not: run the job in a pool of pods, or use PublishPipelineArtifact@1 and DownloadPipelineArtifact@2")
	w.path = []string{w.absolute("sh")}
	w.fails("UniversalPackages@1", map[string]string{"command": "publish", "feed": "f", "packageName": "p"}, "the input packageVersion or versionIncrement is needed, and not both")
}
