package collect

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"

	"slipway/internal/insights/telemetry"
)

const (
	eventsKept    = 3 * time.Hour // the API server keeps events for an hour
	eventRetries  = 20            // times that an event waits for its pod to be seen
	eventRetry    = time.Second
	maxWaiting    = 1000
	maxKnown      = 50_000
	maxEventBytes = 8 << 10
)

// watchEvents keeps Kubernetes' events about the pods of deployments and what owns them, until ctx ends.
func (c *Collector) watchEvents(ctx context.Context) error {
	known, ok := c.keptEvents(ctx)
	if !ok {
		return nil
	}
	factory := informers.NewSharedInformerFactory(c.client, 0)
	informer := factory.Core().V1().Events().Informer()
	if err := informer.SetTransform(slim); err != nil {
		return fmt.Errorf("watch events: %w", err)
	}
	arrived := make(chan *corev1.Event, 256)
	send := func(o any) {
		if e, ok := o.(*corev1.Event); ok {
			select {
			case arrived <- e:
			case <-ctx.Done():
			}
		}
	}
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: send, UpdateFunc: func(_, o any) { send(o) }})
	if err != nil {
		return fmt.Errorf("watch events: %w", err)
	}
	factory.Start(ctx.Done())
	defer factory.Shutdown()
	keeper := &eventKeeper{collector: c, known: known}
	t := time.NewTicker(eventRetry)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-arrived:
			err = keeper.take(ctx, e, 0)
		case <-t.C:
			err = keeper.again(ctx)
		}
		if err != nil && ctx.Err() == nil {
			c.logger.Warn("keep an event of Kubernetes", "error", err)
		}
	}
}

// keptEvents finds the events that are kept already, trying until it can; false when ctx ends first.
func (c *Collector) keptEvents(ctx context.Context) (map[string]int64, bool) {
	for backoff := leastBackoff; ; backoff = min(2*backoff, mostBackoff) {
		known, err := c.insights.SeenClusterEvents(ctx, c.insights.Now().Add(-eventsKept))
		if err == nil {
			return known, true
		}
		c.logger.Warn("find the events of Kubernetes that are kept: it is tried again", "error", err)
		select {
		case <-ctx.Done():
			return nil, false
		case <-time.After(backoff):
		}
	}
}

// slim drops what is not needed of an event, since the informer keeps all of them in memory.
func slim(o any) (any, error) {
	if e, ok := o.(*corev1.Event); ok {
		e.ManagedFields, e.Annotations, e.Labels = nil, nil, nil
		e.Message = clip(e.Message, maxEventBytes)
	}
	return o, nil
}

// eventKeeper remembers which events are kept, and those whose pod was not seen yet.
type eventKeeper struct {
	collector *Collector
	known     map[string]int64
	waiting   []waitingEvent
}

type waitingEvent struct {
	event *corev1.Event
	tries int
}

func (k *eventKeeper) again(ctx context.Context) error {
	list := k.waiting
	k.waiting = nil
	for _, w := range list {
		if err := k.take(ctx, w.event, w.tries+1); err != nil {
			return err
		}
	}
	return nil
}

// take writes the event when it is about a deployment and new, or has happened again.
func (k *eventKeeper) take(ctx context.Context, e *corev1.Event, tries int) error {
	count := max(1, int64(e.Count))
	if e.Series != nil {
		count = max(count, int64(e.Series.Count))
	}
	if count <= k.known[string(e.UID)] {
		return nil
	}
	r, ok := k.collector.about(e)
	if !ok {
		if tries < eventRetries && len(k.waiting) < maxWaiting && e.InvolvedObject.Kind == "Pod" {
			k.waiting = append(k.waiting, waitingEvent{e, tries})
		}
		return nil
	}
	dimensions, err := json.Marshal(map[string]any{"uid": string(e.UID), "count": count, "field": e.InvolvedObject.FieldPath})
	if err != nil {
		return fmt.Errorf("encode event: %w", err)
	}
	component := e.Source.Component
	if component == "" {
		component = e.ReportingController
	}
	b := &telemetry.Batch{}
	b.Add(&telemetry.KubernetesEvent{Item: telemetry.Item{Resource: &r, Time: eventTime(e, k.collector.insights.Now()), Dimensions: string(dimensions)},
		ObjectKind: e.InvolvedObject.Kind, ObjectName: e.InvolvedObject.Name, Type: e.Type, Reason: e.Reason, Message: e.Message, Component: component})
	if err := k.collector.insights.Ingest(ctx, b); err != nil {
		if len(k.waiting) < maxWaiting {
			k.waiting = append(k.waiting, waitingEvent{e, tries})
		}
		return err
	}
	if len(k.known) >= maxKnown {
		clear(k.known) // the API server has long forgotten most of them
	}
	k.known[string(e.UID)] = count
	return nil
}

// eventTime is when it happened last, by whichever of the fields is set.
func eventTime(e *corev1.Event, now time.Time) time.Time {
	for _, t := range []time.Time{e.LastTimestamp.Time, seriesTime(e), e.EventTime.Time, e.FirstTimestamp.Time, e.CreationTimestamp.Time} {
		if !t.IsZero() {
			return t
		}
	}
	return now
}

func seriesTime(e *corev1.Event) time.Time {
	if e.Series == nil {
		return time.Time{}
	}
	return e.Series.LastObservedTime.Time
}

// about finds the deployed pod that an event is about: the pod itself, or the newest one whose owner it is about.
func (c *Collector) about(e *corev1.Event) (telemetry.Resource, bool) {
	o := e.InvolvedObject
	if o.Kind == "Pod" {
		object, ok, err := c.pods.GetByKey(o.Namespace + "/" + o.Name)
		if p, is := object.(*corev1.Pod); err == nil && ok && is {
			return resourceOf(p), true
		}
		return telemetry.Resource{}, false
	}
	var newest *corev1.Pod
	for _, object := range c.pods.List() {
		p, ok := object.(*corev1.Pod)
		if !ok || p.Namespace != o.Namespace || !owns(o, p) {
			continue
		}
		if newest == nil || newest.CreationTimestamp.Before(&p.CreationTimestamp) {
			newest = p
		}
	}
	if newest == nil {
		return telemetry.Resource{}, false
	}
	r := resourceOf(newest)
	r.Pod, r.Node, r.Instance = "", "", ""
	return r, true
}

func owns(o corev1.ObjectReference, p *corev1.Pod) bool {
	own := metav1.GetControllerOf(p)
	if own == nil {
		return false
	}
	if own.Kind == o.Kind && own.Name == o.Name {
		return true
	}
	return o.Kind == "Deployment" && own.Kind == "ReplicaSet" && strings.HasPrefix(own.Name, o.Name+"-") && workload(p) == o.Name
}
