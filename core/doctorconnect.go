package core

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

const (
	// certificateNotice is how long before its end a certificate is worth a warning.
	certificateNotice = 21 * 24 * time.Hour
	// Signatures are refused where clocks differ by 15 minutes.
	clockNotice, clockLimit = 2 * time.Minute, 15 * time.Minute
)

// contact is what was learned while a connection was made.
type contact struct {
	mu        sync.Mutex
	addresses []string
	dns       time.Duration
	connected bool
	tls       *tls.ConnectionState
	handshake time.Duration
}

// trace notes what happens. The transport may go on after a request has ended.
func (c *contact) trace(ctx context.Context) context.Context {
	var asked, shaking time.Time
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSStart: func(httptrace.DNSStartInfo) { c.mu.Lock(); defer c.mu.Unlock(); asked = time.Now() },
		DNSDone: func(i httptrace.DNSDoneInfo) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.dns = time.Since(asked)
			for _, a := range i.Addrs {
				c.addresses = append(c.addresses, a.String())
			}
		},
		GotConn:           func(httptrace.GotConnInfo) { c.mu.Lock(); defer c.mu.Unlock(); c.connected = true },
		TLSHandshakeStart: func() { c.mu.Lock(); defer c.mu.Unlock(); shaking = time.Now() },
		TLSHandshakeDone: func(state tls.ConnectionState, err error) {
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.handshake = time.Since(shaking); err == nil {
				c.tls = &state
			}
		},
	})
}

// reply is an answer without its connection, and with the beginning of its body.
type reply struct {
	status int
	header http.Header
	body   string
}

// stranger makes a request without credentials, on a connection of its own.
func (s *Store) stranger(ctx context.Context, method, target string, header http.Header) (reply, error) {
	var out reply
	err := s.request(ctx, Error{Op: "diagnose"}, s.patience(), func(ctx context.Context, _ *watchdog) error {
		r, err := http.NewRequestWithContext(ctx, method, target, http.NoBody)
		if err != nil {
			return err
		}
		for name, values := range header {
			r.Header[name] = values
		}
		transport := s.transport
		if t, ok := transport.(*http.Transport); ok {
			t = t.Clone()
			t.DisableKeepAlives = true
			transport = t
		}
		client := http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		response, err := client.Do(r)
		var private *url.Error
		if errors.As(err, &private) {
			return private.Err // without the URL, which may be a signed one
		} else if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }()
		text, err := io.ReadAll(io.LimitReader(response.Body, 4*KiB))
		out = reply{response.StatusCode, response.Header, string(text)}
		return err
	})
	return out, err
}

// reach connects to an endpoint as the app or a browser would, and reports each
// part of the way there under its own name, the whole under check.
func (d *doctor) reach(ctx context.Context, check, base string) (answer reply, ok bool) {
	at, err := url.Parse(base)
	if err != nil {
		d.found(Finding{Check: check, Status: FindingFailed, Detail: "the endpoint is no address"})
		return reply{}, false
	}
	var c contact
	began := time.Now()
	answer, err = d.store.stranger(c.trace(ctx), http.MethodGet, base+"/", nil)
	took := Milliseconds(time.Since(began))
	c.mu.Lock()
	defer c.mu.Unlock()
	d.dns(at, &c, err)
	var unknown *net.DNSError
	if errors.As(err, &unknown) {
		return reply{}, false
	}
	plainAtTLS := err == nil && answer.status == http.StatusBadRequest && strings.Contains(answer.body, "HTTPS server")
	if !d.encrypted(at, &c, err, plainAtTLS) {
		return reply{}, false
	}
	if err != nil {
		f := Finding{
			Check: check, Status: FindingFailed, Took: took, Detail: "nothing answers at " + at.Host,
			Advice: "see whether the storage runs, listens on that port, and no firewall is in between",
		}
		if c.connected {
			f.Detail, f.Advice = at.Host+" takes the connection and gives no useful answer", "see whether the storage is overloaded, or a proxy in front of it is"
		}
		d.found(f)
		return reply{}, false
	}
	if answer.status >= http.StatusInternalServerError && answer.status != http.StatusNotImplemented {
		d.found(Finding{
			Check: check, Status: FindingFailed, Took: took, Detail: fmt.Sprintf("%s answers with status %d", at.Host, answer.status),
			Advice: "see whether the storage is starting, overloaded, or gone from behind its proxy",
		})
		return reply{}, false
	}
	d.found(Finding{Check: check, Status: FindingOK, Took: took, Detail: at.Scheme + "://" + at.Host + " answers"})
	return answer, true
}

