package repos

import (
	"bytes"
	"strconv"
	"strings"
)

// maxPointer is the size below which a file may be a pointer of Git LFS, in bytes (git-lfs, docs/spec.md).
const maxPointer = 1024

// Pointer reads a file's content as a pointer of Git LFS; ok is false when it is none. The object need not be there.
func Pointer(content []byte) (o LFSObject, ok bool) {
	if len(content) >= maxPointer || !bytes.HasPrefix(content, []byte("version https://git-lfs.github.com/spec/v1\n")) {
		return o, false
	}
	size := int64(-1)
	for line := range strings.Lines(string(content)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch key {
		case "oid":
			o.OID, _ = strings.CutPrefix(value, "sha256:")
		case "size":
			if n, err := strconv.ParseInt(value, 10, 64); err == nil {
				size = n
			}
		}
	}
	o.Size = size
	return o, oidForm.MatchString(o.OID) && size >= 0
}
