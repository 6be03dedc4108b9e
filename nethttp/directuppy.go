package nethttp

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/filefield/filefield/core"
)

// uppyUpload is the id that Uppy is told of every upload: its key is the token,
// which says all there is to know.
const uppyUpload = "filefield"

// uppyPart is the least and usual size of the parts that Uppy makes.
const uppyPart = 5 * core.MiB

// uppy speaks what Uppy's AWS S3 plugin expects of its companion: path is what
// follows "/s3/".
func (d *direct) uppy(w http.ResponseWriter, r *http.Request, path string) error {
	steps := strings.Split(path, "/")
	key := r.URL.Query().Get("key")
	switch at := r.Method + " " + steps[0]; {
	case at == "GET params" && len(steps) == 1:
		return d.uppyParams(w, r)
	case at == "POST multipart" && len(steps) == 1:
		return d.uppyCreate(w, r)
	case len(steps) < 2 || len(steps) > 3 || steps[0] != "multipart":
		return d.noSuch(r)
	case at == "GET multipart" && len(steps) == 2:
		return d.uppyList(w, r, key)
	case at == "GET multipart" && steps[2] == "batch":
		return d.uppyBatch(w, r, key)
	case at == "GET multipart":
		return d.uppySign(w, r, key, steps[2])
	case at == "POST multipart" && len(steps) == 3 && steps[2] == "complete":
		return d.uppyComplete(w, r, key)
	case at == "DELETE multipart" && len(steps) == 2:
		return d.uppyAbort(w, r, key)
	default:
		return d.noSuch(r)
	}
}

// uppyParams signs a form: Uppy does not say how long the file is, unless the page
// has put "size" among its metadata.
func (d *direct) uppyParams(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	in := directBody{Name: query.Get("filename"), Type: query.Get("type"), Method: core.DirectPost, Form: map[string]string{}}
	for name := range query {
		if inner, ok := strings.CutPrefix(name, "metadata["); ok {
			in.Form[strings.TrimSuffix(inner, "]")] = query.Get(name)
		}
	}
	in.sized()
	ticket, err := d.begin(r, in)
	if err != nil {
		return err
	}
	return writeDirect(w, http.StatusOK, map[string]any{
		"method": "POST", "url": ticket.URL, "fields": ticket.Fields, "token": ticket.Token,
		"expires": int(d.field.Config().Direct.Expiry.Seconds()),
	})
}

// sized takes the size from the metadata, where it is.
func (in *directBody) sized() {
	if n, err := strconv.ParseInt(in.Form["size"], 10, 64); err == nil && n >= 0 {
		in.Size = &n
	}
}

func (d *direct) uppyCreate(w http.ResponseWriter, r *http.Request) error {
	var asked struct {
		Filename string         `json:"filename"`
		Type     string         `json:"type"`
		Metadata map[string]any `json:"metadata"`
	}
	if err := d.read(r, &asked); err != nil {
		return err
	}
	in := directBody{Name: asked.Filename, Type: asked.Type, Method: core.DirectMultipart, Form: map[string]string{}, PartSize: uppyPart}
	for name, value := range asked.Metadata {
		switch v := value.(type) {
		case string:
			in.Form[name] = v
		case float64:
			in.Form[name] = strconv.FormatFloat(v, 'f', -1, 64)
		}
	}
	in.sized()
	ticket, err := d.begin(r, in)
	if err != nil {
		return err
	}
	return writeDirect(w, http.StatusOK, map[string]string{"key": ticket.Token, "uploadId": uppyUpload})
}

// uppyListed is a part as S3 names it.
type uppyListed struct {
	PartNumber int
	Size       int64
	ETag       string
}

func (d *direct) uppyList(w http.ResponseWriter, r *http.Request, key string) error {
	t, err := d.carryOn(r, key)
	if err != nil {
		return err
	}
	parts, err := d.field.DirectParts(r.Context(), t)
	if err != nil {
		return err
	}
	listed := make([]uppyListed, len(parts))
	for i, p := range parts {
		listed[i] = uppyListed{p.Number, p.Size, p.ETag}
	}
	return writeDirect(w, http.StatusOK, listed)
}

func (d *direct) uppySign(w http.ResponseWriter, r *http.Request, key, number string) error {
	urls, err := d.uppyURLs(r, key, number)
	if err != nil {
		return err
	}
	return writeDirect(w, http.StatusOK, map[string]any{"url": urls[number], "expires": int(d.field.Config().Direct.Expiry.Seconds())})
}

func (d *direct) uppyBatch(w http.ResponseWriter, r *http.Request, key string) error {
	urls, err := d.uppyURLs(r, key, r.URL.Query().Get("partNumbers"))
	if err != nil {
		return err
	}
	return writeDirect(w, http.StatusOK, map[string]any{"presignedUrls": urls})
}

// uppyURLs signs the parts of a list such as "1,2,3".
func (d *direct) uppyURLs(r *http.Request, key, list string) (map[string]string, error) {
	t, err := d.carryOn(r, key)
	if err != nil {
		return nil, err
	}
	texts := strings.Split(list, ",")
	numbers := make([]int, len(texts))
	for i, text := range texts {
		if numbers[i], err = strconv.Atoi(text); err != nil {
			return nil, &core.Error{Kind: core.ErrInvalid, Op: "sign parts", Field: d.field.Name(), Detail: "a part's number is a number", Err: err}
		}
	}
	urls, err := d.field.SignParts(r.Context(), t, numbers)
	if err != nil {
		return nil, err
	}
	signed := make(map[string]string, len(urls))
	for i, u := range urls {
		signed[texts[i]] = u
	}
	return signed, nil
}

// uppyComplete answers with the file's token as its key, which Uppy hands on to
// the page: response.body.key.
func (d *direct) uppyComplete(w http.ResponseWriter, r *http.Request, key string) error {
	var sent struct {
		Parts []struct {
			PartNumber int
			ETag       string
		} `json:"parts"`
	}
	if err := d.read(r, &sent); err != nil {
		return err
	}
	t, err := d.carryOn(r, key)
	if err != nil {
		return err
	}
	parts := make([]core.DirectPart, len(sent.Parts))
	for i, p := range sent.Parts {
		parts[i] = core.DirectPart{Number: p.PartNumber, ETag: p.ETag}
	}
	token, o, err := d.field.CompleteDirect(r.Context(), t, parts)
	if err != nil {
		return err
	}
	return writeDirect(w, http.StatusOK, map[string]string{
		"key": token, "token": token, "bucket": o.Bucket,
		"location": "urn:filefield:upload:" + core.EscapePath(o.Name), // not where it is: it is no row's yet
	})
}

func (d *direct) uppyAbort(w http.ResponseWriter, r *http.Request, key string) error {
	t, err := d.carryOn(r, key)
	if err != nil {
		return err
	}
	if err := d.field.AbortDirect(r.Context(), t); err != nil {
		return err
	}
	return writeDirect(w, http.StatusOK, struct{}{})
}
