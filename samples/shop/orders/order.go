package main

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// order is one order as the service tells it.
type order struct {
	ID       int64     `json:"id"`
	Product  string    `json:"product"`
	Quantity int       `json:"quantity"`
	Placed   time.Time `json:"placed"`
}

var (
	errProduct  = errors.New("product must have 1 to 100 characters")
	errQuantity = errors.New("quantity must be between 1 and 99")
)

func (o order) check() error {
	if o.Product == "" || len(o.Product) > 100 {
		return errProduct
	}
	if o.Quantity < 1 || o.Quantity > 99 {
		return errQuantity
	}
	return nil
}

// store keeps orders. Implementations are safe for concurrent use.
type store interface {
	// add keeps a new order and returns it with its number and time.
	add(ctx context.Context, product string, quantity int) (order, error)
	// recent returns the latest orders, the newest first.
	recent(ctx context.Context, limit int) ([]order, error)
	// ping says whether the store can be used now.
	ping(ctx context.Context) error
}

// memory is a store that forgets when the program ends: for development.
type memory struct {
	mu   sync.Mutex
	list []order
}

func (m *memory) add(_ context.Context, product string, quantity int) (order, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o := order{ID: int64(len(m.list) + 1), Product: product, Quantity: quantity, Placed: time.Now().UTC()}
	m.list = append(m.list, o)
	return o, nil
}

func (m *memory) recent(_ context.Context, limit int) ([]order, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	latest := append([]order{}, m.list[max(0, len(m.list)-limit):]...)
	slices.Reverse(latest)
	return latest, nil
}

func (m *memory) ping(context.Context) error { return nil }
