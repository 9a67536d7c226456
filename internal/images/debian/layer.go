package debian

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/renameio/v2"
)

// storedLayer is a layer in the cache: a gzip file and what its digests are, so that nothing is read to know them.
// It implements v1.Layer.
type storedLayer struct {
	path string
	meta layerMeta
}

// layerMeta is what is kept beside the file, as JSON.
type layerMeta struct {
	Title  string  `json:"title"`
	Digest v1.Hash `json:"digest"`
	DiffID v1.Hash `json:"diff_id"`
	Size   int64   `json:"size"` // compressed, bytes
}

func (l *storedLayer) Digest() (v1.Hash, error)            { return l.meta.Digest, nil }
func (l *storedLayer) DiffID() (v1.Hash, error)            { return l.meta.DiffID, nil }
func (l *storedLayer) Size() (int64, error)                { return l.meta.Size, nil }
func (l *storedLayer) MediaType() (types.MediaType, error) { return types.OCILayer, nil }
func (l *storedLayer) Compressed() (io.ReadCloser, error)  { return os.Open(l.path) }

func (l *storedLayer) Uncompressed() (io.ReadCloser, error) {
	f, err := os.Open(l.path)
	if err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return struct {
		io.Reader
		io.Closer
	}{z, f}, nil
}

func (i *Importer) layerPath(key string) string { return filepath.Join(i.folder, key+".tar.gz") }

// stored returns the layer of that key from the cache, nil when it is not there. The JSON is written last, so a layer
// that has it is whole.
func (i *Importer) stored(key string) (*storedLayer, error) {
	l := &storedLayer{path: i.layerPath(key)}
	b, err := os.ReadFile(filepath.Join(i.folder, key+".json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read layer from cache: %w", err)
	}
	if err := json.Unmarshal(b, &l.meta); err != nil {
		return nil, nil //nolint:nilerr // damaged: made again
	}
	if info, err := os.Stat(l.path); err != nil || info.Size() != l.meta.Size {
		return nil, nil //nolint:nilerr // gone or damaged: made again
	}
	return l, nil
}

// store compresses the entries into the cache.
func (i *Importer) store(key, title string, t *tree) error {
	file, err := renameio.NewPendingFile(i.layerPath(key), renameio.WithPermissions(0o644))
	if err != nil {
		return fmt.Errorf("write layer: %w", err)
	}
	defer file.Cleanup() //nolint:errcheck // after the replacement it does nothing
	compressed, plain := &counter{hash: sha256.New()}, sha256.New()
	z, err := gzip.NewWriterLevel(io.MultiWriter(file, compressed), gzip.BestSpeed)
	if err != nil {
		return fmt.Errorf("write layer: %w", err)
	}
	if err := t.writeTo(io.MultiWriter(z, plain)); err != nil {
		return fmt.Errorf("write layer %s: %w", title, err)
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("write layer: %w", err)
	}
	if err := file.CloseAtomicallyReplace(); err != nil {
		return fmt.Errorf("write layer: %w", err)
	}
	meta, err := json.Marshal(layerMeta{Title: title, Digest: sum(compressed.hash), DiffID: sum(plain), Size: compressed.n})
	if err != nil {
		return fmt.Errorf("write layer: %w", err)
	}
	if err := renameio.WriteFile(filepath.Join(i.folder, key+".json"), meta, 0o644); err != nil {
		return fmt.Errorf("write layer: %w", err)
	}
	return nil
}

func sum(h hash.Hash) v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: fmt.Sprintf("%x", h.Sum(nil))}
}

// counter hashes and counts what is written to it.
type counter struct {
	hash hash.Hash
	n    int64
}

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return c.hash.Write(p)
}
