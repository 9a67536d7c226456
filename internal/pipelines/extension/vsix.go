package extension

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"slices"
	"strings"

	"slipway"
)

// vsix is what is read of an extension: its name and its tasks.
type vsix struct {
	name          string // PUBLISHER.EXTENSION
	contributions []contribution
}

// contribution is one task of an extension, in a folder that holds it or its versions.
type contribution struct{ id, folder string }

const maxExtensionManifest = 4 << 20 // bytes

// taskContribution is the type of contributions that are tasks.
const taskContribution = "ms.vss-distributed-task.task"

// readExtension reads the manifests of an extension: extension.vsixmanifest says who publishes it under which name,
// extension.vsomanifest (extension.manifest in sources) what it contributes.
func readExtension(files []file) (vsix, error) {
	var x vsix
	var contents struct {
		ID            string `json:"id"`
		ExtensionID   string `json:"extensionId"`
		Publisher     string `json:"publisher"`
		Contributions []struct {
			ID         string `json:"id"`
			Type       string `json:"type"`
			Properties struct {
				Name string `json:"name"`
			} `json:"properties"`
		} `json:"contributions"`
	}
	at := slices.IndexFunc(files, func(f file) bool { return f.name == "extension.vsomanifest" || f.name == "extension.manifest" })
	if at < 0 {
		return x, slipway.Invalid("there is neither a task.json nor an extension.vsomanifest at the root of the archive: send a task's folder, or an extension's .vsix file")
	}
	b, err := files[at].read(maxExtensionManifest)
	if err != nil {
		return x, err
	}
	if err := json.Unmarshal(bytes.TrimPrefix(b, []byte("\ufeff")), &contents); err != nil {
		return x, slipway.Invalid("%s is not understood", files[at].name).Because(err)
	}
	publisher, id := contents.Publisher, contents.ID
	if contents.ExtensionID != "" {
		id = contents.ExtensionID
	}
	if at := slices.IndexFunc(files, func(f file) bool { return f.name == "extension.vsixmanifest" }); at >= 0 {
		if publisher, id, err = identity(&files[at]); err != nil {
			return x, err
		}
	}
	if !plainName(publisher) || !plainName(id) {
		return x, slipway.Invalid("the extension does not say its publisher and its name in words of letters, digits, dashes and dots")
	}
	x.name = publisher + "." + id
	for _, c := range contents.Contributions {
		if !strings.EqualFold(c.Type, taskContribution) {
			continue
		}
		if !plainName(c.ID) || c.Properties.Name == "" {
			return x, slipway.Invalid("the contribution %.100q of extension %s has no id or no properties.name", c.ID, x.name)
		}
		x.contributions = append(x.contributions, contribution{c.ID, c.Properties.Name})
	}
	if len(x.contributions) == 0 {
		return x, slipway.Invalid("extension %s has no task: no contribution of it is of type %s", x.name, taskContribution)
	}
	return x, nil
}

// identity reads the publisher and name of an extension.vsixmanifest.
func identity(f *file) (publisher, id string, err error) {
	b, err := f.read(maxExtensionManifest)
	if err != nil {
		return "", "", err
	}
	var manifest struct {
		Metadata struct {
			Identity struct {
				ID        string `xml:"Id,attr"`
				Publisher string `xml:"Publisher,attr"`
			} `xml:"Identity"`
		} `xml:"Metadata"`
	}
	if err := xml.Unmarshal(b, &manifest); err != nil {
		return "", "", slipway.Invalid("%s is not understood", f.name).Because(err)
	}
	return manifest.Metadata.Identity.Publisher, manifest.Metadata.Identity.ID, nil
}

// plainName reports a name that can stand in a task's full name.
func plainName(s string) bool {
	return s != "" && len(s) <= 200 && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
	})
}
