package caddymodule_test

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"
)

const (
	curvePicture = "docs/curve.svg"
	curvePage    = "docs/performance.md"
	curveBegin   = "<!-- written by BenchmarkCurve -->\n"
	curveEnd     = "<!-- until here -->\n"
)

// writeCurve puts what was measured into the documentation.
func writeCurve(t testing.TB, groups []curveGroup) {
	t.Helper()
	if err := os.WriteFile(curvePicture, drawCurve(groups), 0o600); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(curvePage)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(page), curveBegin)
	_, after, ends := strings.Cut(rest, curveEnd)
	if !begins || !ends {
		t.Fatalf("%s has no place for the tables: %q and %q", curvePage, curveBegin, curveEnd)
	}
	if err := os.WriteFile(curvePage, []byte(before+curveBegin+tabulateCurve(groups)+curveEnd+after), 0o600); err != nil {
		t.Fatal(err)
	}
}

// tabulateCurve returns a Markdown table for each operation: for each line of it how many a second,
// and the p50 and p99 in milliseconds.
func tabulateCurve(groups []curveGroup) string {
	var text strings.Builder
	for _, g := range groups {
		fmt.Fprintf(&text, "\n%s, per second (p50, p99 in ms):\n\n| clients |", strings.ToUpper(g.name[:1])+g.name[1:])
		for _, line := range g.lines {
			fmt.Fprintf(&text, " %s |", line.name)
		}
		text.WriteString("\n|--:|" + strings.Repeat("--:|", len(g.lines)) + "\n")
		for i, clients := range curveClients {
			fmt.Fprintf(&text, "| %d |", clients)
			for _, line := range g.lines {
				p := line.points[i]
				fmt.Fprintf(&text, " %s (%s, %s) |", thousands(p.rate), millis(p.p50), millis(p.p99))
			}
			text.WriteString("\n")
		}
	}
	return text.String() + "\n"
}

func millis(d time.Duration) string { return fmt.Sprintf("%.3g", float64(d.Microseconds())/1000) }

// thousands writes a number with three digits that count.
func thousands(x float64) string {
	if x < 1 {
		return fmt.Sprint(x)
	}
	unit := math.Pow(10, max(0, math.Floor(math.Log10(x))-2))
	digits := fmt.Sprint(int64(math.Round(x/unit) * unit))
	if len(digits) > 3 {
		digits = digits[:len(digits)-3] + "," + digits[len(digits)-3:]
	}
	return digits
}

// The picture has a column for each operation; above how many a second, below the p99, both over the
// clients, and both by powers.
const (
	panelWidth, panelHeight = 250, 160
	panelLeft, panelTop     = 60, 44
	panelGapX, panelGapY    = 62, 46
)

// drawCurve returns the picture, as SVG.
func drawCurve(groups []curveGroup) []byte {
	var svg bytes.Buffer
	width := panelLeft + len(groups)*(panelWidth+panelGapX)
	height := panelTop + 2*(panelHeight+panelGapY) + 20
	fmt.Fprintf(&svg, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="Requests per second and p99 from 1 to 256 clients">
<style>
text { font: 11px system-ui, sans-serif; fill: #333 } .title { font-weight: 600; font-size: 13px } .grid { stroke: #ddd } path { fill: none; stroke-width: 2 }
.l0 { stroke: #888; stroke-dasharray: 5 3 } .l1 { stroke: #0a66c2 } .l2 { stroke: #c2410c }
@media (prefers-color-scheme: dark) { text { fill: #ddd } .grid { stroke: #444 } .back { fill: #0d1117 } .l1 { stroke: #58a6ff } .l2 { stroke: #f0883e } }
@media not (prefers-color-scheme: dark) { .back { fill: #fff } }
</style>
<rect class="back" width="100%%" height="100%%"/>
`, width, height, width, height)
	for i, g := range groups {
		x := panelLeft + i*(panelWidth+panelGapX)
		drawPanel(&svg, x, panelTop, g.name+": per second", g, func(p curvePoint) float64 { return p.rate }, "")
		drawPanel(&svg, x, panelTop+panelHeight+panelGapY, g.name+": p99", g, func(p curvePoint) float64 { return p.p99.Seconds() * 1000 }, " ms")
		for n, line := range g.lines {
			y := height - 8 - 14*(len(g.lines)-1-n)
			fmt.Fprintf(&svg, `<path class="l%d" d="M%d %dh22"/><text x="%d" y="%d">%s</text>`+"\n", n, x, y-4, x+28, y, escaped(line.name))
		}
	}
	svg.WriteString("</svg>\n")
	return svg.Bytes()
}

// drawPanel draws one value of the lines of an operation.
func drawPanel(svg *bytes.Buffer, left, top int, title string, g curveGroup, value func(curvePoint) float64, unit string) {
	low, high := math.Inf(1), math.Inf(-1)
	for _, line := range g.lines {
		for _, p := range line.points {
			low, high = min(low, value(p)), max(high, value(p))
		}
	}
	from, to := math.Floor(math.Log10(low)), math.Ceil(math.Log10(high))
	across := func(i int) float64 { return float64(left) + float64(i*panelWidth)/float64(len(curveClients)-1) }
	up := func(v float64) float64 {
		return float64(top) + panelHeight*(1-(math.Log10(v)-from)/max(1, to-from))
	}
	fmt.Fprintf(svg, `<text class="title" x="%d" y="%d">%s</text>`+"\n", left, top-12, escaped(title))
	for power := from; power <= to; power++ {
		y := up(math.Pow(10, power))
		fmt.Fprintf(svg, `<path class="grid" style="stroke-width:1" d="M%d %.1fh%d"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n",
			left, y, panelWidth, left-6, y+4, thousands(math.Pow(10, power))+unit)
	}
	for i, clients := range curveClients {
		if i%2 == 0 {
			fmt.Fprintf(svg, `<text x="%.1f" y="%d" text-anchor="middle">%d</text>`+"\n", across(i), top+panelHeight+16, clients)
		}
	}
	for n, line := range g.lines {
		var path strings.Builder
		for i, p := range line.points {
			fmt.Fprintf(&path, "%c%.1f %.1f", "ML"[min(i, 1)], across(i), up(value(p)))
		}
		fmt.Fprintf(svg, `<path class="l%d" d="%s"/>`+"\n", n, path.String())
	}
}

func escaped(text string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(text))
	return b.String()
}

// The picture is XML, and has each line and each number of clients that the tables have.
func TestCurve_IsDrawnAndTabulated(t *testing.T) {
	t.Parallel()
	points := make([]curvePoint, len(curveClients))
	for i := range points {
		points[i] = curvePoint{rate: float64(1234 * (i + 1)), p50: 1500 * time.Microsecond, p99: 20 * time.Millisecond}
	}
	groups := []curveGroup{{"create", []curveLine{{"raw <b>", points}, {"10,000 sessions", points}}}}
	picture := drawCurve(groups)
	if err := xml.Unmarshal(picture, new(struct{})); err != nil {
		t.Fatalf("%v in\n%s", err, picture)
	}
	for _, part := range []string{"raw &lt;b&gt;", "10,000 sessions", ">256<", "create: p99", ">10,000<", ">10 ms<"} {
		if !strings.Contains(string(picture), part) {
			t.Errorf("no %q in the picture", part)
		}
	}
	want := "| 256 | 11,100 (1.5, 20) | 11,100 (1.5, 20) |\n"
	if table := tabulateCurve(groups); !strings.Contains(table, want) || !strings.Contains(table, "| clients | raw <b> | 10,000 sessions |\n") {
		t.Errorf("no %q in\n%s", want, table)
	}
}
