package builds_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/images/builds"
	"slipway/internal/images/progress"
)

// moving is a clock that the test moves.
type moving struct{ micros atomic.Int64 }

func (m *moving) Now() time.Time { return time.UnixMicro(m.micros.Load()).UTC() }

func (m *moving) pass(d time.Duration) { m.micros.Add(d.Microseconds()) }

var (
	ada = slipway.Actor{Kind: slipway.ActorUser, ID: "u1", Name: "ada"}
	bob = slipway.Actor{Kind: slipway.ActorUser, ID: "u2", Name: "bob"}
)

func TestLive(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx, clock := t.Context(), &moving{}
		clock.pass(1000 * time.Hour)
		s, err := builds.New(ctx, d, clock)
		if err != nil {
			t.Fatal(err)
		}
		begun, err := s.Begin(ctx, "p", ada, 0, 0, progress.Report{Tags: []string{"h/p/app:1"}, Digest: "sha256:claimed", Error: "claimed"})
		if err != nil || begun.State != builds.Running || begun.Digest != "" || begun.Error != "" {
			t.Fatalf("begun is %+v (%v)", begun, err)
		}
		update := func(who slipway.Actor, u progress.Update, at int64, want slipway.Code) {
			t.Helper()
			clock.pass(time.Second)
			if answer, err := s.Update(ctx, "p", begun.ID, who, u); slipway.CodeOf(err) != want || err == nil && answer.At != at {
				t.Errorf("%+v: %+v, %v, want %d or %q", u, answer, err, at, want)
			}
		}
		running := progress.Report{Tags: []string{"h/p/app:1"}, Summary: progress.Summary{Steps: []progress.Step{{Name: "[1/2] FROM x", Cached: true}, {Name: "[2/2] RUN y", Running: true}}}}
		update(ada, progress.Update{Log: "one\n", Report: &running}, 4, "")
		update(ada, progress.Update{Log: "one\ntwo\x00\n"}, 9, "") // told again, with more
		update(ada, progress.Update{At: 4, Log: "two"}, 9, "")
		update(ada, progress.Update{At: 10, Log: "gap"}, 0, slipway.CodeInvalid)
		update(ada, progress.Update{At: -1}, 0, slipway.CodeInvalid)
		update(bob, progress.Update{At: 9, Log: "forged\n"}, 0, slipway.CodeForbidden)
		update(ada, progress.Update{At: 9, Log: strings.Repeat("x", progress.MaxUpdateLog+1)}, 0, slipway.CodeLimit)
		if text, err := s.Log(ctx, "p", begun.ID); err != nil || text != "one\ntwo\n" {
			t.Errorf("the log is %q (%v)", text, err)
		}
		if _, err := s.Log(ctx, "other", begun.ID); slipway.CodeOf(err) != slipway.CodeNotFound {
			t.Errorf("the log of another project's build: %v", err)
		}
		get := func() builds.Build {
			t.Helper()
			b, err := s.Get(ctx, "p", begun.ID)
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		if b := get(); b.Cached != 1 || b.Total != 2 || !b.Summary.Steps[1].Running || !b.Finished.IsZero() || *b.By != ada {
			t.Errorf("while it runs it is %+v", b)
		}
		if totals, err := s.Totals(ctx); err != nil || totals["p"].Builds != 0 {
			t.Errorf("totals count what runs: %+v (%v)", totals, err)
		}
		clock.pass(3 * time.Minute)
		if b := get(); b.State != builds.Lost {
			t.Errorf("unheard of it is %s", b.State)
		}
		if _, err := s.Cancel(ctx, "p", begun.ID, bob); slipway.CodeOf(err) != slipway.CodeConflict {
			t.Errorf("cancelling what is lost: %v", err)
		}
		update(ada, progress.Update{At: 9}, 9, "") // it is heard of again
		if b, err := s.Cancel(ctx, "p", begun.ID, bob); err != nil || b.State != builds.Running {
			t.Errorf("cancel: %+v, %v", b, err)
		}
		if answer, err := s.Update(ctx, "p", begun.ID, ada, progress.Update{At: 9}); err != nil || answer.CanceledBy != "bob" {
			t.Errorf("after cancelling: %+v, %v", answer, err)
		}
		end := progress.Update{At: 9, Log: "end\n", Done: true, Canceled: true, Error: "the build was cancelled: bob asked for that"}
		update(ada, end, 13, "")
		update(ada, end, 13, "") // the answer was lost
		update(ada, progress.Update{At: 13, Log: "more\n"}, 0, slipway.CodeConflict)
		if b := get(); b.State != builds.Canceled || b.Summary.Steps[1].Running || b.Finished.IsZero() || b.CanceledBy != "bob" || b.Error != end.Error || b.Summary.Seconds < 180 {
			t.Errorf("at the end it is %+v", b)
		}
	})
}

// Whoever tells of a build may lose sight of it: nobody knows how it ended, then and later.
func TestLost(t *testing.T) {
	t.Parallel()
	clock := &moving{}
	clock.pass(time.Hour)
	s, err := builds.New(t.Context(), dbtest.SQLite(t), clock)
	if err != nil {
		t.Fatal(err)
	}
	begun, err := s.Begin(t.Context(), "p", ada, 0, 0, progress.Report{Tags: []string{"h/p/app:1"}})
	if err != nil {
		t.Fatal(err)
	}
	report := progress.Report{Tags: begun.Tags, Summary: progress.Summary{Steps: []progress.Step{{Name: "[1/1] RUN y", Running: true}}}}
	for _, u := range []progress.Update{{Report: &report}, {Done: true, Lost: true, Error: "no connection"}, {Done: true}} {
		clock.pass(time.Second)
		if _, err := s.Update(t.Context(), "p", begun.ID, ada, u); err != nil {
			t.Fatalf("%+v: %v", u, err)
		}
	}
	if b, err := s.Get(t.Context(), "p", begun.ID); err != nil || b.State != builds.Lost || b.Error != "no connection" || !b.Summary.Steps[0].Running || b.Finished.IsZero() {
		t.Errorf("it is %+v (%v)", b, err)
	}
	if _, err := s.Update(t.Context(), "p", begun.ID, ada, progress.Update{Log: "more\n"}); slipway.CodeOf(err) != slipway.CodeConflict {
		t.Errorf("telling more of it: %v", err)
	}
}

