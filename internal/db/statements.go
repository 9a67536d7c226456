package db

import (
	"context"
	"database/sql/driver"
	"fmt"
)

// maxStatements is how many prepared statements a connection to SQLite keeps.
const maxStatements = 256

// maxStatementLength is the longest text of one that is kept, in bytes.
const maxStatementLength = 16 << 10

// preparing makes connections to SQLite that keep the statements which they have prepared: parsing one takes SQLite longer than
// finding a row by its key. PostgreSQL's client does the same by itself.
type preparing struct{ driver.Connector }

func (p preparing) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := p.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	inner, ok := c.(sqliteConn)
	if !ok {
		return nil, fmt.Errorf("the driver's connection is a %T, which lacks some of what database/sql uses", c)
	}
	return &connection{sqliteConn: inner, kept: map[string]*statement{}}, nil
}

// sqliteConn is what each connection of the driver can do.
type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// connection keeps prepared statements by their text. Like any driver.Conn it is used by one goroutine at a time. A statement of
// an older schema is prepared anew by SQLite itself.
type connection struct {
	sqliteConn
	kept map[string]*statement
}

// statement is one that is kept.
type statement struct {
	prepared
	busy bool // its rows are being read: who wants the same meanwhile prepares another
}

// prepared is what statements of the driver can do.
type prepared interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// Unwrap is the driver's own connection, as the driver asks of those who wrap it.
func (c *connection) Unwrap() driver.Conn { return c.sqliteConn }

// Close forgets the statements first: SQLite closes no connection that has any.
func (c *connection) Close() error {
	for text, s := range c.kept {
		delete(c.kept, text)
		_ = s.Close() // it reports the error of its last use once more
	}
	return c.sqliteConn.Close()
}

func (c *connection) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	s, err := c.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return c.sqliteConn.ExecContext(ctx, query, args)
	}
	return s.ExecContext(ctx, args)
}

func (c *connection) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	s, err := c.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return c.sqliteConn.QueryContext(ctx, query, args)
	}
	rows, err := s.QueryContext(ctx, args)
	if err != nil {
		return nil, err
	}
	s.busy = true
	return &keptRows{Rows: rows, of: s}, nil
}

// keptRows are the rows of a statement that is kept.
type keptRows struct {
	driver.Rows
	of *statement // nil once closed
}

func (r *keptRows) Close() error {
	if r.of != nil {
		r.of.busy, r.of = false, nil
	}
	return r.Rows.Close()
}

// statement is the one of that text, which it prepares at the first time; nil if it is in use, or too long to be kept.
func (c *connection) statement(ctx context.Context, query string) (*statement, error) {
	if s := c.kept[query]; s != nil {
		if s.busy {
			return nil, nil
		}
		return s, nil
	}
	if len(query) > maxStatementLength || !c.makeRoom() {
		return nil, nil
	}
	inner, err := c.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	p, ok := inner.(prepared)
	if !ok {
		return nil, fmt.Errorf("the driver's statement is a %T, which takes no context", inner)
	}
	s := &statement{prepared: p}
	c.kept[query] = s
	return s, nil
}

// makeRoom forgets any statement that is not in use, if there are too many; false says that all are in use.
func (c *connection) makeRoom() bool {
	if len(c.kept) < maxStatements {
		return true
	}
	for text, s := range c.kept {
		if !s.busy {
			delete(c.kept, text)
			_ = s.Close() // it reports the error of its last use once more
			return true
		}
	}
	return false
}
