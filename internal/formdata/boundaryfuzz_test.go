package formdata

import (
	"mime"
	"testing"
)

// FuzzBoundary holds the boundary against package mime: where both find one, it is
// the same, or a proxy in front would read another form than we do.
func FuzzBoundary(f *testing.F) {
	for _, header := range []string{
		"multipart/form-data; boundary=B", `Multipart/Form-Data; BOUNDARY="a b"; charset=utf-8`, "multipart/form-data; boundary=----=_Part_1_23.4",
		`multipart/form-data; boundary="a\"b"`, "multipart/form-data; boundary=B; boundary=C", "multipart/form-data; boundary*=UTF-8''B",
		"multipart/form-data; boundary*0=B; boundary*1=C", "multipart/mixed; boundary=B", "multipart/form-data;boundary=B;", "",
	} {
		f.Add(header)
	}
	f.Fuzz(func(t *testing.T, header string) {
		boundary, err := Boundary(header)
		if err != nil {
			if boundary != "" {
				t.Fatalf("%q is refused (%v), and has the boundary %q", header, err, boundary)
			}
			return
		}
		if boundary == "" || !isBoundary(boundary) {
			t.Fatalf("%q has the boundary %q", header, boundary)
		}
		mediaType, params, err := mime.ParseMediaType(header)
		if err == nil && (mediaType != "multipart/form-data" || params["boundary"] != boundary) {
			t.Fatalf("%q has the boundary %q, and to package mime %q of %s", header, boundary, params["boundary"], mediaType)
		}
	})
}
