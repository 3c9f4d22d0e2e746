package caddymodule

import (
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
)

// A progress tells on the error output how far long work is: a bar on a terminal,
// else a line now and then. It says nothing of what is soon done.
type progress struct {
	out    io.Writer
	what   string
	bar    *progressbar.ProgressBar
	count  int64
	spoken time.Time
}

// speakEvery is how often a line is printed where there is no terminal.
const speakEvery = 10 * time.Second

// newProgress begins work on so many things, -1 where nobody knows.
func newProgress(out io.Writer, what string, total int64) *progress {
	p := &progress{out: out, what: what, spoken: time.Now()}
	if isTerminal(out) {
		p.bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(out), progressbar.OptionSetDescription(what),
			progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionClearOnFinish(), progressbar.OptionSetPredictTime(total > 0))
	}
	return p
}

// add tells that more is done.
func (p *progress) add(n int) {
	p.count += int64(n)
	switch {
	case p.bar != nil:
		_ = p.bar.Add(n) // it is for the eye
	case time.Since(p.spoken) >= speakEvery:
		p.spoken = time.Now()
		fmt.Fprintf(p.out, "%s: %d so far\n", p.what, p.count)
	}
}

// done ends it.
func (p *progress) done() {
	if p.bar != nil {
		_ = p.bar.Finish() // it is for the eye
	}
}
