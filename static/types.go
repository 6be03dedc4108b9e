package static

import (
	"path"
	"strings"
	"unicode/utf8"
)

// typeOf returns the Content-Type of a file of the name, without a charset, and
// whether it is text, which is worth compressing.
func (c Config) typeOf(name string) (typ string, text bool) {
	ext := strings.ToLower(path.Ext(name))
	typ = c.Types[ext]
	if typ == "" {
		typ = webType(ext)
	}
	switch bare, _, _ := strings.Cut(typ, ";"); bare {
	case "application/json", "application/manifest+json", "application/ld+json", "application/xml", "application/rss+xml",
		"application/atom+xml", "application/javascript", "image/svg+xml", "application/wasm",
		"font/ttf", "font/otf", "application/vnd.ms-fontobject", "image/x-icon", "model/gltf+json":
		return typ, true
	default:
		return typ, strings.HasPrefix(bare, "text/")
	}
}

// withCharset says that a text is UTF-8, where it is.
func withCharset(typ string, content *utf8Check) string {
	if !content.valid() || strings.Contains(typ, ";") || !strings.HasPrefix(typ, "text/") {
		return typ
	}
	return typ + "; charset=utf-8"
}

// utf8Check tells whether what is written to it is UTF-8.
type utf8Check struct {
	rest  []byte // the start of a character
	wrong bool
}

func (u *utf8Check) Write(p []byte) (int, error) {
	n := len(p)
	if u.wrong {
		return n, nil
	}
	if len(u.rest) > 0 {
		p = append(u.rest, p...)
		u.rest = nil
	}
	whole := len(p)
	for back := 1; back <= min(utf8.UTFMax-1, len(p)); back++ {
		if utf8.RuneStart(p[len(p)-back]) {
			if !utf8.FullRune(p[len(p)-back:]) {
				whole = len(p) - back
			}
			break
		}
	}
	u.wrong = !utf8.Valid(p[:whole])
	u.rest = append([]byte(nil), p[whole:]...)
	return n, nil
}

func (u *utf8Check) valid() bool { return !u.wrong && len(u.rest) == 0 }

// webType returns the type of an extension: IANA's, as browsers want it.
func webType(ext string) string {
	switch ext {
	case ".css":
		return "text/css"
	case ".js", ".mjs", ".cjs":
		return "text/javascript" // RFC 9239
	case ".html", ".htm":
		return "text/html"
	case ".txt":
		return "text/plain"
	case ".md":
		return "text/markdown"
	case ".csv":
		return "text/csv"
	case ".vtt":
		return "text/vtt"
	case ".ics":
		return "text/calendar"
	case ".json", ".map":
		return "application/json"
	case ".jsonld":
		return "application/ld+json"
	case ".webmanifest":
		return "application/manifest+json"
	case ".xml":
		return "application/xml"
	case ".rss":
		return "application/rss+xml"
	case ".atom":
		return "application/atom+xml"
	case ".wasm":
		return "application/wasm"
	case ".pdf":
		return "application/pdf"
	case ".zip":
		return "application/zip"
	case ".gz":
		return "application/gzip"
	}
	return mediaType(ext)
}

// mediaType returns the type of images, fonts, sounds and films.
func mediaType(ext string) string {
	switch ext {
	case ".svg":
		return "image/svg+xml"
	case ".png":
		return "image/png"
	case ".apng":
		return "image/apng"
	case ".jpg", ".jpeg":
		return "image/jpeg"
	case ".gif":
		return "image/gif"
	case ".webp":
		return "image/webp"
	case ".avif":
		return "image/avif"
	case ".ico", ".cur":
		return "image/x-icon"
	case ".bmp":
		return "image/bmp"
	case ".woff2":
		return "font/woff2"
	case ".woff":
		return "font/woff"
	case ".ttf":
		return "font/ttf"
	case ".otf":
		return "font/otf"
	case ".eot":
		return "application/vnd.ms-fontobject"
	case ".mp3":
		return "audio/mpeg"
	case ".m4a":
		return "audio/mp4"
	case ".ogg", ".oga", ".opus":
		return "audio/ogg"
	case ".flac":
		return "audio/flac"
	case ".wav":
		return "audio/wav"
	case ".mp4", ".m4v":
		return "video/mp4"
	case ".webm":
		return "video/webm"
	case ".ogv":
		return "video/ogg"
	case ".gltf":
		return "model/gltf+json"
	case ".glb":
		return "model/gltf-binary"
	}
	return "application/octet-stream"
}
