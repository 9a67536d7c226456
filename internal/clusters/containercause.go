package clusters

import (
	"fmt"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// startErrorCode is the exit code that the kubelet gives a container whose program could not be started.
const startErrorCode = 128

// containerCause finds what is wrong with one container from its status, and from events where it says too little.
func (s scene) containerCause(p *corev1.Pod, status corev1.ContainerStatus, init bool) Cause {
	c := Cause{Pod: p.Name, Container: status.Name, Restarts: int(status.RestartCount)}
	if w := status.State.Waiting; w != nil {
		switch w.Reason {
		case "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError", "RegistryUnavailable", "SignatureValidationFailed":
			c.Kind = CauseImage
			message := s.pullMessage(p, w)
			c.patience = imagePatience(w.Reason, message)
			c.Message = fmt.Sprintf("image %s of container %s cannot be pulled: %s", imageOf(p, status.Name), status.Name, message)
			return c
		case "RunContainerError":
			c.Kind = CauseConfiguration
			c.Message = fmt.Sprintf("container %s cannot be started: %s", status.Name, plainRuntime(firstOf(w.Message, w.Reason)))
			return c.ended(status, startErrorCode)
		case "CreateContainerConfigError", "CreateContainerError", "PreCreateHookError", "PreStartHookError":
			c.Kind = CauseConfiguration
			c.patience = configurationPatience(w.Message)
			c.Message = fmt.Sprintf("container %s cannot be created: %s", status.Name, plainRuntime(firstOf(w.Message, w.Reason)))
			return c
		}
	}
	if ended := terminated(status, init); ended != nil {
		return crash(p, c, ended).ended(status, ended.ExitCode)
	}
	if status.State.Running != nil && !status.Ready && !init {
		return s.unready(p, c, status)
	}
	return Cause{}
}

// terminated is how the container ended, when that is what keeps it from being ready.
func terminated(status corev1.ContainerStatus, init bool) *corev1.ContainerStateTerminated {
	if t := status.State.Terminated; t != nil && (t.ExitCode != 0 || !init) {
		return t
	}
	if w := status.State.Waiting; w != nil && w.Reason == "CrashLoopBackOff" && status.LastTerminationState.Terminated != nil {
		return status.LastTerminationState.Terminated
	}
	// Running again, until it ends again.
	if t := status.LastTerminationState.Terminated; t != nil && !status.Ready && status.RestartCount > 0 && !init {
		return t
	}
	return nil
}

func crash(p *corev1.Pod, c Cause, ended *corev1.ContainerStateTerminated) Cause {
	times := ""
	if c.Restarts > 0 {
		times = fmt.Sprintf(" and was restarted %d times", c.Restarts)
		if c.Restarts == 1 {
			times = " and was restarted once"
		}
	}
	switch {
	case ended.Reason == "OOMKilled":
		c.Kind = CauseMemory
		c.Message = fmt.Sprintf("container %s was killed because it used more memory than its limit%s%s", c.Container, memoryLimit(p, c.Container), times)
	case ended.Reason == "StartError" || ended.Reason == "ContainerCannotRun":
		c.Kind = CauseConfiguration
		c.Message = fmt.Sprintf("container %s cannot be started: %s", c.Container, plainRuntime(ended.Message))
	case ended.Signal != 0 || ended.ExitCode > 128:
		signal := ended.Signal
		if signal == 0 {
			signal = ended.ExitCode - 128
		}
		c.Kind = CauseCrash
		c.Message = fmt.Sprintf("container %s was ended by signal %d%s", c.Container, signal, times)
	default:
		c.Kind = CauseCrash
		c.Message = fmt.Sprintf("container %s ended with exit code %d%s", c.Container, ended.ExitCode, times)
	}
	if m := strings.TrimSpace(ended.Message); m != "" && c.Kind == CauseCrash {
		c.Message += ": " + m
	}
	return c
}

func memoryLimit(p *corev1.Pod, container string) string {
	for _, c := range p.Spec.Containers {
		if limit, ok := c.Resources.Limits[corev1.ResourceMemory]; ok && c.Name == container {
			return " of " + limit.String()
		}
	}
	return ""
}

// unready tells which probe fails and what it said.
func (s scene) unready(p *corev1.Pod, c Cause, status corev1.ContainerStatus) Cause {
	e := s.latest(string(p.UID), "Unhealthy")
	if e == nil || !eventTime(e).After(status.State.Running.StartedAt.Time.Add(-1)) {
		c.Kind = CauseWaiting
		c.Message = fmt.Sprintf("container %s runs but is not ready yet", c.Container)
		return c
	}
	c.Kind = CauseProbe
	kind, message, ok := strings.Cut(e.Message, " probe failed: ")
	if !ok {
		c.Message = fmt.Sprintf("container %s is not ready: %s", c.Container, e.Message)
		return c
	}
	c.Message = fmt.Sprintf("the %s probe of container %s fails: %s", strings.ToLower(kind), c.Container, strings.TrimSpace(message))
	return c
}

func imageOf(p *corev1.Pod, container string) string {
	for _, c := range append(append([]corev1.Container{}, p.Spec.InitContainers...), p.Spec.Containers...) {
		if c.Name == container {
			return c.Image
		}
	}
	return "?"
}

// pullMessage is what the registry said. "Back-off pulling image" says nothing: the event of the try before has it.
func (s scene) pullMessage(p *corev1.Pod, w *corev1.ContainerStateWaiting) string {
	message := w.Message
	if i := strings.Index(message, "ErrImagePull: "); i >= 0 {
		message = message[i+len("ErrImagePull: "):]
	} else if strings.HasPrefix(message, "Back-off") || message == "" {
		message = firstOf(s.latestSaying(string(p.UID), "Failed", "Failed to pull image"), message)
	}
	return plainPull(firstOf(message, w.Reason))
}

var rpcPrefix = regexp.MustCompile(`rpc error: code = \w+ desc = `)

// plainPull shortens containerd's nested messages to what differs: not found, unauthorized, no such host.
func plainPull(message string) string {
	full := rpcPrefix.ReplaceAllString(message, "")
	lower := strings.ToLower(full)
	switch {
	case strings.Contains(lower, "not found") && !strings.Contains(lower, "host not found"):
		return registryLacks + " (" + lastPart(full) + ")"
	case strings.Contains(lower, "unauthorized") || strings.Contains(lower, "authorization failed") || strings.Contains(lower, "403 forbidden"):
		return registryForbids + " (" + lastPart(full) + ")"
	case strings.Contains(lower, "dial tcp"): // refused, timed out, no such host, network unreachable
		return "the registry cannot be reached (" + lastPart(full) + ")"
	}
	return strings.TrimSpace(full)
}

// lastPart is the innermost of nested messages.
func lastPart(message string) string {
	parts := strings.Split(strings.TrimSpace(message), ": ")
	if len(parts) > 2 {
		parts = parts[len(parts)-2:]
	}
	return strings.Join(parts, ": ")
}

// plainRuntime takes the container runtime's own names off a message.
func plainRuntime(message string) string {
	message = rpcPrefix.ReplaceAllString(message, "")
	for _, prefix := range []string{"failed to create containerd task: ", "failed to create shim task: ", "OCI runtime create failed: ",
		"failed to create task: ", "failed to start containerd task: ", "runc create failed: ", "unable to start container process: ", "error during container init: "} {
		if i := strings.Index(message, prefix); i >= 0 {
			message = message[i+len(prefix):]
		}
	}
	return strings.TrimSpace(message)
}
