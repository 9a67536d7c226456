// Command corpus says how much of a collection of public pipeline files this language takes: which files parse and expand,
// how many of their steps could run, and what is refused most often, and where.
//
//	go run ./test/corpus [--top 30] FOLDER FILES.tsv
//
// FOLDER holds checkouts as OWNER+NAME, without git. FILES.tsv names the files to look at, one a line: the repository
// (OWNER/NAME), a tab, the path in it; further columns are not read. The collection is no part of the project.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	top := flag.Int("top", 30, "how many reasons are listed of each kind")
	flag.Parse()
	if flag.NArg() != 2 {
		fmt.Fprintln(os.Stderr, "corpus: write the folder of the checkouts and the list of files")
		os.Exit(2)
	}
	files, err := readList(flag.Arg(1))
	if err != nil {
		fmt.Fprintln(os.Stderr, "corpus:", err)
		os.Exit(1)
	}
	var s summary
	for _, f := range files {
		if err := s.add(flag.Arg(0), f); err != nil {
			fmt.Fprintln(os.Stderr, "corpus:", err)
			os.Exit(1)
		}
	}
	if err := s.write(os.Stdout, *top); err != nil {
		fmt.Fprintln(os.Stderr, "corpus:", err)
		os.Exit(1)
	}
}

// file is one line of the list.
type file struct{ repository, path string }

// folder is where the repository is checked out.
func (f file) folder(root string) string {
	return filepath.Join(root, strings.ReplaceAll(f.repository, "/", "+"))
}

func readList(path string) ([]file, error) {
	list, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the list of files: %w", err)
	}
	defer list.Close()
	var files []file
	lines := bufio.NewScanner(list)
	for n := 1; lines.Scan(); n++ {
		columns := strings.Split(lines.Text(), "\t")
		if len(columns) < 2 || columns[0] == "repo" { // a heading
			continue
		}
		if !filepath.IsLocal(filepath.FromSlash(columns[1])) {
			return nil, fmt.Errorf("line %d of %s: %q leads out of the repository", n, path, columns[1])
		}
		files = append(files, file{columns[0], columns[1]})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the list of files: %w", err)
	}
	return files, nil
}
