package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

const (
	shown       = 20
	maxBody     = 16 << 10
	pingTimeout = 2 * time.Second
)

// server is the HTTP side of the service.
type server struct {
	store    store
	insights *telemetry
}

func newServer(s store, t *telemetry) http.Handler {
	v := &server{store: s, insights: t}
	mux := http.NewServeMux()
	mux.Handle("GET /orders", t.tracked("GET /orders", v.list))
	mux.Handle("POST /orders", t.tracked("POST /orders", v.add))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", v.ready)
	return mux
}

func (v *server) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), pingTimeout)
	defer cancel()
	if err := v.store.ping(ctx); err != nil {
		http.Error(w, "the database does not answer", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ready")
}

func (v *server) list(w http.ResponseWriter, r *http.Request, op operation) (int, error) {
	begin := time.Now()
	list, err := v.store.recent(r.Context(), shown)
	op.dependency("SELECT orders", begin, err)
	if err != nil {
		return http.StatusInternalServerError, err
	}
	return http.StatusOK, writeJSON(w, http.StatusOK, list)
}

func (v *server) add(w http.ResponseWriter, r *http.Request, op operation) (int, error) {
	var asked order
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&asked); err != nil {
		return http.StatusBadRequest, fmt.Errorf("read order: %w", err)
	}
	if err := asked.check(); err != nil {
		return http.StatusBadRequest, err
	}
	begin := time.Now()
	placed, err := v.store.add(r.Context(), asked.Product, asked.Quantity)
	op.dependency("INSERT orders", begin, err)
	if err != nil {
		return http.StatusInternalServerError, err
	}
	op.event("OrderPlaced", map[string]string{"product": placed.Product})
	return http.StatusCreated, writeJSON(w, http.StatusCreated, placed)
}

func writeJSON(w http.ResponseWriter, status int, v any) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	return json.NewEncoder(w).Encode(v)
}
