package hooks

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/clock"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/events"
	"slipway/internal/secret"
)

var ada = slipway.Actor{Kind: slipway.ActorUser, ID: "7", Name: "Ada"}

// received is a request that the receiver got.
type received struct {
	header http.Header
	body   string
}

// world has a receiver, which answers what the test says, and hooks that may call it.
type world struct {
	*Service
	t    *testing.T
	db   *db.DB
	log  *events.Log
	url  string
	got  chan received
	mu   sync.Mutex
	next http.HandlerFunc
}

func setup(t *testing.T, d *db.DB, networks ...string) *world {
	t.Helper()
	ctx, logger := t.Context(), slog.New(slog.DiscardHandler)
	w := &world{t: t, db: d, got: make(chan received, 100)}
	receiver := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.got <- received{r.Header, string(body)}
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.next != nil {
			w.next(rw, r)
		}
	}))
	t.Cleanup(receiver.Close)
	w.url = receiver.URL
	var err error
	if w.log, err = events.Open(ctx, d, clock.System{}, logger); err != nil {
		t.Fatal(err)
	}
	box, err := secret.NewBox(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	o := Options{URL: "https://slipway.example"}
	for _, n := range networks {
		o.Networks = append(o.Networks, netip.MustParsePrefix(n))
	}
	if w.Service, err = Open(ctx, d, w.log, box, clock.System{}, logger, o); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) answers(h http.HandlerFunc) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next = h
}

func (w *world) subscribe(n Subscription, t Target) Subscription {
	w.t.Helper()
	n.Project, n.CreatedBy = "p", ada
	if t.URL == "" {
		t.URL = w.url + "/in?token=opensesame"
	}
	made, err := w.Subscribe(w.t.Context(), n, t)
	if err != nil {
		w.t.Fatal(err)
	}
	return made
}

const payload = `{"repository":"shop/web","tag":"v1","digest":"sha256:1111","mediaType":"application/vnd.oci.image.manifest.v1+json","size":42}`

func (w *world) happen(kind events.Kind, project slipway.ProjectID, text string) events.Event {
	w.t.Helper()
	e := events.Event{Kind: kind, Project: project, Subject: slipway.Ref(slipway.RefImage, "sha256:1111"), Actor: ada, Payload: json.RawMessage(text)}
	if err := w.db.Tx(w.t.Context(), func(tx *db.Tx) error { return w.log.Append(w.t.Context(), tx, &e, nil) }); err != nil {
		w.t.Fatal(err)
	}
	return e
}

// first is the oldest delivery of the subscription.
func (w *world) first(n Subscription) Delivery {
	w.t.Helper()
	list, err := w.Deliveries(w.t.Context(), n, "", 0)
	if err != nil || len(list) == 0 {
		w.t.Fatalf("%d deliveries, %v", len(list), err)
	}
	return list[len(list)-1]
}

