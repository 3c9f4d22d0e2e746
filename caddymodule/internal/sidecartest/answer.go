package sidecartest

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

// An Answer is a response that has been read.
type Answer struct {
	Status int
	Header http.Header
	Body   string
	Fields map[string]any // of a JSON body
}

// Text returns a string field, or "".
func (a Answer) Text(field string) string {
	text, _ := a.Fields[field].(string)
	return text
}

// Do sends a request to the sidecar. Its logs must not contain the tokens of the response.
func (s *Sidecar) Do(req *http.Request) (Answer, error) {
	resp, err := s.Client.Do(req)
	if err != nil {
		return Answer{}, err
	}
	return Read(resp)
}

// Read reads a response.
func Read(resp *http.Response) (Answer, error) {
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return Answer{}, err
	}
	got := Answer{Status: resp.StatusCode, Header: resp.Header, Body: string(data)}
	_ = json.Unmarshal(data, &got.Fields) // it need not be JSON
	for _, value := range got.Fields {
		if text, ok := value.(string); ok {
			Remember(text)
		}
	}
	return got, nil
}

func (s *Sidecar) must(got Answer, err error) Answer {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
	return got
}

// Create creates a session; header has names and values in turn.
func (s *Sidecar) Create(token, body string, header ...string) Answer {
	s.t.Helper()
	return s.must(s.TryCreate(token, body, header...))
}

// TryCreate is Create for a process that may have ended.
func (s *Sidecar) TryCreate(token, body string, header ...string) (Answer, error) {
	return s.TryCreateAt(s.URL, token, body, header...)
}

// CreateAt is Create for another site of the sidecar.
func (s *Sidecar) CreateAt(url, token, body string, header ...string) Answer {
	s.t.Helper()
	return s.must(s.TryCreateAt(url, token, body, header...))
}

// TryCreateAt is TryCreate for another site of the sidecar.
func (s *Sidecar) TryCreateAt(url, token, body string, header ...string) (Answer, error) {
	return s.try("POST", url+"/auth/sessions", token, body, append([]string{"Content-Type", "application/json"}, header...)...)
}

// Call sends a request to a path below the one where sessions are created.
func (s *Sidecar) Call(method, path, token, body string) Answer {
	s.t.Helper()
	return s.must(s.try(method, s.URL+"/auth/sessions"+path, token, body))
}

// Refresh presents a refresh token.
func (s *Sidecar) Refresh(token string) Answer {
	s.t.Helper()
	body, _ := json.Marshal(map[string]string{"refresh_token": token}) // text never fails
	return s.Call("POST", "/current/refresh", "", string(body))
}

// Get sends a request without a token to a path of the site.
func (s *Sidecar) Get(method, path string) Answer {
	s.t.Helper()
	return s.must(s.try(method, s.URL+path, "", ""))
}

// Ask sends a request to the admin API; header has names and values in turn.
func (s *Sidecar) Ask(method, path string, header ...string) Answer {
	s.t.Helper()
	return s.must(s.TryAsk(method, path, header...))
}

// TryAsk is Ask for a process that may have ended.
func (s *Sidecar) TryAsk(method, path string, header ...string) (Answer, error) {
	return s.try(method, "http://"+s.Admin+"/auth_sessions/"+path, "", "", header...)
}

// try sends a request; header has names, as they are sent, and values in turn.
func (s *Sidecar) try(method, url, token, body string, header ...string) (Answer, error) {
	req, err := newRequest(method, url, token, body)
	if err != nil {
		return Answer{}, err
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header[header[i]] = []string{header[i+1]}
	}
	req.Host = cmp.Or(req.Header.Get("Host"), req.Host)
	return s.Do(req)
}

func newRequest(method, url, token, body string) (*http.Request, error) {
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return req, nil
}

// Part returns a JSON part of a token, unverified: 0 for the header, 1 for the claims.
func Part(t testing.TB, token string, part int) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("%d parts in a token", len(parts))
	}
	data, err := base64.RawURLEncoding.DecodeString(parts[part])
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(data, &fields); err != nil {
		t.Fatal(err)
	}
	return fields
}
