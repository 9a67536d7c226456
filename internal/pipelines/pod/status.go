package pod

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"slipway/internal/pipelines"
)

const (
	// pullPatience is how long a pull that fails is tried before the job is given up; a pull that says that the image is
	// not there is given up at once.
	pullPatience = 3 * time.Minute
	// createPatience is the same for a container that cannot be created.
	createPatience = time.Minute
	// deletePatience is how long a deleted pod may linger before its node counts as lost.
	deletePatience = 2 * time.Minute
	// unknownExitCode is what the container runtime says of a container that it finds gone when it starts again, as after a crash of the machine
	// (containerd, internal/cri/server/helpers.go). The agent has no such exit code.
	unknownExitCode = 255
)

func starting(format string, args ...any) pipelines.PodStatus {
	return pipelines.PodStatus{Phase: pipelines.PodStarting, Note: fmt.Sprintf(format, args...)}
}

func broken(format string, args ...any) pipelines.PodStatus {
	return pipelines.PodStatus{Phase: pipelines.PodBroken, Note: fmt.Sprintf(format, args...)}
}

// lost is broken by no fault of the job: what the pod stood on went away.
func lost(format string, args ...any) pipelines.PodStatus {
	s := broken(format, args...)
	s.Lost = true
	return s
}

// status is what a pod's status means for its job, in plain words.
func status(p *corev1.Pod, now time.Time) pipelines.PodStatus {
	if p.DeletionTimestamp != nil && now.Sub(p.DeletionTimestamp.Time) > deletePatience {
		return lost("the node %s was lost: it does not answer, and the pod was given up", p.Spec.NodeName)
	}
	for _, c := range p.Status.ContainerStatuses {
		if c.Name == jobContainer && c.State.Terminated != nil {
			return ended(p, c.State.Terminated)
		}
	}
	switch p.Status.Reason {
	case "Evicted":
		return lost("the node evicted the pod: %s", sentence(p.Status.Message))
	case "DeadlineExceeded":
		return broken("the pod ran longer than its deadline")
	case "NodeLost", "Terminated", "NodeShutdown":
		return lost("the node %s went away: %s", p.Spec.NodeName, sentence(p.Status.Message))
	}
	if p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded {
		if s, ok := initFailure(p); ok {
			return s
		}
		return pipelines.PodStatus{Phase: pipelines.PodEnded, Note: sentence(p.Status.Message)}
	}
	if s, ok := unhealthy(p); ok {
		return s
	}
	age := now.Sub(p.CreationTimestamp.Time)
	for _, list := range [][]corev1.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses} {
		for i := range list {
			if s, ok := waiting(&list[i], age); ok {
				return s
			}
		}
	}
	for _, c := range p.Status.ContainerStatuses {
		if c.Name == jobContainer && c.State.Running != nil {
			return pipelines.PodStatus{Phase: pipelines.PodRunning}
		}
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable {
			return starting("no node has room for the job: %s", sentence(c.Message))
		}
	}
	if p.Spec.NodeName == "" {
		return starting("waiting for a node")
	}
	return starting("the pod is being started on %s", p.Spec.NodeName)
}

// ended is the end of the job's container.
func ended(p *corev1.Pod, t *corev1.ContainerStateTerminated) pipelines.PodStatus {
	s := pipelines.PodStatus{Phase: pipelines.PodEnded}
	switch {
	case t.Reason == "OOMKilled":
		limit := p.Spec.Containers[0].Resources.Limits.Memory()
		s.Note = fmt.Sprintf("the job used more memory than its limit of %s and was killed", limit)
	case p.Status.Reason == "Evicted":
		s.Note, s.Lost = "the node evicted the pod: "+sentence(p.Status.Message), true
	case p.Status.Reason == "DeadlineExceeded":
		s.Note = "the pod ran longer than its deadline"
	case t.Signal != 0 || t.ExitCode == 137 || t.ExitCode == 143:
		s.Note, s.Lost = "the agent was killed: the pod was deleted, or its node shut down or ran out of memory", true
	case t.ExitCode == unknownExitCode:
		s.Note, s.Lost = fmt.Sprintf("the node %s was lost: it went down with the job's container", p.Spec.NodeName), true
	case t.ExitCode != 0:
		s.Note = fmt.Sprintf("the agent ended with code %d: %s", t.ExitCode, sentence(t.Message))
	}
	return s
}

