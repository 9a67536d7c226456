// Package appinsights turns what Application Insights' clients post to their track endpoint (the Breeze protocol,
// versions 2 and 2.1) into rows of telemetry, and makes the answers that these clients act upon.
//
// It is pure: it gets the decompressed body and a function that looks instrumentation keys up.
package appinsights

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"slipway"
	"slipway/internal/insights/telemetry"
)

// Limits of one request.
const (
	MaxItems     = 20_000
	MaxItem      = 1 << 20 // bytes of one envelope
	maxText      = 8 << 10
	maxMessage   = 32 << 10
	maxStack     = 64 << 10
	maxEntries   = 200 // of properties and measurements
	maxKey       = 150
	maxMetrics   = 100
	maxChain     = 10  // exceptions inside of one
	maxFrames    = 200 // of a stack
	maxErrorText = 300
)

// Answer is the body of every answer.
type Answer struct {
	Received int         `json:"itemsReceived"`
	Accepted int         `json:"itemsAccepted"`
	Errors   []ItemError `json:"errors"`
}

// ItemError says what is wrong with one item. Clients send items with 408, 429, 500 and 503 again.
type ItemError struct {
	Index      int    `json:"index"`
	StatusCode int    `json:"statusCode"`
	Message    string `json:"message"`
}

// Status is the answer's HTTP status: 200 when all was taken, 206 for a part, else the first item's error.
func (a Answer) Status() int {
	switch {
	case len(a.Errors) == 0 && a.Received > 0:
		return http.StatusOK
	case a.Accepted > 0:
		return http.StatusPartialContent
	case len(a.Errors) > 0:
		return a.Errors[0].StatusCode
	}
	return http.StatusBadRequest
}

// Refused is the answer when nothing was taken for a reason that concerns all of n items.
func Refused(n, status int, message string) Answer {
	a := Answer{Received: n, Errors: []ItemError{}}
	for i := range n {
		a.Errors = append(a.Errors, ItemError{Index: i, StatusCode: status, Message: message})
	}
	return a
}

// Converter holds what conversions share.
type Converter struct {
	// Lookup says whose an instrumentation key is; NotFound when it is nobody's. It is called once per key.
	Lookup func(key string) (telemetry.Origin, error)
	// Complete fills in the resource once it is bound to the key's origin.
	Complete func(r *telemetry.Resource) error
	// Now is when the request came; Oldest and Newest bound the times that are taken.
	Now, Oldest, Newest time.Time
}

type envelope struct {
	Name       loose            `json:"name"`
	Time       loose            `json:"time"`
	SampleRate number           `json:"sampleRate"`
	Key        loose            `json:"iKey"`
	Tags       map[string]loose `json:"tags"`
	Data       struct {
		BaseType loose           `json:"baseType"`
		BaseData json.RawMessage `json:"baseData"`
	} `json:"data"`
}

// Convert reads a body: an array of envelopes when it begins with `[`, else one envelope a line. The error is for
// failures that are not the sender's: nothing may be taken then.
func (c *Converter) Convert(body []byte) (*telemetry.Batch, Answer, error) {
	b := &telemetry.Batch{}
	answer := Answer{Errors: []ItemError{}}
	p := &parse{Converter: c, batch: b, origins: map[string]found{}, resources: map[resourceKey]*telemetry.Resource{}}
	for raw, err := range items(body) {
		i := answer.Received
		answer.Received++
		if err == nil && i >= MaxItems {
			err = slipway.Invalid("a request has at most %d items", MaxItems)
		}
		if err == nil {
			err = p.item(raw)
		}
		if err == nil {
			answer.Accepted++
			continue
		}
		var problem *slipway.Problem
		if !errors.As(err, &problem) || problem.Code != slipway.CodeInvalid {
			return nil, answer, err
		}
		answer.Errors = append(answer.Errors, ItemError{Index: i, StatusCode: http.StatusBadRequest, Message: clip(problem.Message, maxErrorText)})
		if i >= MaxItems {
			break
		}
	}
	return b, answer, nil
}

// items yields the raw envelopes.
func items(body []byte) func(yield func(json.RawMessage, error) bool) {
	body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")))
	if bytes.HasPrefix(body, []byte("[")) {
		return func(yield func(json.RawMessage, error) bool) { array(body, yield) }
	}
	return func(yield func(json.RawMessage, error) bool) {
		for line := range bytes.Lines(body) {
			if line = bytes.TrimSpace(line); len(line) > 0 && !yield(line, nil) {
				return
			}
		}
	}
}

