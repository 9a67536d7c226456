package repos

import (
	"bytes"
	"io"
	"strconv"
)

// limitTeller passes the answer of git receive-pack on, packet by packet (gitprotocol-common(5), pkt-line), and adds what to do when git says
// that the pack is too large, which no hook sees.
type limitTeller struct {
	out  io.Writer
	line string // what is said
	buf  []byte // of a packet that is not whole
	tail []byte // end of what git said, since a sentence may come in two packets
	said bool
}

// tooLarge is what git index-pack and git unpack-objects say (receive.maxInputSize in git-config(1)).
var tooLarge = []byte("exceeds maximum allowed size")

func (t *limitTeller) Write(b []byte) (int, error) {
	t.buf = append(t.buf, b...)
	var out []byte
	for len(t.buf) >= 4 {
		size, err := strconv.ParseUint(string(t.buf[:4]), 16, 32)
		n := max(int(size), 4) // 0000 to 0003 are marks
		if err != nil {        // no packets: it is passed on as it is
			n = len(t.buf)
		}
		if len(t.buf) < n {
			break
		}
		out = append(out, t.buf[:n]...)
		if err == nil && t.exceeds(t.buf[4:n]) {
			out = append(out, packet("\x02"+t.line+"\n")...)
		}
		t.buf = t.buf[n:]
	}
	t.buf = bytes.Clone(t.buf)
	if len(out) == 0 {
		return len(b), nil
	}
	_, err := t.out.Write(out)
	return len(b), err
}

// exceeds says, once, that a packet of the second band ends git's sentence.
func (t *limitTeller) exceeds(packet []byte) bool {
	if t.said || len(packet) == 0 || packet[0] != 2 {
		return false
	}
	t.tail = append(t.tail, packet[1:]...)
	t.said = bytes.Contains(t.tail, tooLarge)
	t.tail = bytes.Clone(t.tail[max(0, len(t.tail)-len(tooLarge)):])
	return t.said
}
