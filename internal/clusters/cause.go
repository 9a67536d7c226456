package clusters

import (
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Cause is why a workload is not ready, in plain words.
type Cause struct {
	Kind      CauseKind
	Pod       string // "" when it is no pod's
	Container string
	Message   string
	Restarts  int
	Log       string // the container's last lines, where they say why

	patience time.Duration // how long it may last before it is certain to stay; 0 when that is never known
	ends     int           // how often the container has ended
	code     int32         // with which exit code the last time
	running  bool          // it runs again
}

// CauseKind sorts causes, the worst first.
type CauseKind int

// The kinds of causes.
const (
	CauseNone          CauseKind = iota
	CauseRefused                 // pods cannot be created: quota, admission, pod security
	CauseImage                   // the image cannot be pulled
	CauseConfiguration           // a ConfigMap, Secret or command is missing
	CauseCrash                   // the container ends
	CauseMemory                  // the container is killed for its memory
	CauseUnschedulable           // no node takes the pod
	CauseVolume                  // a volume cannot be provided or mounted
	CauseProbe                   // the readiness or startup probe fails
	CauseWaiting                 // nothing is known to be wrong
)

// key tells whether two causes are the same one.
func (c Cause) key() string { return fmt.Sprint(c.Kind, c.Pod, c.Container) }

// scene is what is known of a namespace when asking for causes.
type scene struct {
	pods        []*corev1.Pod
	replicaSets []*appsv1.ReplicaSet
	claims      []*corev1.PersistentVolumeClaim
	events      []*corev1.Event
}

// diagnose finds why a workload is not ready: the worst cause, CauseWaiting when nothing is known to be wrong.
func (s scene) diagnose(workload *unstructured.Unstructured) Cause {
	if unobserved(workload) { // whatever pods there are, they are of the template before
		return Cause{}
	}
	if rs := s.currentReplicaSet(workload); rs != nil {
		if c := s.refused(rs.Name, string(rs.UID)); c.Kind != CauseNone {
			return c
		}
	}
	if c := s.refused(workload.GetName(), string(workload.GetUID())); c.Kind != CauseNone {
		return c
	}
	worst := Cause{}
	owners := s.owners(workload)
	for _, p := range s.pods {
		if !mine(p, workload, owners) {
			continue
		}
		c := s.podCause(p)
		if c.Kind != CauseNone && (worst.Kind == CauseNone || c.Kind < worst.Kind || c.Kind == worst.Kind && c.Restarts > worst.Restarts) {
			worst = c
		}
	}
	if worst.Kind == CauseNone && workload.GetKind() == "PersistentVolumeClaim" {
		return s.claimCause(workload.GetName())
	}
	return worst
}

// outdated reports that a pod of a StatefulSet is still of the revision before.
func outdated(p *corev1.Pod, workload *unstructured.Unstructured) bool {
	want, _, _ := unstructured.NestedString(workload.Object, "status", "updateRevision")
	has := p.Labels[appsv1.ControllerRevisionHashLabelKey]
	return workload.GetKind() == "StatefulSet" && want != "" && has != "" && has != want
}

const revisionAnnotation = "deployment.kubernetes.io/revision"

// unobserved reports that a workload's controller has not acted on its present template yet.
func unobserved(workload *unstructured.Unstructured) bool {
	switch workload.GetKind() {
	case "Deployment", "StatefulSet", "DaemonSet":
		observed, _, _ := unstructured.NestedInt64(workload.Object, "status", "observedGeneration")
		return observed < workload.GetGeneration()
	}
	return false
}

// currentReplicaSet is that of a Deployment's present template, which has the Deployment's revision.
func (s scene) currentReplicaSet(workload *unstructured.Unstructured) *appsv1.ReplicaSet {
	for _, rs := range s.replicaSets {
		own := metav1.GetControllerOf(rs)
		if own != nil && own.UID == workload.GetUID() && rs.Annotations[revisionAnnotation] == workload.GetAnnotations()[revisionAnnotation] {
			return rs
		}
	}
	return nil
}

// refused finds why a controller cannot create its pods, from the latest of its events.
func (s scene) refused(name, uid string) Cause {
	e := s.latest(uid, "FailedCreate")
	if e == nil || s.latestAfter(uid, "SuccessfulCreate", e) {
		return Cause{}
	}
	message, patience := e.Message, refusal
	switch {
	case strings.Contains(message, "exceeded quota"):
		message = "the namespace's quota is used up: " + after(message, "exceeded quota: ")
	case strings.Contains(message, "violates PodSecurity"):
		message = "the pod asks for more than the namespace allows: " + after(message, "violates PodSecurity ")
		patience = atOnce
	case strings.Contains(message, "serviceaccount") && strings.Contains(message, "not found"):
		message = "the service account does not exist: " + message
		patience = missingObject
	default:
		message = "no pod can be created: " + strings.TrimPrefix(message, "Error creating: ")
	}
	return Cause{Kind: CauseRefused, Message: message, patience: patience}
}

// latest is the youngest event of a reason about an object.
func (s scene) latest(uid string, reasons ...string) *corev1.Event {
	var found *corev1.Event
	for _, e := range s.events {
		if string(e.InvolvedObject.UID) == uid && slices.Contains(reasons, e.Reason) && (found == nil || eventTime(e).After(eventTime(found))) {
			found = e
		}
	}
	return found
}

// latestSaying is the message of the youngest event of a reason that begins with some words.
func (s scene) latestSaying(uid, reason, prefix string) string {
	var found *corev1.Event
	for _, e := range s.events {
		if string(e.InvolvedObject.UID) == uid && e.Reason == reason && strings.HasPrefix(e.Message, prefix) &&
			(found == nil || eventTime(e).After(eventTime(found))) {
			found = e
		}
	}
	if found == nil {
		return ""
	}
	return found.Message
}

func (s scene) latestAfter(uid, reason string, than *corev1.Event) bool {
	e := s.latest(uid, reason)
	return e != nil && eventTime(e).After(eventTime(than))
}

func eventTime(e *corev1.Event) time.Time {
	switch {
	case e.Series != nil:
		return e.Series.LastObservedTime.Time
	case !e.LastTimestamp.IsZero():
		return e.LastTimestamp.Time
	case !e.EventTime.IsZero():
		return e.EventTime.Time
	}
	return e.CreationTimestamp.Time
}

// podCause finds what is wrong with one pod.
func (s scene) podCause(p *corev1.Pod) Cause {
	if p.Status.Phase == corev1.PodSucceeded {
		return Cause{}
	}
	statuses := slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses)
	worst := Cause{}
	for i, status := range statuses {
		c := s.containerCause(p, status, i < len(p.Status.InitContainerStatuses))
		if c.Kind != CauseNone && (worst.Kind == CauseNone || c.Kind < worst.Kind) {
			worst = c
		}
	}
	if worst.Kind != CauseNone && worst.Kind != CauseWaiting {
		return worst
	}
	if c := s.placement(p); c.Kind != CauseNone {
		return c
	}
	if p.Status.Phase == corev1.PodFailed {
		return Cause{Kind: CauseCrash, Pod: p.Name, Message: fmt.Sprintf("pod %s failed: %s", p.Name, firstOf(p.Status.Message, p.Status.Reason, "no reason is given"))}
	}
	return worst
}

