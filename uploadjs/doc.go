// Package uploadjs has the browser's side of direct uploads: an ES module without
// dependencies, in the binary. Its custom element wraps a file input, sends the
// chosen files straight to the bucket as nethttp.Direct signs them, and leaves
// their tokens in the form:
//
//	mux.Handle("GET /filefield/", uploadjs.Handler())
//	page := template.Must(template.New("page").Funcs(uploadjs.FuncMap("/filefield/")).Parse(`
//		<link rel="stylesheet" href="{{filefieldStyle}}">
//		<script type="module" src="{{filefieldScript}}"></script>
//		<form method="post" enctype="multipart/form-data">
//			<label for="photos">Photos</label>
//			<filefield-upload endpoint="/uploads/photo" max-size="2147483648">
//				<input type="file" id="photos" name="photo" accept="image/*" multiple>
//			</filefield-upload>
//			<button>Save</button>
//		</form>`))
//
// Without JavaScript the input is an ordinary one, and the form uploads its files;
// the handler behind nethttp.Uploads is the same.
//
// See docs/uploadjs.md for what the element does, and filefield.d.ts for its types.
package uploadjs
