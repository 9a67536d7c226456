package policy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slipway"
	. "slipway/internal/repos/policy"
)

// The examples are those of Azure Repos' documentation of path filters.
func TestMatches(t *testing.T) {
	t.Parallel()
	f := func(want bool, path string, patterns ...string) {
		t.Helper()
		if got := Matches(patterns, path); got != want {
			t.Errorf("%q of %q: %v, want %v", path, patterns, got, want)
		}
	}
	f(true, "anything")
	f(true, "WebApp/Models/Data.cs", "/WebApp/Models/Data.cs")
	f(true, "WebApp/Models/Data.cs", "/WebApp/*")
	f(true, "WebApp/Models/Data.cs", "*.cs")
	f(false, "WebApp/Models/Data.md", "*.cs")
	f(false, "Other/WebApp/x", "/WebApp/*")
	f(true, "src/a.go", "src/")
	f(false, "WebApp/Tests/a.cs", "/WebApp/*", "!/WebApp/Tests/*")
	f(true, "WebApp/Tests/a.cs", "!/WebApp/Tests/*", "/WebApp/*") // the last one that matches
	f(true, "WebApp/a.cs", "!/WebApp/Tests/*")
	f(false, "WebApp/Tests/a.cs", "!/WebApp/Tests/*")
}

func TestScopes(t *testing.T) {
	t.Parallel()
	f := func(want bool, s Scope, ref string) {
		t.Helper()
		if got := (Policy{Enabled: true, Scope: s}).Applies("r", ref, "refs/heads/main"); got != want {
			t.Errorf("%+v applies to %s: %v", s, ref, got)
		}
	}
	f(true, Scope{Match: Exact, Ref: "refs/heads/main"}, "refs/heads/main")
	f(false, Scope{Match: Exact, Ref: "refs/heads/main"}, "refs/heads/main2")
	f(true, Scope{Match: Prefix, Ref: "refs/heads/release/"}, "refs/heads/release/1")
	f(false, Scope{Match: Prefix, Ref: "refs/heads/release/"}, "refs/heads/releases")
	f(true, Scope{Match: DefaultBranch}, "refs/heads/main")
	f(false, Scope{Match: DefaultBranch}, "refs/heads/topic")
	f(false, Scope{Repository: "other", Match: DefaultBranch}, "refs/heads/main")
	if (Policy{Scope: Scope{Match: DefaultBranch}}).Applies("r", "refs/heads/main", "refs/heads/main") {
		t.Error("a policy that is off applies")
	}
}

func TestParseSettings(t *testing.T) {
	t.Parallel()
	// As the Azure DevOps CLI sends them (az repos policy approver-count create, build create).
	s, err := ParseSettings(MinimumReviewers, []byte(`{"minimumApproverCount":2,"creatorVoteCounts":false,"allowDownvotes":false,"resetOnSourcePush":true,
		"requireVoteOnEachIteration":false,"scope":[{"repositoryId":"x","refName":"refs/heads/main","matchKind":"exact"}]}`))
	if diff := cmp.Diff(Settings{MinimumApproverCount: 2, ResetOnSourcePush: true}, s); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	s, err = ParseSettings(Build, []byte(`{"buildDefinitionId":5,"queueOnSourceUpdateOnly":true,"manualQueueOnly":false,"displayName":null,"validDuration":720.0,"filenamePatterns":["/src/*"]}`))
	if diff := cmp.Diff(Settings{BuildDefinitionID: 5, QueueOnSourceUpdateOnly: true, ValidDuration: 720, FilenamePatterns: []string{"/src/*"}}, s); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	s, err = ParseSettings(MergeTypes, []byte(`{"useSquashMerge":true}`))
	if err != nil || !s.AllowSquash {
		t.Errorf("%+v, %v", s, err)
	}
	for text, kind := range map[string]Kind{
		`{"minimumApproverCount":0}`: MinimumReviewers, `{"minimumApproverCount":2,"requireVoteOnEachIteration":true}`: MinimumReviewers,
		`{}`: Build, `{"buildDefinitionId":1,"validDuration":-1}`: Build, `{"buildDefinitionId":1,"filenamePatterns":["!"]}`: Build,
		`{"statusName":" "}`: Status, `{"allowSquash":false}`: MergeTypes, `{"requiredReviewerIds":[]}`: RequiredReviewers,
		`{"requiredReviewerIds":["a"],"minimumApproverCount":2}`: RequiredReviewers, `[]`: Comments, `{"minimumApproverCount":"two"}`: MinimumReviewers,
	} {
		if _, err := ParseSettings(kind, []byte(text)); err == nil || slipway.CodeOf(err) == slipway.CodeInternal {
			t.Errorf("%s of %s: %v", text, kind, err)
		}
	}
}

