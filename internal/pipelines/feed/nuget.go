package feed

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/semver"

	"slipway"
	"slipway/internal/pipelines/nearest"
)

// flatContainer is the type of the resource that has the packages themselves.
const flatContainer = "PackageBaseAddress/3.0.0"

func (c Client) findNuGet(ctx context.Context, s Source, number string) (Version, error) {
	var index struct {
		Resources []struct {
			ID   string `json:"@id"`
			Type string `json:"@type"`
		} `json:"resources"`
	}
	if err := c.json(ctx, s, s.Address, "application/json", &index); err != nil {
		return Version{}, err
	}
	base := ""
	for _, r := range index.Resources {
		if r.Type == flatContainer {
			base = strings.TrimRight(r.ID, "/")
		}
	}
	if base == "" {
		return Version{}, slipway.Invalid("the registry %s has no %s, so it is none of NuGet version 3: its address ends in /index.json", shown(s.Address), flatContainer)
	}
	var list struct {
		Versions []string `json:"versions"`
	}
	id := strings.ToLower(s.Name)
	if err := c.json(ctx, s, base+"/"+url.PathEscape(id)+"/index.json", "application/json", &list); err != nil {
		return Version{}, err
	}
	found := ""
	for _, v := range list.Versions {
		switch {
		case number != "":
			if compareNuGet(v, number) == 0 {
				found = v
			}
		case found == "" || newer(v, found):
			found = v
		}
	}
	if found == "" {
		if number == "" {
			return Version{}, slipway.NotFound("package %s has no version", s.Name)
		}
		return Version{}, slipway.NotFound("package %s has no version %q%s", s.Name, number, nearest.Suggest(number, list.Versions))
	}
	lower := url.PathEscape(strings.ToLower(withoutMetadata(found)))
	return Version{Number: found, file: base + "/" + url.PathEscape(id) + "/" + lower + "/" + url.PathEscape(id) + "." + lower + ".nupkg"}, nil
}

// newer reports whether a is to be taken rather than b when no version is asked for.
func newer(a, b string) bool {
	stableA, stableB := !strings.Contains(withoutMetadata(a), "-"), !strings.Contains(withoutMetadata(b), "-")
	if stableA != stableB {
		return stableA
	}
	return compareNuGet(a, b) > 0
}

func withoutMetadata(v string) string {
	v, _, _ = strings.Cut(v, "+")
	return v
}

// compareNuGet orders versions as NuGet does: up to four numbers, of which missing ones are 0, then the rest as in Semantic
// Versioning, in any case (https://learn.microsoft.com/nuget/concepts/package-versioning).
func compareNuGet(a, b string) int {
	numbersA, labelA, _ := strings.Cut(withoutMetadata(a), "-")
	numbersB, labelB, _ := strings.Cut(withoutMetadata(b), "-")
	partsA, partsB := numbers(numbersA), numbers(numbersB)
	if n := slices.Compare(partsA[:], partsB[:]); n != 0 {
		return n
	}
	if labelA == "" || labelB == "" {
		return cmp.Compare(len(labelB), len(labelA)) // the one without is higher
	}
	return semver.Compare("v0.0.0-"+strings.ToLower(labelA), "v0.0.0-"+strings.ToLower(labelB))
}

func numbers(text string) (parts [4]uint64) {
	for i, part := range strings.SplitN(text, ".", 4) {
		parts[i], _ = strconv.ParseUint(part, 10, 64) // what is no number counts as 0
	}
	return parts
}
