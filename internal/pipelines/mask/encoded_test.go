package mask

import (
	"encoding/base64"
	"strings"
	"testing"
)

// A secret in the middle of a longer text that is encoded in base64, as a password in a header is, stands at one of three places of a group
// of three bytes.
func TestSecretWithinBase64(t *testing.T) {
	t.Parallel()
	const secret = "sesame street & more"
	var m Masker
	m.Add(secret)
	for _, before := range []string{"", "x", "xx", "user:"} {
		for _, after := range []string{"", "y", "yy", "and what follows"} {
			encoded := base64.StdEncoding.EncodeToString([]byte(before + secret + after))
			masked := m.Mask(encoded)
			if !strings.Contains(masked, "***") {
				t.Errorf("%q before and %q after it: %s becomes %s", before, after, encoded, masked)
			}
			for part := range strings.SplitSeq(masked, "***") {
				for i := range part {
					if plain, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(part[i:], "=")); err == nil && strings.Contains(string(plain), "same stre") {
						t.Errorf("%q before and %q after it: %s shows %q", before, after, masked, plain)
					}
				}
			}
		}
	}
	if got := m.Mask("c2VzYW1lLCB3aWRlIG9wZW4="); got != "c2VzYW1lLCB3aWRlIG9wZW4=" { // sesame, wide open
		t.Errorf("another text is masked: %s", got)
	}
}
