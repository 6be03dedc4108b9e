// Package nethttp is the request side of filefield on net/http alone: it streams
// the files of a form into their buckets, puts signed tokens where they stood,
// and ends the request's file transaction with its outcome. chi, huma and every
// other router that speaks net/http use it as it is.
//
//	mux := http.NewServeMux()
//	mux.Handle("POST /profiles", nethttp.Uploads(avatars)(nethttp.Handle(create)))
//	http.ListenAndServe(addr, nethttp.Middleware(mux))
//
//	func create(w http.ResponseWriter, r *http.Request) error {
//		var p Profile // has a field Avatar fieldtype.File[Avatar] `form:"avatar"`
//		if err := nethttp.Bind(r, &p); err != nil {
//			return err // the stored file goes again
//		}
//		…
//	}
//
// After Uploads the request looks as if its files had been text all along:
// r.MultipartForm, r.PostForm and r.Form hold the form's text values and, for
// every file, a token; no file is ever written to disk. A text value under a
// file field's name is refused unless it is a valid token of that very field.
//
// Direct lets browsers send files straight to the bucket instead, for the same
// kind of token (docs/direct.md).
//
// Requests that are not forms pass, with a bound on their body, so that the same
// handler takes JSON with tokens.
package nethttp
