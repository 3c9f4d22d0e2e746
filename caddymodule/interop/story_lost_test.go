package interop

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A lossyProxy is a proxy in front that loses cookies of ours: of the answers that set the same
// token, or take it, none or the first ones. Those with which a session begins come through: without
// them there is none.
type lossyProxy struct {
	mu     sync.Mutex
	chance *rand.Rand
	toLose map[string]int // answers, by what they set
	lost   int            // answers
	log    strings.Builder
}

// start starts it in front of the site that is at an address, and returns its own.
func (p *lossyProxy) start(t *testing.T, site string, own tls.Certificate, roots *x509.CertPool) (address string) {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Logf("cookies are lost by the seed %d", seed)
	p.chance, p.toLose = rand.New(rand.NewPCG(seed, 0)), make(map[string]int)
	silent := log.New(io.Discard, "", 0) // streams break off when their session ends
	server := httptest.NewUnstartedServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "https", Host: site})
			r.Out.Host = r.In.Host
		},
		Transport:      &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}},
		FlushInterval:  -1,
		ModifyResponse: p.lose,
		ErrorLog:       silent,
	})
	server.TLS = &tls.Config{Certificates: []tls.Certificate{own}}
	server.Config.ErrorLog, server.EnableHTTP2 = silent, true
	server.StartTLS()
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return strings.TrimPrefix(server.URL, "https://")
}

func (p *lossyProxy) lose(resp *http.Response) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintln(&p.log, resp.Request.Method, resp.Request.URL, resp.Status, resp.Request.Referer(), resp.Header.Get("Location"))
	set := ""
	kept := slices.DeleteFunc(slices.Clone(resp.Header["Set-Cookie"]), func(line string) bool {
		cookie := ours(line)
		if cookie != nil {
			set = cookie.Name + cookie.Value
		}
		return cookie != nil
	})
	begins := strings.HasSuffix(resp.Request.URL.Path, "/callback") || strings.HasSuffix(resp.Request.URL.Path, "/confirm")
	if set == "" || begins {
		return nil
	}
	if _, known := p.toLose[set]; !known {
		p.toLose[set] = p.chance.IntN(8)
	}
	if p.toLose[set] > 0 {
		p.toLose[set]--
		p.lost++
		resp.Header["Set-Cookie"] = kept
	}
	return nil
}

// losses returns how many answers lost cookies.
func (p *lossyProxy) losses() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lost
}

// written returns the log.
func (p *lossyProxy) written() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// The same story with streams open, and with cookies that get lost on the way: nobody is signed out
// who did not sign out, and nothing ends that nobody ended.
func TestStory_CookiesThatAreLostSignNobodyOut(t *testing.T) {
	t.Parallel()
	proxy := &lossyProxy{}
	s := newStory(t, proxy, "banner")
	alice := s.first
	alice.visit(s.URL + "/orders")
	alice.signIn("alice")
	alice.until("/orders is alice")
	second := s.another(alice)
	second.visit(s.URL + "/second")
	carol := s.somebody()
	s.actAs(carol)

	own, as := "200 /work is alice", "200 /work is alice by carol"
	for _, tab := range []*browser{alice, second, carol} {
		run[bool](tab, `return follow()`)
		run[bool](tab, `toil(); return true`)
	}
	start, startAs, lost := len(s.seen(cookieOwn)), len(s.seen(cookieAs)), proxy.losses()
	enough := func() bool {
		return len(s.seen(cookieOwn)) >= start+3 && len(s.seen(cookieAs)) >= startAs+3 && proxy.losses() >= lost+10
	}
	for end := time.Now().Add(time.Minute); !enough() && time.Now().Before(end); {
		time.Sleep(20 * time.Millisecond) // polling what a browser does in its own time
	}
	alice.wantAtWork(own)
	second.wantAtWork(own)
	carol.wantAtWork(as)
	if !enough() {
		t.Fatalf("in a minute %d answers lost cookies", proxy.losses()-lost)
	}

	officer := s.somebody()
	officer.visit(s.tool.URL + "/end?user=alice")
	officer.signIn("olivia")
	officer.until(`ended {"revoked":1,`)
	carol.overSoon()
	carol.visitUntil(s.URL+"/home", "/home is carol") // the cookies go as soon as an answer arrives that takes them
	alice.wantAtWork(own)

	alice.submit("") // sign out
	second.overSoon()
	alice.signOut()
	second.visitUntil(s.URL+"/second", "Sign-in")
	s.note("the proxy's log", proxy.written())
	s.search()
}

// wantAtWork expects that all that toil did in a page went well, and that its streams go on.
func (b *browser) wantAtWork(want string) {
	b.t.Helper()
	if got := run[[]string](b, `return Object.keys(answers).sort()`); !slices.Equal(got, []string{want, "streams"}) {
		b.t.Errorf("at work: %q, want %q and streams", got, want)
	}
	if got := run[int](b, `return Object.keys(over).length`); got != 0 {
		b.t.Errorf("%d streams ended", got)
	}
}

// visitUntil loads a page again until it says what is wanted.
func (b *browser) visitUntil(url, want string) {
	b.t.Helper()
	got := ""
	for range 20 {
		b.visit(url)
		if got = run[string](b, `return document.body?.innerText`); strings.Contains(got, want) {
			return
		}
	}
	b.t.Fatalf("after 20 times: %s", got)
}
