package scans_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/scans"
)

func TestDiff(t *testing.T) {
	t.Parallel()
	p := func(name, version string, licenses ...string) scans.Package {
		return scans.Package{Type: "deb", Name: name, Version: version, Licenses: licenses}
	}
	before := []scans.Package{p("same", "1", "MIT"), p("gone", "1", "GPL-2"), p("up", "1", "MIT"), p("two", "2"), p("two", "1"), p("free", "1", "SSPL-1.0"), p("more", "1")}
	after := []scans.Package{p("two", "1"), p("two", "2"), p("two", "1"), p("same", "1", "MIT"), p("up", "2", "MIT"), p("new", "1", "AGPL-3.0"), p("free", "1", "Apache-2.0"), p("more", "3"), p("more", "1"), {Type: "npm", Name: "same", Version: "1"}}
	want := []scans.Change{
		{Type: "deb", Name: "free", Before: "1", After: "1", LicensesBefore: []string{"SSPL-1.0"}, LicensesAfter: []string{"Apache-2.0"}},
		{Type: "deb", Name: "gone", Before: "1", LicensesBefore: []string{"GPL-2"}},
		{Type: "deb", Name: "more", Before: "1", After: "1, 3"},
		{Type: "deb", Name: "new", After: "1", LicensesAfter: []string{"AGPL-3.0"}},
		{Type: "deb", Name: "up", Before: "1", After: "2", LicensesBefore: []string{"MIT"}, LicensesAfter: []string{"MIT"}},
		{Type: "npm", Name: "same", After: "1"},
	}
	got := scans.Diff(before, after)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	kinds := []string{}
	for _, c := range got {
		kinds = append(kinds, c.Kind())
	}
	if diff := cmp.Diff([]string{"relicensed", "removed", "changed", "added", "changed", "added"}, kinds); diff != "" {
		t.Errorf("kinds (-want +got)\n%s", diff)
	}
}

func TestDiffFindings(t *testing.T) {
	t.Parallel()
	f := func(id, name, version string) scans.Finding {
		return scans.Finding{ID: id, Package: name, Version: version}
	}
	gone, fresh := scans.DiffFindings([]scans.Finding{f("A", "x", "1"), f("B", "x", "1"), f("A", "y", "1"), f("B", "x", "2")}, []scans.Finding{f("C", "z", "1"), f("A", "x", "2")})
	if diff := cmp.Diff([]scans.Finding{f("B", "x", "1"), f("A", "y", "1")}, gone); diff != "" {
		t.Errorf("gone (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]scans.Finding{f("C", "z", "1")}, fresh); diff != "" {
		t.Errorf("new (-want +got)\n%s", diff)
	}
}