func (d *doctor) dns(at *url.URL, c *contact, err error) {
	host := at.Hostname()
	f := Finding{Check: "dns", Took: Milliseconds(c.dns)}
	var unknown *net.DNSError
	switch {
	case net.ParseIP(host) != nil:
		return
	case errors.As(err, &unknown):
		f.Status, f.Detail = FindingFailed, "the name "+host+" has no address"
		f.Advice = "correct the endpoint, or the name server this machine asks; inside containers, use the service's name"
	case len(c.addresses) > 0:
		f.Status, f.Detail = FindingOK, host+" is "+strings.Join(c.addresses, ", ")
	default:
		f.Status, f.Detail = FindingSkipped, "the connection was made without asking for "+host+", as by a proxy"
	}
	d.found(f)
}

// encrypted looks at TLS, and says whether that stands in the way of nothing.
func (d *doctor) encrypted(at *url.URL, c *contact, err error, plainAtTLS bool) bool {
	f := Finding{Check: "tls", Took: Milliseconds(c.handshake)}
	switch secure := at.Scheme == "https"; {
	case plainAtTLS:
		f.Status, f.Detail, f.Advice = FindingFailed, at.Host+" speaks HTTPS, and is asked in plain HTTP", "turn UseHTTPS on (MINIO_USE_HTTPS, or MINIO_EXTERNAL_ENDPOINT_USE_HTTPS)"
	case !secure && err == nil && !isNear(at.Hostname(), c.addresses):
		f.Status, f.Detail = FindingWarning, "traffic to "+at.Host+" is not encrypted, and leaves the private network"
		f.Advice = "give the storage a certificate and turn UseHTTPS on"
	case !secure && err == nil && !staysHere(at.Hostname(), c.addresses):
		f.Status, f.Detail = FindingWarning, "traffic to "+at.Host+" is not encrypted: who is on that network can read files and signed requests, and change them"
		f.Advice = "give the storage a certificate and turn UseHTTPS on, unless all who are on the network may do that"
	case !secure:
		return true
	case isTLS(err):
		f.Status, f.Detail = FindingFailed, "no secure connection can be made to "+at.Host+": "+certificateFault(err)
		f.Advice = "set CAFile (MINIO_CA_FILE) to the authority's certificate, and see whether the name in the endpoint is the certificate's and UseHTTPS is right"
	case c.tls == nil || len(c.tls.PeerCertificates) == 0:
		if err != nil {
			return true // another finding says why
		}
		f.Status, f.Detail = FindingSkipped, "the transport does not tell of its certificates"
	default:
		ends := c.tls.PeerCertificates[0].NotAfter
		f.Status, f.Detail = FindingOK, fmt.Sprintf("%s, certificate until %s", tls.VersionName(c.tls.Version), ends.UTC().Format(time.DateOnly))
		if ends.Sub(d.store.config.Now()) < certificateNotice {
			f.Status, f.Advice = FindingWarning, "renew the certificate"
		}
	}
	d.found(f)
	return f.Status != FindingFailed
}

// certificateFault says what is wrong with a certificate, without more of the
// error than the library's own words for it.
func certificateFault(err error) string {
	var verification *tls.CertificateVerificationError
	if errors.As(err, &verification) {
		return verification.Err.Error()
	}
	if errors.Is(err, http.ErrSchemeMismatch) {
		return "the server speaks plain HTTP"
	}
	return "the other side does not speak TLS as expected"
}

// isNear says whether an endpoint is on this machine or a private network, as
// far as its addresses tell.
func isNear(host string, addresses []string) bool {
	if net.ParseIP(host) != nil {
		addresses = []string{host}
	}
	for _, a := range addresses {
		if ip := net.ParseIP(strings.SplitN(a, "%", 2)[0]); ip != nil && !ip.IsLoopback() && !ip.IsPrivate() && !ip.IsLinkLocalUnicast() {
			return false
		}
	}
	return true
}

// staysHere says whether traffic does not leave this machine, as far as the
// endpoint's name and addresses tell.
func staysHere(host string, addresses []string) bool {
	if len(addresses) == 0 {
		return isLoopback(host)
	}
	return !slices.ContainsFunc(addresses, func(address string) bool { return !isLoopback(address) })
}

// internal looks at the way to the storage, its clock and its name.
func (d *doctor) internal(ctx context.Context) bool {
	answer, ok := d.reach(ctx, "connection", d.store.internal.EndpointURL().Scheme+"://"+d.store.config.Endpoint)
	if !ok {
		return false
	}
	d.server = answer.header.Get("Server")
	d.clock(answer.header.Get("Date"))
	f := Finding{Check: "server", Status: FindingOK, Detail: "it calls itself " + d.server}
	switch {
	case answer.header.Get("X-Amz-Request-Id") == "" && answer.status != http.StatusForbidden:
		f.Status, f.Detail = FindingWarning, fmt.Sprintf("what answers (%q, status %d) does not look like S3", d.server, answer.status)
		f.Advice = "see whether the endpoint is the storage's S3 address, not its console or another server"
	case d.server == "":
		f.Detail = "it does not say what it is"
	}
	d.found(f)
	return true
}

