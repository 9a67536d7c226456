package filecommands

import (
	"strings"
	"testing"
)

func TestMistakesOnTheCommandLine(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"unknown flag: --stge, did you mean --stage?; see `slipway run --help`": {"run", "--stge", "x"},
		"unknown flag: --zzzzzz; see `slipway run --help`":                      {"run", "--zzzzzz"},
		"a cluster was asked for":                                               {"run", "--kubeconfig", "config"},
		"--context and --namespace go with":                                     {"run", "--namespace", "n"},
		"write `slipway run ":                                                   {"run", "a", "b"},
		"is a folder: name the pipeline's file in it":                           {"expand", t.TempDir()},
	} {
		if _, err := run(args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", args, err, want)
		}
	}
}

func TestVarIsVariable(t *testing.T) {
	t.Parallel()
	_, on := checkout(t, map[string]string{"a.yml": "steps:\n- script: echo ${{ variables.colour }}\n"})
	if out, code := on("expand", "a.yml", "--var", "colour=blue"); code != 0 || !strings.Contains(out, "echo blue") {
		t.Errorf("%d: %s", code, out)
	}
	if out, _ := on("expand", "a.yml", "--var", "A"); !strings.Contains(out, `--variable "A": write NAME=VALUE`) {
		t.Errorf("without a value: %s", out)
	}
}
