package osv

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/osv-scalibr/semantic"
	bolt "go.etcd.io/bbolt"

	"slipway/scanner/inventory"
)

// Finding is a vulnerability that a package of an image has.
type Finding struct {
	ID       string   `json:"id"`
	Aliases  []string `json:"aliases,omitempty"`
	Summary  string   `json:"summary,omitempty"`
	Severity string   `json:"severity"`
	Score    float64  `json:"score,omitempty"` // CVSS, 0 when unknown
	Package  string   `json:"package"`
	Version  string   `json:"version"`
	Fixed    string   `json:"fixed,omitempty"` // the first version without it
	PURL     string   `json:"purl"`
	Path     string   `json:"path"`
}

// Findings are those of an image, and by what they were found.
type Findings struct {
	Findings   []Finding   `json:"findings"`
	Ecosystems []Ecosystem `json:"ecosystems"` // that the database has
	Unchecked  int         `json:"unchecked"`  // packages of ecosystems that it does not have
}

// database is the open files of a folder.
type database struct {
	folder string
	open   map[string]*bolt.DB
}

// Match finds the vulnerabilities of packages, the worst first.
func Match(folder string, list []inventory.Package) (Findings, error) {
	d := &database{folder, map[string]*bolt.DB{}}
	defer d.close()
	out := Findings{Findings: []Finding{}, Ecosystems: []Ecosystem{}}
	var err error
	if out.Ecosystems, err = d.ecosystems(); err != nil {
		return out, err
	}
	for _, p := range list {
		entries, known, err := d.entries(p)
		if err != nil {
			return out, fmt.Errorf("look up %s: %w", p.Name, err)
		}
		if !known {
			out.Unchecked++
		}
		for _, e := range entries {
			if fixed, hit := e.affects(p); hit {
				out.Findings = append(out.Findings, Finding{ID: e.ID, Aliases: e.Aliases, Summary: e.Summary, Severity: e.Severity, Score: e.Score,
					Package: p.Name, Version: p.Version, Fixed: fixed, PURL: p.PURL, Path: p.Path})
			}
		}
	}
	severities := []string{Critical, High, Medium, Low, Unknown}
	slices.SortStableFunc(out.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(slices.Index(severities, a.Severity), slices.Index(severities, b.Severity)), cmp.Compare(b.Score, a.Score),
			cmp.Compare(a.Package, b.Package), cmp.Compare(a.ID, b.ID))
	})
	return out, nil
}

func (d *database) close() {
	for _, db := range d.open {
		if db != nil {
			db.Close()
		}
	}
}

// file opens the file of an ecosystem, nil when there is none.
func (d *database) file(ecosystem string) (*bolt.DB, error) {
	name := base(ecosystem)
	if db, ok := d.open[name]; ok || !ecosystemForm.MatchString(name) {
		return db, nil
	}
	if _, err := os.Stat(path(d.folder, name)); errors.Is(err, fs.ErrNotExist) {
		d.open[name] = nil
		return nil, nil
	}
	db, err := bolt.Open(path(d.folder, name), 0o600, &bolt.Options{ReadOnly: true, Timeout: 10 * time.Second})
	if err != nil {
		return nil, err
	}
	d.open[name] = db
	return db, nil
}

func (d *database) ecosystems() ([]Ecosystem, error) {
	files, err := filepath.Glob(filepath.Join(d.folder, "*.db"))
	if err != nil {
		return nil, err
	}
	list := []Ecosystem{}
	for _, f := range files {
		db, err := d.file(strings.TrimSuffix(filepath.Base(f), ".db"))
		if err != nil {
			return nil, fmt.Errorf("open %s: %w", f, err)
		}
		if db == nil {
			continue
		}
		var e Ecosystem
		err = db.View(func(tx *bolt.Tx) error { return json.Unmarshal(tx.Bucket(about).Get(about), &e) })
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", f, err)
		}
		list = append(list, e)
	}
	return list, nil
}

