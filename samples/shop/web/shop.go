package main

import (
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
)

// greeting is the line to change when you want to see a change travel.
const greeting = "Fresh from the pipeline"

var products = []string{"Anchor", "Barrel", "Compass", "Lantern"}

//go:embed page.html
var pageSource string

// shop is the web application.
type shop struct {
	orders    *ordersClient
	fault     fault
	telemetry *telemetry
	page      *template.Template
	visits    atomic.Int64
}

type pageView struct {
	Greeting    string
	Environment string
	Products    []string
	Orders      []order
	Problem     string
}

func newShop(orders *ordersClient, f fault, t *telemetry) (http.Handler, error) {
	page, err := template.New("page").Parse(pageSource)
	if err != nil {
		return nil, fmt.Errorf("parse page: %w", err)
	}
	s := &shop{orders: orders, fault: f, telemetry: t, page: page}
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", t.traced("GET /", s.showPage))
	mux.Handle("POST /orders", t.traced("POST /orders", s.placeOrder))
	mux.HandleFunc("GET /healthz", s.alive)
	mux.HandleFunc("GET /readyz", s.ready)
	return mux, nil
}

func (s *shop) alive(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") }

// ready is what the readiness probe asks. The orders service has a probe of its own: were it asked here too, one bad
// service would take the other down with it.
func (s *shop) ready(w http.ResponseWriter, _ *http.Request) {
	if s.fault == faultReady {
		http.Error(w, "SHOP_FAIL=ready: not ready on purpose", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ready")
}

var errOnPurpose = errors.New("SHOP_FAIL=requests: this request fails on purpose")

func (s *shop) showPage(w http.ResponseWriter, r *http.Request) error {
	if s.fault == faultRequests && s.visits.Add(1)%3 == 0 {
		return errOnPurpose
	}
	view := pageView{Greeting: greeting, Environment: os.Getenv("SHOP_ENVIRONMENT"), Products: products}
	list, err := s.orders.recent(r.Context())
	if err != nil {
		// The page is of use without the list, so the visitor gets it; the trace and the log have the cause.
		slog.ErrorContext(r.Context(), "list orders", "error", err)
		view.Problem = "The latest orders cannot be shown now."
	}
	view.Orders = list
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if err := s.page.Execute(w, view); err != nil {
		return fmt.Errorf("render page: %w", err)
	}
	return nil
}

func (s *shop) placeOrder(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
	quantity, err := strconv.Atoi(r.PostFormValue("quantity"))
	if err != nil {
		http.Error(w, "quantity must be a number", http.StatusBadRequest)
		return nil
	}
	placed, err := s.orders.place(r.Context(), r.PostFormValue("product"), quantity)
	if err != nil {
		return err
	}
	s.telemetry.ordered(r.Context(), placed)
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}