func TestBeginLimit(t *testing.T) {
	t.Parallel()
	clock := &moving{}
	clock.pass(time.Hour)
	s, err := builds.New(t.Context(), dbtest.SQLite(t), clock)
	if err != nil {
		t.Fatal(err)
	}
	for range 500 {
		if _, err := s.Begin(t.Context(), "p", ada, 0, 0, progress.Report{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Begin(t.Context(), "p", ada, 0, 0, progress.Report{}); slipway.CodeOf(err) != slipway.CodeLimit {
		t.Errorf("one more: %v", err)
	}
	if _, err := s.Begin(t.Context(), "p", bob, 0, 0, progress.Report{}); err != nil {
		t.Errorf("of another person: %v", err)
	}
}

// A Telling brings a long log to the server whole, also by way of a server that fails in between, and cuts it at the limit.
func TestTelling(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	clock := &moving{}
	clock.pass(time.Hour)
	s, err := builds.New(ctx, dbtest.SQLite(t), clock)
	if err != nil {
		t.Fatal(err)
	}
	calls := 0
	call := func(ctx context.Context, method, path string, in, out any) error {
		var answer any
		var err error
		switch {
		case method == "POST" && path == "/builds":
			answer, err = s.Begin(ctx, "p", ada, 0, 0, in.(progress.Report))
		case method == "PATCH" && path == "/builds/1":
			if calls++; calls%3 == 2 {
				_, err = s.Update(ctx, "p", 1, ada, in.(progress.Update))
				return errors.Join(err, errors.New("the answer is lost"))
			}
			answer, err = s.Update(ctx, "p", 1, ada, in.(progress.Update))
		}
		if err != nil {
			return err
		}
		b, err := json.Marshal(answer)
		if err != nil {
			return err
		}
		return json.Unmarshal(b, out)
	}
	told, inner, err := progress.Tell(ctx, call, "/builds", func(s string) string { return strings.ReplaceAll(s, "secret", "***") }, progress.Report{Tags: []string{"a:1"}})
	if err != nil {
		t.Fatal(err)
	}
	const line = "a secret line of the log of a build\n"
	for range 2 * progress.MaxBuildLog / len(line) {
		if _, err := told.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	told.Finish(inner, &progress.Report{Tags: []string{"a:1"}, Summary: progress.Summary{Steps: []progress.Step{{Name: "[1/1] RUN secret"}}}}, "no secret")
	log, err := s.Log(ctx, "p", 1)
	end := "a *** line of the log of a build\nWhat follows is not kept: the log of a build has up to 1 MiB.\n"
	if err != nil || len(log) > progress.MaxBuildLog || len(log) < progress.MaxBuildLog-1000 || !strings.HasSuffix(log, end) || strings.Contains(log, "secret") {
		t.Errorf("the log has %d bytes and ends with %q (%v)", len(log), log[max(0, len(log)-200):], err)
	}
	b, err := s.Get(ctx, "p", 1)
	if err != nil || b.State != builds.Failed || b.Error != "no ***" {
		t.Errorf("it ended as %+v (%v)", b, err)
	}
	if diff := cmp.Diff([]progress.Step{{Name: "[1/1] RUN ***"}}, b.Summary.Steps); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
}

// A Telling that does not wait brings all to a server that begins to answer late, and gives up one that says no.
func TestFollow(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s, err := builds.New(ctx, dbtest.SQLite(t), &moving{})
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	call := func(ctx context.Context, method, path string, in, out any) (err error) {
		var answer any
		if method == "POST" {
			if asked++; asked == 1 {
				return slipway.Unavailable("the server starts")
			}
			answer, err = s.Begin(ctx, "p", ada, 7, 8, in.(progress.Report))
		} else {
			answer, err = s.Update(ctx, "p", 1, ada, in.(progress.Update))
		}
		if err != nil {
			return err
		}
		b, err := json.Marshal(answer)
		if err != nil {
			return err
		}
		return json.Unmarshal(b, out)
	}
	mask := func(s string) string { return strings.ReplaceAll(s, "secret", "***") }
	told, inner := progress.Follow(ctx, call, "/builds", mask, progress.Report{Tags: []string{"secret:1"}})
	if _, err := told.Write([]byte("before the server knew\n")); err != nil {
		t.Fatal(err)
	}
	told.Finish(inner, nil, "")
	b, err := s.Get(ctx, "p", 1)
	log, logErr := s.Log(ctx, "p", 1)
	if err != nil || logErr != nil || b.State != builds.Succeeded || b.Run != 7 || b.Job != 8 || b.Tags[0] != "***:1" || log != "before the server knew\n" {
		t.Errorf("kept is %+v with the log %q (%v, %v)", b, log, err, logErr)
	}

	refusals := 0
	told, inner = progress.Follow(ctx, func(context.Context, string, string, any, any) error {
		refusals++
		return slipway.NotFound("no list is kept")
	}, "/builds", mask, progress.Report{})
	told.Finish(inner, nil, "")
	if refusals != 1 || told.Path() != "" {
		t.Errorf("a server that said no was asked %d times", refusals)
	}
}
