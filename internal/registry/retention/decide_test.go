package retention_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/registry/retention"
)

var now = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// digest makes a digest of one repeated digit, which Short shows.
func digest(c string) slipway.Digest { return slipway.Digest("sha256:" + strings.Repeat(c, 64)) }

func days(n int) time.Time { return now.Add(-time.Duration(n) * 24 * time.Hour) }

// tag is one that was moved so many days ago, and pulled so many, -1 for never.
func tag(name, d string, moved, pulled int) retention.Tag {
	t := retention.Tag{Name: name, Digest: digest(d), Moved: days(moved)}
	if pulled >= 0 {
		t.Pulled = days(pulled)
	}
	return t
}

func old(d string) retention.Manifest {
	return retention.Manifest{Digest: digest(d), Touched: days(100)}
}

// decide writes fates as lines: `+` stays, `-` goes.
func decide(p retention.Policy, r retention.Repository) []string {
	r.Name, r.Now = "shop/web", now
	lines := []string{}
	for _, f := range retention.Decide(p, r) {
		sign, name := "-", f.Tag
		if f.Keep {
			sign = "+"
		}
		if name == "" {
			name = f.Digest.Short()[:1]
		}
		lines = append(lines, fmt.Sprintf("%s %s %s", sign, name, f.Reason))
	}
	return lines
}

func TestTags(t *testing.T) {
	t.Parallel()
	all := []string{"*"}
	tags := []retention.Tag{tag("v1", "1", 90, 40), tag("v2", "2", 60, -1), tag("v3", "3", 30, 2), tag("ci-7", "7", 20, 1), tag("latest", "3", 30, -1)}
	f := func(name string, p retention.Policy, r retention.Repository, want ...string) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if r.Tags == nil {
				r.Tags = tags
			}
			if diff := cmp.Diff(want, decide(p, r)); diff != "" {
				t.Error(diff)
			}
		})
	}
	const untouched = "is not among the tags that the policy removes"
	f("nothing is said", retention.Policy{}, retention.Repository{}, "+ ci-7 "+untouched, "+ latest "+untouched, "+ v1 "+untouched, "+ v2 "+untouched, "+ v3 "+untouched)
	f("the rest goes", retention.Policy{Keep: []retention.Rule{{Tags: []string{"latest"}}, {Tags: []string{"v*"}, Newest: 1}, {PulledDays: 1}}, Remove: all}, retention.Repository{},
		"+ ci-7 was pulled 24 hours ago, within 1 day",
		"+ latest is one of the tags that match latest, which all stay",
		"- v1 no rule keeps it: pushed 90 days ago, last pulled 40 days ago",
		"- v2 no rule keeps it: pushed 60 days ago, never pulled",
		"+ v3 is number 1 of the newest 1 tags that match v*")
	f("some go", retention.Policy{Remove: []string{"ci-*"}}, retention.Repository{},
		"- ci-7 no rule keeps it: pushed 20 days ago, last pulled 24 hours ago", "+ latest "+untouched, "+ v1 "+untouched, "+ v2 "+untouched, "+ v3 "+untouched)
	f("a rule of other repositories", retention.Policy{Keep: []retention.Rule{{Repositories: []string{"shop/api"}}, {Repositories: []string{"*/web"}, PushedDays: 25}}, Remove: all}, retention.Repository{},
		"+ ci-7 was pushed 20 days ago, within 25 days",
		"- latest no rule keeps it: pushed 30 days ago, never pulled",
		"- v1 no rule keeps it: pushed 90 days ago, last pulled 40 days ago",
		"- v2 no rule keeps it: pushed 60 days ago, never pulled",
		"- v3 no rule keeps it: pushed 30 days ago, last pulled 2 days ago")
	f("what is needed outside", retention.Policy{Remove: all}, retention.Repository{
		Manifests: []retention.Manifest{old("1"), {Digest: digest("2"), Children: []slipway.Digest{digest("5")}}, old("3"), old("5")}, Immutable: []string{"l*t"},
		Uses: []retention.Use{{Digest: digest("1"), Where: "runs in pod a/b"}, {Digest: digest("5"), Where: "runs in pod c/d"}, {Repository: "shop/web", Tag: "ci-7", Where: "runs in pod e/f"},
			{Repository: "shop/api", Tag: "v3", Where: "runs elsewhere"}}},
		"+ ci-7 runs in pod e/f", "+ latest is immutable: it matches l*t", "+ v1 runs in pod a/b", "+ v2 runs in pod c/d",
		"- v3 no rule keeps it: pushed 30 days ago, last pulled 2 days ago", "+ 5 runs in pod c/d")
	fresh := retention.Tag{Name: "new", Digest: digest("9"), Moved: now.Add(-59 * time.Minute)}
	f("what is being pushed", retention.Policy{Remove: all}, retention.Repository{Tags: []retention.Tag{fresh}}, "+ new was pushed less than an hour ago")
	signature := func(d string) retention.Tag {
		return tag("sha256-"+strings.Repeat(d, 64)+".sig", "8", 50, -1)
	}
	f("signatures", retention.Policy{Remove: []string{"v*"}, UntaggedDays: 7}, retention.Repository{Tags: []retention.Tag{signature("1"), signature("4"), tag("v1", "1", 90, -1)}, Manifests: []retention.Manifest{old("1")}},
		"+ "+signature("1").Name+" is about 111111111111, which is there",
		"- "+signature("4").Name+" it is about 444444444444, which is gone",
		"- v1 no rule keeps it: pushed 90 days ago, never pulled")
}

