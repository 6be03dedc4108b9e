package validation

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/go-playground/locales"
	english "github.com/go-playground/locales/en"
	ut "github.com/go-playground/universal-translator"
	"github.com/go-playground/validator/v10"
	"github.com/go-playground/validator/v10/translations/de"
	"github.com/go-playground/validator/v10/translations/en"
	"github.com/go-playground/validator/v10/translations/es"
	"github.com/go-playground/validator/v10/translations/fr"

	"github.com/filefield/filefield/core"
)

// language holds the messages of one language. {0}, {1}, … are filled in.
type language struct {
	texts map[string]string
	// plurals are of one and of more.
	plurals map[string][2]string
	// byteSuffix is the last letter of the units of size: "5 MB", in French "5 Mo".
	byteSuffix string
	// builtin registers the validator's messages for its own rules.
	builtin func(*validator.Validate, ut.Translator) error
}

var languages = map[string]language{
	"en": {
		texts: map[string]string{
			"required":           "This field is required.",
			"invalid":            "This value is not valid.",
			"file_max":           "The file must not be larger than {0}.",
			"file_min":           "The file must not be smaller than {0}.",
			"file_type":          "This type of file is not allowed. Allowed types are: {0}.",
			"file_ext":           "File extension “{0}” is not allowed. Allowed extensions are: {1}.",
			"file_ext_missing":   "The file’s name has no extension. Allowed extensions are: {0}.",
			"no_extension":       "none",
			"image_unreadable":   "The file is not an image that can be read.",
			"image_max":          "The image may be at most {0} pixels; this one is {1}.",
			"image_min":          "The image must be at least {0} pixels; this one is {1}.",
			"image_pixels":       "The image may have at most {0}.",
			"image_aspect":       "The image must have an aspect ratio of {0}; this one is {1} pixels.",
			"image_aspect_range": "The image must have an aspect ratio from {0} to {1}; this one is {2} pixels.",
			"files_total":        "All files together must not be larger than {0}.",
		},
		plurals: map[string][2]string{
			"files_max":  {"At most {0} file is allowed.", "At most {0} files are allowed."},
			"files_min":  {"At least {0} file is required.", "At least {0} files are required."},
			"bytes":      {"{0} byte", "{0} bytes"},
			"pixels":     {"{0} pixel", "{0} pixels"},
			"megapixels": {"{0} megapixel", "{0} megapixels"},
		},
		byteSuffix: "B", builtin: en.RegisterDefaultTranslations,
	},
	"de": {
		texts: map[string]string{
			"required":           "Dieses Feld ist erforderlich.",
			"invalid":            "Dieser Wert ist ungültig.",
			"file_max":           "Die Datei darf höchstens {0} groß sein.",
			"file_min":           "Die Datei muss mindestens {0} groß sein.",
			"file_type":          "Dieser Dateityp ist nicht erlaubt. Erlaubt sind: {0}.",
			"file_ext":           "Die Dateiendung „{0}“ ist nicht erlaubt. Erlaubt sind: {1}.",
			"file_ext_missing":   "Der Dateiname hat keine Endung. Erlaubte Endungen: {0}.",
			"no_extension":       "keine",
			"image_unreadable":   "Die Datei ist kein lesbares Bild.",
			"image_max":          "Das Bild darf höchstens {0} Pixel groß sein; dieses hat {1}.",
			"image_min":          "Das Bild muss mindestens {0} Pixel groß sein; dieses hat {1}.",
			"image_pixels":       "Das Bild darf höchstens {0} haben.",
			"image_aspect":       "Das Bild muss das Seitenverhältnis {0} haben; dieses hat {1} Pixel.",
			"image_aspect_range": "Das Seitenverhältnis des Bildes muss zwischen {0} und {1} liegen; dieses hat {2} Pixel.",
			"files_total":        "Alle Dateien zusammen dürfen höchstens {0} groß sein.",
		},
		plurals: map[string][2]string{
			"files_max":  {"Höchstens {0} Datei ist erlaubt.", "Höchstens {0} Dateien sind erlaubt."},
			"files_min":  {"Mindestens {0} Datei ist erforderlich.", "Mindestens {0} Dateien sind erforderlich."},
			"bytes":      {"{0} Byte", "{0} Byte"},
			"pixels":     {"{0} Pixel", "{0} Pixel"},
			"megapixels": {"{0} Megapixel", "{0} Megapixel"},
		},
		byteSuffix: "B", builtin: de.RegisterDefaultTranslations,
	},
	"fr": {
		texts: map[string]string{
			"required":           "Ce champ est obligatoire.",
			"invalid":            "Cette valeur n’est pas valide.",
			"file_max":           "Le fichier ne doit pas dépasser {0}.",
			"file_min":           "Le fichier doit faire au moins {0}.",
			"file_type":          "Ce type de fichier n’est pas autorisé. Types autorisés : {0}.",
			"file_ext":           "L’extension de fichier « {0} » n’est pas autorisée. Extensions autorisées : {1}.",
			"file_ext_missing":   "Le nom du fichier n’a pas d’extension. Extensions autorisées : {0}.",
			"no_extension":       "aucune",
			"image_unreadable":   "Le fichier n’est pas une image lisible.",
			"image_max":          "L’image doit faire au plus {0} pixels ; celle-ci fait {1}.",
			"image_min":          "L’image doit faire au moins {0} pixels ; celle-ci fait {1}.",
			"image_pixels":       "L’image doit compter au plus {0}.",
			"image_aspect":       "L’image doit avoir un rapport largeur/hauteur de {0} ; celle-ci fait {1} pixels.",
			"image_aspect_range": "Le rapport largeur/hauteur de l’image doit être compris entre {0} et {1} ; celle-ci fait {2} pixels.",
			"files_total":        "L’ensemble des fichiers ne doit pas dépasser {0}.",
		},
		plurals: map[string][2]string{
			"files_max":  {"{0} fichier au maximum est autorisé.", "{0} fichiers au maximum sont autorisés."},
			"files_min":  {"Au moins {0} fichier est requis.", "Au moins {0} fichiers sont requis."},
			"bytes":      {"{0} octet", "{0} octets"},
			"pixels":     {"{0} pixel", "{0} pixels"},
			"megapixels": {"{0} mégapixel", "{0} mégapixels"},
		},
		byteSuffix: "o", builtin: fr.RegisterDefaultTranslations,
	},
	"es": {
		texts: map[string]string{
			"required":           "Este campo es obligatorio.",
			"invalid":            "Este valor no es válido.",
			"file_max":           "El archivo no debe superar {0}.",
			"file_min":           "El archivo debe ocupar al menos {0}.",
			"file_type":          "Este tipo de archivo no está permitido. Tipos permitidos: {0}.",
			"file_ext":           "La extensión de archivo «{0}» no está permitida. Se permiten: {1}.",
			"file_ext_missing":   "El nombre del archivo no tiene extensión. Se permiten: {0}.",
			"no_extension":       "ninguna",
			"image_unreadable":   "El archivo no es una imagen legible.",
			"image_max":          "La imagen debe medir como máximo {0} píxeles; esta mide {1}.",
			"image_min":          "La imagen debe medir al menos {0} píxeles; esta mide {1}.",
			"image_pixels":       "La imagen puede tener como máximo {0}.",
			"image_aspect":       "La imagen debe tener una relación de aspecto de {0}; esta mide {1} píxeles.",
			"image_aspect_range": "La relación de aspecto de la imagen debe estar entre {0} y {1}; esta mide {2} píxeles.",
			"files_total":        "El conjunto de los archivos no debe superar {0}.",
		},
		plurals: map[string][2]string{
			"files_max":  {"Se permite como máximo {0} archivo.", "Se permiten como máximo {0} archivos."},
			"files_min":  {"Se requiere al menos {0} archivo.", "Se requieren al menos {0} archivos."},
			"bytes":      {"{0} byte", "{0} bytes"},
			"pixels":     {"{0} píxel", "{0} píxeles"},
			"megapixels": {"{0} megapíxel", "{0} megapíxeles"},
		},
		byteSuffix: "B", builtin: es.RegisterDefaultTranslations,
	},
}

