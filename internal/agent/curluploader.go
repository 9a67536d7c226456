package agent

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// curlUploader is the task cURLUploader@2, by curl of the job's image.
func (t *task) curlUploader(in inputs) error {
	if _, err := t.look("curl"); err != nil {
		return fmt.Errorf("%w: give the job a container that has it", err)
	}
	address, user, password, err := t.uploadTo(in)
	if err != nil {
		return err
	}
	files, err := t.uploadedFiles(in.text("files"))
	if err != nil {
		return err
	}
	args := []string{"-T", files, address, "--fail"}
	if in.flag("redirectStderr", true) {
		args = append(args, "--stderr", "-")
	}
	args = append(args, splitArguments(in.text("options"))...)
	if user != "" || password != "" {
		file, remove, err := t.curlCredentials(user, password)
		if err != nil {
			return err
		}
		defer remove()
		args = append(args, "--config", file)
	}
	return t.runShown(process{name: "curl", args: args})
}

// uploadTo is where files go, and who sends them.
func (t *task) uploadTo(in inputs) (address, user, password string, err error) {
	path := strings.TrimSpace(strings.ReplaceAll(in.text("remotePath"), `\`, "/"))
	if !strings.EqualFold(in.text("authType"), "ServiceEndpoint") {
		if address = in.text("url"); path != "" {
			address += "/" + path
		}
		t.mask.Add(in.text("password"))
		return address, in.text("username"), in.text("password"), nil
	}
	c, err := t.connection(in.text("serviceEndpoint"))
	if err != nil {
		return "", "", "", err
	}
	user, password = c.Credentials()
	if c.URL == "" || user == "" || password == "" {
		return "", "", "", fmt.Errorf("service connection %q needs a URL, a username and a password", c.Name)
	}
	return strings.TrimRight(c.URL, "/") + "/" + path, user, password, nil
}

// uploadedFiles are the files as curl takes them: one, or several in braces.
func (t *task) uploadedFiles(pattern string) (string, error) {
	if !strings.ContainsAny(pattern, "*?") {
		path := t.absolute(pattern)
		if !present(path) {
			return "", fmt.Errorf("there is no file %s", path)
		}
		return path, nil
	}
	list := patterns{pattern}.expanded()
	for i := range list {
		list[i] = everywhere(list[i])
	}
	found, err := find(t.folders.sources, list)
	if err != nil {
		return "", fmt.Errorf("look for files: %w", err)
	}
	if len(found) == 0 {
		return "", fmt.Errorf("no file matches %s", pattern)
	}
	for i, path := range found {
		if strings.ContainsAny(path, ",{}") {
			return "", fmt.Errorf("curl cannot take %s together with other files, since its name has a comma or a brace: name it alone", path)
		}
		found[i] = strings.ReplaceAll(path, `\`, `\\`)
	}
	return "{" + strings.Join(found, ",") + "}", nil
}

// curlCredentials writes a file by which curl signs in: arguments are seen by others on the machine.
func (t *task) curlCredentials(user, password string) (path string, remove func(), err error) {
	if strings.ContainsAny(user+password, "\r\n") {
		return "", func() {}, errors.New("the username or the password has several lines")
	}
	folder, remove, err := t.privateFolder("curl-")
	if err != nil {
		return "", remove, err
	}
	path = filepath.Join(folder, "config")
	text := `user = "` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(user+":"+password) + "\"\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return "", func() {}, cmp.Or(fmt.Errorf("write the credentials: %w", err), os.RemoveAll(folder))
	}
	return path, remove, nil
}
