package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// BenchmarkFirstStep measures how long a job of a pushed commit waits for its first step: from the push until the run is
// queued and its job due, which is the same transaction, and from then on until the step starts. Once with pods that are made for
// the job, and once with a warm pod.
func BenchmarkFirstStep(b *testing.B) {
	for _, warm := range []int{0, 1} {
		b.Run(map[int]string{0: "cold", 1: "warm"}[warm], func(b *testing.B) {
			i := newInstallation(b, loopAddresses)
			i.flags = append(i.flags, "--warm-pods", strconv.Itoa(warm))
			i.up(b, "")
			i.stopAtEnd(b)
			i.createProject(b, round)
			work := i.clone(b, round)
			firstStep(b, i, work, warm, -1) // images are pulled, volumes made
			var due, whole time.Duration
			for n := 0; b.Loop(); n++ {
				d, w := firstStep(b, i, work, warm, n)
				due, whole = due+d, whole+w
			}
			b.ReportMetric(float64(due.Milliseconds())/float64(b.N), "ms-from-due/op")
			b.ReportMetric(float64(whole.Milliseconds())/float64(b.N), "ms-from-push/op")
		})
	}
}

// firstStep pushes and says how long the first step took to start since its job was due, and since the push was sent.
func firstStep(b *testing.B, i *installation, work string, warm, n int) (due, whole time.Duration) {
	b.Helper()
	file := fmt.Sprintf("steps:\n- checkout: none\n- script: echo round %d\n", n)
	if err := os.WriteFile(filepath.Join(work, "azure-pipelines.yml"), []byte(file), 0o644); err != nil {
		b.Fatal(err)
	}
	run(b, work, nil, "git", "add", "-A")
	run(b, work, nil, "git", "-c", "user.name=Ada", "-c", "user.email=ada@example.com", "commit", "-q", "-m", "Say another number")
	start := time.Now()
	run(b, work, nil, "git", "push", "-q", "origin", "HEAD:main")
	eventually(b, 5*time.Minute, func() string {
		var list listOf[struct {
			ID        int64
			Status    string
			QueueTime time.Time
		}]
		i.api(b, "GET", "/"+round+"/_apis/build/builds?$top=1", nil, &list)
		if len(list.Value) == 0 || list.Value[0].QueueTime.Before(start.Add(-time.Second)) || list.Value[0].Status != "completed" {
			return "the run is not over"
		}
		var timeline struct {
			Records []struct {
				Type      string
				Order     int
				StartTime *time.Time
			}
		}
		i.api(b, "GET", fmt.Sprintf("/%s/_apis/build/builds/%d/timeline", round, list.Value[0].ID), nil, &timeline)
		for _, r := range timeline.Records {
			if r.Type == "Task" && r.Order == 1 && r.StartTime != nil {
				due, whole = r.StartTime.Sub(list.Value[0].QueueTime), r.StartTime.Sub(start)
				return ""
			}
		}
		return "the run has no first step"
	})
	eventually(b, 5*time.Minute, func() string {
		var pools listOf[struct{ WarmWaiting int }]
		i.api(b, "GET", "/_apis/slipway/pools", nil, &pools)
		if pools.Value[0].WarmWaiting != warm {
			return "no pod is warm yet"
		}
		return ""
	})
	return due, whole
}
