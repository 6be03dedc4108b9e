package nethttp

import (
	"errors"
	"net/http"

	"github.com/filefield/filefield/core"
)

// Variants returns a handler for variants of a field's images at addresses of the
// app's own, as Files is for the images themselves: find says which file, as the
// app's rows know it, and which variant of it is asked for. One that does not exist
// yet is made, once for all who ask, whatever its Make. The Authorizer is asked about
// the original. The signed links of OnRequest variants need no such route: Links
// answers them.
//
// What has no variant, since it is no image, is damaged or too large, is answered by
// a redirection to the field's DefaultURL, or core.ErrNotFound where it has none;
// the original is not shown in its place, since it may tell more.
func Variants(field *core.Field, find func(*http.Request) (core.Object, string, error), authorize Authorizer) HandlerFunc {
	return Delivery{}.Variants(field, find, authorize)
}

// Variants is the function of that name, with this Delivery.
func (d Delivery) Variants(field *core.Field, find func(*http.Request) (core.Object, string, error), authorize Authorizer) HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		if find == nil || authorize == nil {
			return &core.Error{Kind: core.ErrConfig, Op: "serve", Field: field.Name(), Advice: "give Variants a function that finds the file and one that authorizes; Anyone lets all have it"}
		}
		original, name, err := find(r)
		if err != nil {
			return err
		}
		return d.authorizedVariant(w, r, field, wanted{original, name}, authorize)
	}
}

// wanted is a variant that a request asks for.
type wanted struct {
	original core.Object
	name     string
}

func (d Delivery) authorizedVariant(w http.ResponseWriter, r *http.Request, field *core.Field, v wanted, authorize Authorizer) error {
	if err := allow(r, v.original, authorize); err != nil {
		return err
	}
	if err := field.Fault(); err != nil {
		return err
	}
	made, err := field.Variant(v.original, v.name)
	if err != nil {
		return withoutVariant(w, field, err)
	}
	err = d.serveExisting(w, r, field, made)
	if core.KindOf(err) != core.ErrNotFound {
		return err
	}
	switch err := field.MakeVariants(r.Context(), v.original, v.name); core.KindOf(err) {
	case core.ErrType, core.ErrPixels, core.ErrInvalid, core.ErrNotFound:
		return withoutVariant(w, field, err)
	default:
		if err != nil {
			return err
		}
	}
	return d.ServeFile(w, r, field, made)
}

// serveExisting is ServeFile, and core.ErrNotFound before anything is answered if
// there is no such file: a redirection has to look first.
func (d Delivery) serveExisting(w http.ResponseWriter, r *http.Request, field *core.Field, object core.Object) error {
	if d.Mode == Redirect {
		f, err := field.Open(r.Context(), object.Key, core.OpenOptions{Length: 1})
		if err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	return d.ServeFile(w, r, field, object)
}

// withoutVariant answers where there is no variant and will be none.
func withoutVariant(w http.ResponseWriter, field *core.Field, why error) error {
	placeholder := field.Config().DefaultURL
	if placeholder == "" {
		return errNoFile(errors.Join(errors.New("there is no variant"), why))
	}
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("Location", placeholder)
	w.WriteHeader(http.StatusFound)
	return nil
}
