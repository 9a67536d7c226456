package httpx

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

func TestMayCall(t *testing.T) {
	t.Parallel()
	allowed := []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00:1::/32")}
	for address, want := range map[string]bool{
		"93.184.215.14": true, "1.1.1.1": true, "2606:4700::1111": true, "::ffff:1.1.1.1": true,
		"10.1.2.3": true, "fd00:1::5": true, "::ffff:10.1.2.3": true,
		"127.0.0.1": false, "127.9.9.9": false, "::1": false, "0.0.0.0": false, "::": false, "10.2.0.1": false, "172.16.0.1": false,
		"172.31.255.255": false, "192.168.0.1": false, "169.254.169.254": false, "fe80::1": false, "fe80::1%eth0": false, "fd00:2::1": false,
		"::ffff:127.0.0.1": false, "::127.0.0.1": false, "64:ff9b::7f00:1": false, "2002:7f00:1::": false, "100.64.0.1": false,
		"224.0.0.1": false, "255.255.255.255": false, "ff02::1": false, "fec0::1": false,
	} {
		if got := mayCall(netip.MustParseAddr(address), allowed); got != want {
			t.Errorf("%s: %v, want %v", address, got, want)
		}
	}
}

func TestOutbound(t *testing.T) {
	t.Parallel()
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("another server was called") }))
	t.Cleanup(other.Close)
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "here") })
	mux.HandleFunc("/near", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/", http.StatusFound) })
	mux.HandleFunc("/away", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, http.StatusFound) })
	mux.HandleFunc("/round", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/round", http.StatusFound) })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	f := func(c *http.Client, url, want string) {
		t.Helper()
		resp, err := c.Get(url)
		if err != nil {
			if want == "" || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", url, err, want)
			}
			return
		}
		defer resp.Body.Close()
		if b, err := io.ReadAll(resp.Body); err != nil || want != "" || string(b) != "here" {
			t.Errorf("%s: %q, %v, want %q", url, b, err, want)
		}
	}
	strict, local := Outbound(nil), Outbound([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")})
	const denied = "is no public address, and the administrator has not allowed its network"
	f(strict, server.URL, denied)
	f(strict, strings.Replace(server.URL, "127.0.0.1", "localhost", 1), denied)
	f(local, server.URL, "")
	f(local, server.URL+"/near", "")
	f(local, server.URL+"/away", "it redirects to another server")
	f(local, server.URL+"/round", "it redirects more than 5 times")
}
