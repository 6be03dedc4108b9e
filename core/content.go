package core

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/gabriel-vasile/mimetype"
)

// SniffLen is how many bytes at a file's start its type is told by. Give
// [DetectType] and [Accept.Match] that many, or the whole file where it is
// shorter: a JSON or CSV text that was cut earlier looks broken to them.
const SniffLen = 4096

const (
	typeBinary = "application/octet-stream"
	typeText   = "text/plain"
)

// DetectType returns the media type of the content that starts with head, in
// lower case and without parameters: "application/octet-stream" where nothing is
// recognised, "text/plain" for text of no known kind. No file name and no
// declared type is asked. At most [SniffLen] bytes are looked at.
//
// It errs on the side of caution with what browsers and servers run: text that
// starts with a tag of HTML, SVG, MathML or XML, with "<?php" or "#!", is of that
// type, also after a byte order mark, spaces or comments and in UTF-16. Content
// that is of two types at once is of the one its signature says: serve it with
// that very type and nosniff. An animated PNG is "image/png".
func DetectType(head []byte) string {
	head = head[:min(len(head), SniffLen)]
	typ := bareType(mimetype.Detect(head).String())
	switch typ {
	case "image/apng":
		return "image/png"
	case typeText:
		return textType(head)
	}
	return typ
}

// Accept lists the media types a field takes, separated by spaces or commas:
// "image/png application/pdf". "image/*" stands for a family, without its types
// that browsers run (SVG, HTML, XML, scripts), which must be named. "" and "*/*"
// take everything. Lists are joined as strings: core.Images + " image/tiff".
type Accept string

// Lists for common fields. They name what current browsers show and play, and
// what office programs write; SVG is in none of them, as it can hold scripts.
const (
	Images    Accept = "image/png image/jpeg image/gif image/webp"
	Documents Accept = "application/pdf text/plain text/csv text/markdown text/rtf application/epub+zip " +
		"application/msword application/vnd.ms-excel application/vnd.ms-powerpoint " +
		"application/vnd.openxmlformats-officedocument.wordprocessingml.document " +
		"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet " +
		"application/vnd.openxmlformats-officedocument.presentationml.presentation " +
		"application/vnd.oasis.opendocument.text application/vnd.oasis.opendocument.spreadsheet " +
		"application/vnd.oasis.opendocument.presentation"
	Audio Accept = "audio/mpeg audio/mp4 audio/x-m4a audio/aac audio/ogg audio/flac audio/wav audio/aiff audio/amr audio/midi"
	Video Accept = "video/mp4 video/x-m4v video/webm video/ogg video/quicktime video/matroska video/mpeg " +
		"video/x-msvideo video/3gpp video/3gpp2"
)

// Match tells whether a takes the file that starts with head, and the type to
// store it with. The content decides, by [DetectType]; a type a client declared
// is not asked for. Entries may be common aliases ("image/jpg").
//
// The file's name counts in one case only: it tells apart kinds of text that
// have no signature, such as CSS, Markdown or a one-column CSV. Where
// "text/plain" is listed, harmless kinds of text (CSV, JSON, calendars,
// subtitles, …) are taken as text/plain too; HTML, XML and scripts are not.
func (a Accept) Match(head []byte, name string) (typ string, ok bool) {
	return a.read().match(head, name)
}

// accepted is an Accept that has been read. The zero value takes everything.
type accepted struct {
	Accept

	types    []string // as they are listed, and under the names that DetectType has
	families []string // with their slash
	some     bool     // not everything
}

func (a Accept) read() accepted {
	entries := a.entries()
	read := accepted{Accept: a, some: len(entries) > 0}
	for _, entry := range entries {
		family, ok := strings.CutSuffix(entry, "*")
		switch {
		case entry == "*", entry == "*/*":
			read.some = false
		case !ok:
			read.types = append(read.types, entry, canonicalType(entry))
		case strings.HasSuffix(family, "/"):
			read.families = append(read.families, family)
		}
	}
	return read
}

