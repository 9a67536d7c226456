package builder

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDecodeConfig(t *testing.T) {
	t.Parallel()
	got, err := decodeConfig(strings.NewReader(`{"state":"/s","runc":"/r","socket":"/b.sock","netns":"n","stepSubnet":"10.1.2.0/24","dns":["10.0.0.1"],
		"registries":[{"host":"localhost:8080","endpoint":"http://10.213.7.1:8080"},{"host":"docker.io","mirrors":["localhost:8080/hub"]}]}`))
	want := Config{State: "/s", Runc: "/r", Socket: "/b.sock", NetNS: "n", StepSubnet: "10.1.2.0/24", DNS: []string{"10.0.0.1"}, CacheBytes: 20 << 30,
		Registries: []Registry{{Host: "localhost:8080", Endpoint: "http://10.213.7.1:8080"}, {Host: "docker.io", Mirrors: []string{"localhost:8080/hub"}}}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}

	for _, c := range []struct{ text, want string }{
		{`{"state":"/s","runc":"/r","socket":"/b","cacheByte":1}`, "cacheByte"},
		{`{"state":"/s","runc":"/r","socket":"/b"} {}`, "after the JSON object"},
		{`{"state":"s","runc":"/r","socket":"/b"}`, "state"},
		{`{"state":"/s","socket":"/b"}`, "runc"},
		{`{"state":"/s","runc":"/r"}`, "neither socket nor listen"},
		{`{"state":"/s","runc":"/r","listen":{"address":":1","cert":"/c","key":"/k"}}`, "clientCA"},
		{`{"state":"/s","runc":"/r","socket":"/b","netns":"../x"}`, "netns"},
		{`{"state":"/s","runc":"/r","socket":"/b","stepSubnet":"10.1.2.0/24"}`, "give netns too"},
		{`{"state":"/s","runc":"/r","socket":"/b","netns":"n","stepSubnet":"10.1.2.3/24"}`, "stepSubnet"},
		{`{"state":"/s","runc":"/r","socket":"/b","netns":"n","stepSubnet":"10.1.2.0/30"}`, "stepSubnet"},
		{`{"state":"/s","runc":"/r","socket":"/b","dns":["resolver.example"]}`, "dns"},
		{`{"state":"/s","runc":"/r","socket":"/b","cacheBytes":-1}`, "cacheBytes"},
		{`{"state":"/s","runc":"/r","socket":"/b","registries":[{"host":"a/b"}]}`, "host"},
		{`{"state":"/s","runc":"/r","socket":"/b","registries":[{"host":"a","endpoint":"10.0.0.1:80"}]}`, "endpoint"},
		{`{"state":"/s","runc":"/r","socket":"/b","registries":[{"host":"a","mirrors":["/x"]}]}`, "mirror"},
	} {
		if _, err := decodeConfig(strings.NewReader(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q in it", c.text, err, c.want)
		}
	}
}
