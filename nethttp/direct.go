package nethttp

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/filefield/filefield/core"
)

// DirectConfig adjusts Direct. The zero value is what most apps want.
type DirectConfig struct {
	// Quota, if set, is asked before anything is signed or begun, with what the
	// client says of its file: an error refuses, core.ErrQuota with 429. It is where
	// an app limits how many uploads a user may begin.
	Quota func(r *http.Request, asked DirectRequest) error
	// Origins are the origins, besides the app's own, whose pages may use the handler:
	// "https://app.example.org". Answering their preflights is the app's work.
	Origins []string
}

// DirectRequest is what a client says of a file that it wants to send.
type DirectRequest struct {
	// Subject is who asks, as core.WithSubject named them; "" where nobody did.
	Subject string
	// Field is the field's name.
	Field string
	// Name and Type are the file's own name and the declared media type.
	Name, Type string
	// Size is its length in bytes, or core.UnknownSize.
	Size int64
}

// Direct returns a handler that lets browsers send files of a field straight to
// its bucket. authorize says who may: it sees the name, type and size that the
// client announces, and the key too once there is one; Anyone lets all send.
// Without an authorizer every request is refused with core.ErrConfig.
//
// Mount it for POST at a path and for all methods below it, with Handle or the
// adapters' Wrap. It speaks the JSON of docs/direct.md, and below "s3/" that of
// Uppy's AWS S3 plugin, whose companion endpoint it is.
//
// What is sent fills the field by its token, as a file of a form does, with no
// change to the handlers behind Uploads and Bind. The handler only signs: no byte
// of a file passes through it.
//
// It takes POST with JSON alone, and Uppy's GET and DELETE, and refuses requests
// that a browser sends from pages of other origins.
func Direct(field *core.Field, authorize Authorizer, config DirectConfig) HandlerFunc {
	d := &direct{field: field, authorize: authorize, quota: config.Quota, cross: http.NewCrossOriginProtection(), origins: config.Origins}
	for _, origin := range config.Origins {
		if err := d.cross.AddTrustedOrigin(origin); err != nil {
			d.fault = &core.Error{Kind: core.ErrConfig, Op: "direct upload", Field: field.Name(), Err: err, Advice: `write origins as "https://app.example.org"`}
		}
	}
	if authorize == nil {
		d.fault = &core.Error{Kind: core.ErrConfig, Op: "direct upload", Field: field.Name(), Advice: "give Direct an authorizer; Anyone lets all upload"}
	}
	return d.serve
}

type direct struct {
	field     *core.Field
	authorize Authorizer
	quota     func(*http.Request, DirectRequest) error
	cross     *http.CrossOriginProtection
	origins   []string
	fault     error
}

