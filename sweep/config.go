package sweep

import (
	"errors"
	"fmt"
	"time"

	"github.com/filefield/filefield/core"
)

// Action says what happens to an object without a reference.
type Action uint8

const (
	// DryRun changes nothing and reports everything. The default.
	DryRun Action = iota
	// Quarantine puts orphans into quarantine and deletes nothing.
	Quarantine
	// Purge is Quarantine, and deletes what has been in quarantine for
	// QuarantineFor and is still without a reference; it also removes pending files
	// and locks that nobody came back for, and aborts old incomplete uploads.
	Purge
	// Delete is Purge without a quarantine: orphans go at once.
	Delete
)

// String returns the action's name: "dry run", "quarantine", "purge", "delete".
func (a Action) String() string {
	names := [...]string{"dry run", "quarantine", "purge", "delete"}
	if int(a) >= len(names) {
		return fmt.Sprintf("Action(%d)", uint8(a))
	}
	return names[a]
}

// MarshalText returns the action's name.
func (a Action) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads the action's name.
func (a *Action) UnmarshalText(text []byte) error {
	for known := DryRun; known <= Delete; known++ {
		if known.String() == string(text) {
			*a = known
			return nil
		}
	}
	return fmt.Errorf("there is no action %q", text)
}

// Isolation says what quarantine does to an object.
type Isolation uint8

const (
	// ByTag gives the object the tag QuarantineTag. It stays where it is and can be
	// read, so that a mistake harms nobody. The default.
	ByTag Isolation = iota
	// ByPrefix moves the object below QuarantinePrefix: who still needs it will
	// notice, while it can be brought back. For storage without tags too. A move
	// copies; objects stored with SSE-C cannot be moved.
	ByPrefix
)

const (
	// QuarantineTag is the tag of an object in quarantine. Its value is the time
	// since when, as RFC 3339 has it, in UTC.
	QuarantineTag = "filefield-quarantine"
	// QuarantinePrefix is where ByPrefix moves objects to. No run takes what is
	// below it for files of the app.
	QuarantinePrefix = ".filefield-quarantine/"
)

const (
	defaultMinAge        = 24 * time.Hour
	defaultQuarantineFor = 7 * 24 * time.Hour
	defaultMaxDeletes    = 10_000
	defaultMaxShare      = 0.1
	// fewDeletes are not held against the default share, which says nothing about
	// a bucket of a dozen files.
	fewDeletes = 10
	// defaultWindow is how many objects are held at a time: 21 bytes each.
	defaultWindow = 100_000
	// maxMissing is how many missing objects a run reports: beyond, it is the
	// bucket that is wrong.
	maxMissing = 100_000
)

// Config says what to sweep and how. Bucket and References are required.
type Config struct {
	// Bucket is what is swept.
	Bucket *core.Bucket
	// Fields are those whose files References refer to. Default: all fields of the
	// bucket's Store that keep their files in it. A field that is left out must not
	// have files where these can have theirs.
	//
	// An object can be the app's if it lies where a field can have put it, below its
	// KeyPrefix, or else below what all keys of its UploadTo begin with as far as
	// that is found out by asking it, and if this library has written it, as its metadata says. Apps that
	// share a bucket need prefixes of their own.
	Fields []*core.Field
	// Owned are prefixes below which every object is the app's, whoever wrote it: as
	// for files that the app stored before it had this library. "" is the whole
	// bucket.
	Owned []string
	// Prefix bounds the run to keys that begin with it: a shard. Default: none.
	Prefix string
	// MinAge is how old an object must be, on the storage's clock. Default 24
	// hours, or the Store's TokenExpiry where that is longer: a file may find its
	// row for that long, so less is refused.
	MinAge time.Duration
	// References are where the keys that rows refer to come from. All that refer
	// to the bucket must be given.
	References []Source
	// Action says what happens to an orphan. Default: DryRun.
	Action Action
	// Isolation says what quarantine is. It must stay the same from run to run.
	Isolation Isolation
	// QuarantineFor is how long an object stays in quarantine before Purge deletes
	// it. Default 7 days. A tag more than twice as old counts for nothing: the
	// object has had a reference meanwhile, and its quarantine begins anew.
	QuarantineFor time.Duration
	// MaxDeletes is how many objects a run may delete or put into quarantine.
	// Default 10,000. A run that would exceed it stops before that.
	MaxDeletes int
	// MaxShare is the same as a share of the objects listed so far, those in
	// quarantine included, up to 1. Default 0.1, which does not apply to the first
	// ten objects.
	MaxShare float64
	// CheckMissing also reports references whose object does not exist.
	CheckMissing bool
	// Window is how many objects are looked at together where all sources are
	// ordered (see Source). Default 100,000. Where one is not, all are.
	Window int
	// Progress, if set, is told how far the run is, from its goroutine.
	Progress func(Progress)
	// Found, if set, is told each finding when it is final. An error ends the run.
	// See JSONLines.
	Found func(Finding) error
	// Checkpoint, if set, is told where a run that is interrupted can go on. An
	// error ends the run.
	Checkpoint func(Checkpoint) error
	// Resume is where an earlier run was interrupted. Its counts go on, so that the
	// caps hold for both together.
	Resume *Checkpoint
	// Now overrides the storage's clock, for tests.
	Now func() time.Time
}

