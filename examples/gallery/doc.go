// Command gallery is a photo gallery: many images at once, dropped on the page and
// sent by the browser straight to the bucket; public and private albums. Pages show
// variants of the photos: thumbnails, and a larger one that is made when it is first
// looked at. The originals are there to be saved.
//
//	go run ./examples/gallery
//
// It needs nothing but Go: it brings an S3 server and a database, and keeps both in
// the folder "data". The environment may set:
//
//	ADDR            where it listens; 127.0.0.1:8080
//	DATA_DIR        where the database and the embedded server's files are; data
//	ORIGINS         origins of its pages behind a proxy, with spaces between:
//	                https://gallery.example.org
//	MINIO_ENDPOINT  another S3 server, with MINIO_ACCESS_KEY and MINIO_SECRET_KEY.
//	                MinIO has no CORS per bucket: MINIO_API_CORS_ALLOW_ORIGIN there
//
// Where to read: fields.go declares what a photo is, main.go starts the app,
// handlers.go has its routes, and page.html its pages. Without JavaScript the same
// form brings the same files through the app.
package main
