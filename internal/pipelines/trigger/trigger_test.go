package trigger

import (
	"testing"
	"time"

	"slipway/internal/pipelines/plan"
)

func TestRule34NoTriggerMeansEveryBranch(t *testing.T) {
	t.Parallel()
	for ref, want := range map[string]bool{"refs/heads/main": true, "refs/heads/feature/x": true, "refs/tags/v1": false, "refs/notes/x": false} {
		if got, why := Match(plan.Push{}, Event{Ref: ref}); got != want {
			t.Errorf("%s: %v, %s", ref, got, why)
		}
	}
	if got, _ := Match(plan.Push{None: true}, Event{Ref: "refs/heads/main"}); got {
		t.Error("trigger: none triggers")
	}
	if got, _ := Match(plan.Push{}, Event{Ref: "refs/heads/main", Deleted: true}); got {
		t.Error("a deleted branch triggers")
	}
}

func TestRule34PullRequests(t *testing.T) {
	t.Parallel()
	f := func(p plan.PullRequest, target string, draft, want bool) {
		t.Helper()
		if got, why := MatchPullRequest(p, target, []string{"src/a"}, false, draft); got != want {
			t.Errorf("%+v into %s: %v (%s)", p, target, got, why)
		}
	}
	f(plan.PullRequest{}, "refs/heads/any", true, true) // no pr means every pull request
	f(plan.PullRequest{None: true}, "refs/heads/any", false, false)
	f(plan.PullRequest{SkipDrafts: true}, "refs/heads/any", true, false)
	f(plan.PullRequest{Branches: plan.Filter{Include: []string{"main"}}}, "refs/heads/main", false, true)
	f(plan.PullRequest{Branches: plan.Filter{Include: []string{"main"}}}, "refs/heads/dev", false, false)
	f(plan.PullRequest{Paths: plan.Filter{Exclude: []string{"src"}}}, "refs/heads/main", false, false)
}

func TestRule35Branches(t *testing.T) {
	t.Parallel()
	f := func(include, exclude []string, ref string, want bool) {
		t.Helper()
		if got, why := Match(plan.Push{Branches: plan.Filter{Include: include, Exclude: exclude}}, Event{Ref: ref}); got != want {
			t.Errorf("include %v exclude %v, %s: %v (%s)", include, exclude, ref, got, why)
		}
	}
	f([]string{"main"}, nil, "refs/heads/main", true)
	f([]string{"main"}, nil, "refs/heads/Main", false)
	f([]string{"main"}, nil, "refs/heads/main2", false)
	f([]string{"refs/heads/main"}, nil, "refs/heads/main", true)
	f([]string{"/releases/*"}, nil, "refs/heads/releases/1", true)
	f([]string{"releases/*"}, nil, "refs/heads/releases/1/2", true)
	f([]string{"releases/*"}, nil, "refs/heads/releases", false)
	f([]string{"*"}, nil, "refs/heads/a/b", true)
	f([]string{"feature-?"}, nil, "refs/heads/feature-1", true)
	f([]string{"feature-?"}, nil, "refs/heads/feature-12", false)
	f([]string{"releases/*"}, []string{"releases/old*"}, "refs/heads/releases/old1", false)
	f([]string{"releases/old1"}, []string{"releases/old1"}, "refs/heads/releases/old1", false) // exclude wins
	f(nil, []string{"users/*"}, "refs/heads/main", true)                                       // excludes alone include the rest
	f(nil, []string{"users/*"}, "refs/heads/users/x", false)
}

func TestRule35Tags(t *testing.T) {
	t.Parallel()
	tags := plan.Push{Tags: plan.Filter{Include: []string{"v2.*"}, Exclude: []string{"v2.0"}}}
	for ref, want := range map[string]bool{"refs/tags/v2.1": true, "refs/tags/v2.0": false, "refs/tags/v1": false, "refs/heads/main": false} {
		if got, why := Match(tags, Event{Ref: ref}); got != want {
			t.Errorf("%s: %v (%s)", ref, got, why)
		}
	}
	both := tags
	both.Branches.Include = []string{"main"}
	both.Paths.Include = []string{"src"}
	if got, _ := Match(both, Event{Ref: "refs/tags/v2.1", Paths: []string{"docs/x"}}); !got {
		t.Error("path filters hold back a tag")
	}
	if got, _ := Match(both, Event{Ref: "refs/heads/main", Paths: []string{"src/x"}}); !got {
		t.Error("a branch beside tags does not trigger")
	}
}