func initFailure(p *corev1.Pod) (pipelines.PodStatus, bool) {
	for _, c := range p.Status.InitContainerStatuses {
		if t := c.State.Terminated; t != nil && t.ExitCode != 0 {
			return broken("the agent could not be put into the pod: its container ended with code %d: %s", t.ExitCode, sentence(t.Message)), true
		}
	}
	return pipelines.PodStatus{}, false
}

// unhealthy is a service whose check has failed for as long as it may: the cluster has started it again.
func unhealthy(p *corev1.Pod) (pipelines.PodStatus, bool) {
	for _, c := range p.Spec.InitContainers {
		if c.StartupProbe == nil || c.StartupProbe.Exec == nil {
			continue
		}
		for _, s := range p.Status.InitContainerStatuses {
			if s.Name == c.Name && s.RestartCount > 0 && (s.Started == nil || !*s.Started) {
				if t := s.LastTerminationState.Terminated; t != nil && endedByItself(t, c.StartupProbe) {
					return broken("the service %s ended with code %d before its check %q succeeded: its program must go on running", c.Image, t.ExitCode, c.StartupProbe.Exec.Command[2]), true
				}
				return broken("the service %s is not healthy: its check %q did not succeed in %d seconds", c.Image, c.StartupProbe.Exec.Command[2],
					c.StartupProbe.PeriodSeconds*c.StartupProbe.FailureThreshold), true
			}
		}
	}
	return pipelines.PodStatus{}, false
}

// endedByItself reports a container that ended before its checks had failed as often as they may.
func endedByItself(t *corev1.ContainerStateTerminated, check *corev1.Probe) bool {
	patience := time.Duration(check.PeriodSeconds*(check.FailureThreshold-1)) * time.Second
	return !t.StartedAt.IsZero() && t.FinishedAt.Sub(t.StartedAt.Time) < patience
}

// waiting explains a container that does not start.
func waiting(c *corev1.ContainerStatus, age time.Duration) (pipelines.PodStatus, bool) {
	w := c.State.Waiting
	if w == nil {
		return pipelines.PodStatus{}, false
	}
	switch w.Reason {
	case "InvalidImageName":
		return broken("the image name %q is malformed", c.Image), true
	case "ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "RegistryUnavailable":
		if why := imageIsMissing(w.Message); why != "" {
			return broken("the image %s cannot be pulled: %s", c.Image, why), true
		}
		if age > pullPatience {
			return broken("the image %s cannot be pulled: %s", c.Image, sentence(w.Message)), true
		}
		return starting("the image %s could not be pulled yet: %s", c.Image, sentence(w.Message)), true
	case "CreateContainerConfigError", "CreateContainerError", "RunContainerError", "StartError":
		if age > createPatience || w.Reason == "RunContainerError" || w.Reason == "StartError" {
			return broken("the container %s cannot be started: %s", c.Name, sentence(w.Message)), true
		}
		return starting("the container %s could not be started yet: %s", c.Name, sentence(w.Message)), true
	case "CrashLoopBackOff":
		last := ""
		if t := c.LastTerminationState.Terminated; t != nil {
			last = fmt.Sprintf(": it ended with code %d", t.ExitCode)
		}
		return starting("the service %s (%s) keeps ending%s", c.Name, c.Image, last), true
	}
	return pipelines.PodStatus{}, false
}

// imageIsMissing is what is definite in the message of a failed pull, "" if trying again may help.
func imageIsMissing(message string) string {
	lower := strings.ToLower(message)
	switch {
	case strings.Contains(lower, "not found"), strings.Contains(lower, "manifest unknown"), strings.Contains(lower, "name unknown"):
		return "the registry does not have it"
	case strings.Contains(lower, "unauthorized"), strings.Contains(lower, "access denied"), strings.Contains(lower, "403 forbidden"):
		return "the registry does not let the node read it"
	}
	return ""
}

// sentence is a message on one line and not too long.
func sentence(message string) string {
	message = strings.Join(strings.Fields(message), " ")
	if len(message) > 400 {
		message = strings.ToValidUTF8(message[:400], "") + "…"
	}
	if message == "" {
		return "no reason is known"
	}
	return message
}
