package main

import (
	"bytes"
	"errors"
	"regexp"
	"testing"
)

// escapes matches what colours a text (SGR sequences, ECMA-48, 8.3.117).
var escapes = regexp.MustCompile("\x1b\\[[0-9;]*m")

func TestNewTerminal(t *testing.T) {
	for _, tt := range []struct {
		name, word string
		env        map[string]string
		want       terminal
	}{
		{"no terminal", "auto", map[string]string{"LANG": "en_US.UTF-8"}, terminal{width: 80}},
		{"insisting", "always", map[string]string{"LANG": "C.UTF-8", "NO_COLOR": "1"}, terminal{width: 80, colour: colour256}},
		{"true colour", "always", map[string]string{"LANG": "C.UTF-8", "COLORTERM": "truecolor"}, terminal{width: 80, colour: colourTrue}},
		{"LC_ALL decides", "never", map[string]string{"LANG": "de_DE.utf8", "LC_ALL": "C"}, terminal{width: 80, ascii: true}},
		{"no locale", "auto", nil, terminal{width: 80, ascii: true}},
		{"columns", "auto", map[string]string{"LANG": "C.UTF-8", "COLUMNS": "101"}, terminal{width: 101, columns: 101}},
		{"too wide", "auto", map[string]string{"LANG": "C.UTF-8", "COLUMNS": "500"}, terminal{width: maxWidth, columns: 500}},
		{"too narrow", "auto", map[string]string{"LANG": "C.UTF-8", "COLUMNS": "20"}, terminal{width: minWidth, columns: 20}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := newTerminal(new(bytes.Buffer), tt.word, func(name string) string { return tt.env[name] })
			if err != nil || got != tt.want {
				t.Errorf("got %+v, %v; want %+v", got, err, tt.want)
			}
		})
	}
}

func TestNewTerminalRefusesOtherWords(t *testing.T) {
	_, err := newTerminal(new(bytes.Buffer), "yes", func(string) string { return "" })
	var usage usageError
	if !errors.As(err, &usage) {
		t.Errorf("got %v, want a usage error", err)
	}
}

func TestPaint(t *testing.T) {
	for _, tt := range []struct {
		depth colourDepth
		p     paint
		want  string
	}{
		{colourNone, bad, "x"},
		{colour256, plain, "x"},
		{colour256, good, "\x1b[38;5;36mx\x1b[0m"},
		{colourTrue, good, "\x1b[38;2;0;158;115mx\x1b[0m"},
		{colourTrue, bad, "\x1b[1;38;2;213;94;0mx\x1b[0m"},
	} {
		if got := (terminal{colour: tt.depth}).paint(tt.p, "x"); got != tt.want {
			t.Errorf("depth %d, paint %d: %q, want %q", tt.depth, tt.p, got, tt.want)
		}
	}
}

func TestPad(t *testing.T) {
	for _, tt := range []struct {
		in    string
		width int
		want  string
	}{
		{"abc", 5, "abc  "},
		{"abc", 3, "abc"},
		{"[2001:db8::1]:443", 10, "[200…]:443"},
	} {
		if got := (terminal{}).pad(tt.in, tt.width); got != tt.want {
			t.Errorf("pad(%q, %d) = %q, want %q", tt.in, tt.width, got, tt.want)
		}
	}
}

func TestWrap(t *testing.T) {
	got := wrap("one two three four", 2, 9)
	if want := "one two\n  three\n  four"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
