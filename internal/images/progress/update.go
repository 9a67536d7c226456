package progress

// Update is what a program tells the server of a build while it runs, and at its end.
type Update struct {
	At       int64   `json:"at"`                 // how many bytes of the log have been told before
	Log      string  `json:"log,omitempty"`      // what follows: whole lines
	Report   *Report `json:"report,omitempty"`   // as far as it is known; nil leaves it as it is
	Done     bool    `json:"done,omitempty"`     // the build is over
	Canceled bool    `json:"canceled,omitempty"` // with Done: it was given up
	Lost     bool    `json:"lost,omitempty"`     // with Done: whoever tells does not know how it ended
	Error    string  `json:"error,omitempty"`    // with Done: why it failed or is lost, if no report says so
}

// Updated is the answer to an Update.
type Updated struct {
	At         int64  `json:"at"`                   // how many bytes of the log are kept
	CanceledBy string `json:"canceledBy,omitempty"` // who asks that the build be given up; "" for nobody
}

// MaxBuildLog bounds the log of a build that is kept, in bytes.
const MaxBuildLog = 1 << 20

// MaxUpdateLog bounds the log in one Update, in bytes.
const MaxUpdateLog = 256 << 10
