package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// maxSize of a configuration file, in bytes. It is checked before the YAML library sees the first one.
const maxSize = 1 << 20

// parseNode reads the one YAML document of a file into a node tree.
func parseNode(file string, data []byte) (*yaml.Node, *Error) {
	if err := checkText(file, data); err != nil {
		return nil, err
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, &Error{File: file, Msg: "the file is empty, expected at least targets"}
	case err != nil:
		return nil, syntaxError(file, data, err)
	}
	switch err := dec.Decode(&second); {
	case err == nil:
		return nil, &Error{
			File: file, Line: second.Line, Column: second.Column,
			Msg: "a second YAML document begins here, expected one document only",
		}
	case !errors.Is(err, io.EOF):
		return nil, syntaxError(file, data, err)
	}
	root := doc.Content[0]
	if root.Kind == yaml.ScalarNode && root.ShortTag() == "!!null" {
		return nil, &Error{File: file, Msg: "the file is empty, expected at least targets"}
	}
	return root, nil
}

// checkText refuses what is no text at all, with the place of the first byte that is not.
func checkText(file string, data []byte) *Error {
	if len(data) > maxSize {
		return &Error{File: file, Msg: fmt.Sprintf("the file is larger than %d KiB", maxSize>>10)}
	}
	p := place{1, 1}
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			return &Error{
				File: file, Line: p.line, Column: p.column,
				Msg: fmt.Sprintf("byte 0x%02x is not UTF-8, expected a YAML text file", data[i]),
			}
		case r < ' ' && r != '\n' && r != '\r' && r != '\t', r == 0x7f:
			return &Error{
				File: file, Line: p.line, Column: p.column,
				Msg: fmt.Sprintf("control character 0x%02x, expected a YAML text file", r),
			}
		case r == '\n':
			p = place{p.line + 1, 0}
		}
		p.column++
		i += n
	}
	return nil
}

// syntaxError gives the YAML library's complaint a place. The library tells no column, and of the line it tells
// nothing when it is the first, and otherwise, for most of its messages, the line before the one in which the
// structure around the mistake begins. So the line is measured: it is the last one of the shortest beginning of the
// file that draws the same complaint.
func syntaxError(file string, data []byte, err error) *Error {
	lines := bytes.SplitAfter(data, []byte("\n"))
	line := 1 + sort.Search(len(lines)-1, func(i int) bool {
		e := complaint(bytes.Join(lines[:i+1], nil))
		return e != nil && e.Error() == err.Error()
	})
	text := lines[line-1]
	column := 1 + utf8.RuneCount(text[:len(text)-len(bytes.TrimLeft(text, " \t"))])
	msg := strings.TrimPrefix(err.Error(), "yaml: ")
	if strings.HasPrefix(msg, "line ") {
		_, msg, _ = strings.Cut(msg, ": ")
	}
	return &Error{File: file, Line: line, Column: column, Msg: "not valid YAML: " + msg}
}

// complaint is what the YAML library says about all documents of data.
func complaint(data []byte) error {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	for range 2 {
		var n yaml.Node
		if err := dec.Decode(&n); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
	return nil
}
