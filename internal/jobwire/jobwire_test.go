package jobwire_test

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"slipway/internal/httpx"
	"slipway/internal/jobwire"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/joblog"
)

func TestReadLog(t *testing.T) {
	t.Parallel()
	var got jobwire.LogPiece
	mux := http.NewServeMux()
	mux.Handle("POST /logs/{step}", httpx.JSON(slog.New(slog.DiscardHandler), func(w http.ResponseWriter, r *http.Request) (err error) {
		got, err = jobwire.ReadLog(w, r)
		return err
	}))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	long := bytes.Repeat([]byte("x"), job.MaxLogChunk+1)
	for name, c := range map[string]struct {
		path, encoding string
		body           io.Reader
		status         int
		want           jobwire.LogPiece
	}{
		"plain":             {"/logs/3?offset=7", "", strings.NewReader("a\n"), 200, jobwire.LogPiece{Step: 3, Offset: 7, Data: []byte("a\n")}},
		"packed":            {"/logs/3?offset=0", "zstd", strings.NewReader("z"), 200, jobwire.LogPiece{Step: 3, Data: []byte("z"), Codec: joblog.Zstd}},
		"of unknown length": {"/logs/3?offset=0", "", io.MultiReader(strings.NewReader("a"), strings.NewReader("b")), 200, jobwire.LogPiece{Step: 3, Data: []byte("ab")}},
		"no step":           {"/logs/x?offset=0", "", nil, 400, jobwire.LogPiece{}},
		"no offset":         {"/logs/1", "", nil, 400, jobwire.LogPiece{}},
		"before the log":    {"/logs/1?offset=-1", "", nil, 400, jobwire.LogPiece{}},
		"another packing":   {"/logs/1?offset=0", "br", nil, 400, jobwire.LogPiece{}},
		"too long":          {"/logs/1?offset=0", "", bytes.NewReader(long), 413, jobwire.LogPiece{}},
		"too long, unsaid":  {"/logs/1?offset=0", "", io.MultiReader(bytes.NewReader(long)), 413, jobwire.LogPiece{}},
	} {
		got = jobwire.LogPiece{}
		r, err := http.NewRequest(http.MethodPost, server.URL+c.path, c.body)
		if err != nil {
			t.Fatal(err)
		}
		if c.encoding != "" {
			r.Header.Set("Content-Encoding", c.encoding)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		answer.Body.Close()
		if answer.StatusCode != c.status {
			t.Errorf("%s: status %d, want %d", name, answer.StatusCode, c.status)
		}
		if c.status == 200 && (got.Step != c.want.Step || got.Offset != c.want.Offset || got.Codec != c.want.Codec || !bytes.Equal(got.Data, c.want.Data)) {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestWaitTime(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]time.Duration{"": 0, "?seconds=3": 3 * time.Second, "?seconds=9999999999": 25 * time.Second, "?seconds=-3": 0, "?seconds=x": 0} {
		if got := jobwire.WaitTime(httptest.NewRequest(http.MethodGet, "/"+query, nil), 25*time.Second); got != want {
			t.Errorf("%q: %v, want %v", query, got, want)
		}
	}
}

func TestProgress(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	p := jobwire.NewProgress(w)
	p.Line("one")
	p.End("it failed")
	const want = `{"line":"one"}` + "\n" + `{"done":true,"error":"it failed"}` + "\n"
	if got := w.Body.String(); got != want || !w.Flushed {
		t.Errorf("%q, want %q", got, want)
	}
}
