package repos

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/clock"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/events"
)

// manyMoves makes n commits, and moves of a branch to each, from where it is.
func (w *world) manyMoves(message string, n int) (moves []refMove) {
	w.t.Helper()
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "commit refs/made\nmark :%d\ncommitter Ben <ben@example.org> %d +0000\ndata %d\n%s\nM 644 inline a\ndata 1\nx\n", i+1, 1700000000+i, len(message), message)
	}
	marks := filepath.Join(w.t.TempDir(), "marks")
	w.git(b.String(), "fast-import", "--quiet", "--force", "--export-marks="+marks)
	made, err := os.ReadFile(marks)
	if err != nil {
		w.t.Fatal(err)
	}
	at := w.heads()
	for line := range strings.Lines(string(made)) {
		var i int
		var id slipway.CommitID
		if _, err := fmt.Sscanf(line, ":%d %s", &i, &id); err != nil {
			w.t.Fatal(err)
		}
		ref := fmt.Sprintf("refs/heads/topic/%05d", i-1)
		moves = append(moves, refMove{Ref: ref, Before: slipway.CommitID(at[ref]), After: id})
	}
	slices.SortFunc(moves, func(a, b refMove) int { return strings.Compare(a.Ref, b.Ref) })
	return moves
}

// heads are the commits of the branches, by their full names.
func (w *world) heads() map[string]string {
	w.t.Helper()
	at := map[string]string{}
	for line := range strings.Lines(w.git("", "for-each-ref", "--format=%(refname) %(objectname)", "refs/heads")) {
		ref, id, _ := strings.Cut(strings.TrimSpace(line), " ")
		at[ref] = id
	}
	return at
}

func (w *world) at(ref string) string {
	w.t.Helper()
	return w.git("", "for-each-ref", "--format=%(objectname)", ref)
}

// notes are the names of the notes of moves.
func (w *world) notes() (names []string) {
	w.t.Helper()
	list, err := os.ReadDir(w.movesFolder())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range list {
		names = append(names, f.Name())
	}
	return names
}

// What is left to git: a few moves, what it has rules of its own for, and everything atomic with any of these or of two sorts.
func TestMoveMany(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := setup(t, dbtest.SQLite(t))
	main := w.commit("first", "a", "1")
	moves := w.manyMoves("first", movesAlone+1)
	more := append([]refMove{
		{Ref: "refs/odd", After: main}, {Ref: "refs/heads/main", Before: main}, {Ref: "refs/heads/a..b", After: main}, {Ref: "refs/heads/gone"},
	}, moves...)
	for _, c := range []struct {
		what   string
		moves  []refMove
		atomic bool
		want   int
	}{
		{"a few", moves[:movesAlone], false, 0},
		{"atomic, with others", more, true, 0},
		{"with others", more, false, len(moves)},
		{"refused, since they are there", moves, false, 0},
	} {
		done, err := w.moveMany(ctx, w.repo, c.moves, c.atomic)
		if err != nil || len(done) != c.want {
			t.Errorf("%s: made %d moves, %v; want %d", c.what, len(done), err, c.want)
		}
		for _, m := range c.moves {
			if got := w.at(m.Ref); done[m.Ref] && got != string(m.After) {
				t.Errorf("%s: %s is at %q, want %s", c.what, m.Ref, got, m.After)
			}
		}
	}
	var deletions []refMove
	for _, m := range moves {
		deletions = append(deletions, refMove{Ref: m.Ref, Before: m.After})
	}
	again := w.manyMoves("second", movesAlone+1)
	if done, err := w.moveMany(ctx, w.repo, append(again[:3:3], deletions[3:]...), true); err != nil || len(done) > 0 {
		t.Errorf("atomic, set and deleted: made %d moves, %v", len(done), err)
	}
	if done, err := w.moveMany(ctx, w.repo, again, true); err != nil || len(done) != len(again) || w.at(again[5].Ref) != string(again[5].After) {
		t.Errorf("atomic: made %d moves, %v", len(done), err)
	}
	for i := range deletions {
		deletions[i].Before = again[i].After
	}
	if done, err := w.moveMany(ctx, w.repo, deletions, true); err != nil || len(done) != len(again) || w.at("refs/heads/topic/") != "" {
		t.Errorf("deletions: made %d moves, %v", len(done), err)
	}
	if left := w.notes(); len(left) > 0 {
		t.Errorf("notes %v", left)
	}
}

