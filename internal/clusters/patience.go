package clusters

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"slipway"
)

// A deployment fails before its timeout once it is certain that what is wrong does not go away by itself. What is certain when:
//
//   - what only another template can mend (an image name that is none, a pod that the namespace forbids): at once;
//   - what the next try of the kubelet would show (an image that the registry does not have): after secondTry;
//   - what another controller or person may be about to make (a Secret, a storage class, quota): after a while;
//   - a container that ends: by counting, see crashes;
//   - a pod that no node takes: only if none could take it when empty, and no autoscaler is about to add one;
//   - all else, such as a probe that fails: never, it has until the timeout.
const (
	atOnce        = time.Nanosecond
	secondTry     = 15 * time.Second // the kubelet pulls again after 10 s
	scaleUp       = 20 * time.Second // an autoscaler says within its interval of 10 s that it adds a node
	missingObject = 30 * time.Second
	otherFailure  = 45 * time.Second // a registry may have a hiccup
	refusal       = time.Minute      // quota comes free when pods of before end; a webhook starts again
)

// annotationPatience on a workload says how long whatever is wrong with it may last, in place of the rules above: "5m".
const annotationPatience = "slipway.dev/patience"

// patienceOf reads the annotation; 0 when there is none.
func patienceOf(o object) (time.Duration, error) {
	text, ok := o.GetAnnotations()[annotationPatience]
	if !ok {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, slipway.Invalid("%s: annotation %s: %q is no duration: write how long a failure may last, such as 90s or 5m",
			o.describe(), annotationPatience, text).At(o.place)
	}
	return d, nil
}

// The first of these many ends in a row that look the same is no accident. A container that crashes gets two more tries, the second
// one after the kubelet's first wait of 10 s; one that cannot even be started gets one more.
const (
	endsCertain      = 3
	startsCertain    = 2
	endsOfAnyCode    = 5 // different codes: it may be getting further each time. The fifth comes after a minute and a quarter
	runAsNonRootText = "runAsNonRoot"
)

// crashes is what one container of a pod was seen to do.
type crashes struct {
	codes map[int]int32 // exit code by number of the end, as far as seen
	// pardoned ends do not count alone, since they may have had a reason that is gone: they were before the deployment, or while
	// other objects of it, which the container may wait for, were on their way.
	pardoned int
}

// add notes what is seen now. others reports that other objects of the deployment are still starting, first that the wait has just begun.
func (k *crashes) add(c Cause, others, first bool) {
	if k.codes == nil {
		k.codes = map[int]int32{}
	}
	k.codes[c.ends] = c.code
	if others || first {
		k.pardoned = c.ends
	}
}

// certain reports that the next try would end as those before.
func (k *crashes) certain(c Cause) bool {
	if c.running || c.ends == 0 {
		return false
	}
	want := endsCertain
	if c.Kind == CauseConfiguration {
		want = startsCertain
	}
	for i := c.ends - want + 1; i <= c.ends; i++ {
		if code, seen := k.codes[i]; seen && code != c.code {
			want = endsOfAnyCode
			break
		}
	}
	return c.ends >= want && c.ends > k.pardoned
}

// countsEnds reports that the verdict on a cause is by counting. A Job counts its pods' failures itself (backoffLimit).
func (c Cause) countsEnds(workload string) bool { return c.ends > 0 && workload != "Job" }

// ended completes a cause by how often its container has ended.
func (c Cause) ended(status corev1.ContainerStatus, code int32) Cause {
	c.code, c.running, c.ends = code, status.State.Running != nil, int(status.RestartCount)
	if !c.running {
		c.ends++
	}
	return c
}

// judge tells of causes that are new and returns an error once one is certain not to go away.
func (w *watch) judge(failing []failure) error {
	now, first := time.Now(), !w.judged
	w.judged = true
	for _, f := range failing {
		cause, key := f.cause, f.cause.key()
		if cause.Kind == CauseNone || cause.Kind == CauseWaiting {
			continue
		}
		o := w.objects[f.index]
		since, known := w.causes[key]
		if !known {
			since, w.causes[key] = now, now
			w.a.tell("%s: %s", o.describe(), cause.Message)
		}
		if w.certain(o, f, failing, now.Sub(since), first) {
			return &NotReadyError{Object: o.describe(), Cause: w.withLog(cause), Status: w.told[f.index]}
		}
	}
	return nil
}

