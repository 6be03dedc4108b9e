package core

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/ncruces/go-strftime"
)

// Naming is what an [UploadTo] makes a key from: one file about to be stored.
type Naming struct {
	// Context is the request's, for functions that ask a database.
	Context context.Context
	// Field is the name of the form's field.
	Field string
	// Name is the name the client gave the file; from a form, cleaned by
	// [ClientName]. It is data, not safe in a key: use ValidName or Ext. It may be "".
	Name string
	// Type is the media type found in the content, as [Accept] reports it.
	Type string
	// Now is the time of the upload.
	Now time.Time
	// Form holds the text fields that came before the file. A client writes
	// them: check what goes into a key.
	Form url.Values

	// replaces is set where the key may be overwritten, so that a long one is
	// cut the same way each time rather than told apart by a random suffix.
	replaces bool
	// drawn is set once Random was called for this key.
	drawn *bool
}

// ValidName returns the client's name in a form that is safe in a key: see
// [ValidName].
func (n Naming) ValidName() (string, error) { return ValidName(n.Name) }

// Ext returns the file's extension with its dot, or "", decided by its content
// rather than by its name: see [SafeExtension].
func (n Naming) Ext() string { return SafeExtension(n.Type, n.Name) }

// Random returns 26 characters of a-z and 2-7 from crypto/rand: 130 bits, so a
// key that holds them can be neither guessed nor taken already.
func (n Naming) Random() string {
	if n.drawn != nil {
		*n.drawn = true
	}
	return strings.ToLower(rand.Text())
}

// UploadTo makes the key a file is stored under, as the upload_to of Django's
// FileField does. It is called once for each file, after the file's type is
// known and before anything is stored; it must be safe for concurrent use. nil
// means [RandomName].
//
// What it returns must be a key as [ParseKey] accepts, "/"-separated and without
// empty, "." or ".." segments. Anything else fails the upload with kind
// [ErrName]; an error it returns fails the upload as it is. A last segment that
// holds the client's name as it came is passed through [ValidName], as Django
// does with what a callable returns. A key longer than the field allows is
// shortened: see [Alternative].
type UploadTo func(n Naming) (string, error)

// RandomName is the default [UploadTo]: a random name with the extension of the
// file's content, "h5zl3x7q…4e.png". Such a key cannot be guessed, says nothing
// about its sender, and is never taken.
func RandomName(n Naming) (string, error) { return n.Random() + n.Ext(), nil }

