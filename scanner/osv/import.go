package osv

import (
	"archive/zip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"
)

// What is taken of an export.
const (
	maxExport  = 4 << 30 // bytes
	maxRecords = 2_000_000
	maxRecord  = 16 << 20 // bytes
)

// Ecosystem is what an import brought of one ecosystem.
type Ecosystem struct {
	Name     string    `json:"name"`
	Records  int       `json:"records"`
	Packages int       `json:"packages"`
	Modified string    `json:"modified"` // the newest record's time
	Imported time.Time `json:"imported"`
}

// Report says what an import brought.
type Report struct {
	Ecosystems []Ecosystem `json:"ecosystems"`
}

var (
	packages = []byte("packages")
	about    = []byte("about")
)

// ecosystemForm keeps names of ecosystems fit to name files.
var ecosystemForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9 ._-]{0,60}$`)

// gathered is one ecosystem while it is read.
type gathered struct {
	Ecosystem
	entries map[string][]entry
}

// Import reads a zip of OSV records and replaces what the folder has of their ecosystems. A reader sees the old or the new.
func Import(folder string, in io.Reader) (Report, error) {
	var report Report
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return report, fmt.Errorf("make the database's folder: %w", err)
	}
	file, err := os.CreateTemp(folder, "import-*.zip")
	if err != nil {
		return report, fmt.Errorf("keep the export: %w", err)
	}
	defer os.Remove(file.Name())
	defer file.Close()
	size, err := io.Copy(file, io.LimitReader(in, maxExport+1))
	if err != nil {
		return report, fmt.Errorf("keep the export: %w", err)
	}
	if size > maxExport {
		return report, fmt.Errorf("the export has more than %d bytes", int64(maxExport))
	}
	archive, err := zip.NewReader(file, size)
	if err != nil {
		return report, fmt.Errorf("this is no zip of OSV records, as https://osv-vulnerabilities.storage.googleapis.com/ECOSYSTEM/all.zip is: %w", err)
	}
	all, err := gather(archive)
	if err != nil {
		return report, err
	}
	for _, g := range all {
		if err := g.write(folder); err != nil {
			return report, fmt.Errorf("write the records of %s: %w", g.Name, err)
		}
		report.Ecosystems = append(report.Ecosystems, g.Ecosystem)
	}
	return report, nil
}

func gather(archive *zip.Reader) (map[string]*gathered, error) {
	if len(archive.File) > maxRecords {
		return nil, fmt.Errorf("the export has more than %d files", maxRecords)
	}
	all := map[string]*gathered{}
	for _, f := range archive.File {
		if !strings.HasSuffix(f.Name, ".json") {
			continue
		}
		r, err := read(f)
		if err != nil {
			return nil, fmt.Errorf("record %s: %w", f.Name, err)
		}
		if r.Withdrawn != "" {
			continue
		}
		seen := map[string]bool{}
		for _, a := range r.Affected {
			name := base(a.Package.Ecosystem)
			if !ecosystemForm.MatchString(name) || a.Package.Name == "" {
				continue
			}
			g := all[name]
			if g == nil {
				g = &gathered{Ecosystem: Ecosystem{Name: name, Imported: time.Now().UTC()}, entries: map[string][]entry{}}
				all[name] = g
			}
			if !seen[name] {
				seen[name] = true
				g.Records++
				g.Modified = max(g.Modified, r.Modified)
			}
			k := key(name, a.Package.Name)
			g.entries[k] = append(g.entries[k], a.entry(r))
		}
	}
	if len(all) == 0 {
		return nil, errors.New("the zip has no OSV record of a package")
	}
	return all, nil
}

func read(f *zip.File) (record, error) {
	var r record
	if f.UncompressedSize64 > maxRecord {
		return r, fmt.Errorf("it has more than %d bytes", maxRecord)
	}
	in, err := f.Open()
	if err != nil {
		return r, err
	}
	defer in.Close()
	err = json.NewDecoder(io.LimitReader(in, maxRecord)).Decode(&r)
	return r, err
}

func path(folder, ecosystem string) string { return filepath.Join(folder, ecosystem+".db") }

// write puts the ecosystem into a file of its own and only then in the place of the old one.
func (g *gathered) write(folder string) error {
	g.Packages = len(g.entries)
	temporary := path(folder, g.Name) + ".new"
	if err := os.Remove(temporary); err != nil && !os.IsNotExist(err) {
		return err
	}
	db, err := bolt.Open(temporary, 0o600, &bolt.Options{Timeout: time.Second})
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bolt.Tx) error {
		bucket, err := tx.CreateBucket(packages)
		if err != nil {
			return err
		}
		for name, list := range g.entries {
			b, err := json.Marshal(list)
			if err != nil {
				return err
			}
			if err := bucket.Put([]byte(name), b); err != nil {
				return err
			}
		}
		info, err := tx.CreateBucket(about)
		if err != nil {
			return err
		}
		b, err := json.Marshal(g.Ecosystem)
		if err != nil {
			return err
		}
		return info.Put(about, b)
	})
	if err := errors.Join(err, db.Close()); err != nil {
		os.Remove(temporary)
		return err
	}
	return os.Rename(temporary, path(folder, g.Name))
}
