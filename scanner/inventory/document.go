package inventory

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/CycloneDX/cyclonedx-go"
	"github.com/google/osv-scalibr/converter"
	"github.com/google/osv-scalibr/converter/spdx"
	"github.com/google/osv-scalibr/extractor"
	cdxmeta "github.com/google/osv-scalibr/extractor/filesystem/sbom/cdx/metadata"
	found "github.com/google/osv-scalibr/inventory"
	"github.com/google/osv-scalibr/purl"
	"github.com/google/uuid"
	"github.com/spdx/tools-golang/spdx/v2/common"
)

// tool is who made the documents.
const tool = "slipway-scanner"

// toSPDX is the inventory in SPDX.
func toSPDX(result found.Inventory) (json.RawMessage, error) {
	b, err := json.Marshal(converter.ToSPDX23(result, spdx.Config{DocumentName: "image", DocumentNamespace: "https://spdx.org/spdxdocs/image-" + uuid.NewString(),
		Creators: []common.Creator{{CreatorType: "Tool", Creator: tool}}}))
	if err != nil {
		return nil, fmt.Errorf("write the SPDX document: %w", err)
	}
	return b, nil
}

// toCycloneDX is the inventory in CycloneDX, which names licences too.
func toCycloneDX(result found.Inventory) (json.RawMessage, error) {
	bom := converter.ToCDX(result, converter.CDXConfig{ComponentName: "image", ComponentType: string(cyclonedx.ComponentTypeContainer)})
	bom.SerialNumber = "urn:uuid:" + uuid.NewString()
	bom.SpecVersion = cyclonedx.SpecVersion1_6
	bom.JSONSchema = "http://cyclonedx.org/schema/bom-1.6.schema.json"
	bom.Metadata.Tools = &cyclonedx.ToolsChoice{Components: &[]cyclonedx.Component{{Type: cyclonedx.ComponentTypeApplication, Name: tool}}}
	for i, p := range result.Packages { // the converter keeps their order
		var licenses cyclonedx.Licenses
		for _, name := range p.Licenses {
			if name != "" {
				licenses = append(licenses, cyclonedx.LicenseChoice{License: &cyclonedx.License{Name: name}})
			}
		}
		if len(licenses) > 0 {
			(*bom.Components)[i].Licenses = &licenses
		}
	}
	b, err := json.Marshal(bom)
	if err != nil {
		return nil, fmt.Errorf("write the CycloneDX document: %w", err)
	}
	return b, nil
}

// MaxDocument bounds a bill of materials that is read, in bytes.
const MaxDocument = 16 << 20

// stated is a bill of materials in JSON, of either kind, as far as it is read.
type stated struct {
	Format     string      `json:"bomFormat"`
	SPDX       string      `json:"spdxVersion"`
	Components []component `json:"components"`
	Packages   []struct {
		References []struct {
			Type    string `json:"referenceType"`
			Locator string `json:"referenceLocator"`
		} `json:"externalRefs"`
	} `json:"packages"`
}

type component struct {
	PURL       string      `json:"purl"`
	Components []component `json:"components"`
}

// ReadDocument reads the packages that a bill of materials names by their package URLs: CycloneDX or SPDX 2, in JSON. What has no such
// URL is left out.
func ReadDocument(in io.Reader) (Inventory, error) {
	inv := Inventory{Packages: []Package{}}
	b, err := io.ReadAll(io.LimitReader(in, MaxDocument+1))
	if err != nil {
		return inv, fmt.Errorf("read the bill of materials: %w", err)
	}
	if len(b) > MaxDocument {
		return inv, fmt.Errorf("the bill of materials has more than %d bytes", MaxDocument)
	}
	var d stated
	if err := json.Unmarshal(b, &d); err != nil {
		return inv, fmt.Errorf("the bill of materials is not in JSON: write CycloneDX or SPDX 2 as JSON: %w", err)
	}
	if d.Format != "CycloneDX" && !strings.HasPrefix(d.SPDX, "SPDX-2.") {
		return inv, errors.New("the document is neither CycloneDX nor SPDX 2: it has no bomFormat or spdxVersion that says so")
	}
	list := urls(d.Components)
	for _, p := range d.Packages {
		for _, r := range p.References {
			if r.Type == "purl" || r.Type == "http://spdx.org/rdf/references/purl" {
				list = append(list, r.Locator)
			}
		}
	}
	if len(list) > MaxPackages {
		return inv, fmt.Errorf("the bill of materials names %d packages, at most %d are listed", len(list), MaxPackages)
	}
	for _, text := range list {
		p, err := purl.FromString(text)
		if err != nil {
			return inv, fmt.Errorf("%.200q is no package URL: %w", text, err)
		}
		inv.Packages = append(inv.Packages, fromURL(text, p))
	}
	return inv, nil
}

func urls(list []component) []string {
	var all []string
	for _, c := range list {
		if c.PURL != "" {
			all = append(all, c.PURL)
		}
		all = append(all, urls(c.Components)...)
	}
	return all
}

// fromURL describes a package by its URL, by the name that its ecosystem has for it.
func fromURL(text string, p purl.PackageURL) Package {
	name := p.Name
	switch {
	case p.Namespace == "":
	case p.Type == purl.TypeMaven:
		name = p.Namespace + ":" + p.Name
	case p.Type == purl.TypeGolang, p.Type == purl.TypeNPM, p.Type == purl.TypeComposer:
		name = p.Namespace + "/" + p.Name
	}
	found := extractor.Package{Name: name, Version: p.Version, PURLType: p.Type, Metadata: &cdxmeta.Metadata{PURL: &p}}
	out := Package{Name: name, Version: p.Version, PURL: text, Type: p.Type, Ecosystem: found.Ecosystem().String()}
	if p.Type == purl.TypeGolang {
		out.Version = strings.TrimPrefix(p.Version, "v")
	}
	qualifiers := map[string]string{}
	for _, q := range p.Qualifiers {
		qualifiers[q.Key] = q.Value
	}
	switch p.Type {
	case purl.TypeDebian:
		out.Source, out.SourceAt = qualifiers[purl.Source], qualifiers[purl.SourceVersion]
	case purl.TypeApk:
		out.Source = qualifiers[purl.Origin]
	}
	if out.Source == name {
		out.Source = ""
	}
	return out
}