// An event that is appended reaches the receiver, signed; OpenSSL agrees with the signature.
func TestEventsReachTheirSubscribers(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := setup(t, d, "127.0.0.0/8")
		n := w.subscribe(Subscription{Kinds: []string{"registry.*"}, Filters: map[string]string{"Repository": "shop/*"}},
			Target{Secret: "s3cret", Username: "u", Password: "pass-word", Headers: map[string]string{"X-Key": "header-key"}})
		docker := w.subscribe(Subscription{Kinds: []string{"*"}, Format: FormatDocker}, Target{})
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- w.log.Run(ctx) }()
		defer func() {
			stop()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}()
		changes, end := w.log.Watch(nil)
		defer end()
		w.happen("registry.pushed", "other", payload)
		w.happen("repos.pushed", "p", payload)
		w.happen("registry.settings_changed", "p", `{"repository":"api"}`)
		e := w.happen("registry.pushed", "p", payload)
		<-changes
		for range 2 {
			r := <-w.got
			if r.header.Get("Content-Type") == dockerMediaType {
				wantDocker(t, r.body, e)
				continue
			}
			var sent notification
			if err := json.Unmarshal([]byte(r.body), &sent); err != nil {
				t.Fatal(err)
			}
			if sent.EventType != "registry.pushed" || sent.SubscriptionID != n.ID || sent.ID != EventID(e.ID) || sent.Event != e.ID || sent.Actor != ada || sent.Containers["project"].ID != "p" ||
				string(sent.Resource) != payload || sent.Subject != e.Subject {
				t.Errorf("sent %s", r.body)
			}
			user, password, _ := (&http.Request{Header: r.header}).BasicAuth()
			if user != "u" || password != "pass-word" || r.header.Get("X-Key") != "header-key" || r.header.Get("X-Slipway-Event") != "registry.pushed" {
				t.Errorf("headers %v", r.header)
			}
			openssl := exec.CommandContext(t.Context(), "openssl", "dgst", "-sha256", "-hmac", "s3cret", "-hex")
			openssl.Stdin = strings.NewReader(r.body)
			out, err := openssl.Output()
			_, hex, _ := strings.Cut(strings.TrimSpace(string(out)), "= ")
			if err != nil || r.header.Get("X-Hub-Signature-256") != "sha256="+hex {
				t.Errorf("signature %s, openssl says %s, %v", r.header.Get("X-Hub-Signature-256"), out, err)
			}
		}
		for _, one := range []Subscription{n, docker} {
			if list, err := w.Deliveries(t.Context(), one, "", 0); err != nil || len(list) != 1 {
				t.Errorf("%d deliveries, %v", len(list), err)
			}
		}
	})
}

