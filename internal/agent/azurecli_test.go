package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAzureCLIWithoutAz(t *testing.T) {
	t.Parallel()
	j := newToolJob(t, nil)
	j.env["PATH"] = j.path
	if err := os.Symlink("/bin/bash", filepath.Join(j.path, "bash")); err != nil {
		t.Fatal(err)
	}
	_, err := j.run("AzureCLI@2", map[string]string{"azureSubscription": "any", "scriptType": "bash", "scriptLocation": "inlineScript", "inlineScript": "az account show"})
	if err == nil || !strings.Contains(err.Error(), "install the Azure CLI") {
		t.Errorf("without az: %v", err)
	}
}
