package images

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"slipway"

	"github.com/moby/buildkit/client"
	"golang.org/x/sync/errgroup"
)

// Usage is what a builder's cache holds.
type Usage struct {
	Records []UsageRecord `json:"records"`
}

// UsageRecord is one piece of the cache.
type UsageRecord struct {
	ID          string   `json:"id"`
	Kind        string   `json:"kind"`             // BuildKit's: regular, source.local, exec.cachemount, ...
	Scopes      []string `json:"scopes,omitempty"` // that know it
	Size        int64    `json:"size"`             // bytes
	Description string   `json:"description,omitempty"`
	InUse       bool     `json:"inUse,omitempty"`
	Uses        int      `json:"uses"`               // how often it was found again
	LastUsed    int64    `json:"lastUsed,omitempty"` // Unix time
}

// Bytes is the size of everything.
func (u Usage) Bytes() int64 {
	var sum int64
	for _, r := range u.Records {
		sum += r.Size
	}
	return sum
}

// maxUsage bounds a builder's answer.
const maxUsage = 64 << 20

// ReadUsage asks a builder what its cache holds. The connection must be its owner's.
func ReadUsage(ctx context.Context, dial Dial) (Usage, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	conn, err := dial.begin(ctx, "USAGE")
	if err != nil {
		return Usage{}, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	b, err := io.ReadAll(io.LimitReader(conn, maxUsage))
	if err != nil {
		return Usage{}, slipway.Unavailable("the builder did not say what its cache holds").Because(err)
	}
	if message, ok := strings.CutPrefix(string(b), "ERROR "); ok {
		return Usage{}, fmt.Errorf("ask the builder what its cache holds: %s", strings.TrimSpace(message))
	}
	var u Usage
	if err := json.Unmarshal(b, &u); err != nil {
		return Usage{}, fmt.Errorf("ask the builder what its cache holds: %w", err)
	}
	return u, nil
}

// PruneOptions say what Prune removes; the zero value is everything that no build uses.
type PruneOptions struct {
	All       bool          // what BuildKit keeps for itself too, such as frontend images
	OlderThan time.Duration // only what was not used for so long
	Keep      int64         // bytes that stay
	ID        string        // one record alone
}

// Prune empties a builder's cache and gives the bytes that were freed. The connection must be its owner's.
func Prune(ctx context.Context, dial Dial, o PruneOptions) (freed int64, err error) {
	c, err := connect(ctx, dial)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	options := []client.PruneOption{client.WithKeepOpt(o.OlderThan, 0, o.Keep, 0)}
	if o.All {
		options = append(options, client.PruneAll)
	}
	if o.ID != "" {
		options = append(options, client.WithFilter([]string{"id==" + o.ID}))
	}
	removed := make(chan client.UsageInfo)
	var group errgroup.Group
	group.Go(func() error {
		defer close(removed)
		return c.Prune(ctx, removed, options...)
	})
	for r := range removed {
		freed += r.Size
	}
	if err := group.Wait(); err != nil {
		return freed, fmt.Errorf("prune the builder's cache: %w", err)
	}
	return freed, nil
}
