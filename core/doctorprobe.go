package core

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// probe makes use of what an app does with objects, on a key of its own, and
// takes away what it has put there.
type probe struct {
	*examination
	prefix string
	key    Key

	deletes  bool // objects may be deleted, so that one may be written
	there    bool // an object is there to be read
	written  bool // one may be
	unlists  bool // the credentials may not list: what is not there is denied
	versions []string
	uploads  []string
}

const probeText = "filefield tries what the app may do, and removes this at once\n"

func (p *probe) all(ctx context.Context) {
	p.key = Key{s: p.prefix + doctorPrefix + strings.ToLower(newUploadID())}
	p.unlists = !p.fine("s3:ListBucket")
	if !p.options.ReadOnly {
		defer p.cleanUp(ctx)
		p.remove(ctx)
		p.write(ctx)
	}
	p.read(ctx)
	if !p.options.ReadOnly {
		p.tags(ctx)
		p.parts(ctx)
	}
	p.strangers(ctx)
	p.signed(ctx)
	if p.there {
		p.once.Do(func() { p.doctor.features = p.supports(ctx) })
	}
}

// fine says whether an action was found allowed.
func (e *examination) fine(action string) bool {
	for _, f := range e.findings {
		if f.Action == action && f.Status == FindingOK {
			return true
		}
	}
	return false
}

// send makes one request about the probe's object.
func (p *probe) send(ctx context.Context, r bucketRequest) (answerOf, error) {
	b := p.bucket
	target, err := b.address(ctx)
	if err != nil {
		return answerOf{}, err
	}
	target.Path = strings.TrimSuffix(target.Path, "/") + "/" + p.key.s
	target.RawQuery = strings.ReplaceAll(r.query.Encode(), "+", "%20")
	var answer answerOf
	err = b.store.retry(ctx, b.at("diagnose", p.key), b.store.patience(), func(ctx context.Context, _ *watchdog, _ int) (err error) {
		answer, err = b.store.send(ctx, &target, b.name, r)
		if isUploadGone(err) {
			return nil // who may not do it is told so before
		}
		return err
	})
	if version := answer.header.Get("X-Amz-Version-Id"); err == nil && r.method != http.MethodGet && version != "" && version != "null" && len(r.query) == 0 {
		p.versions = append(p.versions, version)
	}
	return answer, err
}

// try makes a request that needs an action, and reports whether it is allowed.
func (p *probe) try(ctx context.Context, action string, r bucketRequest) (answerOf, bool) {
	began := time.Now()
	answer, err := p.send(ctx, r)
	f := permitted(Finding{Check: "permission", Action: action, Took: Milliseconds(time.Since(began))}, err)
	if f.Status == FindingFailed && KindOf(err) == ErrDenied && !p.there && p.unlists && (r.method == http.MethodGet || r.query.Has("tagging")) {
		f = Finding{
			Check: "permission", Action: action, Took: f.Took, Status: FindingSkipped,
			Detail: "without an object to read, and s3:ListBucket, a refusal says nothing",
		}
	}
	if p.prefix != "" {
		f.Detail += " below " + p.prefix
	}
	p.found(f)
	return answer, f.Status == FindingOK
}

// remove asks to delete what is not there: whoever may not do that must not write
// either, since it could not be taken away again. A bucket with versions answers
// with a mark that it is gone, which goes, too.
func (p *probe) remove(ctx context.Context) {
	if _, p.deletes = p.try(ctx, "s3:DeleteObject", bucketRequest{method: http.MethodDelete}); !p.deletes {
		return
	}
	for _, mark := range p.versions {
		_, err := p.send(ctx, bucketRequest{method: http.MethodDelete, query: url.Values{"versionId": {mark}}})
		if p.deletes = err == nil; p.deletes {
			p.versions = nil
		}
	}
	if p.bucket.declared.Retention != (DefaultRetention{}) {
		p.deletes = false // what is written is locked
	}
}

// writing are the headers that objects of the bucket's fields are written with.
func (p *probe) writing() http.Header {
	header := http.Header{}
	for _, f := range p.fields {
		if e := f.config.Options.Encryption; e != nil {
			e.Marshal(header)
			break
		}
	}
	return header
}

