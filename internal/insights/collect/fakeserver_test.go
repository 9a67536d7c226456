package collect

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// fakeCluster stands for an API server, which cannot run in a test of this size: it serves lists and watches of pods
// and events, the output of containers and the kubelet's statistics as a real one does. The stories under test/ run
// the collector against the real node.
type fakeCluster struct {
	mu      sync.Mutex
	version int
	pods    []corev1.Pod
	events  []corev1.Event
	output  []string // lines `TIME TEXT` of the container "main"
	changed chan struct{}
	closed  bool // output ends
	opened  int  // times that output was asked for
	server  *httptest.Server
}

func newFakeCluster(t *testing.T) *fakeCluster {
	c := &fakeCluster{changed: make(chan struct{}), version: 1}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/pods", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("labelSelector") != LabelDeployment {
			t.Errorf("pods are asked for by %q", r.URL.Query().Get("labelSelector"))
		}
		c.objects(w, r, "PodList", func() (list []any) {
			for i := range c.pods {
				list = append(list, c.pods[i])
			}
			return list
		})
	})
	mux.HandleFunc("GET /api/v1/events", func(w http.ResponseWriter, r *http.Request) {
		c.objects(w, r, "EventList", func() (list []any) {
			for i := range c.events {
				list = append(list, c.events[i])
			}
			return list
		})
	})
	mux.HandleFunc("GET /api/v1/namespaces/ns/pods/shop-1/log", c.log)
	mux.HandleFunc("GET /api/v1/nodes/node-1/proxy/stats/summary", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"node":{"nodeName":"node-1"},"pods":[{"podRef":{"name":"shop-1","namespace":"ns","uid":"u"},
			"containers":[{"name":"main","cpu":{"time":"2026-01-01T00:00:00Z","usageNanoCores":125000000,"usageCoreNanoSeconds":1},
			"memory":{"workingSetBytes":1048576,"rssBytes":1}},{"name":"new","cpu":{},"memory":{}}]}]}`)
	})
	c.server = httptest.NewServer(mux)
	t.Cleanup(func() {
		c.server.CloseClientConnections()
		c.server.Close()
	})
	return c
}

func (c *fakeCluster) config() *rest.Config { return &rest.Config{Host: c.server.URL} }

// change does f and wakes every watch.
func (c *fakeCluster) change(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
	c.version++
	close(c.changed)
	c.changed = make(chan struct{})
}

// objects serves a list, or a watch that sends every object again as modified whenever something changes.
func (c *fakeCluster) objects(w http.ResponseWriter, r *http.Request, kind string, list func() []any) {
	if r.URL.Query().Get("sendInitialEvents") != "" { // streaming lists are optional: clients fall back
		w.WriteHeader(http.StatusUnprocessableEntity)
		_ = json.NewEncoder(w).Encode(metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Reason: metav1.StatusReasonInvalid, Code: 422})
		return
	}
	c.mu.Lock()
	version, changed := c.version, c.changed
	if r.URL.Query().Get("watch") == "" {
		items := list()
		if items == nil {
			items = []any{}
		}
		c.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"kind": kind, "apiVersion": "v1", "metadata": map[string]string{"resourceVersion": fmt.Sprint(version)}, "items": items})
		return
	}
	c.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	rc := http.NewResponseController(w)
	for since := r.URL.Query().Get("resourceVersion"); ; {
		if since != fmt.Sprint(version) {
			c.mu.Lock()
			items := list()
			c.mu.Unlock()
			for _, item := range items {
				_ = json.NewEncoder(w).Encode(map[string]any{"type": "MODIFIED", "object": item})
			}
		}
		_ = rc.Flush()
		select {
		case <-r.Context().Done():
			return
		case <-changed:
		}
		c.mu.Lock()
		since, version, changed = "", c.version, c.changed
		c.mu.Unlock()
	}
}

func (c *fakeCluster) log(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("container") != "main" || q.Get("timestamps") != "true" || q.Get("follow") != "true" {
		http.Error(w, "unexpected "+r.URL.RawQuery, http.StatusBadRequest)
		return
	}
	var since time.Time
	if s := q.Get("sinceTime"); s != "" {
		var err error
		if since, err = time.Parse(time.RFC3339, s); err != nil || since.Nanosecond() != 0 {
			http.Error(w, "sinceTime", http.StatusBadRequest)
			return
		}
	}
	rc := http.NewResponseController(w)
	c.mu.Lock()
	c.opened++
	c.mu.Unlock()
	for sent := 0; ; {
		c.mu.Lock()
		lines, changed, closed := c.output, c.changed, c.closed
		c.mu.Unlock()
		for ; sent < len(lines); sent++ {
			stamp, _, _ := strings.Cut(lines[sent], " ")
			at, err := time.Parse(time.RFC3339Nano, stamp)
			if err != nil || !at.Before(since) {
				fmt.Fprintln(w, lines[sent])
			}
		}
		_ = rc.Flush()
		if closed {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-changed:
		}
	}
}
