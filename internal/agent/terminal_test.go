package agent

import (
	"strings"
	"testing"
)

// However the output of a program is cut into pieces, its secrets are masked, and nothing else is lost.
func TestMaskedStream(t *testing.T) {
	t.Parallel()
	const secret = "correct-horse-battery"
	text := "$ echo " + secret + "\r\n" + secret + secret + "\r\ncorrect-horse, Grüße\r\n$ "
	want := "$ echo ***\r\n******\r\ncorrect-horse, Grüße\r\n$ "
	for size := 1; size <= len(text); size++ {
		m := &masker{}
		m.Add(secret)
		var shown strings.Builder
		s := &maskedStream{mask: m, send: func(p []byte) error { shown.Write(p); return nil }}
		for rest := text; rest != ""; {
			n := min(size, len(rest))
			s.mu.Lock() // as fast as a program writes: the timer does not come between
			s.take([]byte(rest[:n]))
			s.mu.Unlock()
			rest = rest[n:]
		}
		s.flush()
		s.stop()
		if shown.String() != want {
			t.Fatalf("in pieces of %d: %q, want %q", size, shown.String(), want)
		}
	}
}

// What may be the beginning of a secret is not held back for ever.
func TestMaskedStreamGoesOn(t *testing.T) {
	t.Parallel()
	m := &masker{}
	m.Add("correct-horse")
	shown := make(chan string, 10)
	s := &maskedStream{mask: m, send: func(p []byte) error { shown <- string(p); return nil }}
	if err := s.write([]byte("ls corr")); err != nil {
		t.Fatal(err)
	}
	if a, b := <-shown, <-shown; a != "ls " || b != "corr" {
		t.Errorf("%q, %q", a, b)
	}
}
