package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// A table prints rows for people to read, with aligned columns.
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

// printable replaces characters that a terminal would interpret: text in a session comes from
// others.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '\uFFFD'
	}, text)
}

// printJSON prints a value as one line of JSON.
func printJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

// wantArgs refuses any other number of arguments, -1 for at least one, and says what to do.
func wantArgs(n int, mend string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) == n || n < 0 && len(args) > 0 {
			return nil
		}
		return errors.New(mend)
	}
}

// watchEvery is how often watch refreshes.
const watchEvery = 2 * time.Second

func addWatch(cmd *cobra.Command, watched *bool) {
	cmd.Flags().BoolVarP(watched, "watch", "w", false, "Show it again each 2 seconds, until Ctrl-C")
}

// watch shows something repeatedly, in place on a terminal, until Ctrl-C or an error.
func watch(cmd *cobra.Command, show func() error) error {
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt)
	defer stop()
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		if out := cmd.OutOrStdout(); isTerminal(out) {
			fmt.Fprint(out, "\x1b[H\x1b[2J")
		}
		if err := show(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// isTerminal reports whether a stream is a terminal.
func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// A progress shows the progress of long work on the error output: a bar on a terminal, otherwise a
// line now and then. Short work shows nothing.
type progress struct {
	out     io.Writer
	what    string
	bar     *progressbar.ProgressBar
	count   int64
	printed time.Time
}

// printEvery is how often a line is printed without a terminal.
const printEvery = 10 * time.Second

// newProgress begins work on total items, -1 if that is unknown.
func newProgress(out io.Writer, what string, total int64) *progress {
	p := &progress{out: out, what: what, printed: time.Now()}
	if isTerminal(out) {
		p.bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(out), progressbar.OptionSetDescription(what),
			progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionClearOnFinish(), progressbar.OptionSetPredictTime(total > 0))
	}
	return p
}

// add counts n more as done.
func (p *progress) add(n int) {
	p.count += int64(n)
	switch {
	case p.bar != nil:
		_ = p.bar.Add(n) // only cosmetic
	case time.Since(p.printed) >= printEvery:
		p.printed = time.Now()
		fmt.Fprintf(p.out, "%s: %d so far\n", p.what, p.count)
	}
}

// Write counts bytes.
func (p *progress) Write(data []byte) (int, error) {
	p.add(len(data))
	return len(data), nil
}

// done ends it.
func (p *progress) done() {
	if p.bar != nil {
		_ = p.bar.Finish() // only cosmetic
	}
}
