// Package agentless decides what an agentless job (`pool: server`) does next: which step starts, is skipped or ends, and how
// the job ended. It is a pure function of the job's steps and of the facts: what has happened so far, and what time it is.
// It does no I/O and keeps nothing, so that a server that was killed goes on from the stored facts.
//
//	step:  pending -> running -> completed          pending -> completed (Skipped)
//
// The shell around it records each decision, does what the step is about, and asks again when Until has come or a fact has
// changed. Times count from the stored ones: what was due while no server ran is decided as if it had been decided then.
package agentless
