package agent

import (
	"testing"
	"time"
)

// The waits are those of ExponentialDelay in RetryHelper.cs of microsoft/azure-pipelines-agent, of ten tries.
func TestRetryWait(t *testing.T) {
	t.Parallel()
	for try, want := range []time.Duration{1, 4, 9, 16, 25, 36, 49, 64, 81, 100} {
		if got := retryWait(try); got != want*time.Second {
			t.Errorf("before try %d: %v, want %v s", try+2, got, int(want))
		}
	}
}
