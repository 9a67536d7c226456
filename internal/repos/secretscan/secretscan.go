// Package secretscan finds credentials of well-known shapes in lines of text. Where a shape carries a check, a checksum, a length
// or what must follow, it is made: what does not pass is no finding. It is pure.
package secretscan

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"hash/crc32"
	"regexp"
	"strings"
	"sync"
)

// Finding is what looks like a credential.
type Finding struct {
	Rule   string // what it is, in people's words
	Secret string
	// ID tells findings apart without telling the secret: the same credential has the same one everywhere.
	ID string
}

// maxLine bounds what is looked at of one line, in bytes.
const maxLine = 16 << 10

// rule is one shape.
type rule struct {
	name  string
	hint  string // lines without it are not looked at
	shape *regexp.Regexp
	check func(secret string) bool // nil when the shape says enough
}

// rules are the shapes that their issuers document. The slice is never changed.
var rules = sync.OnceValue(func() []rule {
	return []rule{
		{"an AWS access key ID", "AKIA", regexp.MustCompile(`\bAKIA[A-Z2-7]{16}\b`), nil},
		{"an AWS access key ID", "ASIA", regexp.MustCompile(`\bASIA[A-Z2-7]{16}\b`), nil},
		{"a GitHub token", "gh", regexp.MustCompile(`\bgh[pousr]_[A-Za-z0-9]{36}\b`), checksummed},
		{"a GitHub fine-grained token", "github_pat_", regexp.MustCompile(`\bgithub_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}\b`), nil},
		{"an npm token", "npm_", regexp.MustCompile(`\bnpm_[A-Za-z0-9]{36}\b`), checksummed},
		{"a GitLab token", "glpat-", regexp.MustCompile(`\bglpat-[A-Za-z0-9_-]{20}\b`), nil},
		{"a Slack token", "xox", regexp.MustCompile(`\bxox[abeoprs]-(?:[0-9]+-)+[A-Za-z0-9-]{20,}\b`), nil},
		{"a Slack webhook", "hooks.slack.com", regexp.MustCompile(`hooks\.slack\.com/services/T[A-Z0-9]{8,12}/B[A-Z0-9]{8,12}/[A-Za-z0-9]{24}\b`), nil},
		{"a Stripe live key", "k_live_", regexp.MustCompile(`\b[sr]k_live_[A-Za-z0-9]{24,}\b`), nil},
		{"an Azure storage account key", "AccountKey=", regexp.MustCompile(`AccountKey=[A-Za-z0-9+/]{86}==`), decodes},
		{"an Azure DevOps token", "AZDO", regexp.MustCompile(`\b[A-Za-z0-9]{76}AZDO[A-Za-z0-9]{4}\b`), nil},
		{"a Google API key", "AIza", regexp.MustCompile(`\bAIza[A-Za-z0-9_-]{35}\b`), nil},
		{"a PyPI token", "pypi-", regexp.MustCompile(`\bpypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,}`), nil},
		{"a SendGrid key", "SG.", regexp.MustCompile(`\bSG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}\b`), nil},
	}
})

var (
	keyBegin = regexp.MustCompile(`-----BEGIN (?:RSA |EC |DSA |OPENSSH )?PRIVATE KEY-----`)
	keyBody  = regexp.MustCompile(`[A-Za-z0-9+/]{40,}={0,2}`)
)

// Text looks at lines that follow one another. The zero value is ready.
type Text struct {
	// Own says whether a text of the shape of Slipway's own tokens, which have no mark, is one. It may be nil.
	Own   func(token string) bool
	begun bool // the line before begins a private key
}

// Line looks at the next line. A private key is found at its second line: before it, the first is text like any.
func (t *Text) Line(line string) []Finding {
	line = line[:min(len(line), maxLine)]
	var found []Finding
	if t.begun {
		if body := keyBody.FindString(line); body != "" {
			found = append(found, finding("a private key", body))
		}
	}
	if at := keyBeginning(line); at != nil {
		t.begun = true
		if body := keyBody.FindString(line[at[1]:]); body != "" { // on one line, as in JSON
			found, t.begun = append(found, finding("a private key", body)), false
		}
	} else {
		t.begun = false
	}
	for _, r := range rules() {
		if !strings.Contains(line, r.hint) {
			continue
		}
		for _, secret := range r.shape.FindAllString(line, -1) {
			if !example(secret) && (r.check == nil || r.check(secret)) {
				found = append(found, finding(r.name, secret))
			}
		}
	}
	if t.Own != nil {
		for _, secret := range ownTokens(line) {
			if t.Own(secret) {
				found = append(found, finding("a token of this server", secret))
			}
		}
	}
	return found
}

// keyBeginning is where a private key begins in a line, nil when none does.
func keyBeginning(line string) []int {
	if !strings.Contains(line, keyHint) { // most lines: the expression costs more
		return nil
	}
	return keyBegin.FindStringIndex(line)
}

// ownTokens are the words of a line that have the shape of Slipway's own tokens: 52 characters of a to z and 2 to 7. Every line of every push
// comes by here, and a loop costs a tenth of an expression.
func ownTokens(line string) []string {
	if len(line) < ownLength {
		return nil
	}
	var list []string
	start, fits := 0, true
	for i := 0; i <= len(line); i++ {
		if i < len(line) && isWord(line[i]) {
			c := line[i]
			fits = fits && ownByte(c)
			continue
		}
		if fits && i-start == ownLength {
			list = append(list, line[start:i])
		}
		start, fits = i+1, true
	}
	return list
}

// isWord says what \w means in a regular expression.
func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_'
}

func finding(name, secret string) Finding {
	sum := sha256.Sum256([]byte(name + "\x00" + secret))
	return Finding{Rule: name, Secret: secret, ID: hex.EncodeToString(sum[:8])}
}

// example says that a secret is one of documentation: AKIAIOSFODNN7EXAMPLE, or one character again and again.
func example(secret string) bool {
	if strings.Contains(strings.ToUpper(secret), "EXAMPLE") {
		return true
	}
	tail := secret[len(secret)-min(len(secret), 12):]
	return strings.Count(tail, tail[:1]) == len(tail)
}

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// checksummed checks a token of GitHub's form: behind the underscore thirty characters, and their CRC-32 in six digits of base 62.
func checksummed(token string) bool {
	_, rest, _ := strings.Cut(token, "_")
	if len(rest) != 36 {
		return false
	}
	sum, want := crc32.ChecksumIEEE([]byte(rest[:30])), [6]byte{}
	for i := len(want) - 1; i >= 0; i-- {
		want[i] = base62[sum%62]
		sum /= 62
	}
	return rest[30:] == string(want[:])
}

// decodes says that the key of a storage account has 64 bytes.
func decodes(text string) bool {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(text, "AccountKey="))
	return err == nil && len(key) == 64
}
