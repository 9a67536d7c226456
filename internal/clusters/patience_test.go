package clusters

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// How long each scene of testdata/causes may last; 0 is until the timeout, or until it is counted out.
func TestPatience(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]time.Duration{
		"image-missing": secondTry, "registry-down": otherFailure, "no-secret": missingObject, "volume": missingObject, "quota": refusal,
		"pod-security": atOnce, "probe": 0, "unschedulable": 0, "unschedulable-ever": scaleUp, "unschedulable-scale-up": 0, "run-as-root": atOnce,
		"image-name": atOnce, "crash-loop": 0, "mounted-late": 0, "no-mount": missingObject,
	} {
		_, workload, s := readScene(t, "testdata/causes/"+name+".yaml")
		if got := s.diagnose(workload).patience; got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// at is how a container stands: how often it was restarted, how it ended last, whether it runs; others are still starting, or it is
// the first look.
type at struct {
	restarts        int
	code            int32
	running         bool
	others, initial bool
}

func TestContainersThatEndAgainAndAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		reason string
		seen   []at
		want   bool
	}{
		"once":                        {"Error", []at{{code: 1}}, false},
		"twice":                       {"Error", []at{{code: 1}, {restarts: 1, code: 1}}, false},
		"three times":                 {"Error", []at{{code: 1}, {restarts: 1, code: 1}, {restarts: 2, code: 1}}, true},
		"three times, one unseen":     {"Error", []at{{code: 1}, {restarts: 2, code: 1}}, true},
		"the fourth try is under way": {"Error", []at{{code: 1}, {restarts: 1, code: 1}, {restarts: 3, code: 1, running: true}}, false},
		"each time another way":       {"Error", []at{{code: 1}, {restarts: 1, code: 2}, {restarts: 2, code: 3}, {restarts: 3, code: 4}}, false},
		"five times":                  {"Error", []at{{code: 1}, {restarts: 1, code: 2}, {restarts: 2, code: 3}, {restarts: 3, code: 4}, {restarts: 4, code: 5}}, true},
		"its memory":                  {"OOMKilled", []at{{code: 137}, {restarts: 1, code: 137}, {restarts: 2, code: 137}}, true},
		"waits for another":           {"Error", []at{{code: 1, others: true}, {restarts: 2, code: 1, others: true}, {restarts: 3, code: 1, others: true}}, false},
		"the other is there":          {"Error", []at{{restarts: 2, code: 1, others: true}, {restarts: 2, code: 1}}, false},
		"and it still ends":           {"Error", []at{{restarts: 2, code: 1, others: true}, {restarts: 2, code: 1}, {restarts: 3, code: 1}}, true},
		"crashed before":              {"Error", []at{{restarts: 40, code: 1, initial: true}, {restarts: 40, code: 1}}, false},
		"and crashes again":           {"Error", []at{{restarts: 40, code: 1, initial: true}, {restarts: 41, code: 1}}, true},
		"no such program":             {"StartError", []at{{code: 128}}, false},
		"no such program, twice":      {"StartError", []at{{code: 128}, {restarts: 1, code: 128}}, true},
	} {
		k := &crashes{}
		got := false
		for _, a := range c.seen {
			status := corev1.ContainerStatus{Name: "web", RestartCount: int32(a.restarts),
				LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: a.code, Reason: c.reason}}}
			if a.running {
				status.State.Running = &corev1.ContainerStateRunning{}
			} else {
				status.State.Waiting = &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}
			}
			cause := scene{}.containerCause(&corev1.Pod{}, status, false)
			k.add(cause, a.others, a.initial)
			got = k.certain(cause)
		}
		if got != c.want {
			t.Errorf("%s: certain %t, want %t", name, got, c.want)
		}
	}
}

// A Job's controller counts the failures of its pods; what else is there has its rules.
func TestWhoseEndsAreCounted(t *testing.T) {
	t.Parallel()
	crashed := Cause{Kind: CauseCrash, ends: 3}
	if !crashed.countsEnds("Deployment") || crashed.countsEnds("Job") || (Cause{Kind: CauseImage}).countsEnds("Deployment") {
		t.Error("ends are counted for Deployments' crashes alone")
	}
	starting, broken, slow := failure{0, Cause{}}, failure{1, crashed}, failure{2, Cause{Kind: CauseProbe}}
	if othersStart([]failure{broken}, 1) || !othersStart([]failure{starting, broken}, 1) || !othersStart([]failure{broken, slow}, 1) {
		t.Error("others start if nothing is known to be wrong with them but time")
	}
}

func TestPatienceAnnotation(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"5m": "5m0s", "90s": "1m30s", "0s": `Deployment web: annotation slipway.dev/patience: "0s" is no duration`, "long": `"long" is no duration`, "": `"" is no duration`,
	} {
		u := &unstructured.Unstructured{Object: map[string]any{}}
		if err := yaml.Unmarshal([]byte("kind: Deployment\nmetadata: {name: web, annotations: {slipway.dev/patience: '"+text+"'}}"), &u.Object); err != nil {
			t.Fatal(err)
		}
		d, err := patienceOf(object{Unstructured: u})
		got := d.String()
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}