// What a power failure leaves of refs that were being moved: files that are empty or full of zeros, and locks. They get back what they had, and
// refs that nobody was moving are not looked at.
func TestMendMoves(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	d := dbtest.SQLite(t)
	w := setup(t, d)
	w.commit("first", "a", "1")
	const n = 40
	first := w.manyMoves("first", n-10)
	if err := w.setRefs(ctx, w.repo.ID, first[:7]); err != nil {
		t.Fatal(err)
	}
	w.git("", "pack-refs", "--all")
	if err := w.setRefs(ctx, w.repo.ID, first[7:]); err != nil {
		t.Fatal(err)
	}
	second := w.manyMoves("second", n) // the last ten are new
	note, err := w.noteMoves(w.repo.ID, second)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.updateRefs(ctx, w.repo.ID, second[5:]); err != nil { // the first five had not moved yet
		t.Fatal(err)
	}
	file := func(i int) string { return filepath.Join(w.dir(w.repo.ID), second[i].Ref) }
	half := map[int]bool{6: true, 7: true, n - 1: true, n - 2: true}
	for i := range half {
		if err := os.WriteFile(file(i), make([]byte, 41*(i%2)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(file(8)+".lock", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, d, w.events, w.folder)
	if got := w.notes(); len(got) != 1 {
		t.Fatalf("a server that goes on with its moves lost its note: %v", got)
	}
	if err := note.close(); err != nil { // it ends
		t.Fatal(err)
	}
	unwrittenNote := filepath.Join(w.movesFolder(), string(w.repo.ID)+".1"+unwritten)
	if err := os.WriteFile(unwrittenNote, []byte("odd"), 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, d, w.events, w.folder)
	for i, m := range second {
		want := m.After
		if i < 5 || half[i] {
			want = m.Before
		}
		if got := w.at(m.Ref); got != string(want) {
			t.Errorf("%s is at %q, want %q", m.Ref, got, want)
		}
	}
	if out, err := exec.Command("git", "-C", w.dir(w.repo.ID), "fsck", "--strict").CombinedOutput(); err != nil || strings.Contains(string(out), "error") {
		t.Errorf("git fsck: %v\n%s", err, out)
	}
	if _, err := os.Stat(file(8) + ".lock"); !missing(err) {
		t.Errorf("the lock is still there: %v", err)
	}
	if left := w.notes(); len(left) > 0 {
		t.Errorf("notes %v", left)
	}
}

// killed is the environment variable that names the folder of TestMovesKilledServer's data.
const killed = "SLIPWAY_TEST_MOVES_FOLDER"

// TestMovesKilledServer is the process that TestKillInTheMiddleOfMoves kills: it moves many refs, as a push does.
func TestMovesKilledServer(t *testing.T) {
	folder := os.Getenv(killed)
	if folder == "" {
		return // run by TestKillInTheMiddleOfMoves alone
	}
	w := killedWorld(t, folder)
	done, err := w.moveMany(context.Background(), w.repo, w.manyMoves(fmt.Sprint(time.Now().UnixNano()), killedMoves), false)
	fmt.Println("\nmoved", len(done), err)
}

const killedMoves = 1000

// killedWorld opens that process's data.
func killedWorld(t *testing.T, folder string) *world {
	t.Helper()
	ctx := context.Background()
	d, err := db.Open(ctx, "sqlite:"+filepath.Join(folder, "slipway.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	log, err := events.Open(ctx, d, clock.System{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, db: d, events: log, Service: open(t, d, log, filepath.Join(folder, "repositories"))}
	if w.repo, err = w.Find(ctx, project, "Shop"); slipway.CodeOf(err) == slipway.CodeNotFound {
		w.repo, err = w.Create(ctx, CreateRequest{Project: project, Name: "Shop", Actor: ada})
	}
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// A server that is killed between git's writing of many refs and their coming to disk leaves its note. The next one finds no ref half-written, also
// when the power failed and the files of some are empty: each is where it was before or where it was to move, and moves again.
func TestKillInTheMiddleOfMoves(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	w := killedWorld(t, folder)
	main := w.commit("first", "a", "1")
	last := filepath.Join(w.dir(w.repo.ID), fmt.Sprintf("refs/heads/topic/%05d", killedMoves-1))
	var caught int
	for round := range 3 {
		before := w.heads()
		old, _ := os.ReadFile(last)
		cmd := exec.Command(os.Args[0], "-test.run=^TestMovesKilledServer$", "-test.v")
		cmd.Env = append(os.Environ(), killed+"="+folder)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		for moved := false; !moved; { // git has renamed the last file: now they come to disk
			select {
			case err := <-ended:
				t.Fatalf("the process ended before it was killed: %v", err)
			default:
				now, err := os.ReadFile(last)
				moved = err == nil && string(now) != string(old)
			}
		}
		if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Fatal(err)
		}
		<-ended
		if len(w.notes()) == 0 { // it was too quick
			continue
		}
		caught++
		emptied := map[string]bool{}
		for i := round; i < killedMoves; i += 97 {
			ref := fmt.Sprintf("refs/heads/topic/%05d", i)
			emptied[ref] = true
			if err := os.Truncate(filepath.Join(w.dir(w.repo.ID), ref), 0); err != nil {
				t.Fatal(err)
			}
		}
		w = killedWorld(t, folder)
		after := w.heads()
		for ref := range emptied {
			if after[ref] != before[ref] {
				t.Errorf("round %d: %s is at %q, want %q", round, ref, after[ref], before[ref])
			}
		}
		if after["refs/heads/main"] != string(main) || len(w.notes()) > 0 {
			t.Errorf("round %d: main is at %q, notes %v", round, after["refs/heads/main"], w.notes())
		}
		if err := w.Recover(context.Background()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(w.git("", "for-each-ref", "--format=%(objectname) %(refname)", "refs/heads"), w.rowsAsGit()); diff != "" {
			t.Errorf("round %d: rows (-git +rows):\n%s", round, diff)
		}
	}
	if caught == 0 {
		t.Error("no round caught the server in the middle of its moves")
	}
	moves := w.manyMoves("at last", killedMoves)
	if done, err := w.moveMany(context.Background(), w.repo, moves, false); err != nil || len(done) != len(moves) {
		t.Errorf("made %d moves, %v", len(done), err)
	}
}
