package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// orders stands in for the orders service over real HTTP.
func orders(t *testing.T, answer http.HandlerFunc) *ordersClient {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	return newOrdersClient(server.URL)
}

func startShop(t *testing.T, c *ordersClient, f fault) http.Handler {
	t.Helper()
	telemetry, err := startTelemetry(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	h, err := newShop(c, f, telemetry)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func get(h http.Handler, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w
}

func TestPageShowsOrders(t *testing.T) {
	t.Parallel()
	h := startShop(t, orders(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != "GET" || r.URL.Path != "/orders" {
			t.Errorf("asked %s %s", r.Method, r.URL.Path)
		}
		json.NewEncoder(w).Encode([]order{{ID: 41, Product: "<Anchor>", Quantity: 3, Placed: time.Now()}})
	}), faultNone)
	w := get(h, "/")
	body := w.Body.String()
	if w.Code != 200 || !strings.Contains(body, "<td>41</td>") || !strings.Contains(body, greeting) {
		t.Errorf("%d:\n%s", w.Code, body)
	}
	if strings.Contains(body, "<Anchor>") {
		t.Error("a product's name is not escaped")
	}
}

func TestPageWithoutOrdersService(t *testing.T) {
	t.Parallel()
	h := startShop(t, orders(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "broken", 500) }), faultNone)
	if w := get(h, "/"); w.Code != 200 || !strings.Contains(w.Body.String(), "cannot be shown") {
		t.Errorf("%d, want the page with an apology", w.Code)
	}
}

func TestPlaceOrder(t *testing.T) {
	t.Parallel()
	h := startShop(t, orders(t, func(w http.ResponseWriter, r *http.Request) {
		var o order
		if err := json.NewDecoder(r.Body).Decode(&o); err != nil || o.Product != "Lantern" || o.Quantity != 2 {
			http.Error(w, "unexpected order", http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusCreated)
		json.NewEncoder(w).Encode(o)
	}), faultNone)
	for form, want := range map[string]int{
		"product=Lantern&quantity=2":    http.StatusSeeOther,
		"product=Lantern&quantity=many": http.StatusBadRequest,
		"product=Other&quantity=2":      http.StatusInternalServerError,
	} {
		values, err := url.ParseQuery(form)
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("POST", "/orders", strings.NewReader(values.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%s: %d, want %d", form, w.Code, want)
		}
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	c := orders(t, func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("[]")) })
	for f, want := range map[fault]struct{ alive, ready int }{faultNone: {200, 200}, faultReady: {200, 503}, faultRequests: {200, 200}} {
		h := startShop(t, c, f)
		if alive, ready := get(h, "/healthz").Code, get(h, "/readyz").Code; alive != want.alive || ready != want.ready {
			t.Errorf("fault %q: alive %d, ready %d, want %+v", f, alive, ready, want)
		}
	}
	h, failed := startShop(t, c, faultRequests), 0
	for range 9 {
		if get(h, "/").Code == 500 {
			failed++
		}
	}
	if failed != 3 {
		t.Errorf("%d of 9 pages failed, want 3", failed)
	}
	if _, err := parseFault("everything"); err == nil {
		t.Error("an unknown fault was taken")
	}
}
