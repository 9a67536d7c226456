package collect

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"slipway"
	"slipway/internal/insights"
	"slipway/internal/insights/telemetry"
)

const (
	maxFollowers = 500
	linesASecond = 2000 // of one container; a faster one is read later, and what the kubelet rotates away meanwhile is lost
	batchLines   = 500
	batchWait    = 200 * time.Millisecond
	leastBackoff = time.Second
	mostBackoff  = 30 * time.Second
)

// followerKey names a container over its restarts.
type followerKey struct {
	pod       types.UID
	container string
}

// follower reads the output of one container into traces, from where the rows end.
type follower struct {
	collector *Collector
	resource  *telemetry.Resource
	kick      chan string   // the id of an instance of the container that has output
	gone      chan struct{} // closed when the pod is gone
	limit     *rate.Limiter
	position  insights.LogPosition
	passing   bool  // the lines up to the position are being passed over
	skip      int64 // how many with its very time are still to be
}

// startFollowers makes sure that every container of the pod that has run is followed.
func (c *Collector) startFollowers(ctx context.Context, group *errgroup.Group, p *corev1.Pod) {
	for _, s := range append(append([]corev1.ContainerStatus{}, p.Status.InitContainerStatuses...), p.Status.ContainerStatuses...) {
		id := s.ContainerID
		if id == "" || s.State.Running == nil && s.State.Terminated == nil && s.LastTerminationState.Terminated == nil {
			continue // it has not run yet
		}
		key := followerKey{p.UID, s.Name}
		c.mu.Lock()
		f := c.followers[key]
		if f == nil && len(c.followers) < maxFollowers {
			r := containerResource(p, s.Name)
			f = &follower{collector: c, resource: &r, kick: make(chan string, 1), gone: make(chan struct{}), limit: rate.NewLimiter(linesASecond, linesASecond)}
			c.followers[key] = f
			group.Go(func() error { return f.run(ctx) })
		}
		c.mu.Unlock()
		if f == nil {
			c.logger.Warn("too many containers to follow: this one's output is not read", "namespace", p.Namespace, "pod", p.Name, "container", s.Name)
			continue
		}
		select {
		case <-f.kick: // an older one that was not taken yet
		default:
		}
		f.kick <- id
	}
}

// endFollowers lets the followers of a pod that has gone finish.
func (c *Collector) endFollowers(p *corev1.Pod) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, f := range c.followers {
		if key.pod == p.UID {
			close(f.gone)
			delete(c.followers, key)
		}
	}
}

