package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/term"
)

// terminal says how text may look on an output: how wide, in colour or not, with symbols or plain ASCII.
type terminal struct {
	width int
	// columns is where longer lines would be broken; 0 if nowhere. Text for people is laid out within width.
	columns int
	colour  colourDepth
	ascii   bool
}

// colourDepth is what an output can show.
type colourDepth int

const (
	colourNone colourDepth = iota
	colour256
	colourTrue
)

// Widths between which lines are laid out.
const (
	minWidth     = 60
	defaultWidth = 80
	maxWidth     = 140
)

// newTerminal looks at an output and at the environment. The word is that of --color: auto, always or never. Colours
// follow https://no-color.org: NO_COLOR and TERM=dumb switch them off, unless --color=always insists.
func newTerminal(w io.Writer, word string, getenv func(string) string) (terminal, error) {
	f, isFile := w.(*os.File)
	tty := isFile && term.IsTerminal(int(f.Fd()))
	t := terminal{width: defaultWidth, ascii: !utf8Locale(getenv)}
	if n, err := strconv.Atoi(getenv("COLUMNS")); err == nil {
		t.width, t.columns = n, n
	}
	if tty {
		if n, _, err := term.GetSize(int(f.Fd())); err == nil {
			t.width, t.columns = n, n
		}
	}
	t.width = max(minWidth, min(t.width, maxWidth))
	switch word {
	case "always":
		t.colour = depth(getenv)
	case "auto":
		if tty && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb" {
			t.colour = depth(getenv)
		}
	case "never":
	default:
		return t, usageError{fmt.Errorf("--color: %q is not auto, always or never", word)}
	}
	return t, nil
}

// depth follows the habit of terminals to say in COLORTERM that they know 24-bit colours.
func depth(getenv func(string) string) colourDepth {
	if c := getenv("COLORTERM"); c == "truecolor" || c == "24bit" {
		return colourTrue
	}
	return colour256
}

// utf8Locale follows setlocale(3): the first of LC_ALL, LC_CTYPE and LANG that is set decides.
func utf8Locale(getenv func(string) string) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := strings.ToLower(getenv(name)); v != "" {
			return strings.Contains(v, "utf-8") || strings.Contains(v, "utf8")
		}
	}
	return false
}

// paint is a meaning, not a colour: a reader who sees no colours loses nothing, since symbols carry the same.
type paint int

const (
	plain paint = iota
	strong
	faint
	good
	warn
	bad
)

// The colours are of the palette of Okabe and Ito (https://jfly.uni-koeln.de/color/), which people with any kind of
// colour vision can tell apart: bluish green, orange and vermillion.
var sgr = map[paint][2]string{
	strong: {"1", "1"},
	faint:  {"2", "2"},
	good:   {"38;5;36", "38;2;0;158;115"},
	warn:   {"38;5;178", "38;2;230;159;0"},
	bad:    {"1;38;5;166", "1;38;2;213;94;0"},
}

// paint colours a text where the output can.
func (t terminal) paint(p paint, text string) string {
	if t.colour == colourNone || p == plain || text == "" {
		return text
	}
	return "\x1b[" + sgr[p][t.colour-colour256] + "m" + text + "\x1b[0m"
}

// symbol picks the form that the output can show.
func (t terminal) symbol(unicode, ascii string) string {
	if t.ascii {
		return ascii
	}
	return unicode
}

// clean keeps foreign text (a server's words, an error that quotes them) from steering the terminal, and folds it to
// one line. Where symbols cannot be shown, neither can letters beyond ASCII.
func (t terminal) clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case !unicode.IsPrint(r):
			return '?'
		case t.ascii && r > unicode.MaxASCII:
			return asciiFor(r)
		}
		return r
	}, s)
}

// asciiFor replaces the few symbols that our own sentences use.
func asciiFor(r rune) rune {
	switch r {
	case '–', '—', '‑':
		return '-'
	case '’', '‘':
		return '\''
	case '“', '”':
		return '"'
	case 'µ':
		return 'u'
	}
	return '?'
}

// wrap breaks a text that begins in the column start at spaces, so that no line ends beyond width; further lines begin
// in the same column.
func wrap(text string, start, width int) string {
	return wrapParts(strings.Fields(text), " ", start, width)
}

// wrapParts is wrap for parts that must not be broken.
func wrapParts(parts []string, sep string, start, width int) string {
	var b strings.Builder
	used := start
	for i, part := range parts {
		n := cells(part)
		switch {
		case i == 0:
		case used+len(sep)+n > width:
			b.WriteString("\n" + strings.Repeat(" ", start))
			used = start
		default:
			b.WriteString(sep)
			used += len(sep)
		}
		b.WriteString(part)
		used += n
	}
	return b.String()
}

// cells is how many columns a text takes; our texts hold no wide or combining characters.
func cells(s string) int { return len([]rune(s)) }

// pad fills a text with spaces up to width; a longer one loses its middle.
func (t terminal) pad(s string, width int) string {
	r := []rune(s)
	if len(r) <= width {
		return s + strings.Repeat(" ", width-len(r))
	}
	dots := []rune(t.symbol("…", "~"))
	keep := width - len(dots)
	return string(r[:keep/2]) + string(dots) + string(r[len(r)-(keep-keep/2):])
}