func (a accepted) match(head []byte, name string) (typ string, ok bool) {
	typ = DetectType(head)
	byName := textTypeByName(name)
	if typ == typeText && byName != "" && a.takes(byName) {
		return byName, true
	}
	if a.takes(typ) {
		return typ, true
	}
	if !harmlessText(typ) {
		return typ, false
	}
	if byName != "" && a.takes(byName) {
		return byName, true
	}
	if a.takes(typeText) {
		return typeText, true
	}
	return typ, false
}

// Faults says what is wrong with the list's entries, a sentence each: one that
// is not a media type or family, and one that no content is ever found to be, so
// that listing it would accept nothing.
func (a Accept) Faults() []string {
	var faults []string
	for _, entry := range a.entries() {
		family, subtype, _ := strings.Cut(entry, "/")
		switch {
		case strings.HasPrefix(entry, "."):
			faults = append(faults, fmt.Sprintf("%q is an extension: list the media type, such as application/pdf", entry))
		case entry != "*" && entry != "*/*" && (!isToken(family) || family == "*" || subtype != "*" && !isToken(subtype)):
			faults = append(faults, fmt.Sprintf("%q is not a media type such as image/png or a family such as image/*", entry))
		case strings.Contains(entry, "*"):
		case mimetype.Lookup(canonicalType(entry)) == nil && textExtension(entry) == "":
			faults = append(faults, fmt.Sprintf("%q is a type that content is never detected as: it would accept nothing", entry))
		}
	}
	return faults
}

// entries splits the list. Its entries are in lower case.
func (a Accept) entries() []string {
	return strings.FieldsFunc(strings.ToLower(string(a)), func(r rune) bool {
		return r == ',' || r == ' ' || r == '\t' || r == '\n' || r == '\r'
	})
}

// takes tells whether typ is on the list.
func (a accepted) takes(typ string) bool {
	ofFamily := func(family string) bool { return strings.HasPrefix(typ, family) }
	return !a.some || slices.Contains(a.types, typ) || slices.ContainsFunc(a.families, ofFamily) && !browsersRun(typ)
}

// InlineType tells whether a file of the type may be shown in a browser rather
// than saved: images that hold no scripts, PDF, and what audio and video players
// need. Parameters are ignored. Any other type, text/plain included, belongs in
// an attachment.
func InlineType(typ string) bool {
	switch bareType(typ) {
	case "image/png", "image/apng", "image/gif", "image/jpeg", "image/webp", "image/avif", "image/tiff",
		"image/bmp", "image/x-icon", "image/vnd.microsoft.icon",
		"application/pdf",
		"audio/mpeg", "audio/mp4", "audio/x-m4a", "audio/aac", "audio/ogg", "audio/flac", "audio/wav", "audio/webm",
		"video/mp4", "video/x-m4v", "video/webm", "video/ogg", "video/quicktime":
		return true
	}
	return false
}

// InlineTypeByName returns the type that a file of that name would have if it may
// be shown in a browser (see InlineType), or "": for a file of which only the name
// is known. A name proves nothing, but such a type has nothing run.
func InlineTypeByName(name string) string {
	_, ext := SplitExt(name)
	switch strings.ToLower(ext) {
	case ".png", ".gif", ".jpeg", ".webp", ".avif", ".bmp", ".tiff":
		return "image/" + strings.ToLower(ext[1:])
	case ".jpg":
		return "image/jpeg"
	case ".tif":
		return "image/tiff"
	case ".ico":
		return "image/x-icon"
	case ".pdf":
		return "application/pdf"
	case ".mp3":
		return "audio/mpeg"
	case ".m4a":
		return "audio/mp4"
	case ".flac", ".wav", ".aac":
		return "audio/" + strings.ToLower(ext[1:])
	case ".mp4", ".webm":
		return "video/" + strings.ToLower(ext[1:])
	case ".mov":
		return "video/quicktime"
	}
	return ""
}

// SafeServeType returns the media type to send a file of type typ with: typ
// itself, in lower case and without parameters, or "application/octet-stream"
// where a browser might run what typ says (HTML, SVG, XML of any kind, scripts,
// PostScript, Flash, cache manifests, …) or typ is not a media type at all. Text
// comes without a charset, which is the caller's to add. Send nosniff with it.
func SafeServeType(typ string) string {
	typ = bareType(typ)
	family, subtype, _ := strings.Cut(typ, "/")
	if len(typ) > 127 || !isToken(family) || !isToken(subtype) || browsersRun(typ) {
		return typeBinary
	}
	return typ
}