func TestEvaluate(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	vote := func(id string, v, iteration int) Vote { return Vote{ID: id, Name: id, Vote: v, Iteration: iteration} }
	base := Facts{Creator: "ada", LastPusher: "ben", Iteration: 2, Source: "s2", Merge: "m2", Paths: []string{"src/a.go"}, AllPaths: true, Now: noon}
	f := func(name string, kind Kind, s Settings, change func(*Facts), want State, why string) {
		t.Helper()
		facts := base
		if change != nil {
			change(&facts)
		}
		got := Policy{Kind: kind, Settings: s}.Evaluate(facts)
		if got.State != want || !strings.Contains(got.Why, why) {
			t.Errorf("%s: %s (%s), want %s (%s)", name, got.State, got.Why, want, why)
		}
	}
	votes := func(v ...Vote) func(*Facts) { return func(f *Facts) { f.Votes = v } }

	two := Settings{MinimumApproverCount: 2}
	f("nobody", MinimumReviewers, two, nil, Queued, "0 of 2")
	f("own vote", MinimumReviewers, two, votes(vote("ada", 10, 2), vote("cleo", 10, 1)), Queued, "ada's own")
	f("two", MinimumReviewers, two, votes(vote("dan", 5, 2), vote("cleo", 10, 1)), Approved, "")
	f("own counts", MinimumReviewers, Settings{MinimumApproverCount: 2, CreatorVoteCounts: true}, votes(vote("ada", 10, 2), vote("cleo", 10, 1)), Approved, "")
	f("rejected", MinimumReviewers, two, votes(vote("dan", 10, 2), vote("cleo", 10, 1), vote("eve", -10, 1)), Rejected, "eve has rejected")
	f("waiting", MinimumReviewers, two, votes(vote("dan", 10, 2), vote("cleo", 10, 1), vote("eve", -5, 1)), Rejected, "eve waits")
	f("downvotes", MinimumReviewers, Settings{MinimumApproverCount: 1, AllowDownvotes: true}, votes(vote("dan", 10, 2), vote("eve", -10, 1)), Approved, "")
	f("last pusher", MinimumReviewers, Settings{MinimumApproverCount: 1, BlockLastPusherVote: true}, votes(vote("ben", 10, 2)), Queued, "0 of 1")
	f("old vote", MinimumReviewers, Settings{MinimumApproverCount: 1, RequireVoteOnLastIteration: true}, votes(vote("dan", 10, 1)), Queued, "pushed last")
	f("new vote", MinimumReviewers, Settings{MinimumApproverCount: 1, RequireVoteOnLastIteration: true}, votes(vote("dan", 10, 2)), Approved, "")

	named := Settings{RequiredReviewerIDs: []string{"ada", "cleo", "dan"}}
	f("others", RequiredReviewers, named, votes(vote("cleo", 10, 1), vote("ada", 10, 1)), Queued, "1 of 2")
	f("all others", RequiredReviewers, named, votes(vote("cleo", 10, 1), vote("dan", 5, 1)), Approved, "")
	f("one of them", RequiredReviewers, Settings{RequiredReviewerIDs: []string{"cleo", "dan"}, MinimumApproverCount: 1}, votes(vote("dan", 10, 1)), Approved, "")
	f("required rejects", RequiredReviewers, named, votes(vote("cleo", -10, 1)), Rejected, "cleo")
	f("not these files", RequiredReviewers, Settings{RequiredReviewerIDs: []string{"cleo"}, FilenamePatterns: []string{"/docs/*"}}, nil, NotApplicable, "/docs/*")
	f("too many files to tell", RequiredReviewers, Settings{RequiredReviewerIDs: []string{"cleo"}, FilenamePatterns: []string{"/docs/*"}},
		func(f *Facts) { f.AllPaths = false }, Queued, "0 of 1")

	f("no work item", WorkItems, Settings{}, nil, Rejected, "AB#")
	f("work item", WorkItems, Settings{}, func(f *Facts) { f.WorkItems = 1 }, Approved, "")
	f("open threads", Comments, Settings{}, func(f *Facts) { f.Open = 2 }, Rejected, "2 threads of")
	f("no open thread", Comments, Settings{}, nil, Approved, "")

	build := func(source, merge, state string, ago time.Duration) func(*Facts) {
		return func(f *Facts) {
			f.Builds = []Run{{ID: 7, Source: source, Merge: merge, State: state}}
			if state != "running" {
				f.Builds[0].Completed = noon.Add(-ago)
			}
		}
	}
	ever, hours, now := Settings{QueueOnSourceUpdateOnly: true}, Settings{QueueOnSourceUpdateOnly: true, ValidDuration: 120}, Settings{}
	f("no build", Build, ever, nil, Queued, "not been queued")
	f("by hand", Build, Settings{ManualQueueOnly: true}, nil, Queued, "queue the build")
	f("of an older source", Build, ever, build("s1", "m1", "succeeded", time.Hour), Queued, "not been queued")
	f("running", Build, ever, build("s2", "m2", "running", 0), Running, "run 7")
	f("succeeded", Build, now, build("s2", "m2", "succeeded", 100*time.Hour), Approved, "")
	f("failed", Build, now, build("s2", "m2", "failed", time.Hour), Rejected, "run 7 failed")
	f("target moved", Build, now, build("s2", "m1", "succeeded", time.Minute), Queued, "older state")
	f("target moved, for ever", Build, ever, build("s2", "m1", "succeeded", 1000*time.Hour), Approved, "")
	f("target moved, in time", Build, hours, build("s2", "m1", "succeeded", time.Hour), Approved, "")
	f("target moved, too late", Build, hours, build("s2", "m1", "succeeded", 3*time.Hour), Queued, "older state")
	f("target stands, late", Build, hours, build("s2", "m2", "succeeded", 3*time.Hour), Approved, "")

	until := func(s Settings, change func(*Facts)) time.Time {
		f := Facts{Source: "s2", Merge: "m2", Now: noon, AllPaths: true}
		change(&f)
		return Policy{Kind: Build, Settings: s}.Evaluate(f).Expires
	}
	for name, got := range map[string]time.Time{"in time": until(hours, build("s2", "m1", "succeeded", time.Hour)).Add(-time.Hour), "failed": until(hours, build("s2", "m1", "failed", time.Hour)).Add(-time.Hour)} {
		if !got.Equal(noon) {
			t.Errorf("a build of an older target, %s, expires at %v", name, got)
		}
	}
	for name, got := range map[string]time.Time{"of the target as it is": until(hours, build("s2", "m2", "succeeded", time.Hour)), "for ever": until(ever, build("s2", "m1", "succeeded", time.Hour)),
		"that has expired": until(hours, build("s2", "m1", "succeeded", 2*time.Hour)), "under way": until(hours, build("s2", "m1", "running", 0))} {
		if !got.IsZero() {
			t.Errorf("a build %s expires at %v", name, got)
		}
	}
	f("target moved, just too late", Build, hours, build("s2", "m1", "succeeded", 2*time.Hour), Queued, "older state")

	lint := Settings{StatusName: "lint", StatusGenre: "ci"}
	posted := func(state string, iteration int) func(*Facts) {
		return func(f *Facts) {
			f.Statuses = []Posted{{Name: "Lint", Genre: "ci", State: state, Iteration: iteration, Author: "bot"}}
		}
	}
	f("no status", Status, lint, nil, Queued, "ci/lint")
	f("succeeded", Status, lint, posted("succeeded", 1), Approved, "")
	f("error", Status, lint, posted("error", 1), Rejected, "")
	f("pending", Status, lint, posted("pending", 2), Running, "")
	f("invalidated", Status, Settings{StatusName: "lint", StatusGenre: "ci", InvalidateOnSourceUpdate: true}, posted("succeeded", 1), Queued, "not been posted")
	f("of the commit", Status, Settings{StatusName: "lint", StatusGenre: "ci", InvalidateOnSourceUpdate: true}, posted("succeeded", 0), Approved, "")
	f("of another", Status, Settings{StatusName: "lint", StatusGenre: "ci", AuthorID: "eve"}, posted("succeeded", 2), Queued, "")
	byRun := func(own bool) func(*Facts) {
		return func(f *Facts) {
			f.Statuses = []Posted{{Name: "lint", Genre: "ci", State: "succeeded", Iteration: 2, Author: "31", AuthorName: "shop 20260301.1, test", Pipeline: 12, OwnRun: own}}
		}
	}
	bound := func(author string) Settings { return Settings{StatusName: "lint", StatusGenre: "ci", AuthorID: author} }
	f("of whom it is bound to", Status, bound("bot"), posted("succeeded", 2), Approved, "")
	f("of a pipeline", Status, bound("pipeline:12"), byRun(true), Approved, "")
	f("of its run of something else", Status, bound("pipeline:12"), byRun(false), Queued, "what shop 20260301.1, test posted does not count")
	f("of another pipeline", Status, bound("pipeline:13"), byRun(true), Queued, "does not count")
	f("of a job with a user's number", Status, bound("31"), byRun(true), Queued, "does not count")
	f("of a person, not a pipeline", Status, bound("pipeline:12"), posted("succeeded", 2), Queued, "what bot posted does not count")
	f("only once posted", Status, Settings{StatusName: "x", PolicyApplicability: 1}, nil, NotApplicable, "")

	owned := func(g ...OwnedFiles) func(*Facts) {
		return func(f *Facts) { f.Owners = Owners{File: "CODEOWNERS", Groups: g}; f.Votes = []Vote{vote("dan", 10, 1)} }
	}
	f("no owner", CodeOwners, Settings{}, owned(), NotApplicable, "")
	f("an owner", CodeOwners, Settings{}, owned(OwnedFiles{Owners: []Person{{"cleo", "cleo"}, {"dan", "dan"}}, Paths: []string{"a"}}), Approved, "")
	f("another owner", CodeOwners, Settings{}, owned(OwnedFiles{Owners: []Person{{"ada", "ada"}, {"cleo", "cleo"}}, Paths: []string{"a", "b"}}), Queued,
		"a and 1 more files must approve: cleo")
	f("own code", CodeOwners, Settings{}, owned(OwnedFiles{Line: 3, Owners: []Person{{"ada", "ada"}}, Paths: []string{"a"}}), Rejected, "line 3")
	f("unknown", CodeOwners, Settings{}, owned(OwnedFiles{Line: 3, Unknown: []string{"@org/team"}, Paths: []string{"a"}}), Broken, "@org/team")
}
