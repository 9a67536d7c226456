package secretscan_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/repos/secretscan"
)

// The secrets are put together here, so that this file holds none; their shapes are those that their issuers document.
func TestLine(t *testing.T) {
	t.Parallel()
	f := func(want, line string) {
		t.Helper()
		// What has a finding is suspect wherever it lies, and what has none is not.
		for _, around := range []string{"", "\n", "x", strings.Repeat("line\n", 20_000)} {
			if got := secretscan.Suspect([]byte(around + "\n" + line + "\n" + around)); got != (want != "") {
				t.Errorf("%q: suspect is %v", line, got)
			}
		}
		var text secretscan.Text
		var got []string
		for _, x := range text.Line(line) {
			got = append(got, x.Rule)
		}
		if s := strings.Join(got, ", "); s != want {
			t.Errorf("%q: found %q, want %q", line, s, want)
		}
	}
	f("", "")
	f("an AWS access key ID", `aws_access_key_id = "AKIA`+`Z7VRSQ5TJN2XMPLQ"`)
	f("", "AKIA"+"IOSFODNN7EXAMPLE") // of AWS' documentation
	f("", "AKIA"+"1111111111111111") // no base 32
	f("", "XAKIA"+"Z7VRSQ5TJN2XMPLQ")
	// The token of GitHub's description of the format has a checksum that holds; with one character changed it has not.
	f("a GitHub token", "token: ghp_"+"zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17")
	f("", "token: ghp_"+"zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq18")
	f("", "npm_"+strings.Repeat("a", 36))
	f("a GitLab token", "GITLAB_TOKEN=glpat-"+"9xQ2vLr8TzK4mWc7YbHn")
	f("a Slack token", "xoxb-"+"17653672481-19874698323-pdFZKVeTuE8sk7oOcBrzbqgy")
	f("a Slack webhook", "https://hooks.slack."+"com/services/T02AB3CDE/B04FG5HIJ/k3vX9mQ2rT7wY4zB8nC6dF1g")
	f("a Stripe live key", "sk_"+"live_4eC39HqLyjWDarjtT1zdp7dc")
	f("", "sk_"+"test_4eC39HqLyjWDarjtT1zdp7dc")
	f("an Azure storage account key", "AccountName=a;AccountKey="+strings.Repeat("Zm9vYmFy", 10)+"MTIzNA==")
	f("a Google API key", "AIza"+"SyD4e5F6g7H8i9J0kLmNoPqRsTuVwXyZa12")
	f("", "-----BEGIN "+"PRIVATE KEY-----") // a program that looks for them
}

// ssh-keygen's and openssl's own keys are found, and their public parts are not.
func TestPrivateKeys(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for name, args := range map[string][]string{"ed25519": {"-t", "ed25519"}, "rsa": {"-t", "rsa", "-b", "2048", "-m", "PEM"}, "ecdsa": {"-t", "ecdsa", "-m", "PKCS8"}} {
		path := filepath.Join(folder, name)
		if out, err := exec.Command("ssh-keygen", append([]string{"-q", "-N", "", "-f", path}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("ssh-keygen: %v\n%s", err, out)
		}
		for file, want := range map[string]int{path: 1, path + ".pub": 0} {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			found := 0
			var text secretscan.Text
			for line := range strings.Lines(string(b)) {
				found += len(text.Line(line))
			}
			if found != want || secretscan.Suspect(b) != (want > 0) {
				t.Errorf("%s: %d findings, want %d", file, found, want)
			}
		}
	}
}

func TestOwnTokens(t *testing.T) {
	t.Parallel()
	token := strings.Repeat("abcdefghijklm", 4)
	text := secretscan.Text{Own: func(s string) bool { return s == token }}
	if got := text.Line("password " + token); len(got) != 1 || got[0].Rule != "a token of this server" {
		t.Errorf("found %+v", got)
	}
	if got := text.Line("password " + strings.Repeat("z", 52)); len(got) != 0 {
		t.Errorf("found %+v", got)
	}
	for n := range 120 { // wherever it lies
		if before := strings.Repeat(".", n); !secretscan.Suspect([]byte(before+token)) || !secretscan.Suspect([]byte(before+token+"\n")) {
			t.Errorf("a token behind %d bytes is not suspect", n)
		}
		if before := strings.Repeat(".", n); secretscan.Suspect([]byte(before+token+"a")) || secretscan.Suspect([]byte(before+"_"+token)) || secretscan.Suspect([]byte(before+token[:51])) {
			t.Errorf("a word of another length behind %d bytes is suspect", n)
		}
	}
}

// Every line of a text of random words in which Line finds something makes the text suspect: nothing passes the quick look.
func FuzzSuspect(f *testing.F) {
	for _, seed := range []string{"AKIA" + "Z7VRSQ5TJN2XMPLQ", "SG." + "x", "glpat-" + "9xQ2vLr8TzK4mWc7YbHn", "-----BEGIN " + "PRIVATE KEY-----\nMIIE", "a\nnpm_b", "ghAKIA"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var lines secretscan.Text
		found := 0
		for line := range strings.SplitSeq(string(text), "\n") {
			found += len(lines.Line(line))
		}
		if found > 0 && !secretscan.Suspect(text) {
			t.Errorf("%q has %d findings and is not suspect", text, found)
		}
	})
}
