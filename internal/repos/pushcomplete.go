package repos

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"slipway"
)

// completeTips are the objects that a push names, in a repository that had none: whose pack git has let through by its checks (`--strict` of
// git-index-pack(1) and git-unpack-objects(1), that is transfer.fsckObjects), all the objects that are named in it are in it, so that nothing
// that these lead to is missing. Otherwise there are none, and git looks for itself: what is in a repository and no ref leads to may be incomplete.
func (s *Service) completeTips(ctx context.Context, id slipway.RepositoryID, tap *pushTap) []string {
	if tap == nil || !isEmpty(filepath.Join(s.dir(id), "objects")) {
		return nil
	}
	return tap.newTips(ctx)
}

// isEmpty says that a folder of objects has none, and borrows none.
func isEmpty(objects string) bool {
	list, err := os.ReadDir(objects)
	if err != nil {
		return false
	}
	for _, d := range list {
		switch {
		case d.Name() == "pack" || d.Name() == "info":
			inside, err := os.ReadDir(filepath.Join(objects, d.Name()))
			if err != nil || len(inside) > 0 {
				return false
			}
		case !strings.HasPrefix(d.Name(), "tmp_objdir-"): // quarantines
			return false
		}
	}
	return true
}