// The examples are those of Microsoft's "Paths" section for Azure Repos Git pipelines.
func TestRule35Paths(t *testing.T) {
	t.Parallel()
	f := func(include, exclude []string, paths []string, want bool) {
		t.Helper()
		if got := MatchPaths(plan.Filter{Include: include, Exclude: exclude}, paths); got != want {
			t.Errorf("include %v exclude %v, %v: %v", include, exclude, paths, got)
		}
	}
	f([]string{"docs"}, []string{"docs/README.md"}, []string{"docs/a.md"}, true)
	f([]string{"docs"}, []string{"docs/README.md"}, []string{"docs/README.md"}, false)
	f([]string{"docs/*"}, []string{"docs/README.md"}, []string{"docs/a/b.md", "x"}, true)
	f(nil, []string{"docs"}, []string{"docs/a"}, false)
	f(nil, []string{"docs"}, []string{"docs/a", "src/b"}, true)
	f([]string{"tools/trigger-runs-on-these"}, []string{"tools"}, []string{"tools/trigger-runs-on-these/x"}, true) // deeper than the exclude
	f([]string{"tools/trigger-runs-on-these"}, []string{"tools"}, []string{"tools/x"}, false)
	f([]string{"/src"}, nil, []string{"src/a"}, true)
	f([]string{"src/"}, nil, []string{"src/a"}, true)
	f([]string{"Src"}, nil, []string{"src/a"}, false) // case counts
	f([]string{"src"}, nil, []string{"src2/a"}, false)
	f([]string{"src/**/*.go"}, nil, []string{"src/a/b/c.go"}, true)
	f([]string{"/"}, nil, []string{"a"}, true)
	f([]string{"*"}, []string{"docs"}, []string{"docs/a"}, false)
	f([]string{"src"}, nil, nil, false)
	if got, _ := Match(plan.Push{Paths: plan.Filter{Include: []string{"src"}}}, Event{Ref: "refs/heads/new", PathsUnknown: true}); !got {
		t.Error("unknown paths do not pass")
	}
}

func TestRule35SkipSpellings(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]bool{
		"fix [skip ci]": true, "[CI Skip] x": true, "x\n\nskip-checks: true": true, "***NO_CI***": true, "[skip azurepipelines]": true, "[azp skip]": true,
		"fix": false, "skip ci": false, "": false,
	} {
		if got, _ := Match(plan.Push{}, Event{Ref: "refs/heads/main", Message: message}); got == want {
			t.Errorf("%q: triggers %v", message, got)
		}
	}
}

func TestWildcard(t *testing.T) {
	t.Parallel()
	f := func(pattern, name string, want bool) {
		t.Helper()
		if got := Wildcard(pattern, name); got != want {
			t.Errorf("%s %s: %v", pattern, name, got)
		}
	}
	f("", "", true)
	f("*", "", true)
	f("a*b*c", "aXbYc", true)
	f("a*b*c", "abYbc", true)
	f("a*b", "acb2", false)
	f("**", "a/b", true)
	f("a?c", "ac", false)
}

func TestRule36Cron(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, 2, 27, 23, 59, 30, 0, time.UTC) // a Friday
	f := func(cron, want string) {
		t.Helper()
		c, err := ParseCron(cron)
		if err != nil {
			t.Errorf("%s: %v", cron, err)
			return
		}
		got := "never"
		if next := c.Next(from); !next.IsZero() {
			got = next.Format("2006-01-02 15:04")
		}
		if got != want {
			t.Errorf("%s: %s, want %s", cron, got, want)
		}
	}
	f("* * * * *", "2026-02-28 00:00")
	f("0 3 * * *", "2026-02-28 03:00")
	f("*/15 8-10 * * Mon-Fri", "2026-03-02 08:00")
	f("0 0 1 */3 *", "2026-04-01 00:00")
	f("0 0 29 2 *", "2028-02-29 00:00")
	f("0 0 13 * 5", "2026-03-06 00:00") // a day of the month or a weekday
	f("0 12 * * 0", "2026-03-01 12:00")
	f("0 12 * * 7", "2026-03-01 12:00")
	f("5,50 0 * * *", "2026-02-28 00:05")
	f("0 0 31 2 *", "never")
	f("0 0 * jan *", "2027-01-01 00:00")

	for cron, want := range map[string]string{
		"0 3 * *":      `cron "0 3 * *" has 4 fields, it needs five: minute hour day month weekday`,
		"60 * * * *":   `cron "60 * * * *": "60" is no minute, which is 0 to 59`,
		"* 5-3 * * *":  `cron "* 5-3 * * *": range 5-3 of the hour runs backwards`,
		"*/0 * * * *":  `cron "*/0 * * * *": "0" is no step of the minute`,
		"* * * * blue": `cron "* * * * blue": "blue" is no day of the week, which is 0 to 6`,
	} {
		if _, err := ParseCron(cron); err == nil || err.Error() != want {
			t.Errorf("%s: %v", cron, err)
		}
	}
}

func FuzzCron(f *testing.F) {
	f.Add("*/15 8-10 1,2 * Mon-Fri")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseCron(text)
		if err != nil {
			return
		}
		from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		if next := c.Next(from); !next.IsZero() && !next.After(from) {
			t.Fatalf("%q: the next time %v is not after %v", text, next, from)
		}
	})
}
