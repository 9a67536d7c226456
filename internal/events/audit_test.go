package events_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/events"
)

// What people did is told from what jobs did, whatever a job calls itself, and what happened before a time from what happened after it.
func TestListOfPeopleAndTimes(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		l, ctx := setup(t, d), context.Background()
		by := func(a slipway.Actor) int64 {
			t.Helper()
			e := events.Event{Kind: "pipelines.job_started", Project: "p", Subject: slipway.Ref(slipway.RefRun, slipway.RunID(1)), Actor: a}
			if err := d.Tx(ctx, func(tx *db.Tx) error { return l.Append(ctx, tx, &e, map[string]int{"run": 1}) }); err != nil {
				t.Fatal(err)
			}
			return e.ID
		}
		ada := by(slipway.Actor{Kind: slipway.ActorUser, ID: "1", Name: "Ada"})
		job := by(slipway.Actor{Kind: slipway.ActorJob, ID: "2", Name: `"kind":"user"`})
		now := time.Now()
		for name, one := range map[string]struct {
			filter events.Filter
			want   []int64
		}{
			"all":            {events.Filter{}, []int64{job, ada}},
			"people":         {events.Filter{People: true}, []int64{ada}},
			"since":          {events.Filter{Since: now.Add(-time.Hour), Until: now.Add(time.Hour)}, []int64{job, ada}},
			"not yet":        {events.Filter{Since: now.Add(time.Hour)}, nil},
			"long ago":       {events.Filter{Until: now.Add(-time.Hour)}, nil},
			"before the job": {events.Filter{Before: job}, []int64{ada}},
		} {
			list, err := l.List(ctx, one.filter)
			if err != nil {
				t.Fatal(name, err)
			}
			var got []int64
			for _, e := range list {
				got = append(got, e.ID)
			}
			if diff := cmp.Diff(one.want, got); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
	})
}

func TestEventInWords(t *testing.T) {
	t.Parallel()
	long, err := json.Marshal(map[string]any{"ref": "main", "number": 3, "empty": "", "none": nil, "set": []string{"a"}, "commits": make([]map[string]string, 100)})
	if err != nil {
		t.Fatal(err)
	}
	e := events.Event{Kind: "pipelines.secure_file_created", Payload: long}
	if e.Area() != "pipelines" || e.Words() != "secure file created" || e.Details() != `number: 3, ref: main, set: ["a"]` {
		t.Errorf("%s, %s, %q", e.Area(), e.Words(), e.Details())
	}
}
