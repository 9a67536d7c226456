package main

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/microsoft/ApplicationInsights-Go/appinsights"
	"github.com/microsoft/ApplicationInsights-Go/appinsights/contracts"
)

// telemetry tells Application Insights of requests, what they waited for and what went wrong. The zero client of a
// program without a connection string tells nobody.
type telemetry struct{ client appinsights.TelemetryClient }

// startTelemetry reads a connection string, `InstrumentationKey=GUID;IngestionEndpoint=URL`. The service's name and
// the resource attributes, `key=value,...` with percent signs, go with everything that is sent.
func startTelemetry(connection, service, attributes string) (*telemetry, error) {
	if connection == "" {
		return &telemetry{}, nil
	}
	key, endpoint, err := parseConnection(connection)
	if err != nil {
		return nil, err
	}
	configuration := appinsights.NewTelemetryConfiguration(key)
	configuration.EndpointUrl = strings.TrimSuffix(endpoint, "/") + "/v2/track"
	configuration.MaxBatchInterval = 2 * time.Second
	client := appinsights.NewTelemetryClientFromConfig(configuration)
	if service == "" {
		service = "orders"
	}
	host, _ := os.Hostname()
	client.Context().Tags.Cloud().SetRole(service)
	client.Context().Tags.Cloud().SetRoleInstance(host)
	for name, value := range parseAttributes(attributes) {
		client.Context().CommonProperties[name] = value
	}
	return &telemetry{client: client}, nil
}

func parseConnection(s string) (key, endpoint string, err error) {
	for _, part := range strings.Split(s, ";") {
		name, value, _ := strings.Cut(part, "=")
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "instrumentationkey":
			key = value
		case "ingestionendpoint":
			endpoint = value
		}
	}
	if key == "" || endpoint == "" {
		return "", "", fmt.Errorf("connection string needs InstrumentationKey and IngestionEndpoint")
	}
	return key, endpoint, nil
}

func parseAttributes(s string) map[string]string {
	all := map[string]string{}
	for _, part := range strings.Split(s, ",") {
		name, value, ok := strings.Cut(part, "=")
		if !ok {
			continue
		}
		if plain, err := url.PathUnescape(value); err == nil {
			value = plain
		}
		all[strings.TrimSpace(name)] = value
	}
	return all
}

// stop sends what is still held back, for at most that long.
func (t *telemetry) stop(within time.Duration) {
	if t.client == nil {
		return
	}
	select {
	case <-t.client.Channel().Close(within):
	case <-time.After(within):
		slog.Warn("last telemetry is lost")
	}
}

// operation is one request as telemetry sees it: part of the trace that the caller began.
type operation struct {
	telemetry *telemetry
	trace     string // 32 hex digits
	parent    string // the caller's span, 16 hex digits, or empty
	id        string // this request's span
	name      string
}

// The header of the W3C Trace Context recommendation, version 00.
var traceparent = regexp.MustCompile(`^00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$`)

func (t *telemetry) begin(name, header string) operation {
	op := operation{telemetry: t, name: name, id: randomHex(8)}
	if found := traceparent.FindStringSubmatch(header); found != nil {
		op.trace, op.parent = found[1], found[2]
		return op
	}
	op.trace = randomHex(16)
	return op
}

func randomHex(bytes int) string {
	b := make([]byte, bytes)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// tracked makes a handler of a function that answers with a status, or with an error that becomes the answer.
func (t *telemetry) tracked(name string, serve func(http.ResponseWriter, *http.Request, operation) (int, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begin, op := time.Now(), t.begin(name, r.Header.Get("traceparent"))
		status, err := serve(w, r, op)
		if err != nil {
			op.exception(err)
			message := err.Error()
			if status >= http.StatusInternalServerError {
				slog.Error("request failed", "operation", name, "error", err, "trace_id", op.trace)
				message = "internal error"
			}
			http.Error(w, message, status)
		}
		op.request(r, begin, status)
	})
}

func (o operation) request(r *http.Request, begin time.Time, status int) {
	if o.telemetry.client == nil {
		return
	}
	item := appinsights.NewRequestTelemetry(r.Method, r.URL.String(), time.Since(begin), strconv.Itoa(status))
	item.Id, item.Name, item.Timestamp = o.id, o.name, begin
	item.Success = status < http.StatusBadRequest
	o.tag(item.Tags, o.parent)
	o.telemetry.client.Track(item)
}

// dependency tells of a call to the database.
func (o operation) dependency(what string, begin time.Time, err error) {
	if o.telemetry.client == nil {
		return
	}
	item := appinsights.NewRemoteDependencyTelemetry(what, "postgresql", "database", err == nil)
	item.Id, item.Timestamp, item.Duration = randomHex(8), begin, time.Since(begin)
	o.tag(item.Tags, o.id)
	o.telemetry.client.Track(item)
}

func (o operation) exception(err error) {
	if o.telemetry.client == nil {
		return
	}
	item := appinsights.NewExceptionTelemetry(err)
	o.tag(item.Tags, o.id)
	o.telemetry.client.Track(item)
}

func (o operation) event(name string, properties map[string]string) {
	if o.telemetry.client == nil {
		return
	}
	item := appinsights.NewEventTelemetry(name)
	for k, v := range properties {
		item.Properties[k] = v
	}
	o.tag(item.Tags, o.id)
	o.telemetry.client.Track(item)
}

func (o operation) tag(tags contracts.ContextTags, parent string) {
	tags.Operation().SetId(o.trace)
	tags.Operation().SetName(o.name)
	if parent != "" {
		tags.Operation().SetParentId(parent)
	}
}
