package core

import (
	"archive/zip"
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/gabriel-vasile/mimetype"
)

// isoMedia returns the start of a file of the ISO base media format.
func isoMedia(brand string) string {
	return "\x00\x00\x00\x20ftyp" + brand + "\x00\x00\x00\x00" + brand + "mif1miaf"
}

// zipped returns a ZIP archive with the named entries.
func zipped(t testing.TB, names ...string) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range names {
		entry, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := entry.Write([]byte("<?xml version=\"1.0\"?>")); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func utf16(s string) string {
	b := []byte("\xff\xfe")
	for _, c := range []byte(s) {
		b = append(b, c, 0)
	}
	return string(b)
}

const (
	pngHead  = "\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89"
	jpegHead = "\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01"
	elfHead  = "\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00"
	xhtml    = `<?xml version="1.0"?><!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "x"><html xmlns="http://www.w3.org/1999/xhtml"><script/></html>`
)

func TestDetectType(t *testing.T) {
	t.Parallel()
	docx := zipped(t, "[Content_Types].xml", "_rels/.rels", "word/document.xml")
	for _, test := range []struct{ name, head, want string }{
		{"SVG with an XML declaration", `<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`, "image/svg+xml"},
		{"SVG without a declaration", `<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>`, "image/svg+xml"},
		{"SVG without a namespace", "<svg onload=alert(1)>", "image/svg+xml"},
		{"SVG in capitals", "<SVG ONLOAD=alert(1)>", "image/svg+xml"},
		{"SVG after a byte order mark and spaces", "\ufeff \n<svg onload=x>", "image/svg+xml"},
		{"SVG with a document type", `<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "x"><svg>`, "image/svg+xml"},
		{"SVG by a namespace prefix", `<s:svg xmlns:s="http://www.w3.org/2000/svg">`, "image/svg+xml"},
		{"SVG in UTF-16", utf16("<svg onload=x>"), "image/svg+xml"},
		{"XHTML", xhtml, "application/xhtml+xml"},
		{"XML without a declaration", `<x:script xmlns:x="http://www.w3.org/1999/xhtml">alert(1)</x:script>`, "text/xml"},
		{"MathML", `<math xmlns="http://www.w3.org/1998/Math/MathML">`, "application/mathml+xml"},
		{"a script after 600 spaces", strings.Repeat(" ", 600) + "<script>alert(1)</script>", "text/html"},
		{"a script after a comment", "<!-- a --> <!----><script>alert(1)</script>", "text/html"},
		{"a comment without end", "<!-- a", "text/html"},
		{"an image that runs a script", "<img src=x onerror=alert(1)>", "text/html"},
		{"HTML cut short", "<html", "text/html"},
		{"HTML in UTF-16", utf16("<script>alert(1)</script>"), "text/html"},
		{"an address is no tag", "<ann@example.com> wrote:\n", "text/plain"},
		{"a less-than sign is no tag", "< 5 apples", "text/plain"},
		{"PHP", "<?php echo 1;", "text/x-php"},
		{"PHP after a line end", "\n<?php echo 1;", "text/x-php"},
		{"PHP by its short tag", "<?= 1 ?>", "text/x-php"},
		{"a shell script", "#!/bin/sh\nls\n", "text/x-shellscript"},
		{"a script of any other program", "#! /opt/own/run\n", "text/x-shellscript"},
		{"PostScript", "%!PS-Adobe-3.0\n", "application/postscript"},
		{"a cache manifest", "CACHE MANIFEST\n# v1\n", "text/cache-manifest"},
		{"a program for Windows", "MZ\x90\x00\x03\x00\x00\x00\x04\x00", "application/vnd.microsoft.portable-executable"},
		{"the mark of a program for Windows", "MZ", "application/vnd.microsoft.portable-executable"},
		{"a program for Linux", elfHead, "application/x-executable"},
		{"a program for macOS", "\xcf\xfa\xed\xfe\x07\x00\x00\x01", "application/x-mach-binary"},
		{"a GIF that is SVG too", "GIF89a/*<svg onload=alert(1)>*/", "image/gif"},
		{"a PNG that is HTML too", "\x89PNG\r\n\x1a\n<html><script>", "image/png"},
		{"PNG", pngHead, "image/png"},
		{"animated PNG", pngHead + "\x00\x00\x00\x08acTL\x00\x00\x00\x01\x00\x00\x00\x00", "image/png"},
		{"JPEG", jpegHead, "image/jpeg"},
		{"WebP", "RIFF\x24\x00\x00\x00WEBPVP8 ", "image/webp"},
		{"AVIF", isoMedia("avif"), "image/avif"},
		{"HEIC", isoMedia("heic"), "image/heic"},
		{"ZIP", zipped(t, "a.txt"), "application/zip"},
		{"DOCX", docx, "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
		{"PDF", "%PDF-1.7\n", "application/pdf"},
		{"Flash", "CWS\x09xxxx", "application/x-shockwave-flash"},
		{"CSV", "a,b\n1,2\n3,4\n", "text/csv"},
		{"JSON", `{"a":1}`, "application/json"},
		{"JSON longer than what is looked at", `[` + strings.Repeat(`{"a":1},`, 2000), "application/json"},
		{"text", "hello\n", "text/plain"},
		{"text in UTF-16", utf16("hello"), "text/plain"},
		{"nothing", "", "text/plain"},
		{"one byte of text", "a", "text/plain"},
		{"one byte of no text", "\x01", "application/octet-stream"},
		{"unknown bytes", "\x01\x02\x03\x00\x05", "application/octet-stream"},
		{"text of 511 bytes", strings.Repeat("a", 511), "text/plain"},
		{"text of 513 bytes", strings.Repeat("a", 513), "text/plain"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := DetectType([]byte(test.head)); got != test.want {
				t.Errorf("DetectType(%.40q) = %s; want %s", test.head, got, test.want)
			}
		})
	}
}

func TestAcceptMatch(t *testing.T) {
	t.Parallel()
	const csv, text, json = "a,b\n1,2\n3,4\n", "plain words\n", `{"a":1}`
	docx := zipped(t, "[Content_Types].xml", "_rels/.rels", "word/document.xml")
	for _, test := range []struct {
		name   string
		accept Accept
		head   string
		file   string
		typ    string
		ok     bool
	}{
		{"an empty list takes anything", "", elfHead, "a.png", "application/x-executable", true},
		{"any family takes anything", "*/*", "<script>", "a", "text/html", true},
		{"a listed type", "image/png application/pdf", pngHead, "a.exe", "image/png", true},
		{"a list with commas and capitals", "Image/PNG,image/gif", pngHead, "", "image/png", true},
		{"an alias", "image/jpg", jpegHead, "a.jpg", "image/jpeg", true},
		{"an alias the detector knows", "application/x-zip-compressed", zipped(t, "a"), "a.zip", "application/zip", true},
		{"a family", "image/*", jpegHead, "", "image/jpeg", true},
		{"another family", "video/* audio/*", jpegHead, "", "image/jpeg", false},
		{"a type that is not listed", Images, "%PDF-1.7\n", "a.png", "application/pdf", false},
		{"a container is not its content", "application/zip", docx, "a.zip", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", false},
		{"HTML named as an image", Images, "<script>alert(1)</script>", "a.jpg", "text/html", false},
		{"a program for Windows named as an image", Images, "MZ\x90\x00\x03", "a.png", "application/vnd.microsoft.portable-executable", false},
		{"a program for Linux named as an image", "image/*", elfHead, "a.png", "application/x-executable", false},
		{"unknown bytes named as an image", "image/*", "\x01\x02\x03\x00", "a.png", "application/octet-stream", false},
		{"SVG is in no list of images", Images, "<svg onload=x>", "a.svg", "image/svg+xml", false},
		{"SVG is in no family", "image/*", "<svg onload=x>", "a.svg", "image/svg+xml", false},
		{"SVG where it is listed", "image/* image/svg+xml", "<svg onload=x>", "a.svg", "image/svg+xml", true},
		{"HTML is in no family", "text/*", "<script>", "a.txt", "text/html", false},
		{"a shell script is in no family", "text/*", "#!/bin/sh\n", "a.txt", "text/x-shellscript", false},
		{"text is in its family", "text/*", text, "a", "text/plain", true},
		{"text", "text/plain", text, "notes.txt", "text/plain", true},
		{"CSV is text", "text/plain", csv, "a.csv", "text/plain", true},
		{"JSON is text", "text/plain", json, "a.json", "text/plain", true},
		{"a calendar is text", "text/plain", "BEGIN:VCALENDAR\r\n", "a.ics", "text/plain", true},
		{"HTML is no text", "text/plain", "<!doctype html>", "a.txt", "text/html", false},
		{"SVG is no text", "text/plain", "<svg>", "a.txt", "image/svg+xml", false},
		{"XML is no text", "text/plain", "<?xml version='1.0'?><a/>", "a.txt", "text/xml", false},
		{"PHP is no text", "text/plain", "<?php", "a.txt", "text/x-php", false},
		{"Python is no text", "text/plain", "#!/usr/bin/env python\n", "a.txt", "text/x-python", false},
		{"a shell script is no text", "text/plain", "#!/bin/sh\n", "a.txt", "text/x-shellscript", false},
		{"unknown bytes are no text", "text/plain", "\x01\x02\x00", "a.txt", "application/octet-stream", false},
		{"CSS by its name", "text/css", "a { color: red }", "a.css", "text/css", true},
		{"CSS is what it is named where all is taken", "", "a { color: red }", "a.CSS", "text/css", true},
		{"CSS by another name", "text/css", "a { color: red }", "a.txt", "text/plain", false},
		{"Markdown by its name", Documents, "# Title\n\nwords", "README.md", "text/markdown", true},
		{"a one-column CSV by its name", "text/csv", "one\ntwo\n", "a.csv", "text/csv", true},
		{"CSV with semicolons by its name", "text/csv", "a;b\n1;2\n", "a.csv", "text/csv", true},
		{"tabs named CSV", "text/csv", "a\tb\n1\t2\n3\t4\n", "a.csv", "text/csv", true},
		{"YAML by its name", "application/yaml", "a: 1\n", "a.yml", "application/yaml", true},
		{"HTML named CSS", "text/css", "<script>", "a.css", "text/html", false},
		{"detected CSV stays CSV where both are listed", "text/plain text/csv", csv, "a.txt", "text/csv", true},
		{"a document", Documents, docx, "a.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", true},
		{"a list built of two", Images + " " + "image/tiff", "II*\x00\x08\x00\x00\x00", "a.tif", "image/tiff", true},
		{"sound", Audio, "ID3\x03\x00\x00\x00\x00\x01\x00", "a", "audio/mpeg", true},
		{"a film", Video, isoMedia("isom"), "a", "video/mp4", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			typ, ok := test.accept.Match([]byte(test.head), test.file)
			if typ != test.typ || ok != test.ok {
				t.Errorf("%q.Match(%.30q, %q) = %s, %t; want %s, %t", test.accept, test.head, test.file, typ, ok, test.typ, test.ok)
			}
		})
	}
}

func TestAcceptFaults(t *testing.T) {
	t.Parallel()
	for _, list := range []Accept{
		"", "*/*", "*", "image/*", "image/png", "image/jpg,IMAGE/PNG", "text/css text/markdown application/yaml application/toml",
		"application/x-zip-compressed", Images, Documents, Audio, Video, Images + " " + Documents,
	} {
		if faults := list.Faults(); len(faults) > 0 {
			t.Errorf("%q has the faults %q; want none", list, faults)
		}
	}
	for list, text := range map[Accept]string{
		"png":                      "not a media type",
		"image/":                   "not a media type",
		"/png":                     "not a media type",
		"*/png":                    "not a media type",
		"image/p*":                 "not a media type",
		"image/png/x":              "not a media type",
		"text/plain;charset=utf-8": "not a media type",
		"image/png\u00a0image/gif": "not a media type",
		".pdf":                     "is an extension",
		"image/jpgg":               "never detected",
	} {
		faults := list.Faults()
		if len(faults) != 1 || !strings.Contains(faults[0], text) {
			t.Errorf("%q has the faults %q; want one with %q", list, faults, text)
		}
	}
	if faults := Accept("png, image/png .gif").Faults(); len(faults) != 2 {
		t.Errorf("got %q; want a fault for each of two wrong entries", faults)
	}
}

func TestInlineType(t *testing.T) {
	t.Parallel()
	for _, typ := range []string{
		"image/png", "image/gif", "image/jpeg", "image/webp", "image/avif", "image/tiff", "image/bmp", "image/x-icon",
		"image/vnd.microsoft.icon", "application/pdf", "video/mp4", "video/webm", "audio/mpeg", "audio/wav", "Image/PNG; x=y",
	} {
		if !InlineType(typ) || SafeServeType(typ) == "application/octet-stream" {
			t.Errorf("%s: inline %t, served as %s; want it shown as what it is", typ, InlineType(typ), SafeServeType(typ))
		}
	}
	for _, typ := range append(runnableTypes(), "", "text/plain", "application/octet-stream", "application/zip", "text/css", "application/json") {
		if InlineType(typ) {
			t.Errorf("%q may be shown inline", typ)
		}
	}
}

func runnableTypes() []string {
	return []string{
		"text/html", "TEXT/HTML; charset=utf-7", "image/svg+xml", "application/postscript", "application/x-shockwave-flash",
		"text/xml", "application/xml", "application/xhtml+xml", "application/mathml+xml", "text/cache-manifest",
		"text/javascript", "application/javascript", "application/ecmascript", "text/x-php", "application/x-httpd-php",
		"application/rss+xml", "text/xsl", "text/vbscript", "multipart/x-mixed-replace", "message/rfc822", "text/x-shellscript",
	}
}

func TestSafeServeType(t *testing.T) {
	t.Parallel()
	const binary = "application/octet-stream"
	for _, typ := range append(runnableTypes(), "", "png", "image/", "image/png x", "text/plain\r\nX: y", "a/"+strings.Repeat("b", 10_000), "image/*") {
		if got := SafeServeType(typ); got != binary {
			t.Errorf("SafeServeType(%.40q) = %q; want %q", typ, got, binary)
		}
	}
	for typ, want := range map[string]string{
		"image/png":                 "image/png",
		` Image/PNG; charset=x"`:    "image/png",
		"text/plain; charset=utf-8": "text/plain",
		"application/vnd.openxmlformats-officedocument.wordprocessingml.document": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
	} {
		if got := SafeServeType(typ); got != want {
			t.Errorf("SafeServeType(%q) = %q; want %q", typ, got, want)
		}
	}
}

func TestSafeExtension(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ typ, name, want string }{
		{"image/jpeg", "a.jpeg", ".jpg"},
		{"image/jpeg", "a.png", ".jpg"},
		{"image/jpeg", "shell.php.jpg", ".jpg"},
		{"image/png", "", ".png"},
		{"application/pdf", "x.html", ".pdf"},
		{"application/vnd.openxmlformats-officedocument.wordprocessingml.document", "x", ".docx"},
		{"audio/mp4", "voice", ".m4a"},
		{"text/css", "a.css", ".css"},
		{"text/markdown", "README", ".md"},
		{"application/yaml", "a.yml", ".yaml"},
		{"text/plain", "a.csv", ".csv"},
		{"text/plain", "a.LOG", ".log"},
		{"text/plain", "a", ".txt"},
		{"text/plain", "a.html", ".txt"},
		{"text/plain", "a.php", ".txt"},
		{"text/plain", "a.php7", ".txt"},
		{"text/plain", "a.svg", ".txt"},
		{"text/plain", "a.png", ".txt"},
		{"text/plain", "a.js", ".txt"},
		{"text/plain", ".htaccess", ".txt"},
		{"text/plain", "a.htaccess", ".txt"},
		{"text/plain", "a.wörd", ".txt"},
		{"text/plain", "a.12345678901", ".txt"},
		{"text/plain", "web.config", ".txt"},
		{"text/plain; charset=utf-8", "a.md", ".md"},
		{"application/octet-stream", "a.dat", ".dat"},
		{"application/octet-stream", "a.exe", ""},
		{"application/octet-stream", "a.jpg", ""},
		{"application/octet-stream", "a.tar.gz", ""},
		{"application/octet-stream", "a", ""},
		{"", "a.dat", ".dat"},
		{"application/zip", "a.docx", ".docx"},
		{"application/zip", "a.jar", ".zip"},
		{"application/zip", "a", ".zip"},
		{"application/gzip", "a.tar.gz", ".tar.gz"},
		{"application/gzip", "a.TAR.GZ", ".tar.gz"},
		{"application/gzip", "a.tgz", ".tgz"},
		{"application/gzip", "a.svgz", ".gz"},
		{"application/gzip", "a.tar.xz", ".gz"},
		{"application/x-xz", "a.tar.xz", ".tar.xz"},
		{"application/x-bzip2", "a.tar.bz2", ".tar.bz2"},
		{"application/zstd", "a.tar.zst", ".tar.zst"},
		{"image/png", "a.tar.gz", ".png"},
		{"text/html", "a.html", ""},
		{"image/svg+xml", "a.svg", ""},
		{"text/x-php", "a.php", ""},
		{"text/xml", "a.xml", ""},
		{"application/vnd.microsoft.portable-executable", "a.png", ""},
		{"no such/type", "a.txt", ""},
	} {
		if got := SafeExtension(test.typ, test.name); got != test.want {
			t.Errorf("SafeExtension(%q, %q) = %q; want %q", test.typ, test.name, got, test.want)
		}
	}
}