func wantDocker(t *testing.T, body string, e events.Event) {
	t.Helper()
	var got struct {
		Events []struct {
			ID, Action string
			Target     map[string]any
			Actor      map[string]string
		}
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil || len(got.Events) != 1 {
		t.Fatalf("sent %s, %v", body, err)
	}
	want := map[string]any{"repository": "shop/web", "tag": "v1", "digest": "sha256:1111", "mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 42.0, "length": 42.0,
		"url": "https://slipway.example/v2/shop/web/manifests/sha256:1111"}
	if diff := cmp.Diff(want, got.Events[0].Target); diff != "" || got.Events[0].Action != "push" || got.Events[0].ID != EventID(e.ID).String() || got.Events[0].Actor["name"] != "Ada" {
		t.Errorf("sent %s: %s", body, diff)
	}
}

func TestAttempts(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t), "127.0.0.0/8")
	for _, c := range []struct {
		name    string
		answer  http.HandlerFunc
		state   DeliveryState
		again   time.Duration // 0: not at all
		message string
	}{
		{"taken", func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write([]byte("thanks")) }, Succeeded, 0, ""},
		{"fault", func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(500) }, Pending, 10 * time.Second, "it answered 500"},
		{"busy", func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Retry-After", "90")
			rw.WriteHeader(429)
		}, Pending, 90 * time.Second, "it answered 429"},
		{"asks too much", func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Retry-After", "999999")
			rw.WriteHeader(503)
		}, Pending, 2 * time.Hour, "it answered 503"},
		{"refused", func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(403) }, Failed, 0, "it answered 403"},
		{"redirect", func(rw http.ResponseWriter, r *http.Request) { http.Redirect(rw, r, "/elsewhere", http.StatusFound) }, Failed, 0, "follow no redirect"},
		{"breaks off", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, Pending, 10 * time.Second, "EOF"},
		{"echo", func(rw http.ResponseWriter, r *http.Request) { _ = r.Header.Write(rw) }, Succeeded, 0, ""},
	} {
		w.answers(c.answer)
		n := w.subscribe(Subscription{Kinds: []string{"registry.pushed"}}, Target{Secret: "s3cret", Password: "pass-word", Headers: map[string]string{"X-Key": "header-key"}})
		if err := w.match(t.Context(), w.happen("registry.pushed", "p", payload)); err != nil {
			t.Fatal(err)
		}
		err := w.deliver(t.Context(), w.first(n).ID)
		var retry *slipway.RetryError
		if again := errors.As(err, &retry); again != (c.again > 0) || again && retry.After != c.again {
			t.Errorf("%s: %v, want another attempt after %s", c.name, err, c.again)
		}
		d := w.first(n)
		if d.State != c.state || d.Attempts != 1 || !strings.Contains(d.Error, c.message) || (c.message == "") != (d.Error == "") {
			t.Errorf("%s: %+v", c.name, d)
		}
		for _, kept := range []string{d.Request, d.Answer, d.Error} {
			for _, hidden := range []string{"s3cret", "pass-word", "header-key", "opensesame", "OnBhc3Mtd29yZA=="} {
				if strings.Contains(kept, hidden) {
					t.Errorf("%s: %q is kept in %s", c.name, hidden, kept)
				}
			}
		}
		if !strings.HasPrefix(d.Request, "POST http://127.0.0.1:") || c.name == "taken" && !strings.HasSuffix(d.Answer, "\nthanks") {
			t.Errorf("%s: request %s, answer %s", c.name, d.Request, d.Answer)
		}
		if err := w.Unsubscribe(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTriesEnd(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t), "127.0.0.0/8")
	w.answers(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(500) })
	n := w.subscribe(Subscription{Kinds: []string{"*"}}, Target{})
	e := w.happen("registry.pushed", "p", payload)
	for range 2 { // a repeated event is one delivery
		if err := w.match(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	for range len(waits) {
		if err := w.deliver(t.Context(), w.first(n).ID); err == nil {
			t.Fatal("it is not tried again")
		}
	}
	if err := w.deliver(t.Context(), w.first(n).ID); err != nil {
		t.Errorf("after the last attempt: %v", err)
	}
	d := w.first(n)
	if list, _ := w.Deliveries(t.Context(), n, "", 0); len(list) != 1 || d.State != Failed || d.Attempts != len(waits)+1 {
		t.Errorf("%d deliveries, %+v", len(list), d)
	}
	w.answers(nil)
	again, err := w.Redeliver(t.Context(), n, d)
	if err != nil || again.ID == d.ID || again.Body != d.Body {
		t.Fatalf("redelivery: %+v, %v", again, err)
	}
	if err := w.deliver(t.Context(), again.ID); err != nil {
		t.Error(err)
	}
	if again, err = w.Delivery(t.Context(), n, again.ID); err != nil || again.State != Succeeded {
		t.Errorf("redelivery: %+v, %v", again, err)
	}
	// Whose target is gone is told no more, until somebody enables it.
	w.answers(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(410) })
	if err := w.match(t.Context(), w.happen("registry.pushed", "p", payload)); err != nil {
		t.Fatal(err)
	}
	list, _ := w.Deliveries(t.Context(), n, Pending, 0)
	if len(list) != 1 || w.deliver(t.Context(), list[0].ID) != nil {
		t.Fatalf("pending %+v", list)
	}
	if n, err = w.Subscription(t.Context(), n.ID); err != nil || n.State != DisabledBySystem || len(w.matching(w.happen("registry.pushed", "p", payload))) != 0 {
		t.Errorf("subscription %+v, %v", n, err)
	}
	n.State = Enabled
	if n, err = w.Update(t.Context(), n, Target{URL: w.url + "/other"}); err != nil || n.Failures != 0 {
		t.Errorf("enabled: %+v, %v", n, err)
	}
}

// Addresses of the machine itself, of its network and of clouds' metadata are called only where the administrator says so.
func TestPrivateTargets(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t))
	for _, address := range []string{w.url, "http://169.254.169.254/latest/meta-data/", "http://[::1]:1/", "http://10.0.0.1/"} {
		n := w.subscribe(Subscription{Kinds: []string{"*"}}, Target{URL: address})
		d, err := w.Test(t.Context(), n, ada)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.deliver(t.Context(), d.ID); err == nil {
			t.Errorf("%s was called", address)
		}
		if d := w.first(n); d.State != Pending || !strings.Contains(d.Error, "is no public address") {
			t.Errorf("%s: %+v", address, d)
		}
	}
	if len(w.got) != 0 {
		t.Error("the receiver was called")
	}
}

