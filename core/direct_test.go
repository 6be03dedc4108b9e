package core_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
)

// directly is a field whose files are sent straight to the bucket, and the way
// there.
type directly struct {
	*core.Field
	recorder *s3test.Recorder
	bucket   string
	register *register // the app's ledger, or nil
}

func newDirectly(t testing.TB, change func(*core.FieldConfig), config ...func(*core.Config)) *directly {
	t.Helper()
	recorder, store, bucket := recorded(t, config...)
	c := core.FieldConfig{Name: "file", Bucket: bucket}
	if change != nil {
		change(&c)
	}
	d := &directly{Field: store.Field(c), recorder: recorder, bucket: bucket}
	if err := store.Faults(); err != nil {
		t.Fatal(err)
	}
	return d
}

// asked is an upload of content that a client announces truthfully.
func asked(name, typ, content string) core.DirectUpload {
	return core.DirectUpload{Name: name, Type: typ, Size: int64(len(content))}
}

func (d *directly) begin(ctx context.Context, t testing.TB, in core.DirectUpload) core.Ticket {
	t.Helper()
	ticket, err := d.BeginDirect(ctx, in)
	if err != nil {
		t.Fatalf("begin %q: %v", in.Name, err)
	}
	return ticket
}

// send does what a browser does with a ticket, and returns the status.
func send(t testing.TB, ticket core.Ticket, content string, change ...func(*http.Request)) int {
	t.Helper()
	if ticket.Method == core.DirectPost {
		return post(t, ticket.URL, ticket.Fields, content)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, ticket.URL, strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range ticket.Headers {
		r.Header.Set(name, value)
	}
	for _, f := range change {
		f(r)
	}
	return statusOf(t, r)
}

func post(t testing.TB, to string, fields map[string]string, content string) int {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if err := form.WriteField(name, fields[name]); err != nil {
			t.Fatal(err)
		}
	}
	file, err := form.CreateFormFile("file", "whatever.html")
	if err == nil {
		_, err = io.WriteString(file, content)
	}
	if err == nil {
		err = form.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, to, &body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", form.FormDataContentType())
	return statusOf(t, r)
}

func statusOf(t testing.TB, r *http.Request) int {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(r)
	if err != nil && r.ContentLength > 64*core.KiB {
		return 499 // the server refuses without reading on, and the client sees a closed connection
	}
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil && response.StatusCode < 400 { // a refusal may be cut off
		t.Fatal(err)
	}
	if response.StatusCode >= 300 {
		t.Logf("%s: %d %.300s", r.Method, response.StatusCode, text)
	}
	return response.StatusCode
}

// sent begins an upload and sends its content.
func (d *directly) sent(ctx context.Context, t testing.TB, in core.DirectUpload, content string) core.Token {
	t.Helper()
	ticket := d.begin(ctx, t, in)
	if got := send(t, ticket, content); got >= 300 {
		t.Fatalf("%s of %q is answered %d, want success", ticket.Method, in.Name, got)
	}
	return d.token(t, ticket.Token)
}

func (d *directly) token(t testing.TB, text string) core.Token {
	t.Helper()
	token, err := d.Verify(text)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// claim claims in a transaction of its own, which it commits.
func (d *directly) claim(ctx context.Context, t testing.TB, token core.Token) (core.Object, error) {
	t.Helper()
	ctx, txn := core.Begin(ctx)
	o, err := d.ClaimObject(ctx, token)
	end := txn.Commit
	if err != nil {
		end = txn.Rollback
	}
	if err := end(ctx); err != nil {
		t.Fatal(err)
	}
	return o, err
}

func (d *directly) mustClaim(t testing.TB, token core.Token) core.Object {
	t.Helper()
	o, err := d.claim(t.Context(), t, token)
	if err != nil {
		t.Fatalf("claim: %v", err)
	}
	return o
}

func (d *directly) tags(t testing.TB, key string) map[string]string {
	t.Helper()
	set, err := s3test.Start(t).Client(t).GetObjectTagging(t.Context(), d.bucket, key, minio.GetObjectTaggingOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return set.ToMap()
}

// files are the bucket's objects but for markers, which say what was claimed.
func (d *directly) files(t testing.TB) []string {
	t.Helper()
	objects, uploads := s3test.Leftovers(t, s3test.Start(t), d.bucket)
	if len(uploads) > 0 {
		t.Errorf("the uploads %q are open", uploads)
	}
	return slices.DeleteFunc(objects, func(key string) bool { return strings.Contains(key, ".filefield-claim-") })
}

func crcOf(content string) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.Checksum([]byte(content), crc32.MakeTable(crc32.Castagnoli))))
}

const smallPNG = "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x03\x00\x00\x00\x02\x08\x02\x00\x00\x00\x12\x16\xf1\x4d"

var singles = []core.DirectMethod{core.DirectPut, core.DirectPost}

