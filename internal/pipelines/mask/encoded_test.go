package mask

import (
	"encoding/base64"
	"os/exec"
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

// What base64(1) and openssl break into lines is masked in each of them; once, `echo "$KEY" | base64` showed a key of more than 57 bytes.
func TestSecretInLinesOfBase64(t *testing.T) {
	t.Parallel()
	var m Masker
	secret := strings.Repeat("a secret that is longer than a line; ", 5) + "end"
	m.Add(secret)
	for _, command := range [][]string{{"base64"}, {"base64", "--wrap=64"}, {"openssl", "base64"}, {"base64", "--wrap=0"}} {
		cmd := exec.Command(command[0], command[1:]...)
		cmd.Stdin = strings.NewReader(secret)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %v", command, err)
		}
		for line := range strings.Lines(string(out)) {
			if got := m.Mask(line); strings.Trim(got, "*=\n") != "" {
				t.Errorf("%v: %q is shown of %q", command, got, line)
			}
		}
	}
}

func TestSecretInXML(t *testing.T) {
	t.Parallel()
	var m Masker
	m.Add("a<b>&c")
	if got := m.Mask("<v>a&lt;b&gt;&amp;c</v>"); got != "<v>***</v>" {
		t.Errorf("%q", got)
	}
}