func (d *doctor) clock(date string) {
	f := Finding{Check: "clock"}
	theirs, err := http.ParseTime(date)
	if err != nil {
		f.Status, f.Detail = FindingSkipped, "the storage does not tell its time"
		d.found(f)
		return
	}
	// The header's second has begun.
	off := theirs.Add(time.Second / 2).Sub(d.store.config.Now()).Round(time.Second)
	f.Status, f.Detail = FindingOK, "the storage's clock and this machine's agree"
	switch size := off.Abs(); {
	case off > 2*time.Second:
		f.Detail = fmt.Sprintf("the storage's clock is %s ahead of this machine's", size)
	case off < -2*time.Second:
		f.Detail = fmt.Sprintf("the storage's clock is %s behind this machine's", size)
	}
	if off.Abs() > clockNotice {
		f.Status, f.Advice = FindingWarning, "set both clocks by NTP"
	}
	if off.Abs() > clockLimit {
		f.Status = FindingFailed
		f.Advice += ": signatures are refused where they differ by more than 15 minutes"
	}
	d.found(f)
}

// credentials looks at keys and region, by a question that needs no permission:
// refusing the answer is answer enough.
func (d *doctor) credentials(ctx context.Context) bool {
	s := d.store
	began := time.Now()
	took := func() Milliseconds { return Milliseconds(time.Since(began)) }
	f := Finding{Check: "credentials", Status: FindingOK, Detail: "the storage knows them"}
	value, err := s.internal.GetCreds()
	if err != nil || value.SignerType == credentials.SignatureAnonymous {
		f.Status, f.Detail, f.Took = FindingFailed, "no credentials were found", took()
		f.Advice = "set MINIO_ACCESS_KEY and MINIO_SECRET_KEY, or see whether the credential chain finds any here"
		d.found(f)
		return false
	}
	err = d.knock(ctx)
	f.Took = took()
	var response minio.ErrorResponse
	region := Finding{Check: "region", Status: FindingOK, Detail: s.config.Region}
	switch kind := KindOf(err); {
	case errors.As(err, &response) && wrongRegion(response.Code):
		region.Status, region.Detail = FindingFailed, "signatures name "+s.config.Region+", which is not the storage's region"
		region.Advice = "set Region (MINIO_REGION)"
		if response.Region != "" {
			region.Advice += " to " + response.Region
		}
		f.Status, f.Detail = FindingSkipped, "the region has to be right first"
	case kind == ErrCredentials:
		f = failure(f, err)
	case kind == ErrClockSkew:
		f.Status, f.Detail = FindingSkipped, "the clocks have to be right first"
	case kind == ErrUnavailable || kind == ErrCanceled:
		f = failure(f, err)
	case !value.Expiration.IsZero():
		f.Detail = "the storage knows them; they are temporary"
	}
	if region.Status == FindingOK && f.Status != FindingOK {
		d.found(f)
		return false
	}
	d.found(f)
	d.found(region)
	return f.Status == FindingOK
}

// knock makes a signed request: about a bucket where there is one, since servers
// ask for no region in the list of buckets.
func (d *doctor) knock(ctx context.Context) error {
	s := d.store
	if buckets := s.Buckets(); len(buckets) > 0 {
		_, err := buckets[0].ask(ctx, "diagnose", bucketRequest{method: http.MethodGet, query: url.Values{"list-type": {"2"}, "max-keys": {"1"}}})
		return err
	}
	target := s.internal.EndpointURL()
	target.Path = "/"
	return s.retry(ctx, Error{Op: "diagnose"}, s.patience(), func(ctx context.Context, _ *watchdog, _ int) error {
		_, err := s.send(ctx, target, "", bucketRequest{method: http.MethodGet})
		return err
	})
}

// external looks at the way browsers take.
func (d *doctor) external(ctx context.Context) {
	s := d.store
	f := Finding{Check: "external"}
	switch {
	case s.config.ExternalEndpoint == "" && isLoopback(s.config.Endpoint):
		f.Status, f.Detail = FindingWarning, "URLs name "+s.config.Endpoint+", which is every browser's own machine"
		f.Advice = "set MINIO_EXTERNAL_ENDPOINT to the host under which browsers reach the storage; on a developer's machine all is well"
	case s.config.ExternalEndpoint == "":
		f.Status, f.Detail = FindingOK, "browsers use the same endpoint"
	default:
		scheme := "http://"
		if *s.config.ExternalUseHTTPS { // required with the endpoint
			scheme = "https://"
		}
		_, ok := d.reach(ctx, "external", scheme+s.config.ExternalEndpoint)
		d.away = !ok
		return
	}
	d.found(f)
}

// isLoopback says whether an endpoint, or a host, is this machine by its name.
// RFC 6761 keeps localhost and all below it for that.
func isLoopback(endpoint string) bool {
	host, _, err := net.SplitHostPort(endpoint)
	if err != nil {
		host = strings.Trim(endpoint, "[]")
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}
