package ingress

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	"k8s.io/client-go/tools/cache"
)

// front returns a controller that knows one Ingress web.localhost, whose service's only endpoint is the given server.
func front(t *testing.T, backend string) *httptest.Server {
	t.Helper()
	u, err := url.Parse(backend)
	if err != nil {
		t.Fatal(err)
	}
	address := netip.MustParseAddrPort(u.Host)
	services := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	slices := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	port, name, yes, no := int32(address.Port()), "http", true, false
	if err := services.Add(&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"},
		Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: name, Port: 80}}}}); err != nil {
		t.Fatal(err)
	}
	if err := slices.Add(&discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web-1", Labels: map[string]string{discoveryv1.LabelServiceName: "web"}},
		Ports:      []discoveryv1.EndpointPort{{Name: &name, Port: &port}},
		Endpoints: []discoveryv1.Endpoint{
			{Addresses: []string{"192.0.2.1"}, Conditions: discoveryv1.EndpointConditions{Ready: &no}},
			{Addresses: []string{address.Addr().String()}, Conditions: discoveryv1.EndpointConditions{Ready: &yes}},
		}}); err != nil {
		t.Fatal(err)
	}
	n := &Controller{services: corelisters.NewServiceLister(services), slices: discoverylisters.NewEndpointSliceLister(slices), transport: &http.Transport{}}
	n.table.Store(newTable([]*networkingv1.Ingress{ingressOf("web", 1, path{"web.localhost", "/", "Prefix", "web"}, path{"gone.localhost", "/", "Prefix", "gone"})}))
	server := httptest.NewServer(n)
	t.Cleanup(server.Close)
	return server
}

func TestServe(t *testing.T) {
	t.Parallel()
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s %s", r.Host, r.URL, r.Header.Get("X-Forwarded-Host"))
	}))
	t.Cleanup(backend.Close)
	server := front(t, backend.URL)
	for _, c := range []struct {
		host string
		code int
		body string
	}{
		{"web.localhost:8081", http.StatusOK, "web.localhost:8081 /a%2Fb?c=d web.localhost:8081"},
		{"gone.localhost:8081", http.StatusServiceUnavailable, "Service default/gone cannot answer: service default/gone does not exist.\n"},
		{"else.localhost", http.StatusNotFound, "No Ingress is for else.localhost/a/b.\n"},
	} {
		request, err := http.NewRequest(http.MethodGet, server.URL+"/a%2Fb?c=d", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = c.host
		response, err := server.Client().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != c.code || string(body) != c.body {
			t.Errorf("%s: %d %q, %v; want %d %q", c.host, response.StatusCode, body, err, c.code, c.body)
		}
	}
}

// TestServeUpgrade speaks a protocol of its own after the upgrade, as websockets do (RFC 9110, section 7.8).
func TestServeUpgrade(t *testing.T) {
	t.Parallel()
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		connection, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer connection.Close()
		fmt.Fprintf(buffered, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", r.Header.Get("Upgrade"))
		buffered.Flush()
		line, err := buffered.ReadString('\n')
		if err != nil {
			t.Error(err)
			return
		}
		fmt.Fprint(connection, strings.ToUpper(line))
	}))
	t.Cleanup(backend.Close)
	connection, err := net.Dial("tcp", front(t, backend.URL).Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	fmt.Fprint(connection, "GET / HTTP/1.1\r\nHost: web.localhost\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	reader := bufio.NewReader(connection)
	response, err := http.ReadResponse(reader, nil)
	if err != nil || response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("the upgrade says %v, %v", response, err)
	}
	fmt.Fprint(connection, "hello\n")
	if line, err := reader.ReadString('\n'); err != nil || line != "HELLO\n" {
		t.Errorf("after the upgrade: %q, %v", line, err)
	}
}
