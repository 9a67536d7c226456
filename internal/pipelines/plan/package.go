package plan

import (
	"strings"

	"slipway"
)

// PackageKind is whose package a package is.
type PackageKind string

// The kinds of packages.
const (
	PackageNPM   PackageKind = "npm"
	PackageNuGet PackageKind = "NuGet"
)

// Package is a package of a registry that steps download, or whose new versions start a run.
type Package struct {
	Alias string      `json:"alias"`
	Kind  PackageKind `json:"kind"`
	// Endpoint names the service connection of the registry.
	Endpoint string `json:"endpoint"`
	// Name is OWNER/NAME, @SCOPE/NAME or NAME.
	Name string `json:"name"`
	// Version is that of a run which no new version starts; "" is the latest, or that of Tag, which only npm has.
	Version string           `json:"version,omitempty"`
	Tag     string           `json:"tag,omitempty"`
	Trigger bool             `json:"trigger,omitempty"`
	At      slipway.Position `json:"at"`
}

// Connection is the service connection by which the package's registry is reached.
func (p *Package) Connection() Connection {
	types := []string{"github", "generic", "externalnpmregistry"}
	if p.Kind == PackageNuGet {
		types[2] = "externalnugetfeed"
	}
	return Connection{Name: p.Endpoint, Types: types, At: p.At}
}

// PackageVariable is the name of the variable that holds what is known of a package when a run is queued: its name, type and version.
func PackageVariable(alias, key string) string { return "resources.package." + alias + "." + key }

// Package is the package resource of that alias in any case, nil if there is none.
func (r *Resources) Package(alias string) *Package {
	for i := range r.Packages {
		if strings.EqualFold(r.Packages[i].Alias, alias) {
			return &r.Packages[i]
		}
	}
	return nil
}

// GetPackage downloads a package and unpacks it.
type GetPackage struct {
	Package Package `json:"package"`
	// Path is the folder, relative to $(Pipeline.Workspace); "" is the package's alias.
	Path string `json:"path,omitempty"`
}
