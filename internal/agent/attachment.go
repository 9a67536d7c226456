package agent

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"

	"slipway"
	"slipway/internal/pipelines/job"
)

// attach sends a file to the run, and gives the lines to show if that fails. Azure's agent only warns then.
func (t *task) attach(c command, kind, name string) []string {
	if err := t.sendAttachment(kind, name, c.text); err != nil {
		return []string{"##[warning]" + c.name + ": " + sentence(err)}
	}
	return nil
}

func (t *task) sendAttachment(kind, name, path string) error {
	if path == "" {
		return errors.New("name the file behind the command")
	}
	path = t.absolute(path)
	if name == "" {
		name = filepath.Base(path)
	}
	query := url.Values{"type": {kind}, "name": {name}}
	return t.sendFile("/attachments/"+strconv.Itoa(t.step.ID)+"?"+query.Encode(), path)
}

// sendFile sends the contents of a file to where the job's attachments are taken.
func (t *task) sendFile(to, path string) error {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return fmt.Errorf("there is no file %s", path)
	}
	if info.Size() > job.MaxAttachment {
		return slipway.Limit("%s has more than %d MiB: publish it as an artifact", path, job.MaxAttachment>>20)
	}
	return t.client.again(t.ctx, func() error {
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		resp, err := t.client.send(t.ctx, "PUT", to, "application/octet-stream", file)
		if err != nil {
			return err
		}
		return resp.Body.Close()
	})
}
