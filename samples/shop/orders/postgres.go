package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// postgres is the store that lasts.
type postgres struct{ pool *pgxpool.Pool }

const schema = `
	CREATE TABLE IF NOT EXISTS orders (
		id       BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
		product  TEXT NOT NULL,
		quantity INTEGER NOT NULL CHECK (quantity > 0),
		placed   TIMESTAMPTZ NOT NULL DEFAULT now()
	)`

// openPostgres waits for the database, which starts beside this service and may be slower, and makes the table.
func openPostgres(ctx context.Context, url string) (*postgres, error) {
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for {
		_, err := pool.Exec(ctx, schema)
		if err == nil {
			return &postgres{pool: pool}, nil
		}
		slog.Info("waiting for the database", "error", err)
		select {
		case <-ctx.Done():
			pool.Close()
			return nil, fmt.Errorf("prepare database: %w", err)
		case <-time.After(time.Second):
		}
	}
}

func (p *postgres) close() { p.pool.Close() }

func (p *postgres) add(ctx context.Context, product string, quantity int) (order, error) {
	o := order{Product: product, Quantity: quantity}
	const insert = `INSERT INTO orders (product, quantity) VALUES ($1, $2) RETURNING id, placed`
	if err := p.pool.QueryRow(ctx, insert, product, quantity).Scan(&o.ID, &o.Placed); err != nil {
		return o, fmt.Errorf("add order: %w", err)
	}
	return o, nil
}

func (p *postgres) recent(ctx context.Context, limit int) ([]order, error) {
	rows, err := p.pool.Query(ctx, `SELECT id, product, quantity, placed FROM orders ORDER BY id DESC LIMIT $1`, limit)
	if err != nil {
		return nil, fmt.Errorf("list orders: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (order, error) {
		var o order
		return o, row.Scan(&o.ID, &o.Product, &o.Quantity, &o.Placed)
	})
	if err != nil {
		return nil, fmt.Errorf("list orders: %w", err)
	}
	return list, nil
}

func (p *postgres) ping(ctx context.Context) error { return p.pool.Ping(ctx) }
