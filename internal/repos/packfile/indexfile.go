package packfile

import (
	"bufio"
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"io"
)

// WriteIndex writes the index of a pack that has been read (gitformat-pack(5), version 2).
func (x *Indexer) WriteIndex(w io.Writer) error {
	sum := sha1.New()
	out := bufio.NewWriterSize(io.MultiWriter(w, sum), 64<<10)
	r := &x.resolver
	digits := make([]byte, 0, 8)
	number := func(n uint32) { _, _ = out.Write(binary.BigEndian.AppendUint32(digits, n)) }
	_, _ = out.WriteString("\xfftOc")
	number(2)
	first := 0
	for b := range 256 {
		for first < len(r.sorted) && int(r.names[r.sorted[first]][0]) <= b {
			first++
		}
		number(uint32(first))
	}
	for _, i := range r.sorted {
		_, _ = out.Write(r.names[i][:])
	}
	for _, i := range r.sorted {
		number(x.crcs[i])
	}
	var far []int64 // of which the table has the places
	for _, i := range r.sorted {
		if offset := x.offsets[i]; offset < 1<<31 {
			number(uint32(offset))
			continue
		}
		number(uint32(len(far)) | 1<<31)
		far = append(far, x.offsets[i])
	}
	for _, offset := range far {
		_, _ = out.Write(binary.BigEndian.AppendUint64(digits, uint64(offset)))
	}
	_, _ = out.Write(x.pack)
	if err := out.Flush(); err != nil { // the first of all
		return fmt.Errorf("write a pack's index: %w", err)
	}
	if _, err := w.Write(sum.Sum(nil)); err != nil {
		return fmt.Errorf("write a pack's index: %w", err)
	}
	return nil
}