// KeepName is the [UploadTo] that names the file as its sender did, made safe by
// [ValidName]: Django's upload_to="". Two files of one name collide, and the
// second gets an alternative name.
//
// It refuses, with kind [ErrName], a name with path separators, and one with an
// extension that web servers run programs by (.php, .jsp, .cgi, …), wherever in
// the name it stands: "shell.php.jpg" too.
func KeepName(n Naming) (string, error) {
	if strings.ContainsAny(n.Name, `/\`) {
		return "", nameError("%s %s", traversal, quoteName(n.Name))
	}
	name, err := n.ValidName()
	if err != nil {
		return "", err
	}
	if ext := serverExtension(name); ext != "" {
		return "", nameError("file names with the extension %q are not accepted: %s", ext, quoteName(n.Name))
	}
	return name, nil
}

// ISODatePrefix is the [UploadTo] that puts [KeepName] below the date of the
// upload in UTC, as YYYY-MM-DD: "2026-11-22/report.pdf".
func ISODatePrefix(n Naming) (string, error) {
	return below(n.Now.UTC().Format(time.DateOnly), KeepName, n)
}

// Prefix returns an [UploadTo] that puts what name makes below prefix, with
// exactly one "/" between them. nil stands for [RandomName]; an empty prefix
// adds nothing.
func Prefix(prefix string, name UploadTo) UploadTo {
	return func(n Naming) (string, error) { return below(prefix, name, n) }
}

// Strftime returns an [UploadTo] like [Prefix] whose prefix is the time of the
// upload, in UTC, by a pattern of C's strftime, as a Django upload_to has:
// "avatars/%Y/%m/". nil stands for [RandomName].
//
// A pattern with a directive that strftime does not know fails each upload with
// kind [ErrConfig], so the first test that uploads finds it.
func Strftime(pattern string, name UploadTo) UploadTo {
	fault := checkPattern(pattern)
	return func(n Naming) (string, error) {
		if fault != nil {
			return "", fault
		}
		return below(strftime.Format(pattern, n.Now.UTC()), name, n)
	}
}

// below joins prefix and the name that name makes. An absolute name must not
// take the prefix's place, so it is refused rather than joined.
func below(prefix string, name UploadTo, n Naming) (string, error) {
	if name == nil {
		name = RandomName
	}
	made, err := name(n)
	if err != nil || prefix == "" {
		return made, err
	}
	if rooted(made) {
		return "", nameError("%s %s", traversal, quoteName(made))
	}
	return strings.TrimRight(prefix, "/") + "/" + made, nil
}

// checkPattern finds directives that would be written out as they stand.
func checkPattern(pattern string) error {
	for i := 0; i < len(pattern); i++ {
		if pattern[i] != '%' {
			continue
		}
		start := i
		i++
		if i < len(pattern) && strings.IndexByte("-:EO", pattern[i]) >= 0 {
			i++
		}
		if i == len(pattern) || strings.IndexByte("AaBbhmdeIlHkMSLfNyYCUWVgGsQwujpPZzcvFDxrTXR+%", pattern[i]) < 0 {
			directive := pattern[start:min(i+1, len(pattern))]
			return &Error{
				Kind: ErrConfig, Op: "make key",
				Err:    fmt.Errorf("upload_to pattern %q has the unknown directive %q", pattern, directive),
				Advice: "use C's strftime directives, such as %Y, %m and %d, and %% for a percent sign",
			}
		}
	}
	return nil
}

// makeKey runs f once for n and checks what it made. limit is the most bytes the
// key may have; 0 means 1024. unique says that the key holds a random name, so
// that no other can have it.
func (f UploadTo) makeKey(n Naming, limit int) (key Key, unique bool, err error) {
	if f == nil {
		f = RandomName
	}
	if n.Context == nil {
		n.Context = context.Background()
	}
	if n.Now.IsZero() {
		n.Now = time.Now()
	}
	n.drawn = &unique
	made, err := f(n)
	if err != nil {
		return Key{}, false, atField(err, n.Field)
	}
	key, err = checkMade(made, n)
	if err == nil && limit > 0 && len(key.s) > limit {
		key, err = shortenMade(key, n, limit)
		unique = false // the random part may be what was cut
	}
	if err != nil {
		return Key{}, false, atField(err, n.Field)
	}
	return key, unique, nil
}

// checkMade turns what an UploadTo returned into a Key.
func checkMade(made string, n Naming) (Key, error) {
	slash := strings.LastIndexByte(made, '/') + 1
	if n.rawIn(made[slash:]) && unsafePath(made) == "" {
		valid, err := ValidName(made[slash:])
		if err != nil {
			return Key{}, err
		}
		made = made[:slash] + valid
	}
	key, err := ParseKey(made)
	if err != nil {
		// The key is the app's; the client is not told what it looks like.
		return Key{}, &Error{Kind: ErrName, Detail: "a file of this name cannot be stored here", Err: err}
	}
	return key, nil
}

// rawIn says whether segment holds the client's name in a form that is not safe.
func (n Naming) rawIn(segment string) bool {
	if n.Name == "" || !strings.Contains(segment, n.Name) {
		return false
	}
	valid, err := ValidName(n.Name)
	return err != nil || valid != n.Name
}

// shortenMade makes key fit limit bytes.
func shortenMade(key Key, n Naming, limit int) (Key, error) {
	short, err := "", error(nil)
	if n.replaces {
		short, err = Truncate(key.s, limit)
	} else {
		// Two long names with one beginning must stay two.
		short, err = Alternative(key.s, limit, RandomSuffix())
	}
	if err != nil {
		return Key{}, err
	}
	return ParseKey(short)
}

// atField says in err which field's UploadTo failed.
func atField(err error, field string) error {
	var named *Error
	if !errors.As(err, &named) || error(named) != err { //nolint:errorlint // the error itself, not one in its chain
		return fmt.Errorf("make key (field %s): %w", field, err)
	}
	if named.Field != "" {
		return err
	}
	at := *named
	at.Field = field
	if at.Op == "" {
		at.Op = "make key"
	}
	if at.Kind == ErrName && at.Advice == "" {
		at.Advice = "the UploadTo of the field makes the keys"
	}
	return &at
}
