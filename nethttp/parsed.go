package nethttp

import (
	"errors"
	"maps"
	"mime/multipart"
	"net/http"
	"slices"
	"sync"

	"github.com/filefield/filefield/core"
)

// adopt takes in a form that somebody has read before us, as a CSRF check that
// looks for its token in the form does. It costs what this package is there to
// save, memory and perhaps temporary files, which are gone when it returns; the
// answer is the same.
func (rc *Receiver) adopt(r *http.Request) error {
	form := r.MultipartForm
	if form == readerMark() {
		return &core.Error{
			Kind: core.ErrConfig, Op: "read request", Err: errors.New("somebody else reads the form, with MultipartReader"),
			Advice: "mount Uploads once, and before what reads the form",
		}
	}
	rc.adopted.Do(func() {
		if rc.config.Logger != nil {
			rc.config.Logger.WarnContext(r.Context(), "a form was read before Uploads: its files went through memory and temporary files first",
				"path", r.URL.Path, "advice", "mount what reads the form after Uploads, or have it look at a header (a CSRF token in X-CSRF-Token)")
		}
	})
	r.MultipartForm = nil
	defer func() { _ = form.RemoveAll() }() // of no consequence for the request
	in := rc.newIntake(r)
	if size := sizeOf(form); size > rc.limits.Request { // of a body without a length
		return in.end(tooLarge("the request is larger than", rc.limits.Request))
	}
	return in.end(in.takeParsed(form))
}

// sizeOf is the least that the form's body had.
func sizeOf(form *multipart.Form) (size int64) {
	for name, values := range form.Value {
		for _, value := range values {
			size += int64(len(name) + len(value))
		}
	}
	for name, headers := range form.File {
		for _, header := range headers {
			size += int64(len(name)) + header.Size
		}
	}
	return size
}

// takeParsed takes the texts first: their place among the files is not known any
// more.
func (in *intake) takeParsed(form *multipart.Form) error {
	if err := in.texts(form.Value); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(form.File)) {
		for _, header := range form.File[name] {
			if err := in.parsedFile(name, header); err != nil {
				return err
			}
		}
	}
	return nil
}

func (in *intake) parsedFile(name string, header *multipart.FileHeader) error {
	file, err := header.Open()
	if err != nil {
		return &core.Error{Kind: core.ErrMalformed, Op: "read request", Err: err}
	}
	defer func() { _ = file.Close() }() // was only read
	return in.file(name, header.Filename, file)
}

// readerMark is the form net/http leaves in a request whose parts somebody reads
// one by one. It is one for the program.
var readerMark = sync.OnceValue(func() *multipart.Form {
	r := http.Request{Header: http.Header{"Content-Type": {"multipart/form-data; boundary=x"}}, Body: http.NoBody}
	_, _ = r.MultipartReader()
	return r.MultipartForm
})
