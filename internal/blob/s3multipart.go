package blob

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
	"golang.org/x/sync/errgroup"
)

// multipart is one of S3's own uploads: parts that become one object when it is finished, and nothing before.
type multipart struct {
	store *S3
	name  string
	id    string
	ctx   context.Context // ends with the first part that fails
	group *errgroup.Group
	count int

	mu    sync.Mutex
	parts []minio.CompletePart
}

// atOnce is how many parts of one object are under way.
const atOnce = 3

func (s *S3) newMultipart(ctx context.Context, name string) (*multipart, error) {
	id, err := s.core.NewMultipartUpload(ctx, s.bucket, name, minio.PutObjectOptions{})
	if err != nil {
		return nil, err
	}
	m := &multipart{store: s, name: name, id: id}
	m.group, m.ctx = errgroup.WithContext(ctx)
	m.group.SetLimit(atOnce)
	return m, nil
}

func (m *multipart) add(number int, part minio.CompletePart) {
	m.mu.Lock()
	defer m.mu.Unlock()
	part.PartNumber = number
	m.parts = append(m.parts, part)
}

// upload sends the next part; content is the part's from now on. A failure is finish's.
func (m *multipart) upload(content []byte) {
	m.count++
	number := m.count
	m.group.Go(func() error {
		defer keepBuffer(content)
		part, err := m.store.core.PutObjectPart(m.ctx, m.store.bucket, m.name, m.id, number, bytes.NewReader(content), int64(len(content)),
			minio.PutObjectPartOptions{Md5Base64: checksum(content)})
		if err != nil {
			return failed(err)
		}
		m.add(number, minio.CompletePart{ETag: part.ETag})
		return nil
	})
}

// copy makes a part of a piece the next part.
func (m *multipart) copy(p piece, from, length int64) {
	m.count++
	number := m.count
	m.group.Go(func() error {
		part, err := m.store.core.CopyObjectPart(m.ctx, m.store.bucket, p.name, m.store.bucket, m.name, m.id, number, from, length, nil)
		if err == nil && part.ETag == "" { // S3 begins its answer before it has copied
			err = errors.New("the object storage could not copy a part")
		}
		if err != nil {
			return failed(err)
		}
		m.add(number, part)
		return nil
	})
}

// join makes the first size bytes of the pieces the parts: those that are long enough are copied inside the object
// storage, shorter ones are read and sent together.
func (m *multipart) join(list []piece, size int64) error {
	least := max(minPart, (size+maxParts-1)/maxParts)
	var held []byte
	for _, p := range list {
		from, length := int64(0), min(p.size, size-p.offset)
		last := p.offset+length == size
		for length > 0 {
			if len(held) == 0 && (length >= least || last) {
				m.copy(p, from, length)
				break
			}
			take := min(length, least-int64(len(held)))
			content, err := m.store.read(m.ctx, p, from, take)
			if err != nil {
				return err
			}
			held = append(held, content...)
			from, length = from+take, length-take
			if int64(len(held)) == least {
				m.upload(held)
				held = nil
			}
		}
		if last {
			break
		}
	}
	if len(held) > 0 {
		m.upload(held)
	}
	return nil
}

// finish waits for the parts and makes them the object, unless err or one of them says that they are not; then nothing
// is left of them.
func (m *multipart) finish(ctx context.Context, err error) error {
	if sending := m.group.Wait(); sending != nil { // err may be no more than its consequence
		err = sending
	}
	if err == nil {
		slices.SortFunc(m.parts, func(a, b minio.CompletePart) int { return cmp.Compare(a.PartNumber, b.PartNumber) })
		_, completing := m.store.core.CompleteMultipartUpload(ctx, m.store.bucket, m.name, m.id, m.parts, minio.PutObjectOptions{})
		err = failed(completing)
	}
	if err != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		_ = m.store.core.AbortMultipartUpload(ctx, m.store.bucket, m.name, m.id) // the next start tries again
	}
	return err
}