// reading are those that they are read with: a key of the app's, where it has one.
func (p *probe) reading() http.Header {
	header := http.Header{}
	for _, f := range p.fields {
		if e := customerKey(f.config.Options.Encryption); e != nil {
			e.Marshal(header)
			break
		}
	}
	return header
}

// write puts the probe's object there.
func (p *probe) write(ctx context.Context) {
	if !p.deletes {
		return // parts show whether writing is allowed
	}
	_, p.there = p.try(ctx, "s3:PutObject", bucketRequest{method: http.MethodPut, header: p.writing(), body: []byte(probeText)})
	p.written = true // the answer may be what was lost
}

func (p *probe) read(ctx context.Context) {
	get := bucketRequest{method: http.MethodGet, header: p.reading()}
	answer, ok := p.try(ctx, "s3:GetObject", get)
	if ok && p.there && string(answer.body) != probeText {
		p.found(Finding{
			Check: "permission", Action: "s3:GetObject", Status: FindingFailed, Detail: "what is read is not what was written",
			Advice: "see whether a proxy or cache stands between the app and the storage",
		})
	}
	if !p.bucket.declared.versioned() {
		return
	}
	if p.there && len(p.versions) > 0 {
		get.query = url.Values{"versionId": {p.versions[0]}}
	} else {
		get.query = url.Values{"versionId": {"00000000-0000-4000-8000-000000000000"}}
	}
	p.try(ctx, "s3:GetObjectVersion", get)
}

// tags tries what pending files need.
func (p *probe) tags(ctx context.Context) {
	p.try(ctx, "s3:GetObjectTagging", bucketRequest{method: http.MethodGet, query: setting("tagging")})
	if len(p.fields) == 0 {
		return
	}
	p.try(ctx, "s3:PutObjectTagging", bucketRequest{
		method: http.MethodPut, query: setting("tagging"),
		body: []byte("<Tagging><TagSet><Tag><Key>" + pendingTag + "</Key><Value>" + pendingValue + "</Value></Tag></TagSet></Tagging>"),
	})
	p.try(ctx, "s3:DeleteObjectTagging", bucketRequest{method: http.MethodDelete, query: setting("tagging")})
}

// parts tries what an upload of several parts needs. One is only begun if it may
// be given up again.
func (p *probe) parts(ctx context.Context) {
	p.list(ctx)
	nobody := url.Values{"uploadId": {"filefield-doctor"}}
	if len(p.fields) > 0 { // of direct uploads
		p.try(ctx, "s3:ListMultipartUploadParts", bucketRequest{method: http.MethodGet, query: nobody})
	}
	if _, aborts := p.try(ctx, "s3:AbortMultipartUpload", bucketRequest{method: http.MethodDelete, query: nobody}); !aborts {
		return
	}
	if !p.deletes { // so that no object showed it
		p.begin(ctx, "s3:PutObject", http.Header{})
	}
	if p.fine("s3:PutObject") {
		p.locks(ctx)
	}
}

// locks tries what locking an object needs, where the app does that, by uploads
// that would end in locked objects and are given up.
func (p *probe) locks(ctx context.Context) {
	n := needed{}
	p.bucket.needsOfObjects(n, p.fields)
	actions := n[p.bucket.arn("/"+p.prefix+"*")]
	if actions["s3:PutObjectRetention"] {
		tomorrow := p.store.config.Now().UTC().Add(24 * time.Hour).Format(time.RFC3339)
		p.begin(ctx, "s3:PutObjectRetention", http.Header{"X-Amz-Object-Lock-Mode": {"GOVERNANCE"}, "X-Amz-Object-Lock-Retain-Until-Date": {tomorrow}})
	}
	if actions["s3:PutObjectLegalHold"] {
		p.begin(ctx, "s3:PutObjectLegalHold", http.Header{"X-Amz-Object-Lock-Legal-Hold": {"ON"}})
	}
}

