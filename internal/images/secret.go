package images

import (
	"os"

	"slipway"
)

// ReadSecrets reads docker's `--secret id=ID[,src=FILE|,env=NAME]`; without a source the variable ID of the environment is meant.
func ReadSecrets(texts []string, getenv func(string) string) (map[string][]byte, error) {
	out := map[string][]byte{}
	for _, text := range texts {
		s, err := parsePairs("--secret", text)
		if err != nil {
			return nil, err
		}
		id, file, variable := s["id"], s["src"]+s["source"], s["env"]
		if id == "" {
			return nil, slipway.Invalid("--secret %q has no id", text)
		}
		if s["type"] == "env" && file != "" {
			file, variable = "", file
		}
		if file == "" && variable == "" {
			variable = id
		}
		if file == "" {
			out[id] = []byte(getenv(variable))
			continue
		}
		if out[id], err = os.ReadFile(file); err != nil {
			return nil, slipway.Invalid("--secret %s: the file %s cannot be read", id, file).Because(err)
		}
	}
	return out, nil
}
