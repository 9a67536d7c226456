package agent

import (
	"path/filepath"
	"strings"
	"testing"
)

// The arguments and their order are those of Microsoft's task (src/helmcommands of HelmDeployV0 and HelmDeployV1), which splits what it is given as its
// library does for a program. fakeHelm stands in for helm.
func TestHelmDeploy(t *testing.T) {
	t.Parallel()
	j := newClusterJob(t)
	fakeHelm := j.recorder(filepath.Join(j.path, "helm"), "", `echo "NAME: shop"; [ "$1" != lint ] || { echo bad >&2; exit 2; }`)
	j.write("charts/shop/Chart.yaml", "")
	j.write("charts/shop/values.prod.yaml", "")
	j.write("out/shop-1.2.3.tgz", "")
	f := func(reference string, given map[string]string, want ...string) {
		t.Helper()
		given["connectionType"], given["kubernetesServiceEndpoint"] = "Kubernetes Service Connection", clusterOfTheTeam
		j.must(reference, given)
		wantCalls(t, fakeHelm, want...)
	}
	f("HelmDeploy@1", map[string]string{"command": "upgrade", "namespace": "shop", "chartType": "FilePath", "chartPath": "charts/shop", "releaseName": "web",
		"valueFile": "charts/**/values.prod.yaml", "overrideValues": "image.tag=1.2\nnote=\"a b\",\"node.kubernetes\\.io/role\"=x", "resetValues": "true", "force": "true",
		"arguments": `--timeout 5m --set selector."kubernetes\.io/os"=linux`},
		`helm [upgrade] [--namespace] [shop] [--install] [--reset-values] [--force] [--values] [SOURCES/charts/shop/values.prod.yaml] [--set] [image.tag=1.2,note=a b,node.kubernetes\.io/role=x] `+
			`[--wait] [--timeout] [5m] [--set] [selector.kubernetes\.io/os=linux] [web] [SOURCES/charts/shop] in SOURCES`)
	if j.value("helmExitCode") != "0" || j.value("helmOutput") != "NAME: shop\n" {
		t.Errorf("code %q, output %q", j.value("helmExitCode"), j.value("helmOutput"))
	}
	f("HelmDeploy@0", map[string]string{"command": "upgrade", "chartName": "stable/redis", "version": "1.2.3", "install": "false", "waitForExecution": "false", "releaseName": "cache"},
		"helm [upgrade] [cache] [stable/redis] [--version] [1.2.3] in SOURCES")
	f("HelmDeploy@1", map[string]string{"command": "install", "chartType": "FilePath", "chartPath": "shop-*.tgz", "updatedependency": "true"},
		"helm [install] [--dependency-update] [--generate-name] [--wait] [SOURCES/out/shop-1.2.3.tgz] in SOURCES")
	f("HelmDeploy@1", map[string]string{"command": "package", "chartPath": "**/shop", "version": "2.0.0", "destination": "packed", "arguments": "--app-version 7"},
		"helm [package] [--version] [2.0.0] [--destination] [SOURCES/packed] [--app-version] [7] [SOURCES/charts/shop] in SOURCES")
	f("HelmDeploy@1", map[string]string{"command": "uninstall", "releaseName": "web", "namespace": "shop", "arguments": "--keep-history"}, "helm [uninstall] [web] [--namespace] [shop] [--keep-history] in SOURCES")
	f("HelmDeploy@0", map[string]string{"command": "ls", "namespace": "shop", "arguments": "--all"}, "helm [ls] [--namespace] [shop] [--all] in SOURCES")
	if _, err := j.run("HelmDeploy@1", map[string]string{"command": "install", "chartType": "FilePath", "chartPath": "none-*.tgz", "connectionType": "None"}); err == nil || !strings.Contains(err.Error(), "nothing matches none-*.tgz") {
		t.Errorf("%v", err)
	}
	if _, err := j.run("HelmDeploy@1", map[string]string{"command": "lint", "connectionType": "None"}); err == nil || err.Error() != "helm exited with code 2" || j.value("helmExitCode") != "2" {
		t.Errorf("%v, code %s", err, j.value("helmExitCode"))
	}
}