// begin begins an upload of several parts, which the clean-up gives up.
func (p *probe) begin(ctx context.Context, action string, header http.Header) {
	maps.Copy(header, p.writing())
	answer, ok := p.try(ctx, action, bucketRequest{method: http.MethodPost, query: setting("uploads"), header: header})
	var begun struct {
		UploadID string `xml:"UploadId"`
	}
	if ok && xml.Unmarshal(answer.body, &begun) == nil && begun.UploadID != "" {
		p.uploads = append(p.uploads, begun.UploadID)
	}
}

func (p *probe) list(ctx context.Context) {
	f := Finding{Check: "permission", Action: "s3:ListBucketMultipartUploads"}
	began := time.Now()
	_, err := p.bucket.ask(ctx, "list uploads", bucketRequest{method: http.MethodGet, query: url.Values{"uploads": {""}, "prefix": {p.key.s}, "max-uploads": {"1"}}})
	f.Took = Milliseconds(time.Since(began))
	p.found(permitted(f, err))
}

// strangers reads the object without credentials, as anyone can.
func (p *probe) strangers(ctx context.Context) {
	if !p.there {
		return
	}
	f := Finding{Check: "public_access"}
	target, err := p.bucket.address(ctx)
	if err != nil {
		return
	}
	target.Path = strings.TrimSuffix(target.Path, "/") + "/" + p.key.s
	status, err := p.anonymously(ctx, &f, target.String())
	switch {
	case err != nil:
	case p.bucket.public && status != http.StatusOK:
		f.Status, f.Detail = FindingFailed, fmt.Sprintf("the bucket is declared public, and a stranger's read of an object is answered with %d", status)
		f.Advice = "let the app correct the bucket's policy at its start; on AWS, turn off Block Public Access"
	case p.bucket.public:
		f.Status, f.Detail = FindingOK, "anyone may read objects"
	case status < 300:
		f.Status, f.Detail = FindingFailed, "the bucket is declared private, and anyone may read its objects"
		f.Advice = "let the app correct the bucket's policy at its start, and see the server's own settings for anonymous access"
	default:
		f.Status, f.Detail = FindingOK, "strangers may not read objects"
	}
	p.found(f)
}

// signed opens the URLs that browsers get.
func (p *probe) signed(ctx context.Context) {
	f := Finding{Check: "presigned_url"}
	customer := len(p.reading()) > 0
	switch {
	case p.away:
		f.Status, f.Detail = FindingSkipped, "the external endpoint does not answer"
	case !p.fine("s3:GetObject"):
		f.Status, f.Detail = FindingSkipped, "s3:GetObject has to be allowed first"
	case customer:
		f.Status, f.Detail = FindingSkipped, "objects with a key of the app's have no URLs"
	}
	if f.Status != "" {
		p.found(f)
		return
	}
	link, err := p.bucket.URL(ctx, p.key, URLOptions{Expiry: time.Minute, Window: NoWindow})
	if err != nil {
		p.found(failure(f, err))
		return
	}
	host := hostOf(link)
	status, err := p.anonymously(ctx, &f, link)
	switch {
	case err != nil:
	case status == http.StatusOK || (!p.there && status == http.StatusNotFound):
		f.Status, f.Detail = FindingOK, "accepted at "+host
	default:
		f.Status, f.Detail = FindingFailed, fmt.Sprintf("%s answers a presigned URL with status %d", host, status)
		f.Advice = "a proxy before the storage must pass the Host header, the path and the query as they come; see whether MINIO_EXTERNAL_ENDPOINT is the name that browsers use"
	}
	p.found(f)
	if p.bucket.public && p.there && p.store.config.ExternalEndpoint != "" {
		p.publicURL(ctx)
	}
}

func (p *probe) publicURL(ctx context.Context) {
	f := Finding{Check: "public_access"}
	address, err := p.bucket.publicURL(ctx, p.key, URLOptions{})
	if err != nil {
		p.found(failure(f, err))
		return
	}
	status, err := p.anonymously(ctx, &f, address)
	switch {
	case err != nil:
	case status == http.StatusOK:
		f.Status, f.Detail = FindingOK, "its URL at "+hostOf(address)+" shows the object"
	default:
		f.Status, f.Detail = FindingFailed, fmt.Sprintf("its URL at %s is answered with status %d", hostOf(address), status)
		f.Advice = "see whether the external endpoint leads to this storage, with the bucket as the first part of the path"
	}
	p.found(f)
}