func TestADirectUploadBecomesAFileOfTheField(t *testing.T) {
	t.Parallel()
	for _, method := range singles {
		t.Run(string(method), func(t *testing.T) {
			t.Parallel()
			d := newDirectly(t, func(c *core.FieldConfig) {
				c.Options.Tags = map[string]string{"team": "blue & \"red\""[:4]}
				c.Options.Metadata = map[string]string{"origin": "das Büro"}
				c.Options.CacheControl = "max-age=60"
			})
			in := asked(`Katze "✓".png`, "image/png", smallPNG)
			in.CRC32C, in.Method = crcOf(smallPNG), method
			ticket := d.begin(t.Context(), t, in)
			if n := d.recorder.Count(""); n != 0 {
				t.Errorf("beginning made %d requests, want none", n)
			}
			if got := send(t, ticket, smallPNG); got >= 300 {
				t.Fatalf("the answer is %d", got)
			}
			token := d.token(t, ticket.Token)
			waiting := d.files(t)
			if len(waiting) != 1 || d.tags(t, waiting[0])["filefield"] != "pending" {
				t.Fatalf("the bucket holds %q, want one object with the mark", waiting)
			}
			o := d.mustClaim(t, token)
			if o.Type != "image/png" || o.Width != 3 || o.Height != 2 || o.Size != int64(len(smallPNG)) || o.CRC32C != crcOf(smallPNG) || o.Name != `Katze "✓".png` {
				t.Errorf("the file is %+v", o)
			}
			if got := d.files(t); len(got) != 1 || got[0] != o.Key.String() {
				t.Errorf("the bucket holds %q, want %s alone", got, o.Key)
			}
			if got := d.tags(t, o.Key.String()); len(got) != 1 || got["team"] != "blue" {
				t.Errorf("the tags are %v, want the field's alone", got)
			}
			stored, err := d.Stat(t.Context(), o.Key)
			if err != nil || stored.Type != "image/png" || stored.Name != o.Name || stored.Metadata["origin"] != "das Büro" {
				t.Errorf("storage knows %+v, %v", stored, err)
			}
			link, err := d.URL(t.Context(), o.Key, core.URLOptions{})
			if err != nil {
				t.Fatal(err)
			}
			header := headerOf(t, link)
			want := core.ContentDisposition(core.Inline, o.Name)
			if header.Get("Content-Disposition") != want || header.Get("Content-Type") != "image/png" || header.Get("Cache-Control") != "max-age=60" {
				t.Errorf("it is served with %v, want the disposition %s", header, want)
			}
		})
	}
}

func headerOf(t testing.TB, link string) http.Header {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, link, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("GET is answered %d", response.StatusCode)
	}
	return response.Header
}

func TestWhatAClientAnnouncesIsHeldAgainstTheRules(t *testing.T) {
	t.Parallel()
	d := newDirectly(t, func(c *core.FieldConfig) {
		c.MaxSize, c.Accept, c.Extensions = 1000, core.Images+" text/csv", []string{"png", "csv", ""}
	})
	for name, row := range map[string]struct {
		in   core.DirectUpload
		want core.Kind
	}{
		"an image":                       {core.DirectUpload{Name: "a.png", Type: "image/png", Size: 1000}, 0},
		"no type, a telling name":        {core.DirectUpload{Name: "a.png", Size: 10}, 0},
		"no type, a name that says none": {core.DirectUpload{Name: "a", Size: 10}, 0},
		"CSV as Windows declares it":     {core.DirectUpload{Name: "a.csv", Type: "application/vnd.ms-excel", Size: 10}, 0},
		"an unknown size":                {core.DirectUpload{Name: "a.png", Size: core.UnknownSize}, 0},
		"a byte too many":                {core.DirectUpload{Name: "a.png", Type: "image/png", Size: 1001}, core.ErrTooLarge},
		"nothing":                        {core.DirectUpload{Name: "a.png", Type: "image/png"}, core.ErrEmpty},
		"a type that is not taken":       {core.DirectUpload{Name: "a.png", Type: "text/html", Size: 10}, core.ErrType},
		"parameters hide no type":        {core.DirectUpload{Name: "a.png", Type: "TEXT/html; x=image/smallPNG", Size: 10}, core.ErrType},
		"an extension that is not taken": {core.DirectUpload{Name: "a.php", Type: "image/png", Size: 10}, core.ErrInvalid},
		"no checksum":                    {core.DirectUpload{Name: "a.png", CRC32C: "AAAA", Size: 10}, core.ErrInvalid},
		"a checksum with a line break":   {core.DirectUpload{Name: "a.png", CRC32C: "AAAA\nAA==", Size: 10}, core.ErrInvalid},
		"an unknown method":              {core.DirectUpload{Name: "a.png", Method: "DELETE", Size: 10}, core.ErrInvalid},
		"a PUT of unknown size":          {core.DirectUpload{Name: "a.png", Method: core.DirectPut, Size: core.UnknownSize}, core.ErrInvalid},
	} {
		_, err := d.BeginDirect(t.Context(), row.in)
		wantKind(t, name, err, row.want)
	}
	if n := d.recorder.Count(""); n != 0 {
		t.Errorf("%d requests were made", n)
	}
}

func TestK5AClientNeverNamesAKey(t *testing.T) {
	t.Parallel()
	for name, to := range map[string]core.UploadTo{"a name kept": core.KeepName, "one name for all": func(core.Naming) (string, error) { return "a/b.txt", nil }, "a random name": nil} {
		d := newDirectly(t, func(c *core.FieldConfig) { c.UploadTo = to })
		one, two := d.begin(t.Context(), t, asked("a.txt", "", "x")), d.begin(t.Context(), t, asked("a.txt", "", "x"))
		for _, ticket := range []core.Ticket{one, two} {
			if key := d.token(t, ticket.Token).Object.Key.String(); len(key) < 26+len(".txt") {
				t.Errorf("%s: the key is %q, want a random part in it", name, key)
			}
		}
		if d.token(t, one.Token).Object.Key == d.token(t, two.Token).Object.Key {
			t.Errorf("%s: two uploads have one key", name)
		}
	}
}

