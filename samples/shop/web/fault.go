package main

import "fmt"

// fault is what SHOP_FAIL makes this service do wrong, so that a bad deployment can be seen.
type fault string

const (
	faultNone     fault = ""
	faultStart    fault = "start"    // the program ends at once: a crash loop
	faultReady    fault = "ready"    // the readiness probe fails: the rollout never completes
	faultRequests fault = "requests" // every third page fails: the deployment succeeds and its telemetry is bad
)

func parseFault(s string) (fault, error) {
	switch f := fault(s); f {
	case faultNone, faultStart, faultReady, faultRequests:
		return f, nil
	}
	return faultNone, fmt.Errorf("SHOP_FAIL=%q: use start, ready or requests", s)
}
