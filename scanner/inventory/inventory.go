// Package inventory finds the packages in a container image: those of the distribution, of languages' package managers, and the modules in programs.
package inventory

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	configpb "github.com/google/osv-scalibr/binary/proto/config_go_proto"
	"github.com/google/osv-scalibr/extractor"
	"github.com/google/osv-scalibr/extractor/filesystem"
	"github.com/google/osv-scalibr/extractor/filesystem/language/dotnet/depsjson"
	"github.com/google/osv-scalibr/extractor/filesystem/language/golang/gobinary"
	"github.com/google/osv-scalibr/extractor/filesystem/language/java/archive"
	"github.com/google/osv-scalibr/extractor/filesystem/language/javascript/packagejson"
	"github.com/google/osv-scalibr/extractor/filesystem/language/php/composerlock"
	"github.com/google/osv-scalibr/extractor/filesystem/language/python/wheelegg"
	"github.com/google/osv-scalibr/extractor/filesystem/language/ruby/gemspec"
	"github.com/google/osv-scalibr/extractor/filesystem/language/rust/cargoauditable"
	"github.com/google/osv-scalibr/extractor/filesystem/os/apk"
	apkmeta "github.com/google/osv-scalibr/extractor/filesystem/os/apk/metadata"
	"github.com/google/osv-scalibr/extractor/filesystem/os/dpkg"
	dpkgmeta "github.com/google/osv-scalibr/extractor/filesystem/os/dpkg/metadata"
	"github.com/google/osv-scalibr/extractor/filesystem/os/rpm"
	rpmmeta "github.com/google/osv-scalibr/extractor/filesystem/os/rpm/metadata"
	scalibrfs "github.com/google/osv-scalibr/fs"
	"github.com/google/osv-scalibr/stats"
)

// Package is a package that is in an image.
type Package struct {
	Name      string   `json:"name"`
	Version   string   `json:"version"`
	PURL      string   `json:"purl"`
	Type      string   `json:"type"` // deb, apk, rpm, golang, npm, pypi, maven, ...
	Ecosystem string   `json:"ecosystem,omitempty"`
	Source    string   `json:"source,omitempty"` // the package that vulnerabilities name, when it is another
	SourceAt  string   `json:"sourceVersion,omitempty"`
	Licenses  []string `json:"licenses,omitempty"`
	Path      string   `json:"path"` // of the file that says so
}

// Inventory is what is in an image.
type Inventory struct {
	Packages  []Package       `json:"packages"`
	SPDX      json.RawMessage `json:"spdx,omitempty"`      // version 2.3
	CycloneDX json.RawMessage `json:"cyclonedx,omitempty"` // version 1.6
	Warnings  []string        `json:"warnings,omitempty"`
}

// MaxPackages bounds the packages of one image.
const MaxPackages = 50_000

// extractors read what packages leave in a file system. None runs a program or asks the network.
func extractors() ([]filesystem.Extractor, error) {
	var list []filesystem.Extractor
	for _, make := range []func(*configpb.PluginConfig) (filesystem.Extractor, error){
		dpkg.New, apk.New, rpm.New, gobinary.New, wheelegg.New, packagejson.New, archive.New, gemspec.New, cargoauditable.New, depsjson.New, composerlock.New,
	} {
		e, err := make(&configpb.PluginConfig{})
		if err != nil {
			return nil, fmt.Errorf("prepare an extractor: %w", err)
		}
		list = append(list, e)
	}
	return list, nil
}

// Read takes the inventory of the image in a tar with an OCI layout.
func Read(ctx context.Context, image io.Reader) (Inventory, error) {
	var inv Inventory
	all, err := extractors()
	if err != nil {
		return inv, err
	}
	folder, err := os.MkdirTemp("", "slipway-scanner-")
	if err != nil {
		return inv, fmt.Errorf("make a folder for the image: %w", err)
	}
	defer os.RemoveAll(folder)
	files, err := unpack(ctx, image, folder, all)
	if err != nil {
		return inv, err
	}
	result, statuses, err := filesystem.Run(ctx, &filesystem.Config{Extractors: all, ScanRoots: scalibrfs.RealFSScanRoots(files), Stats: stats.NoopCollector{}})
	if err != nil {
		return inv, fmt.Errorf("look for packages: %w", err)
	}
	for _, s := range statuses {
		if s.Status != nil && s.Status.FailureReason != "" {
			inv.Warnings = append(inv.Warnings, s.Name+": "+s.Status.FailureReason)
		}
	}
	result.Packages = sorted(result.Packages)
	if len(result.Packages) > MaxPackages {
		return inv, fmt.Errorf("the image has %d packages, at most %d are listed", len(result.Packages), MaxPackages)
	}
	inv.Packages = []Package{}
	for _, p := range result.Packages {
		inv.Packages = append(inv.Packages, describe(p))
	}
	if inv.SPDX, err = toSPDX(result); err != nil {
		return inv, err
	}
	inv.CycloneDX, err = toCycloneDX(result)
	return inv, err
}

// sorted orders packages by type, name and version, and leaves out what is named twice at one place.
func sorted(list []*extractor.Package) []*extractor.Package {
	key := func(p *extractor.Package) []string {
		return []string{p.PURLType, p.Name, p.Version, p.Location.PathOrEmpty()}
	}
	slices.SortStableFunc(list, func(a, b *extractor.Package) int { return slices.Compare(key(a), key(b)) })
	return slices.CompactFunc(list, func(a, b *extractor.Package) bool { return slices.Equal(key(a), key(b)) })
}

func describe(p *extractor.Package) Package {
	out := Package{Name: p.Name, Version: p.Version, Type: p.PURLType, Ecosystem: p.Ecosystem().String(), Licenses: p.Licenses, Path: p.Location.PathOrEmpty()}
	if purl := p.PURL(); purl != nil {
		out.PURL = purl.String()
	}
	switch m := p.Metadata.(type) {
	case *dpkgmeta.Metadata:
		out.Source, out.SourceAt = m.SourceName, cmp.Or(m.SourceVersion, p.Version)
	case *apkmeta.Metadata:
		out.Source = m.OriginName
	case *rpmmeta.Metadata:
		out.Ecosystem, out.Source, out.SourceAt = rpmEcosystem(m, out.Ecosystem), rpmSource(m.SourceRPM), fmt.Sprintf("%d:%s", m.Epoch, p.Version)
	}
	if out.Source == p.Name {
		out.Source = ""
	}
	return out
}

// rpmEcosystem names the release, by which OSV's records of these distributions are kept.
func rpmEcosystem(m *rpmmeta.Metadata, otherwise string) string {
	major, _, _ := strings.Cut(m.OSVersionID, ".")
	switch m.OSID {
	case "rhel":
		return "Red Hat:enterprise_linux:" + major
	case "rocky":
		return "Rocky Linux:" + major
	}
	return otherwise
}

// rpmSource is the name in NAME-VERSION-RELEASE.src.rpm.
func rpmSource(file string) string {
	for range 2 {
		i := strings.LastIndexByte(file, '-')
		if i < 0 {
			return ""
		}
		file = file[:i]
	}
	return file
}
