package interop

import (
	"bytes"
	"context"
	"fmt"
	"html"
	"net/http"
	"net/http/httputil"
	"sync"
	"testing"

	"github.com/coder/websocket"

	"authsidecar/caddymodule/internal/sidecartest"
)

// A curiousApp logs its requests as a whole, and its pages keep all that script can get hold of in
// each storage that there is, and write it to the console.
type curiousApp struct {
	URL string

	mu  sync.Mutex
	log bytes.Buffer
}

func newCuriousApp(t testing.TB) *curiousApp {
	t.Helper()
	a := &curiousApp{}
	mux := http.NewServeMux()
	mux.HandleFunc("/events", a.events)
	mux.HandleFunc("/socket", a.socket)
	mux.HandleFunc("/work", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, who(r)) })
	mux.HandleFunc("/logout", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Auth-Session", "end")
		http.Redirect(w, r, "/home", http.StatusSeeOther)
	})
	mux.HandleFunc("/plain/", func(w http.ResponseWriter, r *http.Request) { // what browsers keep for their back button
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, "<!doctype html><title>plain</title><pre>%s</pre>", html.EscapeString(who(r)))
	})
	mux.HandleFunc("/", a.page)
	a.URL = sidecartest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		request, err := httputil.DumpRequest(r, r.Header.Get("Upgrade") == "")
		if err != nil {
			t.Error(err)
		}
		a.mu.Lock()
		_, _ = a.log.Write(request)
		a.mu.Unlock()
		mux.ServeHTTP(w, r)
	})
	return a
}

// written returns the log.
func (a *curiousApp) written() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.log.String()
}

// who is what the app knows of who asks.
func who(r *http.Request) string {
	if actor := r.Header.Get("X-Auth-Actor"); actor != "" {
		return fmt.Sprintf("%s is %s by %s", r.RequestURI, r.Header.Get("X-Auth-User"), actor)
	}
	return fmt.Sprintf("%s is %s", r.RequestURI, r.Header.Get("X-Auth-User"))
}

func (*curiousApp) page(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, curiousPage, html.EscapeString(who(r)))
}

// events sends one, and then nothing, until the client is gone.
func (*curiousApp) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	fmt.Fprintf(w, "data: %s\n\n", who(r))
	_ = http.NewResponseController(w).Flush()
	<-r.Context().Done()
}

// socket echoes.
func (*curiousApp) socket(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer func() { _ = conn.CloseNow() }()
	for {
		kind, data, err := conn.Read(context.Background())
		if err != nil || conn.Write(context.Background(), kind, data) != nil {
			return
		}
	}
}

// curiousPage has what tests use: work sends a request, follow opens two streams, of which over tells
// when they ended, and toil sends requests and opens streams for ever, of which answers tells what
// came of them.
const curiousPage = `<!doctype html>
<html lang="en"><title>an app</title>
<pre>%s</pre>
<form method="post" action="/auth/sessions/close"><input type="hidden" name="return_to" value="/home"><button>Stop, or sign out</button></form>
<script>
const opened = new Promise((resolve, reject) => {
	const asked = indexedDB.open("app", 1);
	asked.onupgradeneeded = () => asked.result.createObjectStore("seen", { autoIncrement: true });
	asked.onsuccess = () => resolve(asked.result);
	asked.onerror = () => reject(asked.error);
});
async function keep(...more) {
	const seen = JSON.stringify([document.cookie, location.href, document.referrer, history.state, document.documentElement.outerHTML,
		performance.getEntries().map((entry) => entry.name), navigation.entries().map((entry) => entry.url), ...more]);
	localStorage.seen = (localStorage.seen ?? "").slice(-10000) + seen;
	sessionStorage.seen = (sessionStorage.seen ?? "").slice(-10000) + seen;
	(await opened).transaction("seen", "readwrite").objectStore("seen").add(seen);
	await (await caches.open("app")).put("/seen/" + Math.random(), new Response(seen));
	console.log(seen);
}
async function work() {
	const answer = await fetch("/work", { method: "POST", body: "x" });
	const text = await answer.text();
	await keep(answer.url, [...answer.headers], text);
	return answer.status + " " + text;
}
async function streams() {
	const events = new EventSource("/events");
	const socket = new WebSocket(location.origin.replace("http", "ws") + "/socket");
	await Promise.all([
		new Promise((resolve, reject) => { events.onmessage = ({ data }) => keep(data).then(resolve); events.onerror = () => reject("no events"); }),
		new Promise((resolve, reject) => { socket.onopen = () => socket.send("hello"); socket.onmessage = ({ data }) => keep(data).then(resolve); socket.onerror = () => reject("no socket"); }),
	]);
	return { events, socket };
}
const over = {};
async function follow() {
	const { events, socket } = await streams();
	events.onerror = () => { over.events ??= Date.now(); events.close(); };
	socket.onclose = () => { over.socket ??= Date.now(); };
	return true;
}
async function brief() {
	const { events, socket } = await streams();
	events.close();
	socket.close();
	return "streams";
}
const answers = {};
async function toil() {
	for (;;) {
		for (const { value, reason } of await Promise.allSettled([work(), work(), brief()])) answers[value ?? reason] = true;
		await new Promise((resolve) => setTimeout(resolve, 500 - Date.now() %% 500)); // all tabs at once, and then none for longer than grace
	}
}
document.cookie = "theme=dark";
keep();
</script>
</html>
`
