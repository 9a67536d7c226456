// Package repos owns the git repositories of projects: their rows, their bare repositories on disk, what is read
// from them (refs, commits, trees, files, diffs) and what is written (pushes, commits made by pages).
//
// Pack and object work is done by the git program; this package starts it with a closed environment, limits its
// output and time, and keeps `git cat-file` processes at hand for the many small reads.
//
// # Pushes and events
//
// A change of a branch or tag becomes one event `repos.pushed`, published only after git has the ref safe on disk.
// The rows of repository_refs hold the value of each ref as it was last announced, and every announcement moves the
// row in the transaction of its event:
//
//	receive-pack ── refs on disk ── compare with rows ── rows and events in one transaction
//	                     │
//	                     └─ crash here: the comparison at the next start finds the difference and publishes it
//
// So an event is never lost and never published twice; changes of one ref that come faster than they are announced
// may arrive as one event. Whoever pushed is noted before git starts, and is named by the events even after a crash.
//
// Of many refs that change at once the first hundred have an event each; the others are told together (EventPushedMany), so that the push of a
// mirror costs no processes and deliveries for each of its refs.
//
// Git writes each ref to disk by itself. Where many move at once (a push, a fork, a first import) they are written together afterwards, and a note says
// which are under way, so that a start after a power failure mends those that are half-written (moveUnsynced, mendMoves).
//
// A repository names its objects by SHA-1 or by SHA-256, which is chosen when it is made (ObjectFormat).
//
// The package knows no HTTP, no permissions and no other domain.
package repos
