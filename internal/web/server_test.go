package web_test

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// TestRefusedForm sends what no form may take: the page says why in a sentence, repeats little of it and none as markup.
func TestRefusedForm(t *testing.T) {
	t.Parallel()
	p := openPages(t)
	for name, value := range map[string]string{
		"markup": `<script>alert(1)</script><img src=x onerror=alert(1)>`,
		"long":   strings.Repeat("ü", 500_000),
		"quotes": `Robert'); DROP TABLE users;--`,
	} {
		page := p.post(p.browser, "/Shop/_environments", 400, "name", value)
		if !utf8.ValidString(page) || len(page) > 20_000 {
			t.Errorf("%s: the page has %d bytes", name, len(page))
		}
		p.has(page, `data-refused="environment name`, "beginning with a letter or digit")
		p.lacks(page, "<script>alert", "<img src=x")
	}
}
