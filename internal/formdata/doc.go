// Package formdata reads a multipart/form-data body (RFC 7578) as a stream:
// one part after another, nothing on disk, a fixed amount of memory whatever
// the body holds.
//
//	boundary, err := formdata.Boundary(r.Header.Get("Content-Type"))
//	if err != nil {
//		return err // ErrNotForm: 415; everything else: 400
//	}
//	form := parser.Read(r.Body, boundary)
//	defer form.Close()
//	for {
//		part, err := form.Next()
//		if err == io.EOF {
//			return nil
//		}
//		if err != nil {
//			return err
//		}
//		… // part.Name, part.IsFile, part.FileName; part is an io.Reader
//	}
//
// It accepts no more than [mime/multipart.Reader] does, which its tests hold it
// against, and reads what it accepts as the latter does; headers are parsed by
// [net/textproto]. It differs where a server that streams files into storage needs
// more:
//
//   - A part's content goes from the body into the caller's memory, and is searched for
//     the delimiter there.
//   - A part's Read says io.EOF only after the whole delimiter behind the part
//     has arrived. mime/multipart takes a body that was cut off right behind the
//     boundary's last character, or inside a part's header, for a complete one.
//   - A header has a limit of its own, which holds before anything is parsed;
//     the boundary, preamble included, must come within it.
//   - Parts are counted.
//   - Content-Disposition is read the way browsers write it. What two parsers
//     would read differently is refused, so that nothing in front of the
//     server can be made to see another file than the server does.
//   - Errors of the body's reader stay what they are. A fault of the body itself
//     is a [core.Error] of kind [core.ErrMalformed], [core.ErrTooLarge] or
//     [core.ErrTooMany].
//
// # Content-Disposition
//
// The value of filename is delivered raw: with directories, control characters
// or nothing at all, as the client sent it. Cleaning it is the caller's work.
// How it is read:
//
//   - In quotes, \" is a quote and \\ a backslash; every other backslash is
//     itself, as in filename="C:\Windows\x.txt". A backslash before the last
//     quote of the header is itself too, as in filename="c:\tmp\": were it an
//     escape, the value would have no end.
//   - In quotes, %22 is a quote: browsers write it so (WHATWG HTML, "multipart
//     form data"), curl too. Their %0D and %0A stay as they are: nobody needs a
//     line break in a file name, and a name is easier to keep safe without.
//   - filename* and name* (RFC 8187) may be in quotes. Their charset is UTF-8,
//     US-ASCII or ISO-8859-1; another one is refused. A value that cannot be
//     decoded is ignored where the plain parameter is given too, and refused
//     where it is not.
//   - With both filename and filename*, filename* wins, if filename is what a
//     fallback is meant to be: the same name (also as an RFC 2047 encoded
//     word), or an ASCII one with the same last extension, in any case.
//     Otherwise the two name different files, and the part is refused. name and
//     name* must be equal.
//   - Refused are: a parameter given twice, continuations (filename*0), a
//     parameter without a value, a disposition that isn't form-data, a second
//     Content-Disposition, and a header name with a space in it.
//
// A part without a Content-Disposition or without a name is no form field: it is
// skipped, but counted.
package formdata
