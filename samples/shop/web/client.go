package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
)

// order is one line of the orders service's answer.
type order struct {
	ID       int64     `json:"id"`
	Product  string    `json:"product"`
	Quantity int       `json:"quantity"`
	Placed   time.Time `json:"placed"`
}

// ordersClient talks to the orders service; its requests carry the trace of the page that they are for.
type ordersClient struct {
	url  string
	http *http.Client
}

func newOrdersClient(url string) *ordersClient {
	return &ordersClient{url: url, http: &http.Client{
		Transport: otelhttp.NewTransport(http.DefaultTransport),
		Timeout:   5 * time.Second,
	}}
}

const maxAnswer = 1 << 20

// recent returns the latest orders.
func (c *ordersClient) recent(ctx context.Context) ([]order, error) {
	var list []order
	return list, c.call(ctx, http.MethodGet, "/orders", nil, &list)
}

// place makes a new order.
func (c *ordersClient) place(ctx context.Context, product string, quantity int) (order, error) {
	var placed order
	body, err := json.Marshal(order{Product: product, Quantity: quantity})
	if err != nil {
		return placed, err
	}
	return placed, c.call(ctx, http.MethodPost, "/orders", bytes.NewReader(body), &placed)
}

func (c *ordersClient) call(ctx context.Context, method, path string, body io.Reader, answer any) error {
	request, err := http.NewRequestWithContext(ctx, method, c.url+path, body)
	if err != nil {
		return fmt.Errorf("ask orders: %w", err)
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := c.http.Do(request)
	if err != nil {
		return fmt.Errorf("ask orders: %w", err)
	}
	defer response.Body.Close()
	limited := io.LimitReader(response.Body, maxAnswer)
	if response.StatusCode >= 300 {
		message, _ := io.ReadAll(io.LimitReader(limited, 200))
		return fmt.Errorf("orders answered %s: %s", response.Status, bytes.TrimSpace(message))
	}
	if err := json.NewDecoder(limited).Decode(answer); err != nil {
		return fmt.Errorf("read the answer of orders: %w", err)
	}
	return nil
}