func TestD2StorageRefusesWhatWasNotSigned(t *testing.T) {
	t.Parallel()
	d := newDirectly(t, nil)
	in := asked("a.txt", "text/plain", "content")
	in.CRC32C = crcOf("content")
	ticket := d.begin(t.Context(), t, in)
	set := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	for name, row := range map[string]struct {
		content string
		change  func(*http.Request)
	}{
		"a longer file":        {"content and more", func(*http.Request) {}},
		"a shorter file":       {"con", func(*http.Request) {}},
		"other content":        {"CONTENT", func(*http.Request) {}},
		"another type":         {"content", set("Content-Type", "text/html")},
		"another disposition":  {"content", set("Content-Disposition", "inline")},
		"no mark":              {"content", func(r *http.Request) { r.Header.Del("X-Amz-Tagging") }},
		"another mark":         {"content", set("X-Amz-Tagging", "a=b")},
		"no condition":         {"content", func(r *http.Request) { r.Header.Del("If-None-Match") }},
		"another key":          {"content", func(r *http.Request) { r.URL.Path += "x" }},
		"another bucket":       {"content", func(r *http.Request) { r.URL.Path = strings.Replace(r.URL.Path, d.bucket, d.bucket+"x", 1) }},
		"another name of ours": {"content", set("X-Amz-Meta-Filefield-Name", "b.txt")},
		"a DELETE":             {"content", func(r *http.Request) { r.Method = http.MethodDelete }},
		"a GET":                {"content", func(r *http.Request) { r.Method = http.MethodGet }},
	} {
		if got := send(t, ticket, row.content, row.change); got < 400 || got >= 500 {
			t.Errorf("%s is answered %d, want a refusal", name, got)
		}
	}
	if got := d.files(t); len(got) != 0 {
		t.Errorf("the bucket holds %q, want nothing", got)
	}
	if got := send(t, ticket, "content"); got != http.StatusOK {
		t.Fatalf("what was signed is answered %d", got)
	}
	if got := send(t, ticket, "content"); got != http.StatusPreconditionFailed {
		t.Errorf("a replay is answered %d, want 412", got)
	}
}

func TestD2AFormHoldsNothingButWhatWasSigned(t *testing.T) {
	t.Parallel()
	d := newDirectly(t, func(c *core.FieldConfig) { c.MaxSize = 10 })
	in := core.DirectUpload{Name: "a.txt", Type: "text/plain", Size: core.UnknownSize}
	ticket := d.begin(t.Context(), t, in)
	with := func(changes ...string) map[string]string {
		fields := maps.Clone(ticket.Fields)
		for i := 0; i < len(changes); i += 2 {
			fields[changes[i]] = changes[i+1]
		}
		return fields
	}
	without := maps.Clone(ticket.Fields)
	delete(without, "Content-Type")
	for name, row := range map[string]struct {
		fields  map[string]string
		content string
	}{
		"a longer file":      {ticket.Fields, "content and more"},
		"nothing":            {ticket.Fields, ""},
		"another key":        {with("key", "somewhere/else"), "content"},
		"another type":       {with("Content-Type", "text/html"), "content"},
		"another meta":       {with("x-amz-meta-filefield-name", "b"), "content"},
		"a further field":    {with("x-amz-meta-verified", "true"), "content"},
		"an access list":     {with("acl", "public-read"), "content"},
		"no type":            {without, "content"},
		"another redirect":   {with("success_action_redirect", "https://evil.example"), "content"},
		"another policy":     {with("policy", base64.StdEncoding.EncodeToString([]byte(`{"expiration":"2099-01-01T00:00:00Z","conditions":[]}`))), "content"},
		"another credential": {with("x-amz-credential", "a/b/c/d/e"), "content"},
	} {
		if got := post(t, ticket.URL, row.fields, row.content); got < 400 || got >= 500 {
			t.Errorf("%s is answered %d, want a refusal", name, got)
		}
	}
	if got := post(t, strings.Replace(ticket.URL, d.bucket, s3test.Start(t).Bucket(t), 1), ticket.Fields, "content"); got < 400 || got >= 500 {
		t.Errorf("another bucket is answered %d, want a refusal", got)
	}
	if got := d.files(t); len(got) != 0 {
		t.Errorf("the bucket holds %q, want nothing", got)
	}
	if got := send(t, ticket, "content"); got != http.StatusCreated {
		t.Errorf("what was signed is answered %d, want 201", got)
	}
}

func TestD2ASignatureExpires(t *testing.T) {
	t.Parallel()
	for _, method := range singles {
		d := newDirectly(t, func(c *core.FieldConfig) { c.Direct.Expiry = time.Minute }, func(c *core.Config) {
			c.Now = func() time.Time { return time.Now().Add(-2 * time.Minute) }
		})
		in := asked("a.txt", "text/plain", "x")
		in.Method = method
		if got := send(t, d.begin(t.Context(), t, in), "x"); got < 400 || got >= 500 {
			t.Errorf("a late %s is answered %d, want a refusal", method, got)
		}
	}
}

