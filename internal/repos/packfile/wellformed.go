package packfile

import (
	"bytes"
	"encoding/hex"
	"regexp"
	"strings"
)

// The checks of this file are stricter than those of git-fsck(1): what they let through it lets through, with the settings of Slipway's
// pushes. What they do not know goes to git, which then decides.

// linker is told the objects that one names.
type linker interface {
	ask(name *Name, kind Kind) error
}

var errCommit = unusual("a commit is not of the usual form")

// checkCommit reads the commit's lines up to its message.
func checkCommit(text []byte, links linker) error {
	rest, ok := namedLine(text, "tree ", Tree, links)
	for ok && bytes.HasPrefix(rest, []byte("parent ")) {
		rest, ok = namedLine(rest, "parent ", Commit, links)
	}
	if ok {
		rest, ok = signature(rest, "author ")
	}
	if ok {
		rest, ok = signature(rest, "committer ")
	}
	if !ok || !headEnds(rest) || bytes.IndexByte(rest, 0) >= 0 {
		return errCommit
	}
	return nil
}

// namedLine reads a line of a prefix and an object's name.
func namedLine(text []byte, prefix string, kind Kind, links linker) (rest []byte, ok bool) {
	end := len(prefix) + 2*len(Name{})
	if len(text) <= end || string(text[:len(prefix)]) != prefix || text[end] != '\n' {
		return nil, false
	}
	var name Name
	digits := text[len(prefix):end]
	if _, err := hex.Decode(name[:], digits); err != nil || bytes.ContainsAny(digits, "ABCDEF") {
		return nil, false
	}
	return text[end+1:], links.ask(&name, kind) == nil
}

// signature reads a line `author NAME <EMAIL> SECONDS ZONE`.
func signature(text []byte, prefix string) (rest []byte, ok bool) {
	end := bytes.IndexByte(text, '\n')
	if end < 0 || !bytes.HasPrefix(text[:end], []byte(prefix)) {
		return nil, false
	}
	line, rest := text[len(prefix):end], text[end+1:]
	open := bytes.IndexByte(line, '<')
	if open < 1 || line[open-1] != ' ' || bytes.IndexByte(line[:open], '>') >= 0 || bytes.IndexByte(line, 0) >= 0 {
		return nil, false
	}
	email, when, ok := bytes.Cut(line[open+1:], []byte("> "))
	if !ok || bytes.ContainsAny(email, "<>") {
		return nil, false
	}
	seconds, zone, ok := bytes.Cut(when, []byte{' '})
	if !ok || len(seconds) == 0 || len(seconds) > 15 || seconds[0] == '0' && len(seconds) > 1 || !digits(seconds) {
		return nil, false
	}
	return rest, len(zone) == 5 && (zone[0] == '+' || zone[0] == '-') && digits(zone[1:])
}

