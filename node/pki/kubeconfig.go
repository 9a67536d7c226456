package pki

import (
	"encoding/base64"
	"encoding/json"
	"os"
)

// kubeconfig writes a kubeconfig that signs in with the named certificate. Certificates are in it, not beside it, so that the
// file can be copied. JSON is valid YAML: every client reads it.
func (c Cluster) kubeconfig(name, path string) error {
	var encoded [3]string
	for i, file := range []string{"ca.crt", name + ".crt", name + ".key"} {
		data, err := os.ReadFile(c.path(file))
		if err != nil {
			return err
		}
		encoded[i] = base64.StdEncoding.EncodeToString(data)
	}
	type named map[string]any
	document := map[string]any{
		"apiVersion": "v1",
		"kind":       "Config",
		"clusters": []named{{"name": "slipway", "cluster": named{
			"server": c.Server, "certificate-authority-data": encoded[0]}}},
		"users": []named{{"name": name, "user": named{
			"client-certificate-data": encoded[1], "client-key-data": encoded[2]}}},
		"contexts":        []named{{"name": "slipway", "context": named{"cluster": "slipway", "user": name}}},
		"current-context": "slipway",
	}
	data, err := json.MarshalIndent(document, "", "  ")
	if err != nil {
		return err
	}
	return write(path, append(data, '\n'), 0o600)
}