func (c Config) withDefaults() Config {
	if c.Fields == nil {
		for _, f := range c.Bucket.Store().Fields() {
			if f.Bucket().Name() == c.Bucket.Name() {
				c.Fields = append(c.Fields, f)
			}
		}
	}
	if c.MinAge == 0 {
		c.MinAge = max(defaultMinAge, c.Bucket.Store().TokenExpiry())
	}
	if c.QuarantineFor == 0 {
		c.QuarantineFor = defaultQuarantineFor
	}
	if c.MaxDeletes == 0 {
		c.MaxDeletes = defaultMaxDeletes
	}
	if c.Window == 0 {
		c.Window = defaultWindow
	}
	return c
}

// faults lists everything that is wrong with a configuration that has its defaults.
func (c Config) faults() []error {
	var faults []error
	fault := func(wrong bool, format string, args ...any) {
		if wrong {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	expiry := c.Bucket.Store().TokenExpiry()
	fault(c.MinAge < expiry, "MinAge is %s: a token lives for %s, and its file may find a row until then", c.MinAge, expiry)
	fault(len(c.References) == 0, "References is empty: every object would be without one")
	fault(c.Action > Delete, "Action is unknown")
	fault(c.Isolation > ByPrefix, "Isolation is unknown")
	fault(c.QuarantineFor < 0, "QuarantineFor is %s", c.QuarantineFor)
	fault(c.MaxDeletes < 0, "MaxDeletes is %d", c.MaxDeletes)
	fault(c.MaxShare < 0 || c.MaxShare > 1, "MaxShare is %g: it must lie between 0 and 1", c.MaxShare)
	fault(c.Window < 0, "Window is %d", c.Window)
	for i, s := range c.References {
		fault(s.Keys == nil && s.Between == nil, "References[%d] (%s) has neither Keys nor Between", i, s.Name)
		fault(s.Between != nil && s.Refers == nil, "References[%d] (%s) has Between and needs Refers", i, s.Name)
	}
	for _, f := range c.Fields {
		switch {
		case f == nil:
			fault(true, "Fields has a nil field")
		case f.Fault() != nil:
			fault(true, "%w", f.Fault())
		default:
			fault(f.Bucket().Name() != c.Bucket.Name(), "field %s keeps its files in the bucket %s", f.Name(), f.Bucket().Name())
		}
	}
	if c.Resume != nil && (c.Resume.Bucket != c.Bucket.Name() || c.Resume.Prefix != c.Prefix || c.Resume.Action != c.Action) {
		fault(true, "Resume is of another run: %s of %s/%s", c.Resume.Action, c.Resume.Bucket, c.Resume.Prefix)
	}
	return faults
}

func configError(faults ...error) error {
	return &core.Error{Kind: core.ErrConfig, Op: "sweep", Err: errors.Join(faults...)}
}
