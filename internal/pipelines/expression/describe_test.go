package expression

import "testing"

func TestEveryFunctionIsDescribed(t *testing.T) {
	t.Parallel()
	list := Descriptions()
	if len(list) != len(functions) {
		t.Errorf("%d are described, there are %d", len(list), len(functions))
	}
	for _, f := range list {
		if f.Doc == "" || f.Arguments == "" || f.Arguments[0] != '(' {
			t.Errorf("%s is not described: %+v", f.Name, f)
		}
	}
}
