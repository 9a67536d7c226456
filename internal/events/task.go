package events

import (
	"context"
	"fmt"
	"time"

	"github.com/riverqueue/river"

	"slipway/internal/db"
)

// TaskHandler does the task with that number. It may be called again for the same one after a failure or a crash, and answers as a Handler.
type TaskHandler func(ctx context.Context, id int64) error

// Tasks are durable work that no event stands for, such as a call of somebody else's server, which may take long: they have workers of
// their own, so that events do not wait for them.
const (
	taskQueue       = "tasks"
	concurrentTasks = 8
)

// task is the River job of one task.
type task struct {
	Name string `json:"name"`
	ID   int64  `json:"id"`
}

// Kind implements river.JobArgs.
func (task) Kind() string { return "task" }

// InsertOpts implements river.JobArgsWithInsertOpts.
func (task) InsertOpts() river.InsertOpts { return river.InsertOpts{Queue: taskQueue} }

// HandleTasks registers who does the tasks of a name, which stays the same for ever. Like Subscribe it comes before Run.
func (l *Log) HandleTasks(name string, handler TaskHandler) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, taken := l.tasks[name]; taken || l.started {
		panic("events: tasks " + name + " handled twice or too late")
	}
	l.tasks[name] = handler
}

// QueueTask has the task done after the transaction.
func (l *Log) QueueTask(ctx context.Context, tx *db.Tx, name string, id int64) error {
	if _, err := l.insert.InsertManyTx(ctx, tx.Tx, []river.InsertManyParams{{Args: task{name, id}}}); err != nil {
		return fmt.Errorf("queue task %s %d: %w", name, id, err)
	}
	return nil
}

type tasker struct {
	river.WorkerDefaults[task]
	log *Log
}

// Work does the task.
func (t *tasker) Work(ctx context.Context, job *river.Job[task]) error {
	handler, ok := t.log.tasks[job.Args.Name]
	if !ok {
		return river.JobCancel(fmt.Errorf("no tasks %q any more", job.Args.Name))
	}
	if err := handler(ctx, job.Args.ID); err != nil {
		return answer(err)
	}
	return nil
}

// NextRetry is as with events.
func (t *tasker) NextRetry(job *river.Job[task]) time.Time {
	return nextRetry(t.log.clock, len(job.Errors))
}