func TestD3AnythingButTheTokenIsRefused(t *testing.T) {
	t.Parallel()
	var later atomic.Int64
	d := newDirectly(t, nil, func(c *core.Config) {
		c.Now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	})
	other := d.Store().Field(core.FieldConfig{Name: "other", Bucket: d.bucket})
	ann := core.WithSubject(t.Context(), "ann")
	ticket := d.begin(ann, t, asked("a.txt", "text/plain", "x"))
	if got := send(t, ticket, "x"); got != http.StatusOK {
		t.Fatalf("the answer is %d", got)
	}
	for i := range ticket.Token {
		flipped := []byte(ticket.Token)
		flipped[i] ^= 1
		if _, err := d.Verify(string(flipped)); core.KindOf(err) != core.ErrToken {
			t.Fatalf("with byte %d changed it is %v, want ErrToken", i, err)
		}
	}
	_, err := other.Verify(ticket.Token)
	wantKind(t, "another field", err, core.ErrToken)
	_, _, err = d.VerifyLink(ann, ticket.Token)
	wantKind(t, "as a link", err, core.ErrNotFound)
	_, err = d.DirectToken(ann, d.Sign(d.token(t, ticket.Token).Object, ""))
	wantKind(t, "a form's token as an upload", err, core.ErrToken)
	token := d.token(t, ticket.Token)
	for name, ctx := range map[string]context.Context{"nobody": t.Context(), "another user": core.WithSubject(t.Context(), "ben")} {
		_, err := d.claim(ctx, t, token)
		wantKind(t, "a claim by "+name, err, core.ErrToken)
		_, _, err = d.CompleteDirect(ctx, token, nil)
		wantKind(t, "its end by "+name, err, core.ErrToken)
		wantKind(t, "its abort by "+name, d.AbortDirect(ctx, token), core.ErrToken)
	}
	_, err = d.ClaimObject(ann, token)
	wantKind(t, "a claim without a transaction", err, core.ErrConfig)
	later.Store(int64(25 * time.Hour))
	_, err = d.Verify(ticket.Token)
	wantKind(t, "after a day", err, core.ErrToken)
	later.Store(0)
	if _, err := d.claim(ann, t, token); err != nil {
		t.Fatal(err)
	}
	_, err = d.claim(ann, t, token)
	wantKind(t, "a second claim", err, core.ErrToken)
	if err := d.Field.Delete(t.Context(), token.Object.Key); err != nil {
		t.Fatal(err)
	}
	if got := send(t, ticket, "x"); got != http.StatusOK {
		t.Fatalf("the replay after the deletion is answered %d", got)
	}
	_, err = d.claim(ann, t, token)
	wantKind(t, "a claim of what was sent again after the deletion", err, core.ErrToken)
}

func TestD3OfManyClaimsAtOnceOneSucceeds(t *testing.T) {
	inEachForm(t, func(t *testing.T, form claimForm) {
		for _, method := range singles {
			d := form.directly(t, nil)
			in := asked("a.txt", "text/plain", "x")
			in.Method = method
			token := d.sent(t.Context(), t, in, "x")
			var won atomic.Int32
			var wait sync.WaitGroup
			for range 20 {
				wait.Go(func() {
					switch _, err := d.claim(t.Context(), t, token); core.KindOf(err) {
					case 0:
						won.Add(1)
					case core.ErrToken:
					default:
						t.Errorf("a claim beside others is %v, want success or ErrToken", err)
					}
				})
			}
			wait.Wait()
			if won.Load() != 1 {
				t.Errorf("%s: %d claims succeeded, want 1", method, won.Load())
			}
			if got := d.files(t); len(got) != 1 || got[0] != token.Object.Key.String() {
				t.Errorf("%s: the bucket holds %q, want the file", method, got)
			}
		}
	})
}

func TestD4WhatAClientAddsIsNotTheFiles(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]string{
		"Content-Encoding": "gzip", "Cache-Control": "max-age=99999999", "Content-Language": "xx",
		"X-Amz-Meta-Verified": "true", "X-Amz-Meta-Filefield-Pixels": "1x1", "X-Amz-Acl": "public-read",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDirectly(t, nil)
			ticket := d.begin(t.Context(), t, asked("a.txt", "text/plain", "x"))
			if got := send(t, ticket, "x", func(r *http.Request) { r.Header.Set(name, value) }); got >= 400 {
				return // storage takes no header of this name that was not signed
			}
			o, err := d.claim(t.Context(), t, d.token(t, ticket.Token))
			if core.KindOf(err) == core.ErrInvalid {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			stored, err := s3test.Start(t).Client(t).StatObject(t.Context(), d.bucket, o.Key.String(), minio.StatObjectOptions{})
			if got := stored.Metadata.Get(name); got != "" || err != nil {
				t.Errorf("it is stored with %s: %s, %v", name, got, err)
			}
			if got := d.tags(t, o.Key.String()); len(got) != 0 {
				t.Errorf("its tags are %v, want none", got)
			}
		})
	}
}

// A browser adds "no-cache" to a PUT with If-None-Match, unless the script sets
// Cache-Control: so the ticket has one, and it is signed.
func TestAPUTLeavesNoRoomForWhatBrowsersAdd(t *testing.T) {
	t.Parallel()
	d := newDirectly(t, nil)
	ticket := d.begin(t.Context(), t, asked("a.txt", "text/plain", "x"))
	if value, ok := ticket.Headers["Cache-Control"]; !ok || value != "" {
		t.Errorf("the ticket's headers are %q, want an empty Cache-Control", ticket.Headers)
	}
	if got := send(t, ticket, "x", func(r *http.Request) { r.Header.Set("Cache-Control", "no-cache") }); got != http.StatusForbidden {
		t.Errorf("with another Cache-Control storage answers %d, want 403", got)
	}
	if got := send(t, ticket, "x"); got != http.StatusOK {
		t.Fatalf("as agreed storage answers %d, want 200", got)
	}
	if _, err := d.claim(t.Context(), t, d.token(t, ticket.Token)); err != nil {
		t.Errorf("the claim is %v", err)
	}
}