func array(body []byte, yield func(json.RawMessage, error) bool) {
	d := json.NewDecoder(bytes.NewReader(body))
	_, err := d.Token()
	for err == nil && d.More() {
		var raw json.RawMessage
		if err = d.Decode(&raw); err == nil && !yield(raw, nil) {
			return
		}
	}
	if err == nil {
		_, err = d.Token()
	}
	if err != nil {
		yield(nil, slipway.Invalid("the array is broken from here on: %v", err))
	}
}

type found struct {
	origin telemetry.Origin
	err    error
}

// resourceKey is what the envelopes of one process have in common.
type resourceKey struct{ key, role, instance, version, sdk, pod string }

type parse struct {
	*Converter
	batch     *telemetry.Batch
	origins   map[string]found
	resources map[resourceKey]*telemetry.Resource
}

func (p *parse) item(raw json.RawMessage) error {
	if len(raw) > MaxItem {
		return slipway.Invalid("an item has at most %d bytes", MaxItem)
	}
	var e envelope
	if err := json.Unmarshal(raw, &e); err != nil {
		return slipway.Invalid("the item is not a telemetry envelope: %v", err)
	}
	when := p.Now
	if e.Time != "" {
		var err error
		if when, err = time.Parse(time.RFC3339Nano, string(e.Time)); err != nil {
			return slipway.Invalid("field time %q is not RFC 3339", clip(string(e.Time), 64))
		}
	}
	if when.Before(p.Oldest) || when.After(p.Newest) {
		return slipway.Invalid("field time is in the future, or older than telemetry is kept")
	}
	var d data
	if len(e.Data.BaseData) == 0 {
		return slipway.Invalid("field data.baseData is missing")
	}
	if err := json.Unmarshal(e.Data.BaseData, &d); err != nil {
		return slipway.Invalid("field data.baseData: %v", err)
	}
	resource, err := p.resource(e, d)
	if err != nil {
		return err
	}
	return p.row(e, d, resource, when)
}

func (p *parse) resource(e envelope, d data) (*telemetry.Resource, error) {
	k := resourceKey{key: string(e.Key), role: e.tag("ai.cloud.role"), instance: e.tag("ai.cloud.roleInstance"),
		version: e.tag("ai.application.ver"), sdk: e.tag("ai.internal.sdkVersion"), pod: clip(string(d.Properties["k8s.pod.name"]), maxText)}
	if r := p.resources[k]; r != nil {
		return r, nil
	}
	o, ok := p.origins[k.key]
	if !ok {
		if len(p.origins) >= 16 {
			return nil, slipway.Invalid("a request has at most 16 instrumentation keys")
		}
		o.origin, o.err = p.Lookup(k.key)
		if slipway.CodeOf(o.err) == slipway.CodeNotFound {
			o.err = slipway.Invalid("Invalid instrumentation key")
		}
		p.origins[k.key] = o
	}
	if o.err != nil {
		return nil, o.err
	}
	r := &telemetry.Resource{Service: k.role, Instance: k.instance, Version: k.version, SDK: k.sdk, Pod: k.pod}
	if r.Pod == "" { // a process in a pod has the pod's name as its host's name
		r.Pod = r.Instance
	}
	r.Bind(o.origin)
	if p.Complete != nil {
		if err := p.Complete(r); err != nil {
			return nil, err
		}
	}
	p.resources[k] = r
	return r, nil
}

// tag is a context tag's value; the keys' case is as the schema has it.
func (e envelope) tag(name string) string { return clip(string(e.Tags[name]), maxText) }

func (e envelope) count() int64 {
	if e.SampleRate > 0 && e.SampleRate < 100 {
		return int64(100/float64(e.SampleRate) + 0.5)
	}
	return 1
}

// loose is text that some clients write as a number or a boolean.
type loose string

// UnmarshalJSON takes any scalar.
func (l *loose) UnmarshalJSON(b []byte) error {
	switch {
	case bytes.Equal(b, []byte("null")):
		*l = ""
	case b[0] == '"':
		var s string
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
		*l = loose(s)
	default:
		*l = loose(b)
	}
	return nil
}

// number is a number that some clients write as text.
type number float64

// UnmarshalJSON takes a number, a number as text, or null.
func (n *number) UnmarshalJSON(b []byte) error {
	b = bytes.Trim(b, `"`)
	if len(b) == 0 || bytes.Equal(b, []byte("null")) {
		*n = 0
		return nil
	}
	var f float64
	if err := json.Unmarshal(b, &f); err != nil {
		return fmt.Errorf("%q is not a number", clip(string(b), 40))
	}
	*n = number(f)
	return nil
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n]
}