func TestSecretsStayWithTheirHost(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t))
	n := w.subscribe(Subscription{Kinds: []string{"*"}}, Target{URL: "https://a.example/x", Secret: "s", Username: "u", Password: "p", Headers: map[string]string{"X": "y"}})
	n, err := w.Update(t.Context(), n, Target{URL: "https://a.example/y", Username: "u"})
	if err != nil {
		t.Fatal(err)
	}
	got, err := w.Target(n)
	if diff := cmp.Diff(Target{URL: "https://a.example/y", Secret: "s", Username: "u", Password: "p", Headers: map[string]string{"X": "y"}}, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	if n, err = w.Update(t.Context(), n, Target{URL: "https://b.example/y", Username: "u"}); err != nil {
		t.Fatal(err)
	}
	if got, err = w.Target(n); err != nil || got.Secret+got.Password != "" || got.Headers != nil {
		t.Errorf("another host is sent %+v, %v", got, err)
	}
	raw, err := db.One(t.Context(), w.db, db.Value[[]byte], `SELECT target FROM hook_subscriptions`)
	if err != nil || strings.Contains(string(raw), "example") {
		t.Errorf("the target is not sealed: %q, %v", raw, err)
	}
}

func TestMatches(t *testing.T) {
	t.Parallel()
	f := func(n Subscription, kind events.Kind, text string, want bool) {
		t.Helper()
		if got := n.Matches(events.Event{Kind: kind, Project: "p", Payload: json.RawMessage(text)}); got != want {
			t.Errorf("%+v matches %s %s: %v", n, kind, text, got)
		}
	}
	only := func(filters ...string) Subscription {
		n := Subscription{Project: "p", Kinds: []string{"a.b"}, Filters: map[string]string{}}
		for i := 0; i < len(filters); i += 2 {
			n.Filters[filters[i]] = filters[i+1]
		}
		return n
	}
	f(only(), "a.b", `{}`, true)
	f(only(), "a.c", `{}`, false)
	f(Subscription{Kinds: []string{"x.y", "a.*"}}, "a.c", `{}`, true) // of the installation
	f(Subscription{Project: "q", Kinds: []string{"*"}}, "a.c", `{}`, false)
	f(only("ref", "refs/heads/*"), "a.b", `{"ref":"refs/heads/main"}`, true)
	f(only("ref", "refs/heads/*"), "a.b", `{"ref":"refs/heads/a/b"}`, false)
	f(only("REF", "refs/heads/**"), "a.b", `{"ref":"refs/heads/a/b"}`, true)
	f(only("run", "7"), "a.b", `{"run":7}`, true)
	f(only("paths", "docs/**"), "a.b", `{"paths":["src/x.go","docs/a/b.md"]}`, true)
	f(only("tag", "v*"), "a.b", `{}`, false)
	f(only("tag", ""), "a.b", `{}`, true)
	f(Subscription{Kinds: []string{"*"}, Format: FormatDocker}, "registry.deleted", `{}`, true)
	f(Subscription{Kinds: []string{"*"}, Format: FormatDocker}, "registry.settings_changed", `{}`, false)
}

func TestMistakesAreRefused(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t))
	good := Target{URL: "https://a.example"}
	for _, c := range []struct {
		n    Subscription
		t    Target
		want string
	}{
		{Subscription{}, good, "names 1 to 50 kinds"},
		{Subscription{Kinds: []string{"Push"}}, good, "write DOMAIN.WHAT"},
		{Subscription{Kinds: []string{"git.push"}}, good, "subscribe to repos.pushed"},
		{Subscription{Kinds: []string{"*"}, Format: "xml"}, good, "write event or docker"},
		{Subscription{Kinds: []string{"*"}, Filters: map[string]string{"tag": "["}}, good, `filter "tag"`},
		{Subscription{Kinds: []string{"*"}}, Target{URL: "ftp://a.example"}, "no http:// or https:// address"},
		{Subscription{Kinds: []string{"*"}}, Target{URL: "https://u:p@a.example"}, "by themselves"},
		{Subscription{Kinds: []string{"*"}}, Target{URL: "https://a.example", Headers: map[string]string{"Host": "b"}}, `header "Host"`},
		{Subscription{Kinds: []string{"*"}}, Target{URL: "https://a.example", Headers: map[string]string{"X": "a\r\nHost: b"}}, `header "X"`},
	} {
		if _, err := w.Subscribe(t.Context(), c.n, c.t); slipway.CodeOf(err) != slipway.CodeInvalid || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.n, err, c.want)
		}
	}
}