// supports finds out what the server is able to do, with an object at hand.
func (p *probe) supports(ctx context.Context) []Finding {
	var all []Finding
	note := func(name string, status FindingStatus, detail, advice string, began time.Time) {
		all = append(all, Finding{Check: "feature", Status: status, Detail: name + ": " + detail, Advice: advice, Took: Milliseconds(time.Since(began))})
	}
	began := time.Now()
	header := p.writing()
	header.Set("If-None-Match", "*")
	switch _, err := p.send(ctx, bucketRequest{method: http.MethodPut, header: header, body: []byte(probeText)}); {
	case isPrecondition(err):
		note("conditional writes", FindingOK, "a taken name is not overwritten", "", began)
	case err == nil:
		note("conditional writes", FindingFailed, "the server overwrites what must not be", "use random names alone (RandomName), or a server that honours If-None-Match", began)
	default:
		note("conditional writes", FindingFailed, "refused: "+failure(Finding{}, err).Detail, "use a server that honours If-None-Match", began)
	}
	began = time.Now()
	header = p.writing()
	header.Set("X-Amz-Checksum-Crc32c", "AAAAAA==") // not this text's
	switch _, err := p.send(ctx, bucketRequest{method: http.MethodPut, header: header, body: []byte(probeText)}); {
	case err == nil:
		note("checksums", FindingWarning, "the server takes content whose checksum is wrong", "over plain HTTP nothing then guards content on its way: use HTTPS", began)
	case notImplemented(err):
		note("checksums", FindingFailed, "the server refuses checksum headers", "set Options.Checksum of the fields to ChecksumNone", began)
	default:
		note("checksums", FindingOK, "damaged content is refused", "", began)
	}
	for _, s := range []struct{ setting, name string }{
		{"policy", "bucket policies"},
		{"versioning", "versions"},
		{"object-lock", "object lock"},
		{"encryption", "default encryption"},
		{"cors", "CORS"},
		{"lifecycle", "lifecycle"},
		{"tagging", "bucket tags"},
	} {
		began := time.Now()
		answer, err := p.bucket.ask(ctx, "read "+s.setting, bucketRequest{method: http.MethodGet, query: setting(s.setting)})
		switch {
		case KindOf(err) == ErrDenied:
			note(s.name, FindingSkipped, "the credentials may not ask", "", began)
		case notImplemented(err), s.setting == "cors" && err != nil && lacksCORS(answer.header.Get("Server")):
			note(s.name, FindingSkipped, "this server has none", "", began)
		case err == nil || codeOf(err) != "" && KindOf(err) != ErrUnavailable:
			note(s.name, FindingOK, "known to the server", "", began)
		default:
			note(s.name, FindingSkipped, "no answer", "", began)
		}
	}
	return all
}

// cleanUp takes away what the probe has written.
func (p *probe) cleanUp(ctx context.Context) {
	ctx, cancel := p.store.afterwards(ctx, nil)
	defer cancel()
	var errs []error
	for _, id := range p.uploads {
		_, err := p.send(ctx, bucketRequest{method: http.MethodDelete, query: url.Values{"uploadId": {id}}})
		errs = append(errs, err)
	}
	versions := p.versions
	for _, version := range versions {
		_, err := p.send(ctx, bucketRequest{method: http.MethodDelete, query: url.Values{"versionId": {version}}})
		errs = append(errs, err)
	}
	if p.written && len(versions) == 0 {
		_, err := p.send(ctx, bucketRequest{method: http.MethodDelete})
		errs = append(errs, err)
		for _, mark := range p.versions { // versions were turned on by hand
			_, err := p.send(ctx, bucketRequest{method: http.MethodDelete, query: url.Values{"versionId": {mark}}})
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		f := failure(Finding{Check: "clean_up"}, err)
		f.Status, f.Detail = FindingWarning, "what was written at "+p.key.s+" may still be there: "+f.Detail
		f.Advice = "remove it by hand, with all its versions"
		p.found(f)
	}
}
