package validation_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/go-playground/locales/de_AT"
	"github.com/go-playground/locales/pt_BR"
	ut "github.com/go-playground/universal-translator"
	"github.com/go-playground/validator/v10"
	german "github.com/go-playground/validator/v10/translations/de"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/fieldtype"
	"github.com/filefield/filefield/fieldtype/validation"
)

// messages are those of a value that breaks a rule, by language; "" is without a
// translator.
var messages = []struct {
	value any
	rule  string
	want  map[string]string
}{
	{file{}, "required", map[string]string{
		"": "This field is required.", "de": "Dieses Feld ist erforderlich.", "fr": "Ce champ est obligatoire.", "es": "Este campo es obligatorio.",
	}},
	{stored(picture), "file_max=1.5MB", map[string]string{
		"": "The file must not be larger than 1.5 MB.", "de": "Die Datei darf höchstens 1,5 MB groß sein.",
		"fr": "Le fichier ne doit pas dépasser 1,5 Mo.", "es": "El archivo no debe superar 1,5 MB.",
	}},
	{stored(fieldtype.Info{}), "file_min=1", map[string]string{
		"": "The file must not be smaller than 1 byte.", "de": "Die Datei muss mindestens 1 Byte groß sein.",
		"fr": "Le fichier doit faire au moins 1 octet.", "es": "El archivo debe ocupar al menos 1 byte.",
	}},
	{stored(fieldtype.Info{}), "file_min=2048", map[string]string{
		"": "The file must not be smaller than 2,048 bytes.", "de": "Die Datei muss mindestens 2.048 Byte groß sein.",
		"fr": "Le fichier doit faire au moins 2\u202f048 octets.", "es": "El archivo debe ocupar al menos 2.048 bytes.",
	}},
	{stored(picture), "file_max=64kib", map[string]string{"": "The file must not be larger than 64 KiB.", "fr": "Le fichier ne doit pas dépasser 64 Kio."}},
	{stored(picture), "file_type=image/gif application/pdf", map[string]string{
		"":   "This type of file is not allowed. Allowed types are: image/gif, application/pdf.",
		"de": "Dieser Dateityp ist nicht erlaubt. Erlaubt sind: image/gif, application/pdf.",
		"fr": "Ce type de fichier n’est pas autorisé. Types autorisés : image/gif, application/pdf.",
		"es": "Este tipo de archivo no está permitido. Tipos permitidos: image/gif, application/pdf.",
	}},
	{stored(picture), "file_ext=gif none", map[string]string{
		"":   "File extension “png” is not allowed. Allowed extensions are: gif, none.",
		"de": "Die Dateiendung „png“ ist nicht erlaubt. Erlaubt sind: gif, keine.",
		"fr": "L’extension de fichier « png » n’est pas autorisée. Extensions autorisées : gif, aucune.",
		"es": "La extensión de archivo «png» no está permitida. Se permiten: gif, ninguna.",
	}},
	{stored(fieldtype.Info{Name: "README"}), "file_ext=gif", map[string]string{
		"":   "The file’s name has no extension. Allowed extensions are: gif.",
		"de": "Der Dateiname hat keine Endung. Erlaubte Endungen: gif.",
		"fr": "Le nom du fichier n’a pas d’extension. Extensions autorisées : gif.",
		"es": "El nombre del archivo no tiene extensión. Se permiten: gif.",
	}},
	{stored(fieldtype.Info{Type: "application/pdf"}), "image_max=9x9", map[string]string{
		"": "The file is not an image that can be read.", "de": "Die Datei ist kein lesbares Bild.",
		"fr": "Le fichier n’est pas une image lisible.", "es": "El archivo no es una imagen legible.",
	}},
	{stored(picture), "image_max=800x600", map[string]string{
		"":   "The image may be at most 800 × 600 pixels; this one is 1920 × 1080.",
		"de": "Das Bild darf höchstens 800 × 600 Pixel groß sein; dieses hat 1920 × 1080.",
		"fr": "L’image doit faire au plus 800 × 600 pixels ; celle-ci fait 1920 × 1080.",
		"es": "La imagen debe medir como máximo 800 × 600 píxeles; esta mide 1920 × 1080.",
	}},
	{stored(picture), "image_min=4000x3000", map[string]string{
		"":   "The image must be at least 4000 × 3000 pixels; this one is 1920 × 1080.",
		"de": "Das Bild muss mindestens 4000 × 3000 Pixel groß sein; dieses hat 1920 × 1080.",
		"fr": "L’image doit faire au moins 4000 × 3000 pixels ; celle-ci fait 1920 × 1080.",
		"es": "La imagen debe medir al menos 4000 × 3000 píxeles; esta mide 1920 × 1080.",
	}},
	{stored(picture), "image_pixels=1MP", map[string]string{
		"": "The image may have at most 1 megapixel.", "de": "Das Bild darf höchstens 1 Megapixel haben.",
		"fr": "L’image doit compter au plus 1 mégapixel.", "es": "La imagen puede tener como máximo 1 megapíxel.",
	}},
	{stored(picture), "image_pixels=2000000", map[string]string{
		"": "The image may have at most 2,000,000 pixels.", "de": "Das Bild darf höchstens 2.000.000 Pixel haben.",
		"fr": "L’image doit compter au plus 2\u202f000\u202f000 pixels.", "es": "La imagen puede tener como máximo 2.000.000 píxeles.",
	}},
	{stored(picture), "image_aspect=1:1", map[string]string{
		"":   "The image must have an aspect ratio of 1:1; this one is 1920 × 1080 pixels.",
		"de": "Das Bild muss das Seitenverhältnis 1:1 haben; dieses hat 1920 × 1080 Pixel.",
		"fr": "L’image doit avoir un rapport largeur/hauteur de 1:1 ; celle-ci fait 1920 × 1080 pixels.",
		"es": "La imagen debe tener una relación de aspecto de 1:1; esta mide 1920 × 1080 píxeles.",
	}},
	{stored(picture), "image_aspect=4:5-1:1", map[string]string{
		"":   "The image must have an aspect ratio from 4:5 to 1:1; this one is 1920 × 1080 pixels.",
		"de": "Das Seitenverhältnis des Bildes muss zwischen 4:5 und 1:1 liegen; dieses hat 1920 × 1080 Pixel.",
		"fr": "Le rapport largeur/hauteur de l’image doit être compris entre 4:5 et 1:1 ; celle-ci fait 1920 × 1080 pixels.",
		"es": "La relación de aspecto de la imagen debe estar entre 4:5 y 1:1; esta mide 1920 × 1080 píxeles.",
	}},
	{files{stored(picture), stored(picture)}, "files_max=1", map[string]string{
		"": "At most 1 file is allowed.", "de": "Höchstens 1 Datei ist erlaubt.",
		"fr": "1 fichier au maximum est autorisé.", "es": "Se permite como máximo 1 archivo.",
	}},
	{files{stored(picture), stored(picture), stored(picture)}, "files_max=2", map[string]string{
		"": "At most 2 files are allowed.", "de": "Höchstens 2 Dateien sind erlaubt.",
		"fr": "2 fichiers au maximum sont autorisés.", "es": "Se permiten como máximo 2 archivos.",
	}},
	{files{}, "files_min=1", map[string]string{
		"": "At least 1 file is required.", "de": "Mindestens 1 Datei ist erforderlich.",
		"fr": "Au moins 1 fichier est requis.", "es": "Se requiere al menos 1 archivo.",
	}},
	{files{}, "files_min=2", map[string]string{
		"": "At least 2 files are required.", "de": "Mindestens 2 Dateien sind erforderlich.",
		"fr": "Au moins 2 fichiers sont requis.", "es": "Se requieren al menos 2 archivos.",
	}},
	{files{stored(picture)}, "files_total=2MB", map[string]string{
		"": "All files together must not be larger than 2 MB.", "de": "Alle Dateien zusammen dürfen höchstens 2 MB groß sein.",
		"fr": "L’ensemble des fichiers ne doit pas dépasser 2 Mo.", "es": "El conjunto de los archivos no debe superar 2 MB.",
	}},
	{files{stored(picture), stored(fieldtype.Info{Name: "a.gif"})}, "file_ext=png", map[string]string{
		"": "File extension “gif” is not allowed. Allowed extensions are: png.",
	}},
	{stored(picture), "file_ext=gif|file_max=1", map[string]string{
		"": "This value is not valid.", "de": "Dieser Wert ist ungültig.", "fr": "Cette valeur n’est pas valide.", "es": "Este valor no es válido.",
	}},

	// The validator's own rules. With a translator they are in its words.
	{"cat", "email", map[string]string{
		"": "Enter a valid email address.", "en": "photo must be a valid email address", "de": "photo muss eine gültige E-Mail-Adresse sein",
		"fr": "photo doit être une adresse email valide", "es": "photo debe ser una dirección de correo electrónico válida",
	}},
	{"", "required", map[string]string{"": "This field is required.", "en": "This field is required."}},
	{"", "required_without=Other", map[string]string{"": "This field is required.", "fr": "Ce champ est obligatoire."}},
	{"cat", "min=5", map[string]string{"": "Use at least 5 characters.", "de": "photo muss mindestens 5 Zeichen lang sein"}},
	{"cat", "max=1", map[string]string{"": "Use at most 1 character."}},
	{"cat", "len=5", map[string]string{"": "Use exactly 5 characters."}},
	{[]string{}, "min=1", map[string]string{"": "Give at least 1 item."}},
	{[]string{"a"}, "gt=2", map[string]string{"": "Give more than 2 items."}},
	{3, "lt=2", map[string]string{"": "This must be less than 2."}},
	{"cat", "oneof=dog mouse", map[string]string{"": "Choose one of: dog, mouse."}},
	{"cat", "oneof='a dog' mouse", map[string]string{"": "This value is not valid."}},
	{"cat", "url", map[string]string{"": "Enter a valid URL."}},
	{"cat", "startswith=d%s", map[string]string{"": "This must start with “d%s”."}},
	{"cat", "bic", map[string]string{"": "This value is not valid.", "de": "Dieser Wert ist ungültig."}},
}