func (d *direct) serve(w http.ResponseWriter, r *http.Request) error {
	if d.fault != nil {
		return d.fault
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer") // what is handed out is a secret
	h.Set("X-Content-Type-Options", "nosniff")
	body := patient(w, r, maxDirectBody, Limits{}.forFields(nil))
	defer body.done() // of a body that is refused unread, too
	r.Body = body
	if err := d.sameOrigin(r); err != nil {
		return err
	}
	if _, below, ok := cutLast(r.URL.EscapedPath(), "/s3/"); ok {
		return d.uppy(w, r, below)
	}
	if r.Method != http.MethodPost {
		return d.noSuch(r)
	}
	return d.own(w, r)
}

// cutLast is strings.Cut around the last separator.
func cutLast(s, separator string) (before, after string, found bool) {
	if i := strings.LastIndex(s, separator); i >= 0 {
		return s[:i], s[i+len(separator):], true
	}
	return s, "", false
}

// sameOrigin refuses what a browser sends for pages of other origins, GET too:
// signing costs a quota.
func (d *direct) sameOrigin(r *http.Request) error {
	err := d.cross.Check(r)
	site, origin := r.Header.Get("Sec-Fetch-Site"), r.Header.Get("Origin")
	if err == nil && r.Method == http.MethodGet && (site == "cross-site" || site == "same-site") && !slices.Contains(d.origins, origin) {
		err = errors.New("the request comes from a page of another origin")
	}
	if err != nil {
		return &core.Error{Kind: core.ErrForbidden, Op: "direct upload", Field: d.field.Name(), Detail: "uploads are for the app's own pages", Err: err}
	}
	return nil
}

func (d *direct) noSuch(r *http.Request) error {
	return &core.Error{Kind: core.ErrNotFound, Op: "direct upload", Err: errors.New(r.Method + " is not of this handler")}
}

// directBody is what clients send: to begin, what the file is; afterwards its token.
type directBody struct {
	Name     string            `json:"name"`
	Size     *int64            `json:"size"`
	Type     string            `json:"type"`
	CRC32C   string            `json:"crc32c"`
	SHA256   string            `json:"sha256"`
	Method   core.DirectMethod `json:"method"`
	Form     map[string]string `json:"form"`
	Token    string            `json:"token"`
	Numbers  []int             `json:"numbers"`
	Parts    []core.DirectPart `json:"parts"`
	PartSize int64             `json:"-"`
}

// maxDirectBody bounds a request: the parts of a whole upload are the longest.
const maxDirectBody = core.MiB

// own speaks the handler's own JSON.
func (d *direct) own(w http.ResponseWriter, r *http.Request) error {
	var in directBody
	if err := d.read(r, &in); err != nil {
		return err
	}
	if in.Token == "" {
		ticket, err := d.begin(r, in)
		if err != nil {
			return err
		}
		return writeDirect(w, http.StatusCreated, ticket)
	}
	t, err := d.carryOn(r, in.Token)
	if err != nil {
		return err
	}
	switch ctx := r.Context(); path.Base(r.URL.Path) {
	case "parts":
		urls, err := d.field.SignParts(ctx, t, in.Numbers)
		if err != nil {
			return err
		}
		signed := make([]signedPart, len(urls))
		for i, u := range urls {
			signed[i] = signedPart{in.Numbers[i], u}
		}
		return writeDirect(w, http.StatusOK, map[string]any{"parts": signed})
	case "list":
		parts, err := d.field.DirectParts(ctx, t)
		if err != nil {
			return err
		}
		return writeDirect(w, http.StatusOK, map[string]any{"parts": parts})
	case "complete":
		token, o, err := d.field.CompleteDirect(ctx, t, in.Parts)
		if err != nil {
			return err
		}
		return writeDirect(w, http.StatusOK, completed{token, arrived{o.Name, o.Type, o.Size, o.Width, o.Height}})
	case "abort":
		if err := d.field.AbortDirect(ctx, t); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	default:
		return d.noSuch(r)
	}
}

type signedPart struct {
	Number int    `json:"number"`
	URL    string `json:"url"`
}

type completed struct {
	Token string  `json:"token"`
	File  arrived `json:"file"`
}

type arrived struct {
	Name   string `json:"name"`
	Type   string `json:"type"`
	Size   int64  `json:"size"`
	Width  int    `json:"width,omitempty"`
	Height int    `json:"height,omitempty"`
}

// read decodes a JSON body. A request that may not be here at all learns that
// first, whatever its body is.
func (d *direct) read(r *http.Request, dst any) error {
	mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	var err error
	if !isJSON(mediaType) { // no form of another page can send it
		err = &core.Error{Kind: core.ErrType, Op: "direct upload", Detail: "the body is not JSON"}
	} else {
		err = decodeDirect(r, dst)
	}
	if err == nil {
		return nil
	}
	if refused := d.authorize(r, core.Object{Bucket: d.field.Bucket().Name()}); refused != nil {
		return refused
	}
	return err
}

func decodeDirect(r *http.Request, dst any) error {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return errBody(r, err)
	}
	if err := json.Unmarshal(text, dst); err != nil {
		return notJSON(err)
	}
	return nil
}

// begin signs an upload, once the app agrees.
func (d *direct) begin(r *http.Request, in directBody) (core.Ticket, error) {
	asked := DirectRequest{
		Subject: core.SubjectFrom(r.Context()), Field: d.field.Name(),
		Name: core.ClientName(in.Name), Type: in.Type, Size: core.UnknownSize,
	}
	if in.Size != nil {
		asked.Size = max(*in.Size, core.UnknownSize)
	}
	err := d.authorize(r, core.Object{Bucket: d.field.Bucket().Name(), Name: asked.Name, Type: asked.Type, Size: max(asked.Size, 0)})
	if err == nil && d.quota != nil {
		err = d.quota(r, asked)
	}
	if err != nil {
		return core.Ticket{}, err
	}
	form := url.Values{}
	for name, value := range in.Form {
		form.Set(name, value)
	}
	return d.field.BeginDirect(r.Context(), core.DirectUpload{
		Name: in.Name, Size: asked.Size, Type: in.Type, CRC32C: in.CRC32C, SHA256: in.SHA256,
		Method: in.Method, Form: form, PartSize: in.PartSize,
	})
}

// carryOn returns the upload that a request is about: what its token says, and
// nothing else that the client says.
func (d *direct) carryOn(r *http.Request, token string) (core.Token, error) {
	t, tokenErr := d.field.DirectToken(r.Context(), token)
	if err := d.authorize(r, t.Object); err != nil {
		return core.Token{}, err
	}
	return t, tokenErr
}

func writeDirect(w http.ResponseWriter, status int, answer any) error {
	text, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(text) // the client is gone if this fails
	return nil
}
