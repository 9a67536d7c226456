package web_test

import (
	"fmt"
	"strings"
	"testing"
)

// A long file comes in pieces of 1000 lines: by themselves as they are scrolled to, as pages of lines without JavaScript.
func TestLongFilesComeInPieces(t *testing.T) {
	t.Parallel()
	w := newCodeWorld(t)
	lines := func(from, to int) string {
		var b strings.Builder
		for n := from; n <= to; n++ {
			fmt.Fprintf(&b, "var line%d = %d\n", n, n)
		}
		return b.String()
	}
	w.put("begin", "long.go", lines(1, 2500), "short.go", lines(1, 1000))
	w.put("go on", "long.go", lines(1, 1700)+"var changed = 1\n"+lines(1702, 2500))
	for _, page := range []string{"", "/blame"} {
		address := shopPages + page + "?path=/long.go"
		link := func(line int) string { return fmt.Sprint(shopPages, page, "?lines=", line, "&amp;path=%2Flong.go") }
		first := w.shows(address, "2500 lines", `id="L1"`, `id="L1000"`, `data-from="1001" data-to="2000" hx-get="`+link(1001)+`"`,
			`<a href="`+link(2001)+`">Lines 2001 to 2500</a>`)
		w.lacks(first, `id="L1001"`, `data-from="1"`)
		second := w.shows(address+"&lines=1001", `id="L1001"`, `id="L2000"`, " changed", `data-from="1" data-to="1000"`, `data-from="2001" data-to="2500"`)
		w.lacks(strings.ReplaceAll(second, "changed", ""), `id="L1000"`, `id="L2001"`)
		part := review{codeWorld: w}.fetch(address + "&lines=2001")
		w.lacks(part, "<html", "<table", `id="L2000"`)
		if !strings.HasPrefix(part, "<tbody>") || strings.Count(part, "<tr ") != 500 || !strings.Contains(part, `id="L2500"`) {
			t.Errorf("%s: the last piece is\n%.300s", page, part)
		}
		w.shows(address+"&line=2400", `id="L2400"`, `data-from="1001"`) // an address of Azure Repos
		w.lacks(w.shows(address+"&lines=9999", `id="L2500"`), `id="L1"`)
		w.lacks(w.shows(shopPages+page+"?path=/short.go", `id="L1000"`), "data-from")
	}
	w.shows(shopPages+"?path=/long.go&line=2400", `<tr id="L2400" class="chosen">`)
	w.shows(shopPages+"/blame?path=/long.go&lines=1001", ">go on</a>", ">begin</a>")
}
