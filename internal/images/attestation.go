package images

import (
	"maps"
	"slices"
	"strings"

	"slipway"
)

// Attestation is what is said of an image and pushed beside it: its provenance, or a list of what it holds.
type Attestation struct {
	Kind       string            `json:"kind"` // provenance or sbom
	Attributes map[string]string `json:"attributes,omitempty"`
}

// DefaultScanner makes the list of an image's parts when no other is named. It is an image of a registry.
const DefaultScanner = "docker/buildkit-syft-scanner:stable-1"

// ParseAttestation reads docker's `--provenance`, `--sbom` and `--attest type=KIND`: true, false, or comma-separated KEY=VALUE.
// False is nil.
func ParseAttestation(kind, s string) (*Attestation, error) {
	a := &Attestation{Kind: kind, Attributes: map[string]string{}}
	switch strings.ToLower(s) {
	case "true", "1", "":
	case "false", "0":
		return nil, nil
	default:
		var err error
		if a.Attributes, err = parsePairs("--"+kind, s); err != nil {
			return nil, err
		}
	}
	if a.Attributes["disabled"] == "true" {
		return nil, nil
	}
	delete(a.Attributes, "disabled")
	delete(a.Attributes, "type")
	switch {
	case kind != "provenance" && kind != "sbom":
		return nil, slipway.Unsupported("an attestation of type %q is not supported: use provenance or sbom", kind)
	case kind == "sbom" && a.Attributes["generator"] == "":
		a.Attributes["generator"] = DefaultScanner
	case kind == "provenance" && a.Attributes["mode"] == "":
		a.Attributes["mode"] = "min"
	}
	if m := a.Attributes["mode"]; kind == "provenance" && m != "min" && m != "max" {
		return nil, slipway.Invalid("--provenance mode=%s: the modes are min and max", m)
	}
	return a, nil
}

// ParseAttest reads docker's `--attest type=KIND,KEY=VALUE`.
func ParseAttest(s string) (*Attestation, error) {
	pairs, err := parsePairs("--attest", s)
	if err != nil {
		return nil, err
	}
	return ParseAttestation(pairs["type"], s)
}

// attribute is how BuildKit reads it, with keys in order.
func (a Attestation) attribute() string {
	var out []string
	for _, key := range slices.Sorted(maps.Keys(a.Attributes)) {
		out = append(out, key+"="+a.Attributes[key])
	}
	return strings.Join(out, ",")
}