func TestWhatIsShownInlineIsNeverRun(t *testing.T) {
	t.Parallel()
	for _, list := range []Accept{Images, Documents, Audio, Video} {
		for _, typ := range list.entries() {
			if browsersRun(typ) {
				t.Errorf("a list holds %s, which browsers run", typ)
			}
		}
	}
}

func FuzzDetectType(f *testing.F) {
	for _, seed := range []string{
		pngHead, jpegHead, elfHead, xhtml, "<svg", "<!--", "<!doctype svg", "<?xml", "#!", "\xff\xfe<\x00", "<", "<a:b xmlns", "{}", "a,b\n1,2\n",
		isoMedia("avif"), "GIF89a", "II*\x00", "RIFF\x24\x00\x00\x00WEBPVP8 ", strings.Repeat(" ", 600) + "<script>",
	} {
		f.Add([]byte(seed), "a.csv")
	}
	f.Fuzz(func(t *testing.T, head []byte, name string) {
		before := slices.Clone(head)
		typ := DetectType(head)
		family, subtype, _ := strings.Cut(typ, "/")
		if !isToken(family) || !isToken(subtype) || typ != strings.ToLower(typ) {
			t.Fatalf("DetectType(%q) = %q", head, typ)
		}
		for _, accept := range []Accept{"", Images, "text/plain", "text/* image/*", Documents} {
			matched, ok := accept.Match(head, name)
			if ok && accept != "" && browsersRun(matched) {
				t.Fatalf("%q takes %q as %s", accept, head, matched)
			}
			if ok && browsersRun(typ) && !browsersRun(matched) && typ != "message/rfc822" {
				t.Fatalf("%q of type %s passes as %s", head, typ, matched)
			}
			if !ok && matched != typ {
				t.Fatalf("refused as %s, detected as %s", matched, typ)
			}
		}
		if !bytes.Equal(before, head) {
			t.Fatal("the content was changed")
		}
	})
}

