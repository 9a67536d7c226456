package tool

import (
	"context"
	"regexp"

	"github.com/Masterminds/semver/v3"
)

// Tool is one that can be asked for.
type Tool struct {
	// Name is that of its mirror, and of its folder among the tools; Title what people call it.
	Name, Title string

	caches   []string // its names in tool caches
	program  string   // its program, below its folder
	programs []string // the names of it on PATH
	// versions are arguments with which the program tells its version, which the pattern finds; further ones are for older versions.
	versions [][]string
	pattern  *regexp.Regexp
	env      map[string]string
	parse    func(string) (*semver.Version, error)

	vendor string
	find   func(context.Context, *Installer, string, Spec) (release, error)
	// private tools are copied for each job, which may put things into them.
	private bool
	// places are folders of the image that hold the tool, apart from tool caches.
	places func(*Installer) []string
}

const (
	goVendor     = "https://go.dev/dl"
	dotnetVendor = "https://builds.dotnet.microsoft.com/dotnet"
)

var vNumber = regexp.MustCompile(`v([0-9]+\.[0-9]+\.[0-9]+(?:-[0-9A-Za-z.]+)?)`)

// kubectlNumber leaves out what a distribution adds, as in v1.32.4-dispatcher, and Kustomize's version on the line below.
var kubectlNumber = regexp.MustCompile(`Client Version:.*?v([0-9]+\.[0-9]+\.[0-9]+)`)

// The tools.
var (
	Go = &Tool{Name: "go", Title: "Go", caches: []string{"go"}, program: "bin/go", programs: []string{"go"}, versions: [][]string{{"version"}},
		pattern: regexp.MustCompile(`go version go([0-9]\S*)`), env: map[string]string{"GOTOOLCHAIN": "local", "GOFLAGS": "", "GOROOT": ""}, parse: goVersion, vendor: goVendor, find: goAnywhere}
	Node = &Tool{Name: "node", Title: "Node.js", caches: []string{"node"}, program: "bin/node", programs: []string{"node"}, versions: [][]string{{"--version"}},
		pattern: vNumber, parse: plainVersion, vendor: "https://nodejs.org/dist", find: nodeRelease, private: true}
	Python = &Tool{Name: "python", Title: "Python", caches: []string{"Python"}, program: "bin/python3", programs: []string{"python3", "python"}, versions: [][]string{{"--version"}},
		pattern: regexp.MustCompile(`Python ([0-9]\S*)`), parse: pythonVersion, vendor: "https://github.com/astral-sh/python-build-standalone/releases/latest/download",
		find: pythonRelease, private: true}
	Java = &Tool{Name: "java", Title: "Java", caches: []string{"Java_Temurin-Hotspot_jdk", "Java_Adopt_jdk", "Java"}, program: "bin/java", programs: []string{"java"},
		versions: [][]string{{"-version"}}, pattern: regexp.MustCompile(`version "([^"]+)"`), parse: javaVersion, vendor: "https://api.adoptium.net", find: javaRelease, places: javaPlaces}
	// Ruby is found and never installed.
	Ruby = &Tool{Name: "ruby", Title: "Ruby", caches: []string{"Ruby"}, program: "bin/ruby", programs: []string{"ruby"}, versions: [][]string{{"--version"}},
		pattern: regexp.MustCompile(`ruby ([0-9]+\.[0-9]+\.[0-9]+)`), parse: plainVersion}
	// Tfx is found, and installed by npm alone.
	Tfx = &Tool{Name: "tfx", Title: "tfx", caches: []string{"tfx"}, program: "bin/tfx", programs: []string{"tfx"}, versions: [][]string{{"version", "--no-color"}},
		pattern: regexp.MustCompile(`(?m)^Version ([0-9]+\.[0-9]+\.[0-9]+)`), parse: plainVersion}
	Helm = &Tool{Name: "helm", Title: "Helm", caches: []string{"helm"}, program: "helm", programs: []string{"helm"}, versions: [][]string{{"version", "--client", "--short"}, {"version", "--short"}},
		pattern: vNumber, parse: plainVersion, vendor: "https://get.helm.sh", find: helmRelease}
	Kubectl = &Tool{Name: "kubectl", Title: "kubectl", caches: []string{"kubectl"}, program: "kubectl", programs: []string{"kubectl"}, versions: [][]string{{"version", "--client"}},
		pattern: kubectlNumber, parse: plainVersion, vendor: "https://dl.k8s.io", find: kubectlRelease}
	Kubelogin = &Tool{Name: "kubelogin", Title: "kubelogin", caches: []string{"kubelogin"}, program: "kubelogin", programs: []string{"kubelogin"}, versions: [][]string{{"--version"}},
		pattern: regexp.MustCompile(`git hash: v?([0-9]+\.[0-9]+\.[0-9]+)`), parse: plainVersion, vendor: "https://api.github.com/repos/Azure/kubelogin/releases", find: gitHubRelease(kubeloginAssets)}
	OPA = &Tool{Name: "opa", Title: "Open Policy Agent", caches: []string{"opa"}, program: "opa", programs: []string{"opa"}, versions: [][]string{{"version"}},
		pattern: regexp.MustCompile(`Version: v?([0-9]+\.[0-9]+\.[0-9]+)`), parse: plainVersion, vendor: "https://api.github.com/repos/open-policy-agent/opa/releases", find: gitHubRelease(opaAssets)}
	Terraform = &Tool{Name: "terraform", Title: "Terraform", caches: []string{"terraform"}, program: "terraform", programs: []string{"terraform"}, versions: [][]string{{"-version"}},
		pattern: vNumber, env: map[string]string{"CHECKPOINT_DISABLE": "1"}, parse: plainVersion, vendor: "https://releases.hashicorp.com/terraform", find: terraformRelease}
	DotNetSDK = &Tool{Name: "dotnet", Title: "the .NET SDK", caches: []string{"dotnet-sdk"}, program: "dotnet", programs: []string{"dotnet"}, versions: [][]string{{"--list-sdks"}},
		pattern: regexp.MustCompile(`(?m)^([0-9]\S*) \[`), parse: plainVersion, vendor: dotnetVendor, find: dotnetRelease("sdk")}
	DotNetRuntime = &Tool{Name: "dotnet", Title: "the .NET runtime", caches: []string{"dotnet-runtime"}, program: "dotnet", programs: []string{"dotnet"}, versions: [][]string{{"--list-runtimes"}},
		pattern: regexp.MustCompile(`(?m)^Microsoft\.NETCore\.App ([0-9]\S*) \[`), parse: plainVersion, vendor: dotnetVendor, find: dotnetRelease("runtime")}
)