func TestD5WhatIsSentAfterTheCheckIsNotTheRows(t *testing.T) {
	inEachForm(t, func(t *testing.T, form claimForm) {
		const swapped = "evil st"
		t.Run("a PUT", func(t *testing.T) {
			t.Parallel()
			d := form.directly(t, nil)
			ticket := d.begin(t.Context(), t, asked("a.txt", "text/plain", "content"))
			send(t, ticket, "content")
			ctx, txn := begin(t)
			o, err := d.ClaimObject(ctx, d.token(t, ticket.Token))
			if err != nil {
				t.Fatal(err)
			}
			if got := send(t, ticket, swapped); got != http.StatusPreconditionFailed {
				t.Errorf("a second PUT before the commit is answered %d, want 412", got)
			}
			if err := txn.Commit(ctx); err != nil {
				t.Fatal(err)
			}
			if got := send(t, ticket, swapped); got != http.StatusPreconditionFailed {
				t.Errorf("a second PUT after the commit is answered %d, want 412", got)
			}
			if got := string(mustRead(t, d.Bucket(), o.Key, core.OpenOptions{})); got != "content" {
				t.Errorf("the row's file is %q", got)
			}
		})
		t.Run("a POST, after the claim", func(t *testing.T) {
			t.Parallel()
			d := form.directly(t, nil)
			in := asked("a.txt", "text/plain", "content")
			in.Method = core.DirectPost
			ticket := d.begin(t.Context(), t, in)
			send(t, ticket, "content")
			ctx, txn := begin(t)
			o, err := d.ClaimObject(ctx, d.token(t, ticket.Token))
			if err != nil {
				t.Fatal(err)
			}
			send(t, ticket, swapped)
			if err := txn.Commit(ctx); err != nil {
				t.Fatal(err)
			}
			send(t, ticket, swapped)
			if got := string(mustRead(t, d.Bucket(), o.Key, core.OpenOptions{})); got != "content" {
				t.Errorf("the row's file is %q", got)
			}
			_, err = d.claim(t.Context(), t, d.token(t, ticket.Token))
			wantKind(t, "the claim of the second", err, core.ErrToken)
		})
		t.Run("a POST, between the check and the copy", func(t *testing.T) {
			t.Parallel()
			d := form.directly(t, nil)
			in := asked("a.txt", "text/plain", "content")
			in.Method = core.DirectPost
			ticket := d.begin(t.Context(), t, in)
			send(t, ticket, "content")
			var once sync.Once
			d.recorder.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
				if r.Header.Get("X-Amz-Copy-Source") != "" {
					once.Do(func() {
						post(t, strings.Replace(ticket.URL, d.recorder.Endpoint(), s3test.Start(t).Endpoint, 1), ticket.Fields, swapped)
					})
				}
				return false
			})
			_, err := d.claim(t.Context(), t, d.token(t, ticket.Token))
			wantKind(t, "the claim", err, core.ErrToken)
			d.recorder.Intercept(nil)
			if got := d.files(t); len(got) != 1 || got[0] == d.token(t, ticket.Token).Object.Key.String() {
				t.Errorf("the bucket holds %q, want what was posted alone", got)
			}
		})
		t.Run("an upload that was ended and sent again", func(t *testing.T) {
			t.Parallel()
			d := form.directly(t, nil)
			ticket := d.begin(t.Context(), t, asked("a.txt", "text/plain", "content"))
			send(t, ticket, "content")
			verified, _, err := d.CompleteDirect(t.Context(), d.token(t, ticket.Token), nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := d.AbortDirect(t.Context(), d.token(t, ticket.Token)); err != nil {
				t.Fatal(err)
			}
			send(t, ticket, swapped)
			for _, text := range []string{verified, ticket.Token} {
				_, err = d.claim(t.Context(), t, d.token(t, text))
				wantKind(t, "its claim", err, core.ErrToken)
			}
		})
	})
}

func TestD6AnUnfinishedUploadIsNoFile(t *testing.T) {
	inEachForm(t, func(t *testing.T, form claimForm) {
		for _, method := range []core.DirectMethod{core.DirectPut, core.DirectPost, core.DirectMultipart} {
			d := form.directly(t, func(c *core.FieldConfig) { c.MaxSize = 100 * core.MiB })
			in := core.DirectUpload{Name: "a.txt", Type: "text/plain", Size: 7, Method: method}
			ticket := d.begin(t.Context(), t, in)
			token := d.token(t, ticket.Token)
			_, err := d.claim(t.Context(), t, token)
			wantKind(t, string(method)+": a claim", err, core.ErrUnfinished)
			_, _, err = d.CompleteDirect(t.Context(), token, nil)
			wantKind(t, string(method)+": its end", err, core.ErrUnfinished)
			if objects, _ := s3test.Leftovers(t, s3test.Start(t), d.bucket); len(objects) != 0 {
				t.Errorf("%s: the bucket holds %q, want nothing", method, objects)
			}
			if err := d.AbortDirect(t.Context(), token); err != nil {
				t.Fatal(err)
			}
			if got := d.files(t); len(got) != 0 {
				t.Errorf("%s: after the abort the bucket holds %q", method, got)
			}
		}
	})
}