// requiredRules are the validator's rules that want a value.
var requiredRules = []string{
	"required", "required_if", "required_unless", "required_with", "required_with_all", "required_without", "required_without_all",
}

// textPrefix keeps our texts in a translator apart from an app's.
const textPrefix = "filefield."

// Translate registers messages with v and trans: this package's for its rules and
// for required, and the validator's own for the other rules it comes with. The
// language is that of trans: English, German, French or Spanish ("de", "de_AT",
// …); ErrConfig for another, for which v.RegisterTranslation takes messages.
//
// Texts that an app has added to trans before stay. Messages of its own for one of
// our rules are registered with v.RegisterTranslation after this. One translator
// may serve several validators. Call it after Register, before v is used:
// registering is not safe for concurrent use.
func Translate(v *validator.Validate, trans ut.Translator) error {
	const op = "register messages"
	switch {
	case v == nil:
		return &core.Error{Kind: core.ErrConfig, Op: op, Err: errNoValidator}
	case trans == nil:
		return &core.Error{Kind: core.ErrConfig, Op: op, Err: errors.New("the translator is nil")}
	}
	l, known := languages[languageOf(trans)]
	if !known {
		return &core.Error{
			Kind: core.ErrConfig, Op: op, Err: fmt.Errorf("there are no messages in the language %q", trans.Locale()),
			Advice: "there are for " + strings.Join(slices.Sorted(maps.Keys(languages)), ", ") + "; register others with v.RegisterTranslation, a rule at a time",
		}
	}
	if err := l.register(v, trans); err != nil {
		return &core.Error{Kind: core.ErrConfig, Op: op, Err: err}
	}
	return nil
}

