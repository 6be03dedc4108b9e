package ledger

import (
	"context"
	"errors"

	"github.com/filefield/filefield/core"
)

// The table filefield_claims has a line for each direct upload that was taken, until
// its token has expired for as long as a request may take (Config.Grace): whoever
// writes the line first has it. It is written on a connection of its own, at once, so
// that of two requests the second learns of the first before it does anything to the
// object. A rollback of the request's files, which has the object wait again, takes
// the line back after that.

func claimID(c core.Claim) string { return sum(place(c.Bucket, c.Key), "claim") }

// Claim notes that a direct upload has been taken: core.Claims. ErrPrecondition
// where it has been before.
func (l *Ledger) Claim(ctx context.Context, c core.Claim) error {
	// A token that was verified in time may be claimed at the end of a long request,
	// and other instances' clocks differ.
	due := c.Until.Add(l.config.Grace + l.config.Lease)
	_, err := l.config.DB.ExecContext(ctx, l.config.Dialect.bind("INSERT INTO filefield_claims (id, holder, due) VALUES (?, ?, ?)"), claimID(c), c.ID, due.UnixMicro())
	if err == nil {
		return nil
	}
	// Databases have no common word for a line that is there. It may also be this
	// one, if the answer was lost.
	var holder string
	look := l.config.DB.QueryRowContext(ctx, l.config.Dialect.bind("SELECT holder FROM filefield_claims WHERE id = ?"), claimID(c)).Scan(&holder)
	switch {
	case look != nil:
		return fail("note a claim in the ledger", err)
	case holder == c.ID:
		return nil
	}
	return &core.Error{Kind: core.ErrPrecondition, Op: "note a claim in the ledger", Bucket: c.Bucket, Key: c.Key.String(), Err: errors.New("the upload has been taken before")}
}

// Release takes back what Claim noted: core.Claims.
func (l *Ledger) Release(ctx context.Context, c core.Claim) error {
	_, err := l.config.DB.ExecContext(ctx, l.config.Dialect.bind("DELETE FROM filefield_claims WHERE id = ? AND holder = ?"), claimID(c), c.ID)
	return fail("take a claim back in the ledger", err)
}