func digits(text []byte) bool {
	for _, c := range text {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// headEnds says that what is left of an object's lines ends where its message begins, or with its last line.
func headEnds(rest []byte) bool {
	if len(rest) == 0 || rest[0] == '\n' {
		return true
	}
	end := bytes.Index(rest, []byte("\n\n"))
	if end < 0 {
		end = len(rest) - 1
	}
	return rest[end] == '\n'
}

var errTag = unusual("a tag is not of the usual form")

var kindsByName = map[string]Kind{"commit": Commit, "tree": Tree, "blob": Blob, "tag": Tag}

// checkTag reads an annotated tag's lines up to its message.
func checkTag(text []byte, links linker) error {
	const object, kindPrefix, tagPrefix = "object ", "\ntype ", "tag "
	end := len(object) + 2*len(Name{})
	if len(text) < end+len(kindPrefix) || string(text[end:end+len(kindPrefix)]) != kindPrefix {
		return errTag
	}
	word, rest, ok := bytes.Cut(text[end+len(kindPrefix):], []byte{'\n'})
	kind := kindsByName[string(word)]
	if !ok || kind == 0 {
		return errTag
	}
	if _, ok := namedLine(text[:end+1], object, kind, links); !ok {
		return errTag
	}
	name, rest, ok := bytes.Cut(rest, []byte{'\n'})
	if !ok || !bytes.HasPrefix(name, []byte(tagPrefix)) || len(name) == len(tagPrefix) || bytes.IndexByte(name, 0) >= 0 {
		return errTag
	}
	if len(rest) > 0 && rest[0] != '\n' { // old tags do not say who made them
		if rest, ok = signature(rest, "tagger "); !ok || len(rest) > 0 && rest[0] != '\n' {
			return errTag
		}
	}
	return nil
}

var errTree = unusual("a folder is not of the usual form")

// checkTree reads a folder's entries. special gets the names of files that git reads itself.
func checkTree(text []byte, links linker, special func(Name, specialFile) error) error {
	var before, name []byte
	folderBefore := false
	var files [][]byte // with which all names since begin: a folder of such a name would be there twice
	for len(text) > 0 {
		space := 5
		if len(text) > 5 && text[5] != ' ' {
			space = 6
		}
		if len(text) <= space || text[space] != ' ' {
			return errTree
		}
		kind := entryKind(text[:space])
		text = text[space+1:]
		end := bytes.IndexByte(text, 0)
		if kind == 0 || end < 1 || len(text) < end+1+len(Name{}) {
			return errTree
		}
		name = text[:end]
		id := (*Name)(text[end+1:])
		text = text[end+1+len(Name{}):]
		usual, file := usualName(name)
		if !usual || file != "" && kind != Blob {
			return unusual("a folder has an entry %q", name)
		}
		if file != "" {
			if err := special(*id, file); err != nil {
				return err
			}
		}
		folder := kind == Tree
		if before != nil && !follows(before, folderBefore, name, folder) {
			return unusual("the entries of a folder are not in order")
		}
		for len(files) > 0 && !bytes.HasPrefix(name, files[len(files)-1]) {
			files = files[:len(files)-1]
		}
		if !folder {
			files = append(files, name)
		} else if len(files) > 0 && len(files[len(files)-1]) == len(name) {
			return unusual("a folder has two entries %q", name)
		}
		before, folderBefore = name, folder
		switch kind {
		case submodule:
			if *id == (Name{}) {
				return errTree
			}
			continue
		case link:
			kind = Blob
		}
		if err := links.ask(id, kind); err != nil {
			return err
		}
	}
	return nil
}

// The kinds of a folder's entries that are none of a pack's.
const (
	submodule Kind = 0xf0 // a commit of another repository
	link      Kind = 0xf1 // a symbolic link
)

// entryKind reads an entry's mode, 0 for an odd one.
func entryKind(mode []byte) Kind {
	switch string(mode) {
	case "100644", "100755", "100664": // the last in old histories
		return Blob
	case "40000":
		return Tree
	case "120000":
		return link
	case "160000":
		return submodule
	}
	return 0
}

// follows says that an entry comes behind another in a folder, where a folder's name counts as if it had a slash at its end.
func follows(a []byte, aFolder bool, b []byte, bFolder bool) bool {
	n := min(len(a), len(b))
	if c := bytes.Compare(a[:n], b[:n]); c != 0 {
		return c < 0
	}
	if len(a) == len(b) {
		return false
	}
	next := func(name []byte, folder bool) byte {
		switch {
		case len(name) > n:
			return name[n]
		case folder:
			return '/'
		}
		return 0
	}
	return next(a, aFolder) < next(b, bFolder)
}

// specialFile is the name of a file that git reads itself, and so looks into.
type specialFile string

const (
	attributesFile specialFile = ".gitattributes"
	modulesFile    specialFile = ".gitmodules"
)

// usual says that git takes the content of such a file.
func (f specialFile) usual(text []byte) bool {
	if f == modulesFile {
		return usualModules(text)
	}
	return usualAttributes(text)
}

// usualName says that a name cannot be taken for `.git`, a special file of another spelling or a way up on any file system, as HFS+ and NTFS
// take some for others.
func usualName(name []byte) (usual bool, special specialFile) {
	var seen byte
	for i, c := range name {
		switch {
		case c == '/' || c == '\\' && i+1 < len(name) && bytes.IndexByte([]byte(".gGmM"), name[i+1]) >= 0: // behind a backslash NTFS has another name
			return false, ""
		case c == '~' && i < 8 && (name[0]|0x20 == 'g' || name[0]|0x20 == 'm'): // a short name of NTFS
			return false, ""
		}
		seen |= c
	}
	if seen&0x80 != 0 && unseen(name) {
		return false, ""
	}
	if name[0] != '.' {
		return true, ""
	}
	if len(name) == 1 || name[1] == '.' && len(name) == 2 {
		return false, ""
	}
	if len(name) < 4 || !bytes.EqualFold(name[:4], []byte(".git")) {
		return true, ""
	}
	switch file := specialFile(name); {
	case file == attributesFile || file == modulesFile:
		return true, file
	case hasPrefixFold(name, string(attributesFile)), hasPrefixFold(name, string(modulesFile)):
		return false, ""
	}
	rest := name[4:]
	return len(rest) > 0 && rest[0] != ' ' && rest[0] != '.' && rest[0] != ':', ""
}

// unseen says that a name may have characters that HFS+ passes over (Unicode's U+200C to U+206F and U+FEFF, of which git's utf8.c names some).
func unseen(name []byte) bool {
	for i := range len(name) - 1 {
		switch uint16(name[i])<<8 | uint16(name[i+1]) {
		case 0xe280, 0xe281, 0xefbb:
			return true
		}
	}
	return false
}

func hasPrefixFold(text []byte, prefix string) bool {
	return len(text) >= len(prefix) && strings.EqualFold(string(text[:len(prefix)]), prefix)
}

// usualAttributes says that git reads a file with attributes whole (gitattributes(5)).
func usualAttributes(text []byte) bool {
	const longest = 2048
	for len(text) > 0 {
		line, rest, _ := bytes.Cut(text, []byte{'\n'})
		if len(line) >= longest {
			return false
		}
		text = rest
	}
	return true
}

var (
	moduleHead = regexp.MustCompile(`^\[submodule "[A-Za-z0-9_+ /-]+(?:\.[A-Za-z0-9_+ /-]+)*"\]$`)
	moduleURL  = regexp.MustCompile(`^(?:(?:\.\./)*[A-Za-z0-9]|\./[A-Za-z0-9]|(?:https?|ssh|git)://[A-Za-z0-9])[A-Za-z0-9@_+~./-]*$`)
	moduleLine = regexp.MustCompile(`^([A-Za-z]+)\s*=\s*([A-Za-z0-9./_][A-Za-z0-9@:~+./_ -]*)$`)
)

// usualModules says that a file names submodules as `git submodule add` does (gitmodules(5)), by addresses and paths that no program takes for something else.
func usualModules(text []byte) bool {
	for _, line := range bytes.Split(text, []byte{'\n'}) {
		line = bytes.Trim(line, " \t\r")
		if len(line) == 0 || line[0] == '#' || moduleHead.Match(line) {
			continue
		}
		setting := moduleLine.FindSubmatch(line)
		if setting == nil {
			return false
		}
		switch value := setting[2]; strings.ToLower(string(setting[1])) {
		case "path", "branch", "ignore", "shallow", "fetchrecursesubmodules":
		case "url":
			if !moduleURL.Match(value) {
				return false
			}
		default: // update is a command at times
			return false
		}
	}
	return true
}
