package repos

import (
	lru "github.com/hashicorp/golang-lru/v2"

	"slipway"
)

// What costs git long and cannot change, since it is named by commits alone, is remembered as far as these numbers go.
const (
	cachedFolders  = 512    // whose last commits are known
	cachedBlames   = 64     // of files
	cachedPaths    = 8      // lists of all the files of a commit
	cachedCounts   = 20_000 // of commits ahead and behind, and places where two histories parted
	maxCachedLines = 20_000 // of a file whose blame is remembered
)

// caches remember answers by repository and commit. They are safe for concurrent use.
type caches struct {
	folders *lru.Cache[folderKey, map[string]Commit]
	blames  *lru.Cache[folderKey, Blame]
	paths   *lru.Cache[folderKey, []string]
	counts  *lru.Cache[[2]string, AheadBehind]
	bases   *lru.Cache[[2]string, slipway.CommitID]
}

// folderKey names a folder or file of a commit; repositories have no commit in common that differs.
type folderKey struct{ repository, commit, path string }

func newCaches() *caches {
	return &caches{newCache[folderKey, map[string]Commit](cachedFolders), newCache[folderKey, Blame](cachedBlames),
		newCache[folderKey, []string](cachedPaths), newCache[[2]string, AheadBehind](cachedCounts), newCache[[2]string, slipway.CommitID](cachedCounts)}
}

func newCache[K comparable, V any](size int) *lru.Cache[K, V] {
	c, err := lru.New[K, V](size)
	if err != nil { // only for a size below one
		panic(err)
	}
	return c
}