func TestManifestsWithoutTags(t *testing.T) {
	t.Parallel()
	r := retention.Repository{
		Tags: []retention.Tag{tag("v1", "a", 50, -1)},
		Manifests: []retention.Manifest{
			{Digest: digest("a"), Touched: days(50), Children: []slipway.Digest{digest("b")}},
			old("b"),
			{Digest: digest("c"), Touched: days(50), Subject: digest("a")}, // about what stays
			{Digest: digest("d"), Touched: days(50), Subject: digest("c")}, // about that
			{Digest: digest("e"), Touched: days(3)},                        // too new
			{Digest: digest("f"), Touched: days(50), Pulled: days(6)},      // pulled
			{Digest: digest("1"), Touched: days(50), Children: []slipway.Digest{digest("2"), digest("3")}},
			old("2"),
			{Digest: digest("3"), Touched: days(1)}, // part of what goes, itself new
			{Digest: digest("4"), Touched: days(50), Subject: digest("1")}, // about what goes
			{Digest: digest("5"), Touched: days(50), Subject: digest("0")}, // about what is not there
		},
	}
	want := []string{
		"+ v1 is not among the tags that the policy removes",
		"- 1 has had no tag for 50 days, more than 7", "- 2 has had no tag for 100 days, more than 7", "+ 3 was pushed, pulled or tagged 24 hours ago, within 7 days",
		"- 4 has had no tag for 50 days, more than 7", "- 5 has had no tag for 50 days, more than 7",
		"+ b is part of aaaaaaaaaaaa, which stays", "+ c is about aaaaaaaaaaaa, which stays", "+ d is about cccccccccccc, which stays",
		"+ e was pushed, pulled or tagged 3 days ago, within 7 days", "+ f was pushed, pulled or tagged 6 days ago, within 7 days",
	}
	if diff := cmp.Diff(want, decide(retention.Policy{UntaggedDays: 7}, r)); diff != "" {
		t.Error(diff)
	}
	for _, line := range decide(retention.Policy{}, r) {
		if !strings.HasPrefix(line, "+") {
			t.Errorf("without days: %s", line)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		policy retention.Policy
		want   string // part of the sentence; empty when it is right
	}{
		{retention.Policy{Keep: []retention.Rule{{Tags: []string{"v[0-9]*", "{main,latest}"}, Newest: 3}}, Remove: []string{"*"}, UntaggedDays: 7}, ""},
		{retention.Policy{Remove: []string{"["}}, `remove: "[" is no pattern`},
		{retention.Policy{Remove: []string{""}}, `remove: "" is no pattern`},
		{retention.Policy{UntaggedDays: -1}, "untaggedDays is -1"},
		{retention.Policy{Keep: []retention.Rule{{}, {Newest: -1}}}, "rule 2: newest is 0 to"},
		{retention.Policy{Keep: make([]retention.Rule, 51)}, "at most 50 rules"},
		{retention.Policy{Keep: []retention.Rule{{Repositories: make([]string, 51)}}}, "repositories has more than 50"},
	} {
		err := c.policy.Check()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.policy, err, c.want)
		}
	}
}
