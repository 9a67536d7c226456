package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"slipway"
	"slipway/internal/pipelines/job"
)

const (
	flushInterval = 200 * time.Millisecond
	// gatherTime is how long what comes is gathered before it is sent, so that slow output is not a request for each line.
	gatherTime = 50 * time.Millisecond
	sendLimit  = job.MaxLogChunk // bytes of log in one request
)

// reporter sends logs and the state of steps in the background.
type reporter struct {
	client *client
	folder string
	lost   func(error) // called once when the server will take no more
	wake   chan struct{}
	sent   chan struct{} // has a value when something was sent, or could not be
	ending chan struct{} // closed when nothing more is to come: then nothing is gathered

	end sync.Once // closes ending

	mu      sync.Mutex
	spools  []*spool
	records map[int]job.StepRecord
	dirty   map[int]bool
	outputs map[string]string
	changed bool // outputs
	sending bool // a report is on its way
	number  string
	tags    []string
}

func newReporter(c *client, folder string, lost func(error)) *reporter {
	return &reporter{client: c, folder: folder, lost: lost, wake: make(chan struct{}, 1), sent: make(chan struct{}, 1), ending: make(chan struct{}),
		records: map[int]job.StepRecord{}, dirty: map[int]bool{}, outputs: map[string]string{}}
}

// open makes the log of a step.
func (r *reporter) open(step int) (*spool, error) {
	file, err := os.OpenFile(filepath.Join(r.folder, fmt.Sprintf("%d.log", step)), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the log of step %d: %w", step, err)
	}
	s := &spool{step: step, file: file, more: r.poke}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.spools = append(r.spools, s)
	return s, nil
}

// put tells the state of a step.
func (r *reporter) put(record job.StepRecord) {
	record.Issues, record.Details = slices.Clone(record.Issues), slices.Clone(record.Details)
	r.mu.Lock()
	r.records[record.ID] = record
	r.dirty[record.ID] = true
	r.mu.Unlock()
	r.poke()
}

// output tells an output variable; false says that there are too many.
func (r *reporter) output(name, value string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.outputs[name]; !known && len(r.outputs) >= job.MaxOutputs {
		return false
	}
	r.outputs[name] = value
	r.changed = true
	return true
}

func (r *reporter) setNumber(number string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.number = number
}

func (r *reporter) addTag(tag string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tags = append(r.tags, tag)
}

func (r *reporter) poke() { signal(r.wake) }

// signal puts a value into a channel with room for one, unless there is one already.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// gather lets some time pass, unless there is nothing more to come.
func (r *reporter) gather(ctx context.Context) {
	timer := time.NewTimer(gatherTime)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-r.ending:
	case <-timer.C:
	}
}

// run sends until ctx ends, which it does once drain has returned.
func (r *reporter) run(ctx context.Context) {
	ticker := time.NewTicker(flushInterval)
	defer ticker.Stop()
	for {
		err := r.client.again(ctx, func() error { return r.flush(ctx) })
		if err != nil && ctx.Err() == nil {
			r.lost(err)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-r.wake:
			r.gather(ctx)
		}
	}
}

// drain waits until all is sent, when nothing more is to come.
func (r *reporter) drain(ctx context.Context) error {
	r.end.Do(func() { close(r.ending) })
	for r.pending() {
		r.poke()
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-r.sent:
		}
	}
	return nil
}

func (r *reporter) pending() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sending || len(r.dirty) > 0 || r.changed || r.number != "" || len(r.tags) > 0 {
		return true
	}
	return slices.ContainsFunc(r.spools, (*spool).pending)
}

// flush sends everything once: logs first, so that a step which is seen to be over has its whole log.
func (r *reporter) flush(ctx context.Context) error {
	r.mu.Lock()
	r.sending = true // what is on its way is pending: the job's end must not overtake it
	report, dirty := r.takeReport()
	spools := slices.Clone(r.spools)
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		r.sending = false
		r.mu.Unlock()
		signal(r.sent)
	}()
	for _, s := range spools {
		if err := r.flushLog(ctx, s); err != nil {
			r.giveBack(report, dirty)
			return err
		}
	}
	if len(report.Steps) == 0 && report.Outputs == nil && report.BuildNumber == "" && len(report.Tags) == 0 {
		return nil
	}
	if err := r.client.call(ctx, "POST", "/report", report, nil); err != nil {
		r.giveBack(report, dirty)
		return err
	}
	return nil
}

func (r *reporter) takeReport() (job.Report, map[int]bool) {
	report := job.Report{BuildNumber: r.number, Tags: r.tags}
	dirty := r.dirty
	for _, id := range slices.Sorted(maps.Keys(dirty)) {
		report.Steps = append(report.Steps, r.records[id])
	}
	if r.changed {
		report.Outputs = maps.Clone(r.outputs)
	}
	r.dirty, r.changed, r.number, r.tags = map[int]bool{}, false, "", nil
	return report, dirty
}

// giveBack puts a report that was not taken back, unless something newer has come.
func (r *reporter) giveBack(report job.Report, dirty map[int]bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.Copy(r.dirty, dirty)
	r.changed = r.changed || report.Outputs != nil
	if r.number == "" {
		r.number = report.BuildNumber
	}
	r.tags = append(report.Tags, r.tags...)
}

func (r *reporter) flushLog(ctx context.Context, s *spool) error {
	for {
		offset, data, err := s.next(sendLimit)
		if err != nil || len(data) == 0 {
			return err
		}
		size, err := r.client.appendLog(ctx, s.step, offset, data)
		if slipway.CodeOf(err) == slipway.CodeLimit {
			s.acknowledge(offset + int64(len(data))) // the server keeps no more of this log
			continue
		}
		if err != nil {
			return err
		}
		if size < offset && size == 0 && offset > 0 {
			// The server has lost what it had acknowledged: send all of it again.
			s.acknowledge(0)
			continue
		}
		s.acknowledge(size)
	}
}

// close ends the files.
func (r *reporter) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	for _, s := range r.spools {
		errs = append(errs, s.file.Close())
	}
	return errors.Join(errs...)
}
