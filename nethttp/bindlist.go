package nethttp

import (
	"encoding"
	"maps"
	"net/url"
	"reflect"
	"strconv"
	"strings"

	"github.com/filefield/filefield/core"
)

// bindLists fills the lists in v whose elements are structs that read themselves
// from text, as in []fieldtype.File: one element for each value sent under the
// list's name. gorilla/schema takes those under "name.0", "name.1" only, which
// is not what browsers send, and ignores them silently otherwise. Empty values
// are inputs without a chosen file. prefix is what stands before the names of
// v's own fields.
func bindLists(v reflect.Value, prefix string, sent url.Values) (invalid core.Invalid) {
	v = reflect.Indirect(v)
	switch v.Kind() {
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			invalid = append(invalid, bindLists(v.Index(i), prefix+strconv.Itoa(i)+".", sent)...)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			invalid = append(invalid, bindListField(v.Field(i), v.Type().Field(i), prefix, sent)...)
		}
	}
	return invalid
}

func bindListField(v reflect.Value, f reflect.StructField, prefix string, sent url.Values) core.Invalid {
	name := nameIn("form", f)
	switch {
	case name == "-" || !f.IsExported() && !f.Anonymous:
		return nil
	case f.Anonymous:
		return bindLists(v, prefix, sent)
	case !v.CanSet() || readsText(v.Type()):
		return nil
	case v.Kind() != reflect.Slice || !readsText(v.Type().Elem()):
		return mayNest(v, prefix+name+".", sent)
	}
	values, ok := sent[prefix+name]
	if !ok {
		return nil
	}
	list := reflect.MakeSlice(v.Type(), 0, len(values))
	for _, value := range values {
		if value == "" {
			continue
		}
		element := reflect.New(indirect(v.Type().Elem()))
		if err := element.Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(value)); err != nil {
			return core.Invalid{unreadable(prefix+name, err)}
		}
		if v.Type().Elem().Kind() != reflect.Pointer {
			element = element.Elem()
		}
		list = reflect.Append(list, element)
	}
	v.Set(list)
	return nil
}

// mayNest goes into what may hold lists of its own, where something was sent for
// it. That bounds the way through structs that point at each other.
func mayNest(v reflect.Value, prefix string, sent url.Values) core.Invalid {
	for name := range sent {
		if strings.HasPrefix(name, prefix) {
			return bindLists(v, prefix, sent)
		}
	}
	return nil
}

// readsText tells whether t is a struct, or a pointer to one, that reads itself
// from text.
func readsText(t reflect.Type) bool {
	t = indirect(t)
	return t.Kind() == reflect.Struct && reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

func indirect(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}

// firstOnly leaves the first of several values where t has a place for one, as
// most binders do; gorilla/schema takes the last. Names of elements before a list's
// first lead nowhere: gorilla/schema would panic.
func firstOnly(t reflect.Type, sent url.Values) url.Values {
	out := maps.Clone(sent)
	for name, values := range sent {
		if leadsBeforeAList(name) {
			delete(out, name)
			continue
		}
		if len(values) > 1 && !takesSeveral(t, strings.Split(name, ".")) {
			out[name] = values[:1]
		}
	}
	return out
}

// leadsBeforeAList says whether one of the names in a path is a negative index.
func leadsBeforeAList(path string) bool {
	for name := range strings.SplitSeq(path, ".") {
		if strings.HasPrefix(name, "-") { // Atoi makes an error of every other name
			if n, err := strconv.Atoi(name); err == nil && n < 0 {
				return true
			}
		}
	}
	return false
}

// takesSeveral says whether what a path of names leads to in t is a list.
func takesSeveral(t reflect.Type, path []string) bool {
	t = indirect(t)
	switch {
	case len(path) == 0:
		return t.Kind() == reflect.Slice || t.Kind() == reflect.Array
	case t.Kind() == reflect.Slice || t.Kind() == reflect.Array:
		return takesSeveral(t.Elem(), path[1:]) // past the index
	case t.Kind() != reflect.Struct:
		return false
	}
	for _, f := range reflect.VisibleFields(t) {
		if strings.EqualFold(nameIn("form", f), path[0]) && takesSeveral(f.Type, path[1:]) {
			return true
		}
	}
	return false
}
