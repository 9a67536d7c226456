package environments

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"slipway"
)

// The rules are those of Azure Pipelines' documentation of the check: one stage at a time over all pipelines; of the runs of a
// pipeline that wait with runLatest the latest alone gets the lock.
func TestDecideLocks(t *testing.T) {
	t.Parallel()
	type want struct{ granted, overtaken []int64 }
	stage := func(id int64, pipeline slipway.PipelineID, run slipway.RunID, behavior string, held bool, on ...slipway.EnvironmentID) lockRequest {
		return lockRequest{id: id, pipeline: pipeline, run: run, behavior: behavior, held: held, environments: on}
	}
	for name, c := range map[string]struct {
		list []lockRequest
		want want
	}{
		"nobody":                   {},
		"a free lock":              {[]lockRequest{stage(1, 1, 1, RunLatest, false, 7)}, want{granted: []int64{1}}},
		"a lock that somebody has": {[]lockRequest{stage(1, 1, 1, RunLatest, true, 7), stage(2, 1, 2, RunLatest, false, 7)}, want{}},
		"the first of those that wait in turn": {[]lockRequest{stage(1, 1, 1, Sequential, false, 7), stage(2, 1, 2, Sequential, false, 7)},
			want{granted: []int64{1}}},
		"the latest run overtakes": {[]lockRequest{stage(9, 1, 1, RunLatest, true, 7), stage(1, 1, 2, RunLatest, false, 7), stage(2, 1, 3, RunLatest, false, 7)},
			want{overtaken: []int64{1}}},
		"an older run that comes later is overtaken": {[]lockRequest{stage(9, 1, 1, RunLatest, true, 7), stage(1, 1, 3, RunLatest, false, 7), stage(2, 1, 2, RunLatest, false, 7)},
			want{overtaken: []int64{2}}},
		"an older run of the pipeline that comes later goes first": {[]lockRequest{stage(1, 1, 3, Sequential, false, 7), stage(2, 2, 9, Sequential, false, 7), stage(3, 1, 2, Sequential, false, 7)},
			want{granted: []int64{3}}},
		"who has the lock keeps it": {[]lockRequest{stage(1, 1, 1, RunLatest, true, 7), stage(2, 1, 2, RunLatest, false, 7)}, want{}},
		"runs of another pipeline are not overtaken": {[]lockRequest{stage(1, 1, 1, RunLatest, false, 7), stage(2, 2, 2, RunLatest, false, 7)},
			want{granted: []int64{1}}},
		"stages of one run do not overtake each other": {[]lockRequest{stage(1, 1, 1, RunLatest, false, 7), stage(2, 1, 1, RunLatest, false, 7)},
			want{granted: []int64{1}}},
		"another environment is another lock": {[]lockRequest{stage(1, 1, 1, RunLatest, true, 7), stage(2, 1, 2, RunLatest, false, 8)},
			want{granted: []int64{2}}},
		"all locks or none": {[]lockRequest{stage(1, 1, 1, RunLatest, true, 7), stage(2, 2, 2, RunLatest, false, 7, 8)}, want{}},
		"nobody passes who waits for several": {[]lockRequest{stage(1, 1, 1, RunLatest, true, 7), stage(2, 2, 2, RunLatest, false, 7, 8), stage(3, 3, 3, RunLatest, false, 8)},
			want{}},
		"who was overtaken holds up nobody": {[]lockRequest{stage(1, 1, 1, RunLatest, false, 7), stage(2, 1, 2, RunLatest, false, 7)},
			want{granted: []int64{2}, overtaken: []int64{1}}},
		"sequential is not overtaken": {[]lockRequest{stage(1, 1, 1, Sequential, false, 7), stage(2, 1, 2, RunLatest, false, 7)},
			want{granted: []int64{1}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			granted, overtaken := decideLocks(c.list)
			var got want
			for _, r := range granted {
				got.granted = append(got.granted, r.id)
			}
			got.overtaken = slices.Sorted(maps.Keys(overtaken))
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(want{})); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// Whoever asks in whatever order: no environment is locked twice, who waits for several gets all of them in the end, and nobody is
// left when everybody is done.
func TestDecideLocksServesEverybody(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var list []lockRequest
		for i := range rapid.IntRange(0, 8).Draw(t, "requests") {
			r := lockRequest{id: int64(i + 1), run: slipway.RunID(rapid.IntRange(1, 5).Draw(t, "run")), pipeline: slipway.PipelineID(rapid.IntRange(1, 2).Draw(t, "pipeline")),
				behavior: rapid.SampledFrom([]string{RunLatest, Sequential}).Draw(t, "behavior")}
			r.environments = rapid.SliceOfNDistinct(rapid.SampledFrom([]slipway.EnvironmentID{1, 2, 3}), 1, 3, rapid.ID).Draw(t, "environments")
			list = append(list, r)
		}
		for len(list) > 0 {
			granted, overtaken := decideLocks(list)
			list = slices.DeleteFunc(list, func(r lockRequest) bool { _, over := overtaken[r.id]; return over && !r.held })
			for i := range list {
				list[i].held = list[i].held || slices.ContainsFunc(granted, func(g lockRequest) bool { return g.id == list[i].id })
			}
			var holders []int
			for i, r := range list {
				if !r.held {
					continue
				}
				for _, k := range holders {
					if r.meets(list[k]) != 0 {
						t.Fatalf("requests %d and %d have one lock", r.id, list[k].id)
					}
				}
				holders = append(holders, i)
			}
			if len(list) > 0 && len(holders) == 0 {
				t.Fatalf("nobody has a lock of those who wait: %+v", list)
			}
			if len(holders) > 0 {
				done := holders[rapid.IntRange(0, len(holders)-1).Draw(t, "done")]
				list = slices.Delete(list, done, done+1)
			}
		}
	})
}