func TestTheContentDecidesWhatIsTaken(t *testing.T) {
	inEachForm(t, func(t *testing.T, form claimForm) {
		for name, row := range map[string]struct {
			in      core.DirectUpload
			content string
			want    core.Kind
		}{
			"a page called an image":         {core.DirectUpload{Name: "a.png", Type: "image/png"}, "<html><script>alert(1)</script>", core.ErrType},
			"a JPEG called a PNG":            {core.DirectUpload{Name: "a.png", Type: "image/png"}, "\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01", core.ErrType},
			"an image of too many pixels":    {core.DirectUpload{Name: "a.png", Type: "image/png"}, strings.Replace(smallPNG, "\x00\x00\x00\x03", "\x00\x00\xff\xff", 1), core.ErrInvalid},
			"an image without a size":        {core.DirectUpload{Name: "a.png", Type: "image/png"}, smallPNG[:16], core.ErrInvalid},
			"a form with more than is taken": {core.DirectUpload{Name: "a.png", Type: "image/png", Method: core.DirectPost}, "<html>", core.ErrType},
			"an image":                       {core.DirectUpload{Name: "a.png", Type: "image/png"}, smallPNG, 0},
			"an image without a type":        {core.DirectUpload{Name: "a", Type: ""}, smallPNG, 0},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				for _, completed := range []bool{false, true} {
					d := form.directly(t, func(c *core.FieldConfig) { c.Accept, c.MaxWidth = core.Images, 100 })
					in := row.in
					in.Size = int64(len(row.content))
					token := d.sent(t.Context(), t, in, row.content)
					before := d.files(t)
					if completed {
						_, _, err := d.CompleteDirect(t.Context(), token, nil)
						wantKind(t, "its end", err, row.want)
						if got := d.files(t); row.want != 0 && len(got) != 0 {
							t.Errorf("the bucket holds %q, want nothing", got)
						}
						continue
					}
					o, err := d.claim(t.Context(), t, token)
					wantKind(t, "its claim", err, row.want)
					if got := d.files(t); row.want != 0 && !slices.Equal(got, before) {
						t.Errorf("the bucket holds %q, want %q as before", got, before)
					}
					if row.want == 0 {
						if stored, err := d.Stat(t.Context(), o.Key); err != nil || stored.Type != "image/png" {
							t.Errorf("it is stored as %+v, %v", stored, err)
						}
					}
				}
			})
		}
	})
}

func TestARollbackHasTheUploadWaitAgain(t *testing.T) {
	inEachForm(t, func(t *testing.T, form claimForm) {
		for _, method := range singles {
			for _, completed := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, completed %t", method, completed), func(t *testing.T) {
					t.Parallel()
					d := form.directly(t, func(c *core.FieldConfig) { c.Options.Tags = map[string]string{"team": "blue"} })
					in := asked("a.png", "", smallPNG)
					in.Method = method
					token := d.sent(t.Context(), t, in, smallPNG)
					if completed {
						text, o, err := d.CompleteDirect(t.Context(), token, nil)
						if err != nil || o.Width != 3 {
							t.Fatalf("the end gives %+v, %v", o, err)
						}
						token = d.token(t, text)
					}
					before := d.files(t)
					for range 2 {
						ctx, txn := begin(t)
						if _, err := d.ClaimObject(ctx, token); err != nil {
							t.Fatal(err)
						}
						if err := txn.Rollback(ctx); err != nil {
							t.Fatal(err)
						}
						if got := d.files(t); !slices.Equal(got, before) {
							t.Fatalf("the bucket holds %q, want %q as before", got, before)
						}
						if got := d.tags(t, before[0]); len(got) != 2 || got["filefield"] != "pending" {
							t.Errorf("its tags are %v, want the mark again", got)
						}
					}
					if o := d.mustClaim(t, token); o.Width != 3 || o.Type != "image/png" {
						t.Errorf("the next claim gives %+v", o)
					}
				})
			}
		}
	})
}

func TestAClaimThatIsKeptIsTakenByItsNewTokenAlone(t *testing.T) {
	inEachForm(t, func(t *testing.T, form claimForm) {
		for _, method := range singles {
			d := form.directly(t, nil)
			in := asked("a.txt", "text/plain", "x")
			in.Method = method
			token := d.sent(t.Context(), t, in, "x")
			ctx, txn := begin(t)
			o, err := d.ClaimObject(ctx, token)
			if err != nil {
				t.Fatal(err)
			}
			text, err := d.Keep(ctx, o)
			if err != nil {
				t.Fatal(err)
			}
			if err := txn.Rollback(ctx); err != nil {
				t.Fatal(err)
			}
			if got := d.files(t); len(got) != 1 || d.tags(t, got[0])["filefield"] != "pending" {
				t.Errorf("%s: the bucket holds %q, want the pending file", method, got)
			}
			_, err = d.claim(t.Context(), t, token)
			wantKind(t, "a claim by the old token", err, core.ErrToken)
			d.mustClaim(t, d.token(t, text))
		}
	})
}

func TestAClaimCostsAtMostTwoRequestsWithALedgerOrOnceTheUploadWasCompleted(t *testing.T) {
	inEachForm(t, func(t *testing.T, form claimForm) {
		for _, method := range singles {
			for _, row := range []struct {
				typ       string
				completed bool
				want      int
			}{{"image/png", true, 2}, {"", true, 2}, {"image/png", false, 3}, {"", false, 3}} {
				t.Run(fmt.Sprintf("%s of type %q, completed %t", method, row.typ, row.completed), func(t *testing.T) {
					t.Parallel()
					d := form.directly(t, nil)
					in := asked("a", row.typ, smallPNG)
					in.Method = method
					token := d.sent(t.Context(), t, in, smallPNG)
					if row.completed {
						text, _, err := d.CompleteDirect(t.Context(), token, nil)
						if err != nil {
							t.Fatal(err)
						}
						token = d.token(t, text)
					}
					d.recorder.Reset()
					ctx, txn := begin(t)
					if _, err := d.ClaimObject(ctx, token); err != nil {
						t.Fatal(err)
					}
					if got, want := d.recorder.Count(""), row.want-form.saves(); got != want {
						t.Errorf("the claim took %d requests, want %d: %v", got, want, d.recorder.Requests())
					}
					d.recorder.Reset()
					if err := txn.Commit(ctx); err != nil {
						t.Fatal(err)
					}
					after := 0
					if method == core.DirectPost {
						after = 1
					}
					if got := d.recorder.Count(""); got != after {
						t.Errorf("the commit took %d requests, want %d", got, after)
					}
				})
			}
		}
	})
}

