// Package core stores the files of declared fields in S3 buckets: Django's
// FileField, storage and upload_to for Go. It knows S3 (through minio-go) and no
// web framework, ORM or validator; nethttp, the framework adapters and fieldtype
// build on it.
//
//	store := core.MustOpen(core.ConfigFromEnv()) // no network yet
//	avatars := store.Field(core.FieldConfig{
//		Name:     "avatar",
//		Bucket:   "avatars",
//		UploadTo: core.ISODatePrefix,
//		MaxSize:  5 * core.MiB,
//		Accept:   core.Images, // sniffed, not believed
//	})
//	if err := store.Startup(core.StartupConfig{}).Start(ctx); err != nil { … }
//
//	object, err := avatars.Save(ctx, core.Upload{Body: file, Name: "cat.png"})
//	link, err := avatars.URL(ctx, object.Key, core.URLOptions{})
//	token := avatars.Sign(object, "") // what the file is in a form
//
// A Config comes from code, the environment (configenv.go) or a file
// (configfile.go), one or several (configs.go); docs/configuration.md has every
// setting.
//
// The concepts, one file each: Config, Store, Bucket (with read.go, list.go and
// copy.go), Field, UploadTo, Key, Token, Txn, Journal, the uploader (save.go for a file of
// one part, multipart.go for longer ones, reserve.go for names that others want
// too, memory.go and rope.go for its buffers, trusted.go for content of the app's
// own), files that browsers send straight to the bucket (direct.go, postpolicy.go
// for forms, directmultipart.go for parts, directclaim.go for what is done when
// they are there), URL (with origins.go), and the errors (errors.go;
// problem.go for what a client sees of them; remote.go for what storage said). What is known of images comes from dimensions.go, orientation.go,
// heif.go, frames.go and blurhash.go, and image.go holds it against a field's
// bounds. Variants of images are declared, named and linked to in variant.go;
// variantmake.go has when they are made and how they go. Making them is package
// variant's work.
//
// What a bucket is to be is declared (declare.go), compared with what it is
// (plan.go, and a file for each aspect: existence.go, policy.go, versioning.go,
// encryption.go, cors.go, lifecycle.go, buckettags.go, quota.go), and corrected
// (apply.go): by Startup, or by hand with Plan and Apply. Check (health.go) says
// whether storage can be used, and if not, why; Diagnose (doctor.go, with
// doctorconnect.go for the way there, doctorbucket.go and doctorprobe.go for one
// bucket) looks at everything and says what to do. IAMPolicy (iampolicy.go) names
// the permissions that all this needs.
//
// Values of this package's types are safe for concurrent use unless they say
// otherwise, and hold no package-level state. Every call that can block takes a
// context and stops when it ends.
package core
