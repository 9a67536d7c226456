package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"
)

// documentedRole is the ClusterRole of docs/cluster.md.
func documentedRole(t *testing.T) rbacv1.ClusterRole {
	t.Helper()
	page, err := os.ReadFile("../../docs/cluster.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "```yaml\n")
	text, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatal("docs/cluster.md has no YAML")
	}
	var role rbacv1.ClusterRole
	if err := yaml.UnmarshalStrict([]byte(text), &role); err != nil {
		t.Fatal(err)
	}
	return role
}

// TestDocumentedRights compares what administrators are told to grant with what the server asks for.
func TestDocumentedRights(t *testing.T) {
	t.Parallel()
	documented, asked := map[string][]string{}, map[string][]string{}
	for _, rule := range documentedRole(t).Rules {
		for _, resource := range rule.Resources {
			documented[rule.APIGroups[0]+" "+resource] = slices.Sorted(slices.Values(rule.Verbs))
		}
	}
	for _, right := range neededRights(true) {
		asked[right.Group+" "+right.Resource] = slices.Sorted(slices.Values(right.Verbs))
	}
	if diff := cmp.Diff(asked, documented); diff != "" {
		t.Errorf("docs/cluster.md differs from what is asked for (-asked +documented):\n%s", diff)
	}
}