// run reads until ctx ends or the pod is gone.
func (f *follower) run(ctx context.Context) error {
	if !f.restore(ctx) {
		return nil
	}
	instance, finished := "", ""
	backoff := leastBackoff
	for {
		if instance == finished {
			select {
			case <-ctx.Done():
				return nil
			case <-f.gone:
				return nil
			case instance = <-f.kick:
				continue
			}
		}
		before := f.position
		err := f.read(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if f.position != before {
			backoff = leastBackoff
		}
		if err == nil && f.over(instance) {
			finished = instance
			continue
		}
		if err != nil {
			f.collector.logger.Debug("follow container", "pod", f.resource.Pod, "container", f.resource.Container, "error", err)
			if !f.restore(ctx) { // a write that failed may have been done all the same
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-f.gone:
			return nil
		case instance = <-f.kick:
		case <-time.After(backoff):
			backoff = min(2*backoff, mostBackoff)
		}
	}
}

// restore finds where the rows end, trying until it can.
func (f *follower) restore(ctx context.Context) bool {
	for backoff := leastBackoff; ; backoff = min(2*backoff, mostBackoff) {
		var err error
		f.position, err = f.collector.insights.LogPosition(ctx, f.resource.Namespace, f.resource.Pod, f.resource.Container)
		if err == nil {
			return true
		}
		f.collector.logger.Warn("find how far a container's output was read: it is tried again", "pod", f.resource.Pod, "error", err)
		select {
		case <-ctx.Done():
			return false
		case <-f.gone:
			return false
		case <-time.After(backoff):
		}
	}
}

// over reports that the instance whose output ended does not run any more, by what the API server says.
func (f *follower) over(instance string) bool {
	object, ok, err := f.collector.pods.GetByKey(f.resource.Namespace + "/" + f.resource.Pod)
	if err != nil || !ok {
		return true
	}
	p, ok := object.(*corev1.Pod)
	if !ok {
		return true
	}
	for _, s := range append(append([]corev1.ContainerStatus{}, p.Status.InitContainerStatuses...), p.Status.ContainerStatuses...) {
		if s.Name == f.resource.Container {
			return s.State.Running == nil && s.ContainerID == instance
		}
	}
	return true
}

// read follows the output from the position until it ends.
func (f *follower) read(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	options := &corev1.PodLogOptions{Container: f.resource.Container, Follow: true, Timestamps: true}
	if !f.position.Time.IsZero() {
		since := metav1.NewTime(f.position.Time.Truncate(time.Second)) // the API knows whole seconds only
		options.SinceTime = &since
	}
	f.passing, f.skip = !f.position.Time.IsZero(), f.position.Lines
	stream, err := f.collector.client.CoreV1().Pods(f.resource.Namespace).GetLogs(f.resource.Pod, options).Stream(ctx)
	if err != nil {
		return fmt.Errorf("open output: %w", err)
	}
	defer stream.Close()
	lines := make(chan string, batchLines)
	ended := make(chan error, 1)
	go func() {
		ended <- f.scan(ctx, stream, lines)
		close(lines)
	}()
	if err := f.write(ctx, lines); err != nil {
		cancel()
		_ = stream.Close() // to end the scan
		for range lines {
		}
		<-ended //nolint:errcheck // the failed write is what counts
		return err
	}
	return <-ended
}

// scan sends the stream's lines, cut to maxLine.
func (f *follower) scan(ctx context.Context, stream io.Reader, lines chan<- string) error {
	r := bufio.NewReaderSize(stream, maxLine)
	for {
		part, err := r.ReadSlice('\n')
		line := string(part)
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = r.ReadSlice('\n')
		}
		if line != "" {
			if err := f.limit.Wait(ctx); err != nil {
				return err
			}
			select {
			case lines <- line:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read output: %w", err)
		}
	}
}

// write gathers lines into batches until they end.
func (f *follower) write(ctx context.Context, lines <-chan string) error {
	batch, next := &telemetry.Batch{}, f.position
	timer := time.NewTimer(batchWait)
	timer.Stop()
	flush := func() error {
		timer.Stop()
		if err := f.ingest(ctx, batch); err != nil {
			return err
		}
		f.position, batch = next, &telemetry.Batch{}
		return nil
	}
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				return flush()
			}
			r := f.row(line, &next)
			if r == nil {
				continue
			}
			if batch.Len() == 0 {
				timer.Reset(batchWait)
			}
			batch.Add(r)
			if batch.Len() >= batchLines {
				if err := flush(); err != nil {
					return err
				}
			}
		case <-timer.C:
			if err := flush(); err != nil {
				return err
			}
		}
	}
}

// row makes the row of a line `TIME TEXT`, or nil when it is read already or says nothing, and moves the position.
func (f *follower) row(line string, next *insights.LogPosition) telemetry.Row {
	stamp, text, _ := strings.Cut(line, " ")
	at, err := time.Parse(time.RFC3339Nano, stamp)
	if err != nil { // a message of the kubelet, as that the log is gone
		return nil
	}
	at = at.UTC().Truncate(time.Microsecond)
	if strings.TrimSpace(text) == "" {
		return nil
	}
	if f.passing {
		switch {
		case at.Before(f.position.Time):
			return nil
		case at.Equal(f.position.Time) && f.skip > 0:
			f.skip--
			return nil
		}
		f.passing = false
	}
	if at.Before(next.Time) { // the node's clock was set back: the order of lines counts
		at = next.Time
	}
	if at.Equal(next.Time) {
		next.Lines++
	} else {
		*next = insights.LogPosition{Time: at, Lines: 1}
	}
	return row(f.resource, at, text)
}

// ingest writes the batch, again while the store is overloaded. It waits for the answer as long as that takes:
// giving up would leave it open how far the output was read.
func (f *follower) ingest(ctx context.Context, batch *telemetry.Batch) error {
	for {
		err := f.collector.insights.Ingest(ctx, batch)
		if slipway.CodeOf(err) != slipway.CodeUnavailable {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(leastBackoff):
		}
	}
}
