package images

import (
	"encoding/csv"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"slipway"

	"github.com/moby/buildkit/client"
)

// Output is what is made of a build's result: an image in the builder's cache or in a registry, a folder, or an archive.
type Output struct {
	Type       string            `json:"type"` // image, registry, local, tar, oci or docker
	Dest       string            `json:"dest,omitempty"`
	Attributes map[string]string `json:"attributes,omitempty"` // BuildKit's
}

// ParseOutput reads docker's `--output`: a folder, - for a tar file on standard output, or comma-separated KEY=VALUE with a type.
func ParseOutput(s string) (Output, error) {
	if s == "-" {
		return Output{Type: "tar", Dest: "-"}, nil
	}
	if s != "" && !strings.Contains(s, "=") {
		return Output{Type: "local", Dest: s}, nil
	}
	attributes, err := parsePairs("output", s)
	if err != nil {
		return Output{}, err
	}
	o := Output{Type: attributes["type"], Dest: attributes["dest"], Attributes: attributes}
	delete(attributes, "type")
	delete(attributes, "dest")
	return o, o.check()
}

func (o Output) check() error {
	switch o.Type {
	case "image", "registry":
		if o.Dest != "" {
			return slipway.Invalid("output type=%s has no dest: it goes to a registry", o.Type)
		}
	case "local":
		if o.Dest == "" || o.Dest == "-" {
			return slipway.Invalid("output type=local needs a folder: write type=local,dest=FOLDER")
		}
	case "tar", "oci", "docker":
		if o.Attributes["tar"] == "false" {
			return slipway.Unsupported("output type=%s,tar=false is not supported: take the archive and unpack it", o.Type)
		}
	case "":
		return slipway.Invalid("an output needs a type: write type=local,dest=FOLDER for example")
	default:
		return slipway.Unsupported("output type %q is not supported: use registry, image, local, tar, oci or docker", o.Type)
	}
	return nil
}

// parsePairs reads comma-separated KEY=VALUE, in which a value that holds a comma stands in double quotes.
func parsePairs(what, s string) (map[string]string, error) {
	fields, err := csv.NewReader(strings.NewReader(s)).Read()
	if err != nil {
		return nil, slipway.Invalid("%s %q: %v", what, s, err)
	}
	out := map[string]string{}
	for _, f := range fields {
		key, value, ok := strings.Cut(f, "=")
		if !ok {
			return nil, slipway.Invalid("%s %q: %q is not KEY=VALUE", what, s, f)
		}
		out[strings.ToLower(strings.TrimSpace(key))] = value
	}
	return out, nil
}

// exports are BuildKit's exporters for all that the options ask for.
func (o Options) exports() ([]client.ExportEntry, error) {
	if o.CacheOnly {
		return nil, nil
	}
	var out []client.ExportEntry
	outputs := o.Outputs
	if o.Push || len(outputs) == 0 {
		image := Output{Type: "image", Attributes: map[string]string{}}
		if o.Push {
			image.Type = "registry"
		}
		outputs = append([]Output{image}, outputs...)
	}
	for _, output := range outputs {
		if err := output.check(); err != nil {
			return nil, err
		}
		entry, err := o.export(output)
		if err != nil {
			return nil, err
		}
		out = append(out, entry)
	}
	return out, nil
}

func (o Options) export(output Output) (client.ExportEntry, error) {
	entry := client.ExportEntry{Type: output.Type, Attrs: maps.Clone(output.Attributes)}
	if entry.Attrs == nil {
		entry.Attrs = map[string]string{}
	}
	switch output.Type {
	case "local":
		entry.OutputDir = output.Dest
		return entry, nil
	case "tar":
		entry.Output = writerTo(output.Dest)
		return entry, nil
	case "oci", "docker":
		entry.Output = writerTo(output.Dest)
	case "registry":
		entry.Type, entry.Attrs["push"] = client.ExporterImage, "true"
	}
	if o.RewriteTimes && entry.Attrs["rewrite-timestamp"] == "" {
		entry.Attrs["rewrite-timestamp"] = "true"
	}
	if kind := entry.Attrs["compression"]; entry.Attrs["compression-level"] == "" && (kind == "" || kind == "gzip") {
		entry.Attrs["compression-level"] = "1" // a third of the time of gzip's own 6, for layers that are a tenth larger
	}
	if output.Type != "docker" && entry.Attrs["oci-mediatypes"] == "" {
		entry.Attrs["oci-mediatypes"] = "true"
	}
	if len(o.Tags) > 0 && entry.Attrs["name"] == "" {
		entry.Attrs["name"] = strings.Join(o.Tags, ",")
	}
	if entry.Attrs["push"] == "true" && entry.Attrs["name"] == "" {
		return entry, slipway.Invalid("an image that is pushed needs a name: give a tag")
	}
	for key, value := range o.Annotations {
		kind, name, ok := strings.Cut(key, ":")
		if !ok {
			kind, name = "manifest", key
		}
		switch kind {
		case "manifest":
			entry.Attrs["annotation."+name] = value
		case "index":
			entry.Attrs["annotation-index."+name] = value
		case "manifest-descriptor":
			entry.Attrs["annotation-manifest-descriptor."+name] = value
		default:
			return entry, slipway.Invalid("annotation %q: the part before the colon is manifest, index or manifest-descriptor", key)
		}
	}
	return entry, nil
}

// writerTo opens the file that an archive is written to, when the builder begins to send it.
func writerTo(dest string) func(map[string]string) (io.WriteCloser, error) {
	return func(map[string]string) (io.WriteCloser, error) {
		if dest == "-" || dest == "" {
			return unclosed{os.Stdout}, nil
		}
		if err := os.MkdirAll(filepath.Dir(dest), 0o755); err != nil {
			return nil, err
		}
		return os.Create(dest)
	}
}

// unclosed is standard output, which others may write to afterwards.
type unclosed struct{ io.Writer }

func (unclosed) Close() error { return nil }