// failure is an object that is not ready, and why.
type failure struct {
	index int // in watch.objects
	cause Cause
}

func (w *watch) certain(o object, f failure, failing []failure, lasted time.Duration, first bool) bool {
	if patience, err := patienceOf(o); err == nil && patience > 0 {
		return lasted >= patience
	}
	if !f.cause.countsEnds(o.GetKind()) {
		return f.cause.patience > 0 && lasted >= f.cause.patience && f.cause.ends == 0
	}
	k := w.crashes[f.cause.key()]
	if k == nil {
		k = &crashes{}
		w.crashes[f.cause.key()] = k
	}
	k.add(f.cause, othersStart(failing, f.index), first)
	return k.certain(f.cause)
}

// othersStart reports that another object than one is on its way: not ready, and nothing known to be wrong with it but time.
func othersStart(failing []failure, index int) bool {
	for _, f := range failing {
		if f.index != index && (f.cause.Kind == CauseNone || f.cause.Kind >= CauseProbe) {
			return true
		}
	}
	return false
}

// imagePatience is how long an image may be missing for a reason of the kubelet and a message of the registry.
func imagePatience(reason, message string) time.Duration {
	switch {
	case reason == "InvalidImageName" || reason == "ErrImageNeverPull":
		return atOnce
	case strings.HasPrefix(message, registryLacks) || strings.HasPrefix(message, registryForbids):
		return secondTry
	}
	return otherFailure
}

// configurationPatience is how long a container may be impossible to create.
func configurationPatience(message string) time.Duration {
	if strings.Contains(message, runAsNonRootText) { // the image's user against the manifest: neither changes by itself
		return atOnce
	}
	return missingObject
}

// volumePatience: what does not exist may come; what cannot be attached yet, because its last pod still has it, has until the timeout.
func volumePatience(message string) time.Duration {
	if strings.Contains(message, "not found") {
		return missingObject
	}
	return 0
}

var (
	// preemption says of how many nodes the scheduler knows that no pod's end would make room.
	preemption = regexp.MustCompile(`0/(\d+) nodes are available: (\d+) Preemption is not helpful for scheduling`)
	// passing are reasons that end with a node's state or with another object's.
	passing = regexp.MustCompile(`node\.kubernetes\.io/|were unschedulable|[Vv]olume|PersistentVolumeClaim|resource ?[Cc]laim`)
)

// unschedulablePatience is how long a pod may be without a node.
func (s scene) unschedulablePatience(p *corev1.Pod, message string) time.Duration {
	m := preemption.FindStringSubmatch(message)
	if m == nil || m[1] != m[2] || m[1] == "0" || passing.MatchString(message) {
		return 0
	}
	// Events of the Cluster Autoscaler and of Karpenter.
	if s.latest(string(p.UID), "TriggeredScaleUp", "Nominated") != nil {
		return 0
	}
	return scaleUp
}

// mounted reports that a pod has got past its volumes: its images are pulled, or are there.
func (s scene) mounted(p *corev1.Pod, failed *corev1.Event) bool {
	e := s.latest(string(p.UID), "Pulling", "Pulled", "Created")
	return e != nil && !eventTime(e).Before(eventTime(failed))
}

const (
	registryLacks   = "the registry does not have it"
	registryForbids = "the registry does not allow it"
)

// unschedulable is the cause of a pod that no node takes.
func (s scene) unschedulable(p *corev1.Pod, message string) Cause {
	return Cause{Kind: CauseUnschedulable, Pod: p.Name, patience: s.unschedulablePatience(p, message),
		Message: fmt.Sprintf("no node can take pod %s: %s", p.Name, message)}
}
