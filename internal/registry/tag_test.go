package registry_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/registry"
)

// A list of referrers that is larger than a manifest may be comes in pages, each of which is not.
func TestReferrersPages(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), t.Context()
		config := w.putBlob(w.repo, "{}")
		subject := digestOf("subject")
		var want []string
		for i := range 5 {
			about := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":"application/vnd.example","digest":%q,"size":2},"layers":[],"subject":{"mediaType":%q,"digest":%q,"size":7},"annotations":{"text":"%d%s"}}`,
				registry.TypeOCIManifest, config, registry.TypeOCIManifest, subject, i, strings.Repeat("x", 3<<19))
			want = append(want, string(w.pushUntagged(about).Digest))
		}
		slices.Sort(want)
		var got []string
		var pages []int
		for last, more := "", true; more; {
			var list []registry.Descriptor
			var err error
			if list, more, err = w.ReferrersPage(ctx, w.repo, subject, "application/vnd.example", last); err != nil {
				t.Fatal(err)
			}
			for _, one := range list {
				got = append(got, one.Digest)
				last = one.Digest
			}
			pages = append(pages, len(list))
		}
		if !slices.Equal(got, want) || !slices.Equal(pages, []int{2, 2, 1}) {
			t.Errorf("pages of %v: %v, want %v", pages, got, want)
		}
		if list, more, err := w.ReferrersPage(ctx, w.repo, subject, "application/vnd.other", ""); err != nil || more || len(list) != 0 {
			t.Errorf("of another type: %v, %v, %v", list, more, err)
		}
	})
}