// SafeExtension returns the extension, dot included and in lower case, that a
// stored file of type typ should have, or "". For a type with a signature it is
// the type's own, whatever name says: a PNG is ".png". For types that say little
// (unknown bytes, plain text, ZIP) it is name's last extension, where that is
// short, plain, not the mark of a type that content would have shown, and not
// dangerous. ".tar.gz" and its like are kept on archives of that compression.
//
// Extensions that browsers, servers or desktops run (.html, .svg, .js, .php,
// .exe, …) are never returned.
func SafeExtension(typ, name string) string {
	typ = bareType(typ)
	own := typeExtension(typ)
	_, ext := SplitExt(name)
	ext = strings.ToLower(ext)
	if tarred, ok := strings.CutPrefix(ext, ".tar"); ok && tarred != "" {
		if tarred == own {
			return ext
		}
		ext = tarred
	}
	switch typ {
	case "application/gzip":
		if ext == ".tgz" {
			return ext
		}
	case typeBinary, typeText, "application/zip", "application/x-ole-storage", "":
		if plainExtension(ext) && !dangerousExtension(ext) && !signedExtension(ext) {
			return ext
		}
	}
	if dangerousExtension(own) {
		return ""
	}
	return own
}

// bareType returns typ in lower case, without parameters and outer spaces.
func bareType(typ string) string {
	typ, _, _ = strings.Cut(typ, ";")
	return strings.ToLower(strings.TrimSpace(typ))
}

// isToken tells whether s is a token as RFC 9110 has it, without "*".
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r >= 0x80 || !unreserved(byte(r)) && !strings.ContainsRune("!#$%&'+^`|", r)
	})
}

// canonicalType returns the name under which DetectType knows typ.
func canonicalType(typ string) string {
	typ = unaliased(typ)
	if known := lookUp(typ); known != nil {
		return bareType(known.String())
	}
	return typ
}

// unaliased returns the usual name of a type.
func unaliased(typ string) string {
	switch typ {
	case "image/jpg", "image/pjpeg":
		return "image/jpeg"
	case "image/apng", "image/vnd.mozilla.apng", "image/x-png":
		return "image/png"
	case "image/vnd.microsoft.icon":
		return "image/x-icon"
	case "application/ndjson", "application/jsonl":
		return "application/x-ndjson"
	}
	return typ
}

// lookUp returns what is known of typ, or nil. Most content that nothing is known of
// is of the same type, which is in no need of a search.
func lookUp(typ string) *mimetype.MIME {
	if typ == typeBinary {
		return nil
	}
	return mimetype.Lookup(typ)
}

// textType tells what text without a signature starts like.
func textType(head []byte) string {
	head = narrow(head)
	for {
		head = bytes.TrimLeft(head, " \t\r\n\f\v\x00")
		if !bytes.HasPrefix(head, []byte("<!--")) {
			break
		}
		_, after, closed := bytes.Cut(head, []byte("-->"))
		if !closed {
			return "text/html"
		}
		head = after
	}
	start := strings.ToLower(string(head[:min(len(head), 512)]))
	switch {
	case strings.HasPrefix(start, "<?php"), strings.HasPrefix(start, "<?="):
		return "text/x-php"
	case strings.HasPrefix(start, "<?xml"):
		return "text/xml"
	case strings.HasPrefix(start, "#!"):
		return "text/x-shellscript"
	case strings.HasPrefix(start, "%!ps"):
		return "application/postscript"
	case strings.HasPrefix(start, "cache manifest"):
		return "text/cache-manifest"
	case strings.HasPrefix(start, "<"):
		return markupType(start)
	}
	return typeText
}