func (l language) register(v *validator.Validate, trans ut.Translator) error {
	err := l.builtin(v, trans)
	var there *ut.ErrConflictingTranslation
	if errors.As(err, &there) {
		// The first text that is there already ends it: again, with those left alone.
		err = l.builtin(v, lenient{trans})
	}
	if err != nil {
		return err
	}
	if err := l.addTo(trans); err != nil {
		return err
	}
	registered := func(ut.Translator) error { return nil } // by addTo
	for name := range rules {
		if err := v.RegisterTranslation(name, trans, registered, ownMessage); err != nil {
			return err
		}
	}
	for _, name := range requiredRules {
		err := v.RegisterTranslation(name, trans, registered, func(trans ut.Translator, _ validator.FieldError) string {
			return speaker{trans}.text("required")
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// addTo adds the texts to a translator. Those of this package are replaced.
func (l language) addTo(trans ut.Translator) error {
	for name, text := range l.texts {
		if err := trans.Add(textPrefix+name, text, true); err != nil {
			return err
		}
	}
	for name, texts := range l.plurals {
		for _, rule := range trans.PluralsCardinal() {
			text := texts[1]
			if rule == locales.PluralRuleOne {
				text = texts[0]
			}
			if err := trans.AddCardinal(textPrefix+name, text, rule, true); err != nil {
				return err
			}
		}
	}
	return nil
}

// languageOf returns the language of a translator's locale: "de" of "de_AT".
func languageOf(trans ut.Translator) string {
	name, _, _ := strings.Cut(strings.ReplaceAll(trans.Locale(), "-", "_"), "_")
	return strings.ToLower(name)
}

// lenient is a translator that keeps the texts it has. The validator knows the
// messages registered with it by its value, so that lenient{trans} finds them.
type lenient struct{ ut.Translator }

func (l lenient) Add(key any, text string, override bool) error {
	return unlessThere(l.Translator.Add(key, text, override))
}

func (l lenient) AddCardinal(key any, text string, rule locales.PluralRule, override bool) error {
	return unlessThere(l.Translator.AddCardinal(key, text, rule, override))
}

func (l lenient) AddOrdinal(key any, text string, rule locales.PluralRule, override bool) error {
	return unlessThere(l.Translator.AddOrdinal(key, text, rule, override))
}

func (l lenient) AddRange(key any, text string, rule locales.PluralRule, override bool) error {
	return unlessThere(l.Translator.AddRange(key, text, rule, override))
}

func unlessThere(err error) error {
	var there *ut.ErrConflictingTranslation
	if errors.As(err, &there) {
		return nil
	}
	return err
}

// englishTexts is the translator for an app that has none.
var englishTexts = sync.OnceValue(func() ut.Translator {
	trans, _ := ut.New(english.New()).GetTranslator("en")
	_ = languages["en"].addTo(trans) // a test adds them and sees that they are well formed
	return trans
})

// speaker says this package's texts in a translator's language.
type speaker struct{ ut.Translator }

// knows tells whether the texts were added to the translator.
func (s speaker) knows() bool { return s.Translator != nil && s.text("invalid") != "" }

func (s speaker) text(name string, params ...string) string {
	text, _ := s.T(textPrefix+name, params...) // an unknown text is ""
	return text
}

// plural says a text with a number.
func (s speaker) plural(name string, q quantity) string {
	text, _ := s.C(textPrefix+name, q.number, q.digits, s.FmtNumber(q.number, q.digits))
	return text
}

// quantity says a number with its unit, as the parameter gives it: "5 MB" is not
// made "4.77 MiB".
func (s speaker) quantity(q quantity) string {
	switch q.unit {
	case "B":
		return s.plural("bytes", q)
	case "px":
		return s.plural("pixels", q)
	case "MP":
		return s.plural("megapixels", q)
	}
	unit := strings.TrimSuffix(q.unit, "B") + languages[languageOf(s.Translator)].byteSuffix
	return s.FmtNumber(q.number, q.digits) + " " + unit
}

// ownMessage is the message of one of this package's rules.
func ownMessage(trans ut.Translator, fe validator.FieldError) string {
	s := speaker{trans}
	if parse, ours := rules[fe.ActualTag()]; ours && s.knows() {
		c, err := parse(fe.Param())
		files, shape := filesOf(reflect.ValueOf(fe.Value()))
		if err == nil && shape.suits(c) {
			bad, _ := c.holds(files)
			return c.say(s, bad)
		}
	}
	return s.text("invalid")
}
