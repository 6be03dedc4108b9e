package validation

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"

	"github.com/dustin/go-humanize"
)

// quantity is a number with its unit, as the rule's parameter wrote it.
type quantity struct {
	number float64
	digits uint64 // after the point
	unit   string // "B", "KB", "KiB", …; "px", "MP"
}

// splitNumber separates a number at the start of s from what follows it. A
// number has digits and at most one point: a comma is 1000 to some and a tenth
// to others.
func splitNumber(s string) (quantity, string, error) {
	s = strings.TrimSpace(s)
	end := strings.IndexFunc(s, func(r rune) bool { return r != '.' && (r < '0' || r > '9') })
	if end < 0 {
		end = len(s)
	}
	number, err := strconv.ParseFloat(s[:end], 64)
	if err != nil {
		return quantity{}, "", fmt.Errorf("%q does not start with a number", s)
	}
	_, decimals, _ := strings.Cut(s[:end], ".")
	return quantity{number: number, digits: uint64(len(decimals))}, strings.TrimSpace(s[end:]), nil
}

// parseSize reads a size in bytes: "500", "5MB", "1.5 GiB". KB, MB, … are powers
// of 1000 and KiB, MiB, … powers of 1024, in any case, the B may be left out.
func parseSize(s string) (int64, quantity, error) {
	fault := func(why string) (int64, quantity, error) {
		return 0, quantity{}, fmt.Errorf("%q is not a size: %s; write 800KB or 5MB (powers of 1000), 5MiB (of 1024), or bytes as a number", s, why)
	}
	q, unit, err := splitNumber(s)
	if err != nil {
		return fault("it starts with no number")
	}
	n, err := humanize.ParseBytes(s)
	switch {
	case strings.ContainsRune(s, ','):
		return fault("a number has no commas, and a point for decimals")
	case err != nil && q.number < 1e15:
		return fault(fmt.Sprintf("%q is no unit", unit))
	case err != nil, n > math.MaxInt64:
		return fault("it is more than storage can hold")
	case n == 0:
		return fault("it is less than a byte")
	}
	q.unit = sizeUnit(unit)
	return int64(n), q, nil
}

// sizeUnit writes a unit that humanize knows in its usual form: "mib" and "mi"
// are "MiB".
func sizeUnit(unit string) string {
	prefix := strings.TrimSuffix(strings.ToLower(unit), "b")
	if prefix == "" {
		return "B"
	}
	return strings.ToUpper(prefix[:1]) + prefix[1:] + "B"
}

// parsePixels reads a number of pixels: "16MP", "1.5 MP", "250000".
func parsePixels(s string) (int64, quantity, error) {
	q, unit, err := splitNumber(s)
	pixels := q.number
	switch {
	case err != nil:
	case strings.EqualFold(unit, "MP"):
		q.unit = "MP"
		pixels *= 1e6
	case unit == "":
		q.unit = "px"
	default:
		err = errors.New("unknown unit")
	}
	if err != nil || pixels < 1 || pixels > 1e15 {
		return 0, quantity{}, fmt.Errorf("%q is not a number of pixels: write 16MP (millions) or 250000", s)
	}
	return int64(math.Round(pixels)), q, nil
}

// dimensions are an image's sides in pixels.
type dimensions struct{ width, height int }

// String writes them with a multiplication sign.
func (d dimensions) String() string { return fmt.Sprintf("%d × %d", d.width, d.height) }

// parseDimensions reads width and height: "1920x1080".
func parseDimensions(s string) (dimensions, error) {
	w, h, _ := strings.Cut(strings.ReplaceAll(strings.ToLower(s), "×", "x"), "x")
	width, err := parseCount(w)
	if err == nil {
		var height int
		if height, err = parseCount(h); err == nil {
			return dimensions{width, height}, nil
		}
	}
	return dimensions{}, fmt.Errorf("%q is not a width and a height: write them in pixels, such as 1920x1080", s)
}

// parseCount reads a number of files, or pixels of a side.
func parseCount(s string) (int, error) {
	n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 31)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%q is not a whole number of 1 or more", s)
	}
	return int(n), nil
}

// aspect is a range of ratios of width to height; low and high may be the same.
type aspect struct {
	low, high         float64
	lowText, highText string
}

// aspectTolerance is how far off an image may be, as a part of the ratio: sides
// are whole pixels, and 1366x768 is sold as 16:9.
const aspectTolerance = 0.01

func (a aspect) allows(width, height int) bool {
	ratio := float64(width) / float64(height)
	return ratio*(1+aspectTolerance) >= a.low && ratio <= a.high*(1+aspectTolerance)
}

// parseAspect reads a ratio of width to height or a range of them, the narrower
// first: "16:9", "1.91:1", "4:5-16:9".
func parseAspect(s string) (aspect, error) {
	lowText, highText, isRange := strings.Cut(s, "-")
	if !isRange {
		highText = lowText
	}
	a := aspect{lowText: strings.TrimSpace(lowText), highText: strings.TrimSpace(highText)}
	var err error
	if a.low, err = parseRatio(a.lowText); err == nil {
		a.high, err = parseRatio(a.highText)
	}
	switch {
	case err != nil:
		return aspect{}, fmt.Errorf("%q is not an aspect ratio: write width:height, such as 16:9, or a range, such as 4:5-16:9", s)
	case a.low > a.high:
		return aspect{}, fmt.Errorf("%q has the wider ratio first: write %s-%s", s, a.highText, a.lowText)
	}
	return a, nil
}

func parseRatio(s string) (float64, error) {
	w, h, _ := strings.Cut(s, ":")
	width, restWidth, errWidth := splitNumber(w)
	height, restHeight, errHeight := splitNumber(h)
	if errWidth != nil || errHeight != nil || restWidth+restHeight != "" ||
		min(width.number, height.number) < 0.001 || max(width.number, height.number) > 1e6 {
		return 0, fmt.Errorf("%q is not a ratio", s)
	}
	return width.number / height.number, nil
}

// noExtension is the entry of an extension list that stands for names without an
// extension.
const noExtension = "none"

// parseExtensions reads extensions, separated by spaces, into lower case without
// their dot; "" is the word none. ".none" is an extension of that name.
func parseExtensions(s string) ([]string, error) {
	var extensions []string
	for _, entry := range splitList(s) {
		extension := strings.TrimPrefix(entry, ".")
		switch {
		case entry == noExtension:
			extension = ""
		case extension == "":
			return nil, fmt.Errorf("%q is not an extension: write png, or none for names without one", entry)
		case strings.Contains(extension, "."):
			last := extension[strings.LastIndexByte(extension, '.')+1:]
			return nil, fmt.Errorf("%q is more than one extension: that of a.%s is what follows the last dot; write %s", entry, extension, last)
		case strings.ContainsAny(extension, `/\*`):
			return nil, fmt.Errorf("%q is not an extension: media types are for file_type", entry)
		}
		extensions = append(extensions, extension)
	}
	if len(extensions) == 0 {
		return nil, errors.New("no extension is listed: write them with spaces between, such as png jpg")
	}
	return extensions, nil
}

// extensionOf returns what follows the last dot of a name, in lower case. Dots at
// its start begin no extension: ".profile" has none.
func extensionOf(name string) string {
	name = strings.TrimLeft(name, ".")
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 {
		return ""
	}
	return strings.ToLower(name[dot+1:])
}

// splitList splits at spaces and commas (a tag writes a comma as 0x2C), in lower
// case.
func splitList(s string) []string {
	return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
}