// markupType tells what text that starts with "<" is; start is in lower case.
func markupType(start string) string {
	if kind, ok := strings.CutPrefix(start, "<!doctype"); ok {
		if strings.HasPrefix(strings.TrimSpace(kind), "svg") {
			return "image/svg+xml"
		}
		return "text/html"
	}
	tag, _, _ := strings.Cut(start, ">")
	name := tag[1:]
	if i := strings.IndexAny(name, " \t\r\n\f/"); i >= 0 {
		name = name[:i]
	}
	_, local, prefixed := strings.Cut(name, ":")
	if !prefixed {
		local = name
	}
	switch {
	case local == "svg":
		return "image/svg+xml"
	case local == "math":
		return "application/mathml+xml"
	case htmlTag(name):
		return "text/html"
	case strings.Contains(tag, "xmlns"):
		return "text/xml"
	}
	return typeText
}

// htmlTag tells whether name is an HTML element that can start a page which runs
// scripts or loads others.
func htmlTag(name string) bool {
	switch name {
	case "html", "head", "body", "title", "meta", "link", "base", "script", "style", "noscript", "template",
		"iframe", "frame", "frameset", "object", "embed", "applet", "img", "image", "video", "audio", "source",
		"form", "input", "button", "select", "textarea", "keygen", "isindex", "details", "dialog", "marquee",
		"a", "abbr", "article", "aside", "b", "big", "blink", "blockquote", "br", "canvas", "center", "code",
		"div", "dl", "em", "fieldset", "figure", "font", "footer", "h1", "h2", "h3", "h4", "h5", "h6", "header",
		"hr", "i", "li", "main", "map", "nav", "ol", "p", "picture", "pre", "section", "small", "span", "strong",
		"table", "tbody", "td", "tr", "tt", "u", "ul", "xmp", "xss", "plaintext":
		return true
	}
	return false
}

// narrow returns UTF-16 text as its Latin characters, and UTF-8 text without its
// byte order mark: enough to see a tag.
func narrow(head []byte) []byte {
	switch {
	case bytes.HasPrefix(head, []byte("\xEF\xBB\xBF")):
		return head[3:]
	case bytes.HasPrefix(head, []byte("\xFF\xFE")), bytes.HasPrefix(head, []byte("\xFE\xFF")):
		return bytes.ReplaceAll(head[2:], []byte{0}, nil)
	}
	return head
}

// harmlessText tells whether typ is a kind of text that stays harmless when it
// is stored and served as text/plain.
func harmlessText(typ string) bool {
	switch typ {
	case typeText, "text/csv", "text/tab-separated-values", "text/vtt", "text/vcard", "text/calendar",
		"text/vnd.familysearch.gedcom", "text/css", "text/markdown",
		"application/json", "application/geo+json", "application/x-ndjson", "application/x-subrip",
		"application/vnd.cyclonedx+json", "model/gltf+json", "message/rfc822":
		return true
	}
	return false
}

// textTypeByName returns the type of text that has no sure signature but a
// well-known extension, or "". The machine's own tables are not asked: they
// differ from one machine to the next.
func textTypeByName(name string) string {
	_, ext := SplitExt(name)
	switch strings.ToLower(ext) {
	case ".css":
		return "text/css"
	case ".md", ".markdown":
		return "text/markdown"
	case ".csv":
		return "text/csv"
	case ".tsv":
		return "text/tab-separated-values"
	case ".yaml", ".yml":
		return "application/yaml"
	case ".toml":
		return "application/toml"
	case ".ics":
		return "text/calendar"
	case ".vcf":
		return "text/vcard"
	case ".vtt":
		return "text/vtt"
	case ".srt":
		return "application/x-subrip"
	case ".ndjson", ".jsonl":
		return "application/x-ndjson"
	}
	return ""
}

// textExtension returns the extension of a type that textTypeByName alone knows.
func textExtension(typ string) string {
	switch typ {
	case "text/css":
		return ".css"
	case "text/markdown":
		return ".md"
	case "application/yaml":
		return ".yaml"
	case "application/toml":
		return ".toml"
	}
	return ""
}

// typeExtension returns the usual extension of typ, or "".
func typeExtension(typ string) string {
	switch typ {
	case "audio/mp4":
		return ".m4a"
	case "":
		return ""
	}
	if known := lookUp(unaliased(typ)); known != nil {
		return known.Extension()
	}
	return textExtension(typ)
}

