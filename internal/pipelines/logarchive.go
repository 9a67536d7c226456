package pipelines

import (
	"archive/zip"
	"context"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"slipway"
)

// WriteLogs writes a zip file with the logs of all steps of a run, of all attempts, to w: STAGE/JOB/NUMBER_STEP.txt.
func (s *Service) WriteLogs(ctx context.Context, run slipway.RunID, w io.Writer, timestamps bool) error {
	t, err := s.Timeline(ctx, run)
	if err != nil {
		return err
	}
	archive := zip.NewWriter(w)
	for i := range t.Stages {
		st := &t.Stages[i]
		for k := range st.Jobs {
			tj := &st.Jobs[k]
			folder := fmt.Sprintf("%d_%s/%d_%s", i+1, fileName(st.Title), k+1, fileName(tj.Title))
			for _, j := range slices.Concat(tj.Earlier, []TimelineJob{*tj}) {
				own := folder
				if j.Attempt > 1 {
					own += fmt.Sprintf(" (attempt %d)", j.Attempt)
				}
				if err := s.archiveJob(ctx, archive, own, &j, timestamps); err != nil {
					return err
				}
			}
		}
	}
	if err := archive.Close(); err != nil {
		return fmt.Errorf("write the logs of run %d: %w", run, err)
	}
	return nil
}

func (s *Service) archiveJob(ctx context.Context, archive *zip.Writer, folder string, j *TimelineJob, timestamps bool) error {
	for _, step := range j.Steps {
		if step.LogSize == 0 {
			continue
		}
		name := fmt.Sprintf("%s/%d_%s.txt", folder, step.ID, fileName(step.DisplayName))
		file, err := archive.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: time.UnixMicro(step.Finished).UTC()})
		if err != nil {
			return fmt.Errorf("write the logs of run %d: %w", j.Run, err)
		}
		if err := s.CopyLog(ctx, j.ID, step.ID, file, timestamps); err != nil {
			return err
		}
	}
	return nil
}

// notInNames are characters that some system does not have in the names of files.
var notInNames = regexp.MustCompile(`[\x00-\x1f\x7f<>:"/\\|?*]+`)

// fileName makes of a title a name that every system takes.
func fileName(title string) string {
	name := strings.Trim(notInNames.ReplaceAllString(title, "_"), " .")
	if len(name) > 100 {
		name = strings.ToValidUTF8(name[:100], "")
	}
	if name == "" {
		return "_"
	}
	return name
}
