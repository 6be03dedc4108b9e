package sweep

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// documentVersion is the version of fieldtype's documents that is known here.
const documentVersion = 1

// document is what of a file in a column says where it lies: see fieldtype.
type document struct {
	Version int    `json:"v"`
	Key     string `json:"key"`
}

// columnKeys returns the keys a column's value refers to, as fieldtype's File and
// Files write it: a bare key, a document, or an array of either. It refuses what
// it does not understand: the run must not go on as if that referred to nothing.
//
// A quoted text could be a key in quotes too, and refers to both.
func columnKeys(text string) ([]string, error) {
	switch {
	case text == "":
		return nil, nil
	case text[0] == '{':
		key, err := documentKey([]byte(text))
		if err != nil {
			return nil, err
		}
		return []string{key}, nil
	case (text[0] == '[' || text[0] == '"') && json.Valid([]byte(text)):
		keys, err := listedKeys(text)
		if text[0] == '"' {
			keys = append(keys, text)
		}
		return keys, err
	}
	return []string{text}, nil
}

func listedKeys(text string) ([]string, error) {
	if !utf8.ValidString(text) {
		return nil, errors.New("the value is not UTF-8")
	}
	list := []json.RawMessage{json.RawMessage(text)}
	if text[0] == '[' {
		if err := json.Unmarshal([]byte(text), &list); err != nil {
			return nil, err
		}
	}
	keys := make([]string, 0, len(list)+1)
	for _, element := range list {
		switch element[0] {
		case '{':
			key, err := documentKey(element)
			if err != nil {
				return nil, err
			}
			keys = append(keys, key)
		case '"':
			var key string
			if err := json.Unmarshal(element, &key); err != nil {
				return nil, err
			}
			keys = append(keys, key)
		case 'n': // null
		default:
			return nil, fmt.Errorf("an element is neither a key nor a document: %s", beginning(string(element)))
		}
	}
	return keys, nil
}

func documentKey(text []byte) (string, error) {
	if !utf8.Valid(text) {
		return "", errors.New("the value is not UTF-8") // one key would be turned into another
	}
	var d document
	if err := json.Unmarshal(text, &d); err != nil {
		return "", fmt.Errorf("the value is not JSON: %w: %s", err, beginning(string(text)))
	}
	if d.Version != documentVersion || d.Key == "" {
		return "", fmt.Errorf("the value is not a file's document of version %d: %s", documentVersion, beginning(string(text)))
	}
	return d.Key, nil
}

// beginning quotes as much of a value as finds it.
func beginning(text string) string {
	const most = 60
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return fmt.Sprintf("%q", text)
}
