package variable

import (
	"fmt"
	"strconv"
	"strings"
)

// MaxRetryLost is the largest number of attempts that a job may be given for pods that were lost.
const MaxRetryLost = 10

// ParseRetries reads the value of Slipway.RetryLostJob.
func ParseRetries(text string) (int, error) {
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || n < 0 || n > MaxRetryLost {
		return 0, fmt.Errorf("variable %s is %q: write how often a job whose pod is lost is started again, 0 to %d", SlipwayRetryLostJob, text, MaxRetryLost)
	}
	return n, nil
}