func TestAKeyAloneIsEnoughToClaimWhatWasPosted(t *testing.T) {
	t.Parallel()
	for name, subject := range map[string]string{"a short token": "ann", "a token in pieces": strings.Repeat("ann", 60)} {
		d := newDirectly(t, nil)
		ctx := core.WithSubject(t.Context(), subject)
		in := asked("a.txt", "text/plain", "x")
		in.Method = core.DirectPost
		ticket := d.begin(ctx, t, in)
		send(t, ticket, "x")
		if _, err := d.claim(ctx, t, d.token(t, ticket.Fields["key"])); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUnclaimedUploadsExpire(t *testing.T) {
	inEachForm(t, func(t *testing.T, form claimForm) {
		var later atomic.Int64
		d := form.directly(t, nil, func(c *core.Config) {
			c.Now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
		})
		for _, method := range singles {
			in := asked("a.txt", "text/plain", "x")
			in.Method = method
			d.sent(t.Context(), t, in, "x")
		}
		row := d.mustClaim(t, d.sent(t.Context(), t, asked("a.txt", "text/plain", "x"), "x"))
		later.Store(int64(49 * time.Hour))
		n, err := d.Bucket().ExpirePending(t.Context(), 48*time.Hour)
		if n != 2 || err != nil {
			t.Errorf("%d files were removed, %v; want the two that were not claimed", n, err)
		}
		wantLeft(t, d.bucket, row.Key.String())
	})
}

// parts sends the parts of an upload with these numbers.
func (d *directly) parts(t testing.TB, token core.Token, content string, size int64, numbers ...int) []int {
	t.Helper()
	urls, err := d.SignParts(t.Context(), token, numbers)
	if err != nil {
		t.Fatal(err)
	}
	var answers []int
	for i, n := range numbers {
		from := int64(n-1) * size
		answers = append(answers, putPart(t, urls[i], content[from:min(from+size, int64(len(content)))]))
	}
	return answers
}

func putPart(t testing.TB, to, content string) int {
	t.Helper()
	return send(t, core.Ticket{Method: core.DirectPut, URL: to}, content)
}

func TestAFileInPartsIsResumedAndCompleted(t *testing.T) {
	inEachForm(t, func(t *testing.T, form claimForm) {
		for _, size := range []int64{11*core.MiB + 3, core.UnknownSize} {
			t.Run(strconv.FormatInt(size, 10), func(t *testing.T) {
				t.Parallel()
				d := form.directly(t, func(c *core.FieldConfig) {
					c.MaxSize, c.Direct.MultipartOver, c.Direct.PartSize = 100*core.MiB, core.MiB, 5*core.MiB
				})
				content := string(random(1, 11*core.MiB+3))
				ticket := d.begin(t.Context(), t, core.DirectUpload{Name: "a.bin", Size: size, Method: core.DirectMultipart})
				if ticket.Method != core.DirectMultipart || ticket.PartSize != 5*core.MiB || size > 0 && ticket.Parts != 3 {
					t.Fatalf("the ticket is %+v", ticket)
				}
				token := d.token(t, ticket.Token)
				if got := d.parts(t, token, content, ticket.PartSize, 3, 1); !slices.Equal(got, []int{200, 200}) {
					t.Fatalf("the parts are answered %v", got)
				}
				_, _, err := d.CompleteDirect(t.Context(), token, nil)
				wantKind(t, "its end without a part", err, core.ErrUnfinished)
				_, err = d.claim(t.Context(), t, token)
				wantKind(t, "its claim without a part", err, core.ErrUnfinished)
				there, err := d.DirectParts(t.Context(), token)
				if err != nil || len(there) != 2 || there[0].Number != 1 || there[1].Number != 3 || there[1].Size != core.MiB+3 {
					t.Fatalf("the parts there are %v, %v", there, err)
				}
				d.parts(t, token, content, ticket.PartSize, 2)
				text, o, err := d.CompleteDirect(t.Context(), token, there)
				if err != nil || o.Size != int64(len(content)) {
					t.Fatalf("its end is %+v, %v", o, err)
				}
				if again, _, err := d.CompleteDirect(t.Context(), token, there); err != nil || again == "" {
					t.Errorf("its end, said again, is %v", err)
				}
				if got := d.tags(t, o.Key.String()); got["filefield"] != "pending" {
					t.Errorf("its tags are %v, want the mark", got)
				}
				urls, err := d.SignParts(t.Context(), token, []int{1})
				if err != nil {
					t.Fatal(err)
				}
				if got := putPart(t, urls[0], content[:5*core.MiB]); got < 400 || got >= 500 {
					t.Errorf("a part after the end is answered %d, want a refusal", got)
				}
				d.recorder.Reset()
				o = d.mustClaim(t, d.token(t, text))
				if got, want := d.recorder.Count(""), 2-form.saves(); got != want {
					t.Errorf("the claim took %d requests, want %d", got, want)
				}
				if got := string(mustRead(t, d.Bucket(), o.Key, core.OpenOptions{})); got != content {
					t.Error("the content is another")
				}
				_, err = d.claim(t.Context(), t, token)
				wantKind(t, "a claim by the first token", err, core.ErrToken)
				wantKind(t, "an abort", d.AbortDirect(t.Context(), token), core.ErrTaken)
			})
		}
	})
}

func TestD7PartsThatWereNotAgreedAreRefused(t *testing.T) {
	t.Parallel()
	d := newDirectly(t, func(c *core.FieldConfig) { c.MaxSize, c.Direct.PartSize = 100*core.MiB, 5*core.MiB })
	content := string(random(2, 6*core.MiB))
	one := d.token(t, d.begin(t.Context(), t, core.DirectUpload{Name: "a.bin", Size: 6 * core.MiB, Method: core.DirectMultipart}).Token)
	two := d.token(t, d.begin(t.Context(), t, core.DirectUpload{Name: "b.bin", Size: 6 * core.MiB, Method: core.DirectMultipart}).Token)
	for _, n := range []int{-1, 0, 3, 10_000, 10_001} {
		_, err := d.SignParts(t.Context(), one, []int{1, n})
		wantKind(t, fmt.Sprintf("part %d", n), err, core.ErrInvalid)
	}
	unsized := d.token(t, d.begin(t.Context(), t, core.DirectUpload{Name: "c.bin", Size: core.UnknownSize, Method: core.DirectMultipart}).Token)
	_, err := d.SignParts(t.Context(), unsized, []int{10_001})
	wantKind(t, "part 10,001 of an unknown size", err, core.ErrInvalid)
	_, err = d.SignParts(t.Context(), one, make([]int, 1001))
	wantKind(t, "too many at once", err, core.ErrTooMany)
	single := d.token(t, d.begin(t.Context(), t, asked("a.txt", "", "x")).Token)
	_, err = d.SignParts(t.Context(), single, []int{1})
	wantKind(t, "a part of a file in one piece", err, core.ErrToken)

	urls, err := d.SignParts(t.Context(), one, []int{1, 2})
	if err != nil {
		t.Fatal(err)
	}
	if got := putPart(t, urls[0], content[:core.MiB]); got < 400 || got >= 500 {
		t.Errorf("a part that is too short is answered %d, want a refusal", got)
	}
	if got := putPart(t, urls[1], content[:5*core.MiB]); got < 400 || got >= 500 {
		t.Errorf("a part that is too long is answered %d, want a refusal", got)
	}
	u, _ := url.Parse(urls[0])
	foreign, err := d.SignParts(t.Context(), two, []int{1})
	if err != nil {
		t.Fatal(err)
	}
	other, _ := url.Parse(foreign[0])
	q := u.Query()
	q.Set("uploadId", other.Query().Get("uploadId"))
	u.RawQuery = q.Encode()
	if got := putPart(t, u.String(), content[:5*core.MiB]); got < 400 || got >= 500 {
		t.Errorf("another's upload id is answered %d, want a refusal", got)
	}
	d.parts(t, one, content, 5*core.MiB, 1, 2)
	_, _, err = d.CompleteDirect(t.Context(), one, []core.DirectPart{{Number: 1, ETag: `"0123"`}})
	wantKind(t, "its end with a wrong ETag", err, core.ErrInvalid)
	_, _, err = d.CompleteDirect(t.Context(), one, []core.DirectPart{{Number: 3, ETag: "x"}})
	wantKind(t, "its end with a part too many", err, core.ErrInvalid)
	for _, token := range []core.Token{one, two, unsized} {
		if err := d.AbortDirect(t.Context(), token); err != nil {
			t.Fatal(err)
		}
	}
	_, err = d.DirectParts(t.Context(), one)
	wantKind(t, "the parts after the abort", err, core.ErrNotFound)
	if got := d.files(t); len(got) != 0 {
		t.Errorf("the bucket holds %q, want nothing", got)
	}
}

func TestAFileInPartsThatIsTooLargeIsNeverAFile(t *testing.T) {
	t.Parallel()
	d := newDirectly(t, func(c *core.FieldConfig) { c.MaxSize, c.Direct.PartSize = 6*core.MiB, 5*core.MiB })
	content := string(random(3, 7*core.MiB))
	token := d.token(t, d.begin(t.Context(), t, core.DirectUpload{Name: "a.bin", Size: core.UnknownSize, Method: core.DirectMultipart}).Token)
	d.parts(t, token, content, 5*core.MiB, 1, 2)
	_, _, err := d.CompleteDirect(t.Context(), token, nil)
	wantKind(t, "its end", err, core.ErrTooLarge)
	if err := d.AbortDirect(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	if got := d.files(t); len(got) != 0 {
		t.Errorf("the bucket holds %q, want nothing", got)
	}
}

func TestTheServerChoosesPartsThatSuffice(t *testing.T) {
	t.Parallel()
	d := newDirectly(t, func(c *core.FieldConfig) { c.MaxSize = core.Unlimited })
	for _, size := range []int64{33 * core.MiB, 79 * core.GiB, core.TiB, core.Unlimited} {
		ticket := d.begin(t.Context(), t, core.DirectUpload{Name: "a.bin", Size: size})
		if ticket.Method != core.DirectMultipart || ticket.Parts > 10_000 || ticket.PartSize < 8*core.MiB ||
			int64(ticket.Parts)*ticket.PartSize < size || int64(ticket.Parts-1)*ticket.PartSize >= size {
			t.Errorf("%d bytes: the ticket is %+v", size, ticket)
		}
		if err := d.AbortDirect(t.Context(), d.token(t, ticket.Token)); err != nil {
			t.Error(err)
		}
	}
}

func TestD10NoErrorHoldsASignature(t *testing.T) {
	t.Parallel()
	d := newDirectly(t, nil)
	token := d.token(t, d.begin(t.Context(), t, asked("a.txt", "", "x")).Token)
	_, err := d.claim(t.Context(), t, token)
	if err == nil || strings.Contains(err.Error(), "X-Amz") || strings.Contains(fmt.Sprintf("%+v %#v", err, err), "Signature") {
		t.Errorf("the error is %v, want one without a signature", err)
	}
	if d.Config().Direct.Expiry > 15*time.Minute {
		t.Errorf("signatures live for %s by default", d.Config().Direct.Expiry)
	}
}
