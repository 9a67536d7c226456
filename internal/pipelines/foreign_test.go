package pipelines

import (
	"strings"
	"testing"

	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/plan"
)

// Where hosts have their repositories, as their documentation of `git clone` over HTTPS says.
func TestRemoteURL(t *testing.T) {
	t.Parallel()
	f := func(kind, name, connectionType, connectionURL, want string) {
		t.Helper()
		var c *job.Connection
		if connectionType != "" {
			c = &job.Connection{Name: "c", Type: connectionType, URL: connectionURL}
		}
		got, err := remoteURL(&plan.Repository{Alias: "a", Type: kind, Name: name}, c)
		if err != nil {
			got = err.Error()
		}
		if !strings.HasSuffix(got, want) {
			t.Errorf("%s %s by %s %s: %s, want %s", kind, name, connectionType, connectionURL, got, want)
		}
	}
	f("github", "octo/tools", "", "", "https://github.com/octo/tools.git")
	f("github", "octo/tools.git", "github", "https://api.github.com/", "https://github.com/octo/tools.git")
	f("githubenterprise", "octo/tools", "githubenterprise", "https://ghe.example/", "https://ghe.example/octo/tools.git")
	f("bitbucket", "team/tools", "bitbucket", "https://api.bitbucket.org", "https://bitbucket.org/team/tools.git")
	f("git", "Shop/tools", "git", "https://dev.azure.com/contoso", "https://dev.azure.com/contoso/Shop/_git/tools")
	f("git", "tools", "git", "https://dev.azure.com/contoso", "https://dev.azure.com/contoso/tools/_git/tools")
	f("git", "my tools", "generic", "https://other.example", "https://other.example/my%20tools/_git/my%20tools")
	f("git", "ignored", "externalgit", "https://git.example/x/y.git", "https://git.example/x/y.git")
	f("github", "../../etc", "", "", `name of repository a: "../../etc" is none`)
	f("githubenterprise", "octo/tools", "", "", "repository a needs endpoint, a service connection that says where it is")
	f("github", "octo/tools", "github", "x", `the URL of service connection "c" is none of a host`)
}
