package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

// stores runs f on every store; PostgreSQL takes part when TEST_DATABASE_URL names one.
func stores(t *testing.T, f func(t *testing.T, s store)) {
	t.Run("memory", func(t *testing.T) { t.Parallel(); f(t, &memory{}) })
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		url := os.Getenv("TEST_DATABASE_URL")
		if url == "" {
			t.Skip("TEST_DATABASE_URL names no PostgreSQL database")
		}
		pg, err := openPostgres(context.Background(), url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(pg.close)
		if _, err := pg.pool.Exec(context.Background(), `TRUNCATE orders RESTART IDENTITY`); err != nil {
			t.Fatal(err)
		}
		f(t, pg)
	})
}

func ask(t *testing.T, h http.Handler, method, path, body string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
	return w
}

func TestOrders(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, s store) {
		h := newServer(s, &telemetry{})
		if w := ask(t, h, "GET", "/orders", ""); w.Code != 200 || strings.TrimSpace(w.Body.String()) == "null" {
			t.Errorf("no orders: %d %s, want an empty list", w.Code, w.Body)
		}
		for _, product := range []string{"Anchor", "Lantern"} {
			w := ask(t, h, "POST", "/orders", `{"product":"`+product+`","quantity":2}`)
			if w.Code != http.StatusCreated {
				t.Fatalf("add %s: %d %s", product, w.Code, w.Body)
			}
		}
		var list []order
		if err := json.Unmarshal(ask(t, h, "GET", "/orders", "").Body.Bytes(), &list); err != nil {
			t.Fatal(err)
		}
		if len(list) != 2 || list[0].Product != "Lantern" || list[0].ID != 2 || list[1].ID != 1 || list[0].Placed.IsZero() {
			t.Errorf("got %+v, want the latest first", list)
		}
		if w := ask(t, h, "GET", "/readyz", ""); w.Code != 200 {
			t.Errorf("ready: %d", w.Code)
		}
	})
}

func TestBadOrdersAreRefused(t *testing.T) {
	t.Parallel()
	h := newServer(&memory{}, &telemetry{})
	for _, body := range []string{`{`, `{"product":"","quantity":1}`, `{"product":"Anchor","quantity":0}`, `{"product":"Anchor","quantity":100}`,
		`{"product":"` + strings.Repeat("a", 101) + `","quantity":1}`, strings.Repeat(" ", maxBody) + `{"product":"Anchor","quantity":1}`} {
		if w := ask(t, h, "POST", "/orders", body); w.Code != http.StatusBadRequest {
			t.Errorf("%.40q: %d, want 400", body, w.Code)
		}
	}
}

func TestTelemetryJoinsTheCallersTrace(t *testing.T) {
	t.Parallel()
	bodies := make(chan []byte, 10)
	ingestion := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v2/track" {
			t.Errorf("telemetry went to %s", r.URL.Path)
		}
		plain, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		body, _ := io.ReadAll(plain)
		n := bytes.Count(bytes.TrimSpace(body), []byte("\n")) + 1
		json.NewEncoder(w).Encode(map[string]any{"itemsReceived": n, "itemsAccepted": n, "errors": []string{}})
		bodies <- body
	}))
	defer ingestion.Close()
	insights, err := startTelemetry("InstrumentationKey=00000000-0000-0000-0000-000000000001;IngestionEndpoint="+ingestion.URL+"/",
		"orders", "slipway.environment=dev,slipway.run=7%2C8")
	if err != nil {
		t.Fatal(err)
	}
	h := newServer(&memory{}, insights)
	r := httptest.NewRequest("POST", "/orders", strings.NewReader(`{"product":"Anchor","quantity":1}`))
	r.Header.Set("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	h.ServeHTTP(httptest.NewRecorder(), r)
	insights.stop(10 * time.Second)
	var sent string
	for len(bodies) > 0 {
		sent += string(<-bodies)
	}
	for _, want := range []string{`"ai.operation.id":"0af7651916cd43dd8448eb211c80319c"`, `"ai.operation.parentId":"b7ad6b7169203331"`,
		`"ai.cloud.role":"orders"`, `"slipway.run":"7,8"`, `"RequestData"`, `"RemoteDependencyData"`, `"OrderPlaced"`} {
		if !strings.Contains(sent, want) {
			t.Errorf("telemetry lacks %s:\n%s", want, sent)
		}
	}
}

func TestConnectionStringNeedsBothParts(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"InstrumentationKey=1", "IngestionEndpoint=http://x/", "nonsense"} {
		if _, err := startTelemetry(s, "", ""); err == nil {
			t.Errorf("%q was taken", s)
		}
	}
}
