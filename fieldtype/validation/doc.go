// Package validation gives go-playground/validator rules for file fields, names
// of fields that clients know, messages in English, German, French and Spanish,
// and faults as core.Invalid.
//
//	type Post struct {
//		Title string                `form:"title" validate:"required,max=80"`
//		Photo fieldtype.File[Photo] `form:"photo" validate:"required,file_max=5MB,file_type=image/*,image_max=4096x4096"`
//		Scans fieldtype.Files[Scan] `form:"scans" validate:"files_max=3,files_total=20MB,dive,file_ext=pdf png"`
//	}
//
//	v := validator.New(validator.WithRequiredStructEnabled())
//	if err := validation.Register(v); err != nil { … }      // once, when the program starts
//	if err := validation.Check(v, &Post{}); err != nil { … } // all faults of the tags at once
//
//	err := validation.Errors(v.Struct(post), nil)            // in each request
//	if invalid, ok := errors.AsType[core.Invalid](err); ok {
//		fmt.Println(invalid[0].Field, invalid[0].Code, invalid[0].Message)
//	}
//
// # Rules of a file
//
// They stand at a File, a pointer to one, and after dive at the elements of a
// list; at a list without dive they hold for each of its files.
//
//	file_max=5MB                      no more bytes than this
//	file_min=1KB                      no fewer
//	file_type=image/* application/pdf media types by content, as core.Accept has them
//	file_ext=png jpg none             what follows the name's last dot, in any case; none: no extension
//	image_max=4096x4096               width and height, no more pixels than this
//	image_min=16x16                   no fewer
//	image_pixels=16MP                 width times height, no more; also 16000000
//	image_aspect=16:9                 width to height, within 1 %; a range is 4:5-16:9
//
// # Rules of a list
//
// They stand at Files, or another slice or array of files, before dive. Elements
// that are no file do not count.
//
//	files_max=3       no more files
//	files_min=2       no fewer; as none is fewer, an optional list has omitempty before it
//	files_total=20MB  no more bytes together
//
// Sizes are bytes, as a number or with a unit in any case: KB, MB, GB, TB, PB and
// EB are powers of 1000 and KiB, MiB, … of 1024; the B may be left out and the
// number may have decimals after a point. Lists have spaces between, as commas end
// a rule. Extensions and media types follow Django's FileExtensionValidator and
// core.Accept: the extension of a.tar.gz is gz; ".none" is an extension, none the
// lack of one; image/* is without SVG. The rules for images refuse what is no
// image that could be measured.
//
// No file follows every rule but required and its kin and files_min: whether there
// has to be one is for those to say. They mean it with every validator, also one
// like Gin's, without WithRequiredStructEnabled; for a list that holds for
// fieldtype.Files, while a plain slice is required to be not nil, as the
// validator has it. The rules see what the File knows without asking storage: all
// of it where it came by a form, a token or a document in a column, and its name
// alone where the column holds the key (core.ColumnKey), until File.Stat.
//
// A rule that is wrong itself ("file_max=5 apples", or file_max at a string) does
// not panic: the value does not pass, and Errors returns ErrConfig. Check finds
// such faults when the program starts. The validator's own rules for paths on the
// server (file, filepath, dir, dirpath, image, mimetype, uds_exists) never look
// anywhere for a file field; it is ErrConfig to use them there. At strings they
// are what they were.
package validation
