package registry_test

import (
	"strings"
	"testing"

	"slipway/internal/registry"
)

func TestNames(t *testing.T) {
	t.Parallel()
	for name, ok := range map[string]bool{
		"a": true, "a/b": true, "a-b/c__d/e.f": true, "a--b": true, "0/1": true,
		"": false, "A": false, "/a": false, "a/": false, "a//b": false, "a..b": false, "a_-b": false, "-a": false, "a/../b": false, strings.Repeat("a", 256): false,
	} {
		if err := registry.CheckName(name); (err == nil) != ok {
			t.Errorf("name %.40q: %v", name, err)
		}
	}
	for tag, ok := range map[string]bool{"v1": true, "_": true, "1.0-rc_1": true, "": false, ".a": false, "a:b": false, "a/b": false, strings.Repeat("a", 129): false} {
		if registry.IsTag(tag) != ok {
			t.Errorf("tag %.40q: %v", tag, !ok)
		}
	}
}
