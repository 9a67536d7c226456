// Package joblog knows the form of steps' logs: lines that begin with a timestamp, and pieces of such text packed for the
// wire and the database. The agent, the server and its pages import it.
package joblog

import (
	"bytes"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// TimeLength is the length of a line's timestamp with the space after it: 2026-03-01T12:00:00.0000000Z.
const TimeLength = 29

// Codec says how a piece of a log is packed. The numbers are stored.
type Codec int

// The codecs.
const (
	Raw  Codec = 0
	Zstd Codec = 1
)

// Encoding is the codec's name in Content-Encoding, "" for a plain piece.
func (c Codec) Encoding() string {
	if c == Zstd {
		return "zstd"
	}
	return ""
}

// CodecOf is the codec of a Content-Encoding.
func CodecOf(encoding string) (Codec, error) {
	switch encoding {
	case "", "identity":
		return Raw, nil
	case "zstd":
		return Zstd, nil
	}
	return Raw, fmt.Errorf("a piece of a log is packed with zstd or not at all, not with %.40q", encoding)
}

// worthPacking is the length from which packing makes a piece shorter, in bytes.
const worthPacking = 512

var encoder = sync.OnceValue(func() *zstd.Encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(2), zstd.WithEncoderCRC(true))
	if err != nil {
		panic(err) // the options are constants
	}
	return e
})

// Pack packs a piece of a log, which need not end with a line; short ones stay as they are.
func Pack(text []byte) ([]byte, Codec) {
	if len(text) < worthPacking {
		return text, Raw
	}
	packed := encoder().EncodeAll(text, make([]byte, 0, len(text)/4))
	if len(packed) >= len(text) {
		return text, Raw
	}
	return packed, Zstd
}

// maxPiece is the longest piece that is unpacked, in bytes.
const maxPiece = 8 << 20

var decoder = sync.OnceValue(func() *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderMaxMemory(maxPiece))
	if err != nil {
		panic(err) // the options are constants
	}
	return d
})

// Unpack is the text of a packed piece. What does not come from Pack, or is too long, is an error.
func Unpack(data []byte, c Codec) ([]byte, error) { return UnpackInto(nil, data, c) }

// UnpackInto is Unpack that puts the text into room, if it fits there. A plain piece is returned as it is.
func UnpackInto(room, data []byte, c Codec) ([]byte, error) {
	switch c {
	case Raw:
		return data, nil
	case Zstd:
		text, err := decoder().DecodeAll(data, room[:0])
		if err != nil {
			return nil, fmt.Errorf("unpack a piece of a log: %w", err)
		}
		return text, nil
	}
	return nil, fmt.Errorf("unpack a piece of a log: codec %d is not known", c)
}

// WithoutTimes is a writer that passes on a log without the timestamps of its lines, in whatever pieces it comes.
func WithoutTimes(w io.Writer) io.Writer { return &untimed{w: w, skip: TimeLength} }

type untimed struct {
	w    io.Writer
	skip int // bytes of the timestamp that are still to come
}

func (u *untimed) Write(p []byte) (int, error) {
	n := len(p)
	out := make([]byte, 0, n)
	for len(p) > 0 {
		if u.skip > 0 {
			// A line that is shorter than a timestamp has none.
			if end := bytes.IndexByte(p[:min(u.skip, len(p))], '\n'); end >= 0 {
				out, p, u.skip = append(out, '\n'), p[end+1:], TimeLength
				continue
			}
			drop := min(u.skip, len(p))
			u.skip -= drop
			p = p[drop:]
			continue
		}
		end := bytes.IndexByte(p, '\n')
		if end < 0 {
			out, p = append(out, p...), nil
			break
		}
		out, p, u.skip = append(out, p[:end+1]...), p[end+1:], TimeLength
	}
	if _, err := u.w.Write(out); err != nil {
		return 0, err
	}
	return n, nil
}