// placement finds why a pod has no node, or no volume or network on it.
func (s scene) placement(p *corev1.Pod) Cause {
	for _, c := range p.Status.Conditions {
		if c.Type != corev1.PodScheduled || c.Status != corev1.ConditionFalse || c.Reason != corev1.PodReasonUnschedulable {
			continue
		}
		for _, v := range p.Spec.Volumes {
			if v.PersistentVolumeClaim == nil {
				continue
			}
			if claim := s.claimCause(v.PersistentVolumeClaim.ClaimName); claim.Kind == CauseVolume {
				claim.Pod = p.Name
				return claim
			}
		}
		return s.unschedulable(p, c.Message)
	}
	if p.Status.Phase != corev1.PodPending {
		return Cause{}
	}
	if e := s.latest(string(p.UID), "FailedMount", "FailedAttachVolume"); e != nil && !s.mounted(p, e) {
		return Cause{Kind: CauseVolume, Pod: p.Name, patience: volumePatience(e.Message), Message: fmt.Sprintf("a volume of pod %s cannot be mounted: %s", p.Name, e.Message)}
	}
	if e := s.latest(string(p.UID), "FailedCreatePodSandBox"); e != nil {
		return Cause{Kind: CauseWaiting, Pod: p.Name, Message: fmt.Sprintf("pod %s cannot be started on node %s: %s", p.Name, p.Spec.NodeName, e.Message)}
	}
	return Cause{}
}

// claimCause finds why a volume claim is not bound.
func (s scene) claimCause(name string) Cause {
	for _, claim := range s.claims {
		if claim.Name != name || claim.Status.Phase == corev1.ClaimBound {
			continue
		}
		if e := s.latest(string(claim.UID), "ProvisioningFailed", "FailedBinding"); e != nil {
			return Cause{Kind: CauseVolume, patience: volumePatience(e.Message), Message: fmt.Sprintf("no volume for PersistentVolumeClaim %s: %s", name, e.Message)}
		}
		return Cause{Kind: CauseWaiting, Message: fmt.Sprintf("PersistentVolumeClaim %s is %s", name, strings.ToLower(firstOf(string(claim.Status.Phase), "pending")))}
	}
	return Cause{}
}

func firstOf(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}
