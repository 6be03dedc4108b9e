package sweep

import (
	"encoding/json"
	"io"
	"time"
)

// Kind says what a Finding is about.
type Kind string

const (
	// Orphan is an object without a reference.
	Orphan Kind = "orphan"
	// Quarantined is an object in quarantine.
	Quarantined Kind = "quarantined"
	// Pending is a file that was kept for a form and never claimed, or a lock that
	// a process left behind.
	Pending Kind = "pending"
	// Foreign is an object without a reference that is not the app's.
	Foreign Kind = "foreign"
	// Missing is a reference whose object does not exist.
	Missing Kind = "missing"
	// Upload is a multipart upload that was neither completed nor aborted.
	Upload Kind = "upload"
)

// Outcome says what was done.
type Outcome string

const (
	// Reported is all that was done: it was a dry run, or there is nothing to be done about it.
	Reported Outcome = "reported"
	// Isolated says that it was put into quarantine.
	Isolated Outcome = "isolated"
	// Deleted says that it is gone; in a versioned bucket a delete marker hides it.
	Deleted Outcome = "deleted"
	// Restored says that it was taken out of quarantine.
	Restored Outcome = "restored"
	// Kept says that it was let alone; Why says why.
	Kept Outcome = "kept"
)

// Finding is one thing a run came upon. As JSON it is one line of JSONLines.
type Finding struct {
	Kind    Kind    `json:"kind"`
	Outcome Outcome `json:"outcome"`
	// Key is the object's; of one in quarantine by prefix the one it came from.
	Key      string    `json:"key"`
	Size     int64     `json:"size,omitempty"`
	ETag     string    `json:"etag,omitempty"`
	Modified time.Time `json:"modified,omitzero"`
	// Since is when quarantine began.
	Since time.Time `json:"since,omitzero"`
	// Source names where a missing object is referred to.
	Source string `json:"source,omitempty"`
	// UploadID tells multipart uploads of one key apart.
	UploadID string `json:"upload_id,omitempty"`
	// Why says why it was kept.
	Why string `json:"why,omitempty"`
}

// JSONLines returns a Found that writes each finding as one line of JSON.
func JSONLines(w io.Writer) func(Finding) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return func(f Finding) error { return e.Encode(f) }
}

// Report is what a run did. It is complete up to the moment an error ended it.
type Report struct {
	Bucket string `json:"bucket"`
	// Prefixes are what was listed.
	Prefixes []string  `json:"prefixes"`
	Action   Action    `json:"action"`
	Started  time.Time `json:"started"`
	// CutOff is the time before which an object must have been stored.
	CutOff time.Time `json:"cut_off"`
	// Versioned says that the bucket keeps versions: what is deleted leaves a
	// delete marker and can be brought back, and takes up room as before.
	Versioned bool `json:"versioned"`

	// Listed are the objects below Prefixes; Young those of them too young to be
	// judged. References are the keys read that lie in the run's range.
	Listed     int64 `json:"listed"`
	Young      int64 `json:"young"`
	References int64 `json:"references"`
	// InQuarantine are the objects in quarantine by prefix, which are not Listed.
	InQuarantine int64 `json:"in_quarantine"`

	// Orphans are the app's objects without a reference, those in quarantine
	// included, and OrphanBytes their size. Foreign are the other objects without a
	// reference. Pending are files nobody claimed, and stale locks.
	Orphans     int64 `json:"orphans"`
	OrphanBytes int64 `json:"orphan_bytes"`
	Foreign     int64 `json:"foreign"`
	Pending     int64 `json:"pending"`
	Missing     int64 `json:"missing"`
	// Uploads are the old incomplete multipart uploads, Aborted those of them that
	// were aborted.
	Uploads int64 `json:"uploads"`
	Aborted int64 `json:"aborted"`

	// Isolated, Deleted and Restored are what was done. Waiting are objects whose
	// quarantine is not over. Kept are those that were found changed, gone or
	// referred to when their turn came.
	Isolated     int64 `json:"isolated"`
	Deleted      int64 `json:"deleted"`
	DeletedBytes int64 `json:"deleted_bytes"`
	Restored     int64 `json:"restored"`
	Waiting      int64 `json:"waiting"`
	Kept         int64 `json:"kept"`

	// Notes are for people.
	Notes []string `json:"notes,omitempty"`
	// Stopped says why the run ended before its time, or is empty.
	Stopped string `json:"stopped,omitempty"`
}

// Progress says how far a run is.
type Progress struct {
	// Phase is "list", "references", "judge", "act" or "uploads".
	Phase string
	// Report is what is known so far.
	Report Report
	// After is the key up to which the run is through with the phase, where it goes
	// by keys.
	After string
}

// Checkpoint is where a run that is interrupted can go on: see Config.Resume. It
// is kept as JSON.
type Checkpoint struct {
	Bucket string `json:"bucket"`
	Prefix string `json:"prefix"`
	Action Action `json:"action"`
	// After is the key up to which everything has been done.
	After string `json:"after"`
	// Report has the counts so far.
	Report Report `json:"report"`
}