// plainExtension tells whether ext is a dot and 1 to 10 of a-z and 0-9.
func plainExtension(ext string) bool {
	if len(ext) < 2 || len(ext) > 11 || ext[0] != '.' {
		return false
	}
	for _, c := range []byte(ext[1:]) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// signedExtension tells whether ext belongs to a type that content would have
// shown. Content that did not is something else under a false name.
func signedExtension(ext string) bool {
	switch ext {
	case ".jpg", ".jpeg", ".png", ".gif", ".webp", ".avif", ".heic", ".bmp", ".tif", ".tiff", ".ico", ".pdf",
		".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi", ".m4a", ".ogg", ".flac", ".wav",
		".gz", ".bz2", ".xz", ".zst", ".7z", ".rar":
		return true
	}
	return false
}

// serverExtension returns the first extension in name by which web servers run
// files as programs, or "". Servers look at inner extensions too.
func serverExtension(name string) string {
	parts := strings.Split(strings.ToLower(name), ".")
	for i, part := range parts[1:] {
		ext := "." + part
		// "pl" in the middle of a name is Poland far more often than Perl.
		if runsOnServer(ext) && (ext != ".pl" || i == len(parts)-2) {
			return ext
		}
	}
	return ""
}

func runsOnServer(ext string) bool {
	switch ext {
	case ".phtml", ".phtm", ".pht", ".phps", ".phar", ".shtml", ".shtm", ".stm", ".htaccess", ".htpasswd",
		".cgi", ".fcgi", ".pl", ".asp", ".aspx", ".asa", ".asax", ".ascx", ".ashx", ".asmx",
		".jsp", ".jspx", ".jspf", ".jsw", ".jsv", ".cfm", ".cfml", ".cfc":
		return true
	}
	version, php := strings.CutPrefix(ext, ".php")
	return php && strings.Trim(version, "0123456789") == ""
}

// dangerousExtension tells whether browsers, servers or desktops run files of
// the extension.
func dangerousExtension(ext string) bool {
	switch ext {
	case ".html", ".htm", ".xhtml", ".xht", ".mhtml", ".mht", ".hta", ".htc", ".svg", ".svgz", ".xml", ".xsl",
		".xslt", ".xsd", ".rdf", ".rss", ".atom", ".mathml", ".mml", ".swf", ".ps", ".eps", ".appcache", ".manifest",
		".js", ".mjs", ".cjs", ".jse", ".vbs", ".vbe", ".wsf", ".wsh", ".wasm",
		".exe", ".dll", ".com", ".scr", ".pif", ".cpl", ".msi", ".msp", ".bat", ".cmd", ".ps1", ".psm1", ".reg",
		".lnk", ".url", ".inf", ".sys", ".jar", ".class", ".jnlp",
		".sh", ".bash", ".zsh", ".csh", ".ksh", ".command", ".desktop", ".so", ".macho", ".py", ".pyc", ".rb",
		".lua", ".tcl", ".chm", ".hlp", ".crx", ".xpi", ".config", ".ini":
		return true
	}
	return runsOnServer(ext)
}

// browsersRun tells whether a browser shown content of the type on an app's
// origin would run scripts in it, or take orders from it.
func browsersRun(typ string) bool {
	if strings.HasSuffix(typ, "+xml") || strings.HasSuffix(typ, "/xml") || strings.HasSuffix(typ, "script") ||
		strings.HasPrefix(typ, "multipart/") || strings.HasPrefix(typ, "message/") {
		return true
	}
	switch typ {
	case "text/html", "text/xsl", "text/x-component", "text/x-server-parsed-html", "text/cache-manifest",
		"text/x-php", "application/x-php", "application/x-httpd-php", "application/x-mimearchive",
		"application/hta", "application/postscript", "application/x-shockwave-flash", "application/java-archive",
		"application/x-java-applet", "application/wasm", "application/vnd.ms-htmlhelp",
		"text/javascript1.0", "text/javascript1.1", "text/javascript1.2", "text/javascript1.3",
		"text/javascript1.4", "text/javascript1.5":
		return true
	}
	return false
}
