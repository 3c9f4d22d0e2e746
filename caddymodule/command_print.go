package caddymodule

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"golang.org/x/term"
)

// A table prints rows for people, each column as wide as it needs.
type table struct{ w *tabwriter.Writer }

func newTable(w io.Writer) *table { return &table{tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)} }

// row prints a row. An empty cell is a dash, unless it is the last.
func (t *table) row(cells ...string) {
	for i, cell := range cells {
		if cells[i] = printable(cell); cell == "" && i < len(cells)-1 {
			cells[i] = "-"
		}
	}
	fmt.Fprintln(t.w, strings.Join(cells, "\t"))
}

func (t *table) flush() error { return t.w.Flush() }

// printable replaces what a terminal would take for more than text: what is in a
// session, others have written.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '\uFFFD'
	}, text)
}

// printJSON prints a value on a line.
func printJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

// ago and ahead print a time as people think of it; none is nothing.
func ago(at, now time.Time) string {
	if at.IsZero() {
		return ""
	}
	return span(now.Sub(at)) + " ago"
}

func ahead(at, now time.Time) string {
	switch {
	case at.IsZero():
		return ""
	case !at.After(now):
		return "now"
	default:
		return "in " + span(at.Sub(now))
	}
}

// span prints a duration to two places: 3d4h, 12m30s.
func span(d time.Duration) string {
	d = max(d, 0).Round(time.Second)
	days := d / day
	switch rest := d % day; {
	case days > 0:
		return fmt.Sprintf("%dd%dh", days, rest/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	default:
		return d.String()
	}
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// isTerminal tells whether somebody sits there.
func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