func FuzzSafeExtension(f *testing.F) {
	f.Add("text/plain", "a.php")
	f.Add("application/gzip", "a.tar.gz")
	f.Add("", ".htaccess")
	f.Add("image/svg+xml", "a/b.c")
	f.Fuzz(func(t *testing.T, typ, name string) {
		ext := SafeExtension(typ, name)
		if ext == "" {
			return
		}
		if dangerousExtension(ext) {
			t.Fatalf("SafeExtension(%q, %q) = %q", typ, name, ext)
		}
		if _, err := ParseKey("a" + ext); err != nil || ext[0] != '.' || strings.ContainsAny(ext, `/\`) {
			t.Fatalf("SafeExtension(%q, %q) = %q: %v", typ, name, ext, err)
		}
		if served := SafeServeType(typ); strings.ContainsAny(served, "\r\n;\x00 ") || browsersRun(served) {
			t.Fatalf("SafeServeType(%q) = %q", typ, served)
		}
	})
}

func BenchmarkDetectType(b *testing.B) {
	for name, head := range map[string]string{
		"png": pngHead + strings.Repeat("\x00", SniffLen), "text": strings.Repeat("plain words\n", 400), "json": "[" + strings.Repeat(`{"a":1},`, 600),
		"unknown": strings.Repeat("\x01\x02\x00", 1500),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			data := []byte(head)
			for b.Loop() {
				DetectType(data)
			}
		})
	}
}

func BenchmarkAcceptMatch(b *testing.B) {
	b.ReportAllocs()
	head := []byte(jpegHead + strings.Repeat("\x00", SniffLen))
	for b.Loop() {
		if _, ok := Images.Match(head, "a.jpg"); !ok {
			b.Fatal("not taken")
		}
	}
}

// The detector's limit is shared by the whole program; what it is now must be
// what SniffLen promises.
func TestSniffLenIsWhatTheDetectorReads(t *testing.T) {
	t.Parallel()
	long := []byte(`[` + strings.Repeat(`{"a":1},`, 2000))
	if got := mimetype.Detect(long[:SniffLen]).String(); got != "application/json" {
		t.Errorf("the first %d bytes of a long JSON text are %s to the detector", SniffLen, got)
	}
}
