package interop

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
	"github.com/pb33f/libopenapi-validator/paths"
	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"

	"authsidecar/caddymodule/internal/sidecartest"
)

// A contract is an OpenAPI description, and which of its responses have been seen.
type contract struct {
	t         testing.TB
	model     *v3.Document
	validator validator.Validator
	options   *config.ValidationOptions

	mu   sync.Mutex
	seen map[string]bool // operationId and status, and status and code
}

// readContract reads a description, which is valid OpenAPI 3.1 itself.
func readContract(t testing.TB, description []byte) *contract {
	t.Helper()
	document, err := libopenapi.NewDocument(description)
	if err != nil {
		t.Fatal(err)
	}
	model, err := document.BuildV3Model()
	if err != nil {
		t.Fatal(err)
	}
	options := []config.Option{config.WithFormatAssertions(), config.WithoutSecurityValidation()}
	v, errs := validator.NewValidator(document, options...)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	if ok, errs := v.ValidateDocument(); !ok {
		t.Fatalf("the description is not valid: %v", errs)
	}
	return &contract{t: t, model: &model.Model, validator: v, options: config.NewValidationOptions(options...), seen: make(map[string]bool)}
}

// watch has each answer that the sidecar gives to its client validated.
func (c *contract) watch(s *sidecartest.Sidecar) {
	s.Client.Transport = &watching{contract: c, next: s.Client.Transport}
}

type watching struct {
	contract *contract
	next     http.RoundTripper
}

// RoundTrip sends the request and validates the answer; and the request too, if it was accepted.
func (w *watching) RoundTrip(req *http.Request) (*http.Response, error) {
	var sent []byte
	if req.Body != nil && req.GetBody != nil { // else it is one that never ends
		body, err := req.GetBody()
		if err != nil {
			return nil, err
		}
		sent, _ = io.ReadAll(body)
	}
	resp, err := w.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if resp.Header.Get("Content-Type") != "application/x-tar" {
		got, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			return nil, err
		}
		defer func() { resp.Body = io.NopCloser(bytes.NewReader(got)) }()
		resp.Body = io.NopCloser(bytes.NewReader(got))
		w.contract.check(req, sent, resp, got)
	} else {
		w.contract.note(req, resp.StatusCode, nil)
	}
	return resp, nil
}

// check validates an answer, and where it is a good one what was asked.
func (c *contract) check(req *http.Request, sent []byte, resp *http.Response, got []byte) {
	asked := req.Clone(req.Context())
	asked.Body = io.NopCloser(bytes.NewReader(sent))
	if resp.StatusCode < 400 && req.Method != http.MethodHead {
		if ok, errs := c.validator.ValidateHttpRequest(asked); !ok {
			c.t.Errorf("%s %s was accepted, and is not as described: %v", req.Method, req.URL.Path, errs)
		}
	}
	if ok, errs := c.validator.ValidateHttpResponse(asked, resp); !ok {
		c.t.Errorf("%s %s: %d is not as described: %v\n%s", req.Method, req.URL.Path, resp.StatusCode, errs, got)
	}
	if operation := c.note(req, resp.StatusCode, got); operation != nil && len(got) == 0 { // which the validator lets pass
		response, ok := operation.Responses.Codes.Get(strconv.Itoa(resp.StatusCode))
		if ok && response.Content != nil && response.Content.Len() > 0 {
			c.t.Errorf("%s %s: %d has no body", req.Method, req.URL.Path, resp.StatusCode)
		}
	}
}

// note remembers that a response was seen, and returns the operation that it is of.
func (c *contract) note(req *http.Request, status int, body []byte) *v3.Operation {
	item, errs, _ := paths.FindPath(req, c.model, c.options)
	if item == nil {
		c.t.Errorf("%s %s is not described: %v", req.Method, req.URL.Path, errs)
		return nil
	}
	operation, ok := item.GetOperations().Get(strings.ToLower(req.Method))
	if !ok {
		c.t.Errorf("%s %s is not described", req.Method, req.URL.Path)
		return nil
	}
	var problem struct {
		Code  string `json:"code"`
		Error string `json:"error"`
	}
	_ = json.Unmarshal(body, &problem) // it need not be JSON
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[fmt.Sprint(operation.OperationId, " ", status)] = true
	for _, code := range []string{problem.Code, problem.Error} {
		if code != "" {
			c.seen[fmt.Sprint(status, " ", code)] = true
		}
	}
	return operation
}

// wantAll checks that each described response was seen, and each code of an error.
func (c *contract) wantAll() {
	c.t.Helper()
	var missing []string
	want := func(what string) {
		if !c.seen[what] && !slices.Contains(missing, what) {
			missing = append(missing, what)
		}
	}
	for path, item := range c.model.Paths.PathItems.FromOldest() {
		for method, operation := range item.GetOperations().FromOldest() {
			if operation.OperationId == "" {
				c.t.Errorf("%s %s has no operationId", method, path)
			}
			for status, response := range operation.Responses.Codes.FromOldest() {
				want(operation.OperationId + " " + status)
				for _, code := range codes(response) {
					want(status + " " + code)
				}
			}
		}
	}
	for _, what := range missing {
		c.t.Errorf("described, and never seen: %s", what)
	}
}

// codes are the codes of the errors that a response may be of.
func codes(response *v3.Response) (all []string) {
	if response.Content == nil {
		return nil
	}
	for _, media := range response.Content.FromOldest() {
		if media.Schema == nil {
			continue
		}
		for _, part := range media.Schema.Schema().AllOf {
			properties := part.Schema().Properties
			if properties == nil {
				continue
			}
			for _, name := range []string{"code", "error"} {
				if property, ok := properties.Get(name); ok {
					for _, value := range property.Schema().Enum {
						all = append(all, value.Value)
					}
				}
			}
		}
	}
	return all
}
