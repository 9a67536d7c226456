package registry_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/registry"
)

// part is a body of the length, told beforehand or not.
func part(length int, told bool) io.Reader {
	content := strings.NewReader(strings.Repeat("p", length))
	if told {
		return content
	}
	return io.MultiReader(content)
}

// What uploads have received counts from its first byte, over requests and restarts, until they end.
func TestQuotaCountsUploads(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), t.Context()
		w.set(registry.Settings{Quota: registry.Quota{Bytes: 1000}})
		for _, told := range []bool{true, false} {
			first, err := w.Append(ctx, w.startUpload(), 0, part(600, told))
			if err != nil {
				t.Fatal(err)
			}
			w.Service = w.again()
			_, err = w.Append(ctx, w.startUpload(), 0, part(401, told))
			wantFault(t, "second upload", err, registry.Denied)
			if want := "takes 600 B of its quota of 1000 B with 600 B of uploads under way"; told && err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("the sentence is %v, want %q", err, want)
			}
			second, err := w.Append(ctx, w.startUpload(), 0, part(400, told))
			if err != nil {
				t.Fatalf("what fits beside another upload: %v", err)
			}
			for _, u := range []registry.Upload{first, second} {
				if err := w.Cancel(ctx, u); err != nil {
					t.Fatal(err)
				}
			}
		}
		u, err := w.Append(ctx, w.startUpload(), 0, part(1000, true))
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Finish(ctx, w.repo, u, digestOf(strings.Repeat("p", 1000))); err != nil {
			t.Errorf("end of an upload that took all: %v", err)
		}
	})
}

// held is a body of 600 bytes that has been read but for its end.
type held struct {
	reader *io.PipeReader
	writer *io.PipeWriter
}

func hold() held {
	r, w := io.Pipe()
	return held{r, w}
}

// fill gives all bytes but the end, and returns when they have been taken, and all but the last one counted.
func (h held) fill(t *testing.T) {
	t.Helper()
	for _, piece := range []string{strings.Repeat("h", 599), "h"} {
		if _, err := io.WriteString(h.writer, piece); err != nil {
			t.Fatal(err)
		}
	}
}

// What requests are bringing counts before any row knows of it.
func TestQuotaCountsRequests(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), t.Context()
		w.set(registry.Settings{Quota: registry.Quota{Bytes: 1000}})
		content := digestOf(strings.Repeat("h", 600))
		for what, push := range map[string]func(body io.Reader) error{
			"whole blob": func(body io.Reader) error { return w.PutBlob(ctx, w.repo, content, body) },
			"upload with its end": func(body io.Reader) error {
				return w.FinishWhole(ctx, w.repo, w.startUpload(), content, body)
			},
			"chunk": func(body io.Reader) error {
				u, err := w.Append(ctx, w.startUpload(), 0, body)
				if err == nil {
					err = w.Finish(ctx, w.repo, u, content)
				}
				return err
			},
		} {
			for _, told := range []bool{true, false} {
				h, done := hold(), make(chan error, 1)
				go func() {
					if told {
						done <- push(registry.Body{Reader: h.reader, Length: 600})
					} else {
						done <- push(h.reader)
					}
				}()
				h.fill(t)
				wantFault(t, what, w.PutBlob(ctx, w.repo, digestOf("other"), registry.Body{Reader: unread{t}, Length: 402}), registry.Denied)
				h.writer.Close()
				if err := <-done; err != nil {
					t.Fatalf("%s, length told %t: %v", what, told, err)
				}
				w.putBlob(w.repo, strings.Repeat("o", 400))
				for _, d := range []string{strings.Repeat("h", 600), strings.Repeat("o", 400)} {
					if err := w.DeleteBlob(ctx, w.repo, digestOf(d)); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	})
}

// An upload at rest is given up when its room is needed; one that a request is writing to is not at rest, however slow it is.
func TestQuotaGivesUpUploadsAtRest(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), t.Context()
		w.set(registry.Settings{Quota: registry.Quota{Bytes: 1000}})
		rests, err := w.Append(ctx, w.startUpload(), 0, part(300, true))
		if err != nil {
			t.Fatal(err)
		}
		slow, h, done := w.startUpload(), hold(), make(chan error, 1)
		if slow, err = w.Append(ctx, slow, 0, part(1, true)); err != nil {
			t.Fatal(err)
		}
		go func() {
			_, err := w.Append(ctx, slow, 1, h.reader)
			done <- err
		}()
		h.fill(t)
		w.clock.now = w.clock.now.Add(59 * time.Minute)
		wantFault(t, "beside an upload that rests not long enough", w.PutBlob(ctx, w.repo, digestOf("x"), registry.Body{Reader: unread{t}, Length: 399}), registry.Denied)
		w.clock.now = w.clock.now.Add(2 * time.Minute)
		if err := w.PutBlob(ctx, w.repo, digestOf(strings.Repeat("x", 399)), strings.NewReader(strings.Repeat("x", 399))); err != nil {
			t.Errorf("what an upload at rest made way for: %v", err)
		}
		_, err = w.Upload(ctx, w.repo, rests.ID)
		wantFault(t, "the upload at rest", err, registry.BlobUploadUnknown)
		h.writer.Close()
		if err := <-done; err != nil {
			t.Errorf("the slow upload: %v", err)
		}
	})
}

// Of many pushes at once as many succeed as fit.
func TestQuotaOfPushesAtOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		w.set(registry.Settings{Quota: registry.Quota{Bytes: 1050}})
		var pushed atomic.Int64
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				content := fmt.Sprintf("%0100d", i)
				if err := w.PutBlob(ctx, w.repo, digestOf(content), strings.NewReader(content)); err == nil {
					pushed.Add(1)
				}
			})
		}
		all.Wait()
		used, err := w.Usage(ctx, w.repo)
		if err != nil || used.Bytes != 1000 || pushed.Load() != 10 {
			t.Errorf("%d pushes of 100 bytes, %d bytes are used, %v: 10 fit", pushed.Load(), used.Bytes, err)
		}
	})
}