// entries are those about a package, of its release of the ecosystem.
func (d *database) entries(p inventory.Package) (list []entry, known bool, err error) {
	if p.Ecosystem == "" {
		return nil, false, nil
	}
	db, err := d.file(p.Ecosystem)
	if err != nil || db == nil {
		return nil, false, err
	}
	names := []string{cmp.Or(p.Source, p.Name)}
	if p.Type == "rpm" && p.Source != "" { // some of these distributions name the built package, others its source
		names = append(names, p.Name)
	}
	err = db.View(func(tx *bolt.Tx) error {
		for _, name := range names {
			var all []entry
			if b := tx.Bucket(packages).Get([]byte(key(p.Ecosystem, name))); b != nil {
				if err := json.Unmarshal(b, &all); err != nil {
					return err
				}
			}
			for _, e := range all {
				if covers(e.Ecosystem, p.Ecosystem) && !slices.ContainsFunc(list, func(other entry) bool { return other.ID == e.ID && p.Type == "rpm" }) {
					list = append(list, e)
				}
			}
		}
		return nil
	})
	return list, true, err
}

// covers says whether records of an ecosystem are about packages of another: the same release, or all of them. Red Hat's releases have
// parts, such as Red Hat:enterprise_linux:9::baseos.
func covers(record, of string) bool {
	return record == of || record == base(of) || base(of) == "Red Hat" && strings.HasPrefix(record, of+":")
}

// affects says whether the package's version is affected, and from which version it is not (OSV schema, "Evaluation").
func (e entry) affects(p inventory.Package) (fixed string, hit bool) {
	text := cmp.Or(p.SourceAt, p.Version)
	version, err := semantic.Parse(text, p.Ecosystem)
	if err != nil {
		return "", slices.Contains(e.Versions, text)
	}
	hit = slices.Contains(e.Versions, text)
	for _, events := range e.Ranges {
		inside, until := inRange(p.Ecosystem, version, events)
		if inside {
			return until, true
		}
	}
	if hit {
		fixed = firstFix(p.Ecosystem, version, e.Ranges)
	}
	return fixed, hit
}

// bound is an event of a range with its version.
type bound struct {
	event
	version semantic.Version // nil for the beginning of all versions
}

// text is the event's version as it is written.
func (e event) text() string { return cmp.Or(e.Introduced, e.Fixed, e.LastAffected) }

// inRange follows the events in the order of their versions, and says from which version on it is fixed.
func inRange(ecosystem string, v semantic.Version, events []event) (inside bool, fixed string) {
	var list []bound
	for _, e := range events {
		if e.Introduced == "0" {
			list = append(list, bound{event: e})
		} else if version, err := semantic.Parse(e.text(), ecosystem); err == nil {
			list = append(list, bound{e, version})
		}
	}
	slices.SortStableFunc(list, func(a, b bound) int {
		if a.version == nil || b.version == nil {
			return cmp.Compare(order(a.version), order(b.version))
		}
		return compare(a.version, b.version)
	})
	for _, b := range list {
		after := 1
		if b.version != nil {
			after = compare(v, b.version)
		}
		switch {
		case b.Introduced != "":
			inside = inside || after >= 0
		case b.Fixed != "" && after >= 0, b.LastAffected != "" && after > 0:
			inside = false
		case b.Fixed != "" && fixed == "":
			fixed = b.Fixed
		}
	}
	return inside, fixed
}

func order(v semantic.Version) int {
	if v == nil {
		return 0
	}
	return 1
}

// compare orders two versions of one ecosystem, which cannot fail.
func compare(a, b semantic.Version) int {
	c, err := a.Compare(b)
	if err != nil {
		return 0
	}
	return c
}

// firstFix is the earliest fix after a version that is listed as affected.
func firstFix(ecosystem string, v semantic.Version, ranges [][]event) string {
	for _, events := range ranges {
		if _, fixed := inRange(ecosystem, v, events); fixed != "" {
			return fixed
		}
	}
	return ""
}
