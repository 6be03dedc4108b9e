// Package tusupload takes uploads by the tus protocol, version 1.0, for fields of
// filefield: creation (also with the first bytes), expiration, termination and
// checksum. tusd, a maintained implementation, speaks the protocol; this package
// is its data store, on a field's rules, and adds what it lacks.
//
//	upload := nethttp.Handle(tusupload.New(videos, loggedIn, tusupload.Config{}))
//	mux.Handle("/tus/video", upload)  // the endpoint that a client is given
//	mux.Handle("/tus/video/", upload) // its uploads
//
//	// In the page, with tus-js-client:
//	new tus.Upload(file, {
//		endpoint: '/tus/video',
//		metadata: { filename: file.name, filetype: file.type },
//		onSuccess: ({ lastResponse }) => {
//			form.elements.video.value = lastResponse.getHeader('Filefield-Token')
//		},
//	}).start()
//
// The bytes pass through the app into an S3 multipart upload. An upload's URL is a
// signed token, and all else is in the bucket: any process of the app can go on
// with it, and nothing is written to disk. Where uploads need not pass through the
// app, nethttp.Direct costs it a signature instead.
package tusupload