func TestMessagesAreInTheLanguageOfTheTranslator(t *testing.T) {
	t.Parallel()
	v := registered(t)
	translators := map[string]ut.Translator{"": nil}
	for _, name := range []string{"en", "de", "fr", "es"} {
		translators[name] = locale(t, name)
		if err := validation.Translate(v, translators[name]); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range messages {
		want := maps.Clone(c.want)
		if _, own := want["en"]; !own && strings.Contains(c.rule, "file") || strings.Contains(c.rule, "image") {
			want["en"] = want[""]
		}
		for name, text := range want {
			if got := message(t, v.Struct(form(c.value, c.rule)), translators[name]); got != text {
				t.Errorf("%s in %q: got %q, want %q", c.rule, name, got, text)
			}
		}
	}
}

func message(t *testing.T, err error, trans ut.Translator) string {
	t.Helper()
	invalid, ok := validation.Errors(err, trans).(core.Invalid) //nolint:errorlint // it is documented to be
	if !ok || len(invalid) != 1 {
		t.Fatalf("got error %v, want one fault", validation.Errors(err, trans))
	}
	return invalid[0].Message
}

func TestATranslatorIsUsedBySeveralValidatorsAndStaysAnApps(t *testing.T) {
	t.Parallel()
	trans := locale(t, "de")
	if err := trans.Add("email", "{0}: eine Adresse, bitte", false); err != nil {
		t.Fatal(err)
	}
	first, second := registered(t), registered(t)
	// An app may have registered the validator's messages itself; and then again.
	for _, v := range []*validator.Validate{first, second, second} {
		if err := validation.Translate(v, trans); err != nil {
			t.Fatal(err)
		}
	}
	for name, v := range map[string]*validator.Validate{"first": first, "second": second} {
		if got, want := message(t, v.Struct(form("cat", "email")), trans), "photo: eine Adresse, bitte"; got != want {
			t.Errorf("%s: got %q, want the app's %q", name, got, want)
		}
		if got, want := message(t, v.Struct(form("cat", "url")), trans), "photo muss eine gültige URL sein"; got != want {
			t.Errorf("%s: got %q, want the validator's %q", name, got, want)
		}
		if got, want := message(t, v.Struct(form(stored(picture), "file_max=1MB")), trans), "Die Datei darf höchstens 1 MB groß sein."; got != want {
			t.Errorf("%s: got %q, want ours %q", name, got, want)
		}
	}

	after := locale(t, "de")
	third := registered(t)
	if err := german.RegisterDefaultTranslations(third, after); err != nil {
		t.Fatal(err)
	}
	if err := validation.Translate(third, after); err != nil {
		t.Fatal(err)
	}
	err := third.RegisterTranslation("file_max", after, func(ut.Translator) error { return nil },
		func(_ ut.Translator, fe validator.FieldError) string { return "Zu groß: " + fe.Param() })
	if err != nil {
		t.Fatal(err)
	}
	if got, want := message(t, third.Struct(form(stored(picture), "file_max=1MB")), after), "Zu groß: 1MB"; got != want {
		t.Errorf("a message registered later: got %q, want %q", got, want)
	}
}

func TestTheValidatorsOwnTranslateKnowsTheMessages(t *testing.T) {
	t.Parallel()
	v, trans := registered(t), locale(t, "fr")
	if err := validation.Translate(v, trans); err != nil {
		t.Fatal(err)
	}
	err := v.Struct(form(stored(picture), "file_max=1MB"))
	got := err.(validator.ValidationErrors).Translate(trans) //nolint:errorlint // as apps do
	if want := "Le fichier ne doit pas dépasser 1 Mo."; len(got) != 1 || got["photo"] != want {
		t.Errorf("got %v, want %q", got, want)
	}
	faulty := v.Struct(form(stored(picture), "file_max=5 apples"))
	for _, text := range faulty.(validator.ValidationErrors).Translate(trans) { //nolint:errorlint // as apps do
		if want := "Cette valeur n’est pas valide."; text != want {
			t.Errorf("a faulty rule: got %q, want %q", text, want)
		}
	}
}

func TestTranslatorsOfOtherPlacesAndLanguages(t *testing.T) {
	t.Parallel()
	v := registered(t)
	austrian, _ := ut.New(de_AT.New()).GetTranslator("de_AT")
	if err := validation.Translate(v, austrian); err != nil {
		t.Fatal(err)
	}
	if got, want := message(t, v.Struct(form(file{}, "required")), austrian), "Dieses Feld ist erforderlich."; got != want {
		t.Errorf("de_AT: got %q, want %q", got, want)
	}
	brazilian, _ := ut.New(pt_BR.New()).GetTranslator("pt_BR")
	mustFault(t, validation.Translate(v, brazilian), `"pt_BR"`, "de, en, es, fr")
	mustFault(t, validation.Translate(v, nil), "the translator is nil")
	mustFault(t, validation.Translate(nil, austrian), "the validator is nil")
	for _, rule := range []string{"required", "file_max=1"} {
		value := any(stored(picture))
		if rule == "required" {
			value = file{}
		}
		got := message(t, v.Struct(form(value, rule)), brazilian)
		if want := []string{"This field is required.", "The file must not be larger than 1 byte."}; !slices.Contains(want, got) {
			t.Errorf("a translator without messages, %s: got %q, want one of %q", rule, got, want)
		}
	}
}
